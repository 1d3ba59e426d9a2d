/* service_ip.c - cluster IPs of Services, out of the ServiceCIDRs. The record are IPAddress objects: each is made and goes in one commit with its
 * Service, so neither is ever without the other. Ranges of IPv6 are not allocated from. */
#include <arpa/inet.h>

#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"

#define RANGES  "networking.k8s.io/servicecidrs"
#define IPS     "networking.k8s.io/ipaddresses"
#define GUESSES 32                      /* before the range is walked */

struct range {
    uint32_t first, count;              /* usable addresses, host order: neither the network's own nor the broadcast one */
    bool ready;
};

struct ranges {
    struct arena *arena;
    struct range *at;
    unsigned n, cap;
};

static bool parse_range(struct str cidr, struct range *ret)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr in;
    int64_t bits;
    struct str rest = cidr, ip = str_cut(&rest, '/');
    snprintf(text, sizeof text, STR_FMT, STR_ARG(ip));
    if (ip.len >= sizeof text || inet_pton(AF_INET, text, &in) != 1 || !rest.at || !str_int(rest, &bits) || bits < 1 || bits > 30)
        return false;
    uint32_t size = (uint32_t)(1ull << (32 - bits));
    *ret = (struct range){ .first = (ntohl(in.s_addr) & ~(size - 1)) + 1, .count = size - 2 };
    return true;
}

static bool is_ready(const struct val *cidr)
{
    struct val *list = json_path(cidr, "status.conditions");
    if (json_path(cidr, "metadata.deletionTimestamp"))
        return false;
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Ready"))
                return str_is(json_str(c, "status"), "True");
    return true;                        /* nobody has looked yet */
}

static bool add_range(void *ctx, struct store_object *o)
{
    struct ranges *x = ctx;
    struct val *v = json_parse(x->arena, store_object_json(o), NULL), *list = json_path(v, "spec.cidrs");
    if (!val_is(list, VAL_ARR))
        return true;
    val_each(c, list)
    {
        struct range r;
        if (!parse_range(val_str(c), &r))
            continue;
        if (x->n == x->cap) {
            unsigned cap = x->cap ? x->cap * 2 : 4;
            struct range *more = arena_alloc(x->arena, cap * sizeof *more);
            if (!more)
                return false;
            if (x->n)
                memcpy(more, x->at, x->n * sizeof *more);
            x->at = more;
            x->cap = cap;
        }
        r.ready = is_ready(v);
        x->at[x->n++] = r;
    }
    return true;
}

static struct ranges all_ranges(struct api *api, struct arena *a)
{
    struct ranges x = { .arena = a };
    struct store_range r = { .resource = STR(RANGES), .head = true };
    store_list(api->store, &r, add_range, &x);
    return x;
}

static const char *ip_text(uint32_t ip, char ret[INET_ADDRSTRLEN])
{
    struct in_addr in = { htonl(ip) };
    return inet_ntop(AF_INET, &in, ret, INET_ADDRSTRLEN);
}

static bool is_free(struct api *api, uint32_t ip)
{
    char text[INET_ADDRSTRLEN];
    return !store_head(api->store, STR(IPS), STR(""), str_of(ip_text(ip, text)));
}

/* How many small numbers of a range stay free for those who ask for them. */
static uint32_t lower_part(uint32_t count)
{
    uint32_t part = count / 16;
    return count < 16 ? 0 : part < 16 ? 16 : part > 256 ? 256 : part;
}

/* At random; when that meets only taken ones, the first free one behind a random place. 0: the range is full. */
static uint32_t pick(struct api *api, const struct range *x)
{
    uint32_t lower = lower_part(x->count), r = 0;
    if (lower >= x->count)
        lower = 0;
    for (int n = 0; n < GUESSES; n++) {
        env_random(&r, sizeof r);
        r = lower + r % (x->count - lower);
        if (is_free(api, x->first + r))
            return x->first + r;
    }
    for (uint32_t n = 0; n < x->count; n++) {
        uint32_t i = n < x->count - lower ? lower + (r - lower + n) % (x->count - lower) : n - (x->count - lower);
        if (is_free(api, x->first + i))
            return x->first + i;
    }
    return 0;
}

static int refuse(struct api_op *op, struct str ip, const char *why)
{
    struct object_causes c = { .arena = op->arena };
    object_cause_add(&c, "FieldValueInvalid", "spec.clusterIPs", "Invalid value: [\"" STR_FMT "\"]: failed to allocate IP " STR_FMT ": %s",
                     STR_ARG(ip), STR_ARG(ip), why);
    return api_fail_invalid(&op->err, op->arena, op->kind, op->name, &c);
}

static bool is_address(struct str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr room;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(s));
    return s.len < sizeof text && (inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1);
}

static int check_wanted(struct api_op *op, const struct ranges *x, struct str ip)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr in;
    bool found = false, inside = false;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(ip));
    if (ip.len < sizeof text && inet_pton(AF_INET, text, &in) == 1)
        for (unsigned i = 0; i < x->n && !inside; i++) {
            uint32_t n = ntohl(in.s_addr) - x->at[i].first;     /* the network's own address is -1 */
            bool within = x->at[i].ready && n + 1 < x->at[i].count + 2;
            found |= within;
            inside = within && n < x->at[i].count;
        }
    if (!found)
        return refuse(op, ip, "the provided network does not match the current range");
    if (!inside)
        return refuse(op, ip, arena_printf(op->arena, "provided IP " STR_FMT " is not in the valid range", STR_ARG(ip)));
    return store_head(op->api->store, STR(IPS), STR(""), ip) ? refuse(op, ip, "provided IP is already allocated") : 0;
}

static int choose(struct api_op *op, const struct ranges *x, struct str *ret)
{
    char text[INET_ADDRSTRLEN];
    for (unsigned i = 0; i < x->n; i++) {
        uint32_t ip = x->at[i].ready ? pick(op->api, &x->at[i]) : 0;
        if (!ip)
            continue;
        *ret = arena_str(op->arena, str_of(ip_text(ip, text)));
        return 0;
    }
    return api_fail(&op->err, op->arena, KL_INTERNAL, "failed to allocate a serviceIP: range is full");
}

/* --- the record --- */

static struct val *address_object(struct arena *a, const struct schema_kind *k, struct str ip, struct str ns, struct str name)
{
    struct kl_err err;
    char uid[37], when[CLOCK_TEXT];
    struct val *v = val_new(a, VAL_OBJ), *meta = json_obj(a, v, STR("metadata")), *labels = json_obj(a, meta, STR("labels"));
    struct val *ref = json_obj(a, json_obj(a, v, STR("spec")), STR("parentRef"));
    kl_err_init(&err);
    api_new_uid(uid);
    clock_format(env_wall_ns(), when);
    json_set_str(a, v, STR("kind"), str_of(k->kind));
    json_set_str(a, v, STR("apiVersion"), str_of(api_group_version(a, k)));
    json_set_str(a, meta, STR("name"), ip);
    json_set_str(a, meta, STR("uid"), arena_str(a, str_of(uid)));
    json_set_str(a, meta, STR("creationTimestamp"), arena_str(a, str_of(when)));
    json_set_str(a, labels, STR("ipaddress.kubernetes.io/ip-family"), STR("IPv4"));
    json_set_str(a, labels, STR("ipaddress.kubernetes.io/managed-by"), STR("ipallocator.k8s.io"));
    json_set_str(a, ref, STR("resource"), STR("services"));
    json_set_str(a, ref, STR("namespace"), ns);
    json_set_str(a, ref, STR("name"), name);
    return object_conform(a, k->type, v, NULL, &err) < 0 ? NULL : v;
}

static const struct schema_kind *address_kind(void)
{
    return schema_kind_find(STR("networking.k8s.io"), STR("v1"), STR("IPAddress"));
}

static int record(struct api_op *op, struct str ip)
{
    const struct schema_kind *k = address_kind();
    struct val *v = k ? address_object(op->arena, k, ip, op->ns, op->name) : NULL;
    if (!v || op->n_also == API_ALSO)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    op->also[op->n_also++] = (struct api_also){ STORE_CREATE, k, STR(""), ip, v };
    return 0;
}

void api_service_ip_release(struct api_op *op, const struct val *service)
{
    struct str ip = json_str(service, "spec.clusterIP");
    struct api_error ignored = { 0 };
    struct store_object *o = ip.len ? store_head(op->api->store, STR(IPS), STR(""), ip) : NULL;
    struct val *v = o ? api_tree(op->arena, o, &ignored) : NULL, *ref = json_path(v, "spec.parentRef");
    if (!str_is(json_str(ref, "resource"), "services") || json_str(ref, "group").len || !str_eq(json_str(ref, "namespace"), op->ns) ||
        !str_eq(json_str(ref, "name"), op->name) || op->n_also == API_ALSO)
        return;
    op->also[op->n_also++] = (struct api_also){ STORE_DELETE, address_kind(), STR(""), arena_str(op->arena, ip), v };
}

int api_service_ip(struct api_op *op, struct val *spec, const struct val *old)
{
    struct str ip = json_str(spec, "clusterIP"), was = json_str(old, "spec.clusterIP");
    op->n_also = 0;
    if (was.len && !str_is(was, "None") && !str_eq(was, ip) && (ip.len || str_is(json_str(spec, "type"), "ExternalName")))
        api_service_ip_release(op, old);
    if (str_is(json_str(spec, "type"), "ExternalName") || str_is(ip, "None"))
        return 0;
    if (was.len && !str_is(was, "None") && (!ip.len || str_eq(ip, was))) {
        json_set_str(op->arena, spec, STR("clusterIP"), was);
        return 0;
    }
    if (ip.len && !is_address(ip)) {    /* validation says what it is not */
        op->n_also = 0;
        return 0;
    }
    struct ranges x = all_ranges(op->api, op->arena);
    int rc = ip.len ? check_wanted(op, &x, ip) : choose(op, &x, &ip);
    if (rc < 0)
        return rc;
    json_set_str(op->arena, spec, STR("clusterIP"), ip);
    return record(op, ip);
}

/* --- start-up: what was stored before there were such objects --- */

struct missing {
    struct api *api;
    struct kl_err *err;
    int rc;
};

static bool add_missing(void *ctx, struct store_object *o)
{
    struct missing *m = ctx;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const struct schema_kind *k = address_kind();
    struct range r;
    struct val *v = a ? json_parse(a, store_object_json(o), NULL) : NULL;
    struct str ip = json_str(v, "spec.clusterIP");
    if (!ip.len || !parse_range(str_of(arena_printf(a, STR_FMT "/30", STR_ARG(ip))), &r) || store_head(m->api->store, STR(IPS), STR(""), ip))
        return true;
    struct val *address = address_object(a, k, ip, store_object_ns(o), store_object_name(o));
    char *revision = arena_uint(a, store_next_revision(m->api->store));
    json_set_str(a, json_obj(a, address, STR("metadata")), STR("resourceVersion"), str_of(revision));
    if (address)
        object_encode_json(&b, k->type, address);
    struct store_op op = { .type = STORE_CREATE, .resource = STR(IPS), .ns = STR(""), .name = ip, .json = buf_str(&b) };
    m->rc = !address || b.failed ? kl_err_set(m->err, KL_NO_MEMORY, "out of memory")
                                 : store_commit(m->api->store, &op, 1, NULL, NULL, NULL, m->err);
    return m->rc == 0;
}

int api_service_ips_record(struct api *api, struct kl_err *err)
{
    struct missing m = { .api = api, .err = err };
    struct store_range services = { .resource = STR("/services"), .head = true };
    store_list(api->store, &services, add_missing, &m);
    return m.rc;
}
