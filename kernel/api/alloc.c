/* alloc.c - cluster IPs and node ports of Services. The Services are the record: the maps are filled from them at start-up. */
#include <arpa/inet.h>

#include "api-internal.h"
#include "base/env.h"

struct api_alloc {
    uint32_t first, count;              /* usable addresses: first .. first + count - 1 (host order) */
    uint8_t *ips;                       /* bit set: taken */
    int port_first, port_last;
    uint8_t tcp[8192], udp[8192], sctp[8192];
};

#define MOST_IPS (1u << 20)

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

int api_alloc_new(const char *cidr, int first_port, int last_port, struct api_alloc **ret, struct kl_err *err)
{
    struct str rest = str_of(cidr), ip = str_cut(&rest, '/');
    char text[64];
    struct in_addr in;
    int64_t bits;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(ip));
    if (inet_pton(AF_INET, text, &in) != 1 || !rest.at || !str_int(rest, &bits) || bits < 8 || bits > 30)
        return kl_err_set(err, KL_INVALID, "service CIDR '%s' is not an IPv4 range of /8 to /30", cidr);
    struct api_alloc *x = mem_alloc(sizeof *x);
    uint32_t size = 1u << (32 - bits);
    if (x) {
        x->first = (ntohl(in.s_addr) & ~(size - 1)) + 1;
        x->count = size - 2 < MOST_IPS ? size - 2 : MOST_IPS;
        x->ips = mem_alloc(x->count / 8 + 1);
        x->port_first = first_port;
        x->port_last = last_port;
    }
    if (!x || !x->ips) {
        mem_free(x);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    *ret = x;
    return 0;
}

void api_alloc_free(struct api_alloc *x)
{
    if (x)
        mem_free(x->ips);
    mem_free(x);
}

static bool ip_index(const struct api_alloc *x, struct str s, uint32_t *ret)
{
    char text[64];
    struct in_addr in;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(s));
    if (!s.len || inet_pton(AF_INET, text, &in) != 1)
        return false;
    *ret = ntohl(in.s_addr) - x->first;
    return *ret < x->count;
}

static uint8_t *ports_of(struct api_alloc *x, struct str protocol)
{
    return str_is(protocol, "UDP") ? x->udp : str_is(protocol, "SCTP") ? x->sctp : x->tcp;
}

static void mark(struct api_alloc *x, const struct val *service, bool on)
{
    uint32_t i;
    struct val *ports = json_path(service, "spec.ports");
    if (ip_index(x, json_str(service, "spec.clusterIP"), &i))
        set_bit(x->ips, i, on);
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) {
            int64_t n = json_int(p, "nodePort", 0);
            if (n > 0 && n < 65536)
                set_bit(ports_of(x, json_str(p, "protocol")), (uint32_t)n, on);
        }
}

void api_service_claim(struct api *api, const struct val *service)
{
    mark(api->alloc, service, true);
}

void api_service_release(struct api *api, const struct val *old, const struct val *kept)
{
    mark(api->alloc, old, false);
    if (kept)
        mark(api->alloc, kept, true);
}

static int invalid(struct api_op *op, const char *field, const char *fmt, struct str value)
{
    struct object_causes c = { .arena = op->arena };
    object_cause_add(&c, "FieldValueInvalid", field, "Invalid value: \"" STR_FMT "\": %s", STR_ARG(value), fmt);
    return api_fail_invalid(&op->err, op->arena, op->kind, op->name, &c);
}

/* Random in the upper part of the range, so that small numbers stay free for those who ask for them. */
static int allocate_ip(struct api_op *op, struct api_alloc *x, struct val *spec)
{
    uint32_t lower = x->count > 256 ? 256 : 16, r, i;
    env_random(&r, sizeof r);
    if (x->count <= lower)
        lower = 0;
    for (uint32_t n = 0; n < x->count; n++) {
        i = n < x->count - lower ? lower + (r + n) % (x->count - lower) : n - (x->count - lower);
        if (bit(x->ips, i))
            continue;
        struct in_addr in = { htonl(x->first + i) };
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &in, text, sizeof text);
        json_set_str(op->arena, spec, STR("clusterIP"), arena_str(op->arena, str_of(text)));
        return 0;
    }
    return api_fail(&op->err, op->arena, KL_INTERNAL, "failed to allocate a serviceIP: range is full");
}

static int take_ip(struct api_op *op, struct api_alloc *x, struct val *spec, struct str ip)
{
    uint32_t i;
    (void)spec;
    if (!ip_index(x, ip, &i))
        return invalid(op, "spec.clusterIPs", "failed to allocate IP: the provided network does not contain it", ip);
    if (bit(x->ips, i))
        return invalid(op, "spec.clusterIPs", "failed to allocate IP: provided IP is already allocated", ip);
    return 0;
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
    struct str type = json_str(spec, "type"), ip = json_str(spec, "clusterIP");
    struct str was = json_str(old, "spec.clusterIP");
    if (str_is(type, "ExternalName")) {
        static const char *const gone[] = { "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy" };
        for (int i = 0; i < 4; i++)
            json_del(spec, str_of(gone[i]));
        return 0;
    }
    if (!ip.len && was.len) {
        json_set_str(op->arena, spec, STR("clusterIP"), was);
        ip = was;
    }
    if (!ip.len && allocate_ip(op, op->api->alloc, spec) < 0)
        return -op->err.code;
    if (ip.len && !str_is(ip, "None") && take_ip(op, op->api->alloc, spec, ip) < 0)
        return -op->err.code;
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
    if (old && (rc < 0 || op->dry_run))
        mark(x, old, true);
    return rc;
}
