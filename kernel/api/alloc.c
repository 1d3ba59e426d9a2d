/* alloc.c - node ports of Services, and their ports for health checks: one space of numbers, whatever the protocol. The Services are the record: the map is filled from them at start-up, and again some minutes after a change
 * (a commit that failed leaves a port marked that nobody has). Cluster IPs: service_ip.c. */
#include "api-internal.h"
#include "base/env.h"
#include "base/json_scan.h"

struct api_alloc {
    struct api *api;
    struct loop_timer refill;
    bool changed;                       /* the timer runs */
    int port_first, port_last;
    uint8_t taken[65536 / 8];
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

static void mark_one(struct api_alloc *x, int64_t n, bool on)
{
    if (n > 0 && n < 65536)
        set_bit(x->taken, (uint32_t)n, on);
}

static void mark(struct api_alloc *x, const struct val *service, bool on)
{
    struct val *spec = json_get(service, STR("spec")), *ports = json_get(spec, STR("ports"));
    mark_one(x, json_int(spec, "healthCheckNodePort", 0), on);
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) mark_one(x, json_int(p, "nodePort", 0), on);
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
    memset(x->taken, 0, sizeof x->taken);
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

/* --- numbers --- */

/* NULL: it is taken now. */
static const char *take(struct api_op *op, struct api_alloc *x, int64_t n)
{
    if (n < x->port_first || n > x->port_last)
        return arena_printf(op->arena, "provided port is not in the valid range. The range of valid ports is %d-%d", x->port_first, x->port_last);
    if (bit(x->taken, (uint32_t)n))
        return "provided port is already allocated";
    set_bit(x->taken, (uint32_t)n, true);
    return NULL;
}

static int64_t take_any_of(struct api_alloc *x, uint32_t first, uint32_t count)
{
    uint32_t r;
    env_random(&r, sizeof r);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t p = first + (r + n) % count;
        if (bit(x->taken, p))
            continue;
        set_bit(x->taken, p, true);
        return p;
    }
    return 0;
}

/* 0: there is none. The low part of the range is left, while there are others, to those who ask for a number of their own. */
static int64_t take_any(struct api_alloc *x)
{
    uint32_t first = (uint32_t)x->port_first, count = (uint32_t)(x->port_last - x->port_first + 1);
    uint32_t low = count < 16 ? 0 : count / 32 < 16 ? 16 : count / 32 > 128 ? 128 : count / 32;
    int64_t n = count > low ? take_any_of(x, first + low, count - low) : 0;
    return n ? n : take_any_of(x, first, low);
}

/* --- node ports --- */

static bool may_have_node_ports(const struct val *spec)
{
    return str_is(json_str(spec, "type"), "NodePort") || str_is(json_str(spec, "type"), "LoadBalancer");
}

static bool wants_node_ports(const struct val *spec)
{
    return str_is(json_str(spec, "type"), "NodePort") ||
           (str_is(json_str(spec, "type"), "LoadBalancer") && json_bool(spec, "allocateLoadBalancerNodePorts", true));
}

static bool has_number(const struct val *ports, int64_t n)
{
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (json_int(p, "nodePort", 0) == n)
                return true;
    return false;
}

struct old_port {
    const struct val *at;
    bool given;                         /* one of the new ports asks for its number */
};

/* Who leaves nodePort out keeps the one of the port of that name, unless another one of his has it. */
static void keep_numbers(struct api_op *op, struct val *ports, const struct val *were)
{
    struct old_port *old = val_is(were, VAL_ARR) ? arena_alloc(op->arena, (were->n + 1) * sizeof *old) : NULL;
    uint32_t n = 0;
    if (!old)
        return;
    for (const struct val *o = were->first; o; o = o->next)
        if (json_int(o, "nodePort", 0))
            old[n++] = (struct old_port){ o, has_number(ports, json_int(o, "nodePort", 0)) };
    val_each(p, ports)
        for (uint32_t i = 0; i < n && !json_int(p, "nodePort", 0); i++)
            if (!old[i].given && str_eq(json_str(old[i].at, "name"), json_str(p, "name")))
                json_set_int(op->arena, p, STR("nodePort"), json_int(old[i].at, "nodePort", 0));
}

/* The number that ports of a new Service with one port number share: the first one that is asked for, or that was given. */
static int64_t shared_number(const struct val *ports, const struct val *port)
{
    val_each(p, ports)
        if (json_int(p, "port", 0) == json_int(port, "port", 0) && json_int(p, "nodePort", 0))
            return json_int(p, "nodePort", 0);
    return 0;
}

static int number_of(struct api_op *op, struct val *ports, struct val *port, unsigned i, bool is_new)
{
    struct api_alloc *x = op->api->alloc;
    int64_t want = json_int(port, "nodePort", 0), n = want ? want : is_new ? shared_number(ports, port) : 0;
    bool again = false;
    for (const struct val *p = ports->first; p != port; p = p->next)
        again |= n && json_int(p, "nodePort", 0) == n && (!is_new || json_int(p, "port", 0) == json_int(port, "port", 0));
    const char *why = n && !again ? take(op, x, n) : NULL;
    if (why) {
        struct object_causes c = { .arena = op->arena };
        object_cause_add(&c, "FieldValueInvalid", arena_printf(op->arena, "spec.ports[%u].nodePort", i), "Invalid value: %lld: %s", (long long)n, why);
        return api_fail_invalid(&op->err, op->arena, op->kind, op->name, &c);
    }
    if (!n && !(n = take_any(x)))
        return api_fail(&op->err, op->arena, KL_INTERNAL, "Internal error occurred: failed to allocate a nodePort: range is full");
    if (!want)
        json_set_int(op->arena, port, STR("nodePort"), n);
    return 0;
}

static int node_ports(struct api_op *op, struct val *spec, const struct val *was)
{
    struct val *ports = json_get(spec, STR("ports"));
    unsigned i = 0;
    int rc = 0;
    if (!val_is(ports, VAL_ARR) || !may_have_node_ports(spec))
        return 0;
    if (wants_node_ports(spec) && wants_node_ports(was))
        keep_numbers(op, ports, json_get(was, STR("ports")));
    for (struct val *p = ports->first; p && rc == 0; p = p->next, i++)
        if (wants_node_ports(spec) || json_int(p, "nodePort", 0))
            rc = number_of(op, ports, p, i, !was);
    return rc;
}

static int health_port(struct api_op *op, struct val *spec)
{
    int64_t n = json_int(spec, "healthCheckNodePort", 0);
    if (!object_service_health_port(spec))
        return 0;
    const char *why = n ? take(op, op->api->alloc, n) : NULL;
    if (why)
        return api_fail(&op->err, op->arena, KL_INTERNAL, "Internal error occurred: failed to allocate requested HealthCheck NodePort %lld: %s", (long long)n,
                        why);
    if (!n && !(n = take_any(op->api->alloc)))
        return api_fail(&op->err, op->arena, KL_INTERNAL, "Internal error occurred: failed to allocate a HealthCheck NodePort 0: range is full");
    json_set_int(op->arena, spec, STR("healthCheckNodePort"), n);
    return 0;
}

/* --- all that a Service is given --- */

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
    struct val *spec = json_obj(op->arena, v, STR("spec")), *was = json_get(old, STR("spec"));
    uint8_t before[sizeof x->taken];
    memcpy(before, x->taken, sizeof before);
    if (old)
        mark(x, old, false);            /* what it has is its own to take again */
    int rc = cluster_ip(op, spec, old);
    if (rc == 0)
        rc = node_ports(op, spec, was);
    if (rc == 0)
        rc = health_port(op, spec);
    if (rc < 0 || op->dry_run)
        memcpy(x->taken, before, sizeof before);
    if (!op->dry_run && !x->changed && json_path(spec, "ports")) {
        x->changed = true;
        loop_timer_start(op->api->loop, &x->refill, REFILL_NS, refill, x);
    }
    return rc;
}
