/* alloc.c - node ports of Services. The Services are the record: the maps are filled from them at start-up, and again some minutes after a change
 * (a commit that failed leaves a port marked that nobody has). Cluster IPs: service_ip.c. */
#include "api-internal.h"
#include "base/env.h"
#include "base/json_scan.h"

struct api_alloc {
    struct api *api;
    struct loop_timer refill;
    bool changed;                       /* the timer runs */
    int port_first, port_last;
    uint8_t tcp[8192], udp[8192], sctp[8192];
};

#define REFILL_NS (180 * NS_PER_S)

static bool bit(const uint8_t *map, uint32_t i)
{
    return map[i / 8] >> (i % 8) & 1;
}

static void set_bit(uint8_t *map, uint32_t i, bool on)
{
    if (on)
        map[i / 8] |= (uint8_t)(1u << (i % 8));
    else
        map[i / 8] &= (uint8_t)~(1u << (i % 8));
}

int api_alloc_new(struct api *api, int first_port, int last_port, struct api_alloc **ret, struct kl_err *err)
{
    struct api_alloc *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    x->api = api;
    x->port_first = first_port;
    x->port_last = last_port;
    *ret = x;
    return 0;
}

void api_alloc_free(struct api_alloc *x)
{
    if (x)
        loop_timer_stop(&x->refill);
    mem_free(x);
}

static uint8_t *ports_of(struct api_alloc *x, struct str protocol)
{
    return str_is(protocol, "UDP") ? x->udp : str_is(protocol, "SCTP") ? x->sctp : x->tcp;
}

static void mark(struct api_alloc *x, const struct val *service, bool on)
{
    struct val *ports = json_path(service, "spec.ports");
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) {
            int64_t n = json_int(p, "nodePort", 0);
            if (n > 0 && n < 65536)
                set_bit(ports_of(x, json_str(p, "protocol")), (uint32_t)n, on);
        }
}

static bool claim(void *ctx, struct store_object *o)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *v = a && json_scan_path(store_object_json(o), "spec.ports").at ? json_parse(a, store_object_json(o), NULL) : NULL;
    if (v)
        mark(ctx, v, true);
    return true;
}

void api_ports_fill(struct api *api)
{
    struct api_alloc *x = api->alloc;
    struct store_range services = { .resource = STR("/services"), .head = true };
    memset(x->tcp, 0, sizeof x->tcp);
    memset(x->udp, 0, sizeof x->udp);
    memset(x->sctp, 0, sizeof x->sctp);
    store_list(api->store, &services, claim, x);
}

static void refill(void *ctx)
{
    struct api_alloc *x = ctx;
    x->changed = false;
    api_ports_fill(x->api);
}

void api_service_release(struct api *api, const struct val *old)
{
    mark(api->alloc, old, false);
}

static int allocate_port(struct api_op *op, struct api_alloc *x, struct val *port)
{
    uint8_t *map = ports_of(x, json_str(port, "protocol"));
    int64_t want = json_int(port, "nodePort", 0);
    uint32_t r, count = (uint32_t)(x->port_last - x->port_first + 1);
    if (want) {
        if (want < x->port_first || want > x->port_last || bit(map, (uint32_t)want)) {
            struct object_causes c = { .arena = op->arena };
            object_cause_add(&c, "FieldValueInvalid", "spec.ports[0].nodePort", "Invalid value: %lld: %s", (long long)want,
                             want >= x->port_first && want <= x->port_last ? "provided port is already allocated"
                             : arena_printf(op->arena, "provided port is not in the valid range. The range of valid ports is %d-%d",
                                            x->port_first, x->port_last));
            return api_fail_invalid(&op->err, op->arena, op->kind, op->name, &c);
        }
        set_bit(map, (uint32_t)want, true);
        return 0;
    }
    env_random(&r, sizeof r);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t p = (uint32_t)x->port_first + (r + n) % count;
        if (bit(map, p))
            continue;
        set_bit(map, p, true);
        json_set_int(op->arena, port, STR("nodePort"), p);
        return 0;
    }
    return api_fail(&op->err, op->arena, KL_INTERNAL, "failed to allocate a nodePort: range is full");
}

static void set_families(struct api_op *op, struct val *spec, struct str ip)
{
    struct arena *a = op->arena;
    struct val *list = val_new(a, VAL_ARR), *families = val_new(a, VAL_ARR);
    val_push(list, val_of_str(a, ip));
    val_push(families, val_of_str(a, STR("IPv4")));
    json_set(a, spec, STR("clusterIPs"), list);
    if (!json_get(spec, STR("ipFamilies")))
        json_set(a, spec, STR("ipFamilies"), families);
    if (!json_get(spec, STR("ipFamilyPolicy")))
        json_set_str(a, spec, STR("ipFamilyPolicy"), STR("SingleStack"));
}

static int node_ports(struct api_op *op, struct val *spec, const struct val *old)
{
    struct str type = json_str(spec, "type");
    struct val *ports = json_get(spec, STR("ports")), *was = json_path(old, "spec.ports");
    bool wants = str_is(type, "NodePort") ||
                 (str_is(type, "LoadBalancer") && json_bool(spec, "allocateLoadBalancerNodePorts", true));
    if (!val_is(ports, VAL_ARR))
        return 0;
    if (val_is(was, VAL_ARR) && wants)      /* patches that leave nodePort out keep the one of the same port */
        val_each(p, ports)
            val_each(o, was)
                if (!json_int(p, "nodePort", 0) && json_int(o, "port", 0) == json_int(p, "port", -1) &&
                    str_eq(json_str(o, "protocol"), json_str(p, "protocol")) && json_int(o, "nodePort", 0))
                    json_set_int(op->arena, p, STR("nodePort"), json_int(o, "nodePort", 0));
    val_each(p, ports) {
        if (!wants)
            json_del(p, STR("nodePort"));
        else if (allocate_port(op, op->api->alloc, p) < 0) {
            val_each(q, ports) {        /* gives back what this call took */
                if (q == p)
                    break;
                set_bit(ports_of(op->api->alloc, json_str(q, "protocol")), (uint32_t)json_int(q, "nodePort", 0), false);
            }
            return -op->err.code;
        }
    }
    return 0;
}

static int cluster_ip(struct api_op *op, struct val *spec, const struct val *old)
{
    int rc = api_service_ip(op, spec, old);
    if (rc < 0)
        return rc;
    if (str_is(json_str(spec, "type"), "ExternalName")) {
        static const char *const gone[] = { "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy" };
        for (int i = 0; i < 4; i++)
            json_del(spec, str_of(gone[i]));
        return 0;
    }
    set_families(op, spec, json_str(spec, "clusterIP"));
    return 0;
}

int api_service_allocate(struct api_op *op, struct val *v, const struct val *old)
{
    struct api_alloc *x = op->api->alloc;
    struct val *spec = json_obj(op->arena, v, STR("spec"));
    struct kl_err err;
    kl_err_init(&err);
    if (old)
        mark(x, old, false);            /* what it has is its own to take again */
    int rc = cluster_ip(op, spec, old);
    if (rc == 0)
        rc = node_ports(op, spec, old);
    if (rc == 0)
        mark(x, v, !op->dry_run);
    if (!op->dry_run && !x->changed && json_path(spec, "ports")) {
        x->changed = true;
        loop_timer_start(op->api->loop, &x->refill, REFILL_NS, refill, x);
    }
    if (old && (rc < 0 || op->dry_run))
        mark(x, old, true);
    return rc;
}
