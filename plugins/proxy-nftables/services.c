/* services.c - the wanted state (iface/proxy.h) to Services with their pools of endpoints, and those to elements. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json_scan.h"
#include "proxy.h"

#define SERVICE_BYTES ((size_t)64 << 20)        /* of one Service's tree */

/* --- reading --- */

static bool read_ip(struct str s, uint32_t *ret)
{
    char z[INET_ADDRSTRLEN];
    if (s.len >= sizeof z)
        return false;
    snprintf(z, sizeof z, STR_FMT, STR_ARG(s));
    return inet_pton(AF_INET, z, ret) == 1;
}

static uint8_t read_protocol(struct str s)
{
    return str_is(s, "UDP") ? IPPROTO_UDP : str_is(s, "SCTP") ? IPPROTO_SCTP : IPPROTO_TCP;
}

static uint32_t port_word(int64_t port)
{
    return htons((uint16_t)port);       /* the first two bytes of a register hold it */
}

static bool same(const uint32_t a[2], const uint32_t b[2])
{
    return a[0] == b[0] && a[1] == b[1];
}

static bool has_place(const struct pool *pool, const uint32_t at[2])
{
    for (uint32_t i = 0; i < pool->n; i++)
        if (same(pool->at[i], at))
            return true;
    return false;
}

/* Endpoints keep their numbers: fewer elements change, and what is remembered of clients stays true. holes: sticky pools. */
static bool keep_places(struct pool *pool, const struct pool *before, bool holes)
{
    uint32_t n = holes && before->n > pool->n ? before->n : pool->n, free_at = 0;
    uint32_t(*at)[2] = mem_alloc((n + 1) * sizeof *at);
    if (!at)
        return false;
    for (uint32_t i = 0; i < n && i < before->n; i++)
        if (before->at[i][0] && has_place(pool, before->at[i]))
            memcpy(at[i], before->at[i], sizeof at[i]);
    struct pool kept = { n, at };
    for (uint32_t i = 0; i < pool->n; i++)
        if (!has_place(&kept, pool->at[i])) {
            while (at[free_at][0])
                free_at++;
            memcpy(at[free_at], pool->at[i], sizeof at[0]);
        }
    while (kept.n && !at[kept.n - 1][0])
        kept.n--;
    mem_free(pool->at);
    *pool = kept;
    return true;
}

/* use: "local" or "cluster", whose endpoints are those. */
static bool read_pool(const struct val *endpoints, const char *use, bool fallback, struct pool *ret)
{
    if (!val_is(endpoints, VAL_ARR) || !endpoints->n)
        return true;
    ret->at = mem_alloc(endpoints->n * sizeof *ret->at);
    if (!ret->at)
        return false;
    val_each(e, endpoints) {
        uint32_t at[2] = { 0, port_word(json_int(e, "port", 0)) };
        if (!json_bool(e, use, fallback) || !at[1] || !read_ip(json_str(e, "ip"), &at[0]) || !at[0] || has_place(ret, at))
            continue;
        memcpy(ret->at[ret->n++], at, sizeof at);
    }
    return true;
}

static const struct port *find_port(const struct service *s, uint8_t protocol, uint16_t port)
{
    for (uint32_t i = 0; s && i < s->n_ports; i++)
        if (s->ports[i].protocol == protocol && s->ports[i].port == port)
            return &s->ports[i];
    return NULL;
}

static bool read_port(const struct val *v, const struct service *before, bool sticky, struct port *ret)
{
    const struct val *endpoints = json_get(v, STR("endpoints"));
    ret->protocol = read_protocol(json_str(v, "protocol"));
    ret->port = (uint16_t)json_int(v, "port", 0);
    const struct port *was = find_port(before, ret->protocol, ret->port);
    return read_pool(endpoints, "cluster", true, &ret->all) && read_pool(endpoints, "local", false, &ret->local) &&
           (!was || (keep_places(&ret->all, &was->all, sticky) && keep_places(&ret->local, &was->local, sticky)));
}

/* --- elements --- */

struct writer {
    struct proxy *p;
    struct service *s;
    uint32_t cap;
    bool blocked, failed;
};

/* Claims it and notes that. */
static void add(struct writer *w, struct elem e)
{
    struct service *s = w->s;
    if (s->n_elems == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 8;
        struct elem *more = mem_resize(s->elems, cap * sizeof *more);
        if (!more) {
            w->failed = true;
            return;
        }
        s->elems = more;
        w->cap = cap;
    }
    model_claim(&w->p->model, &e);
    s->elems[s->n_elems++] = e;
}

static uint32_t class_of(struct writer *w, const struct port *port, const struct pool *pool)
{
    if (pool->n)
        return model_class(&w->p->model, pool->n, w->s->sticky_s);
    return port->all.n ? CLASS_DROP : CLASS_REFUSE;     /* elsewhere there are some: the policy says local ones only */
}

/* False: somebody has that front already. */
static bool add_pool(struct writer *w, uint8_t set, uint32_t ip, const struct port *port, uint32_t number, const struct pool *pool)
{
    struct elem front = { .set = set, .key = { ip, port->protocol, number } };
    const struct entry *other = model_find(&w->p->model, set, front.key);
    if (other && other->refs) {
        w->blocked = true;
        return false;
    }
    front.data[0] = class_of(w, port, pool);
    add(w, front);
    for (uint32_t i = 0; i < pool->n; i++) {
        const uint32_t *at = pool->at[i];
        if (!at[0])
            continue;
        add(w, (struct elem){ .set = set == SET_INSIDE ? SET_INSIDE_ENDPOINTS : SET_ENDPOINTS, .key = { ip, port->protocol, number, i },
                              .data = { at[0], at[1] } });
        add(w, (struct elem){ .set = SET_HAIRPIN, .key = { at[0], at[0] } });
    }
    return true;
}

static bool is_loopback(uint32_t ip)
{
    return (ntohl(ip) >> 24) == 127;
}

/* One address and port outside the cluster's ranges. only_local: externalTrafficPolicy Local. */
static void add_outer_front(struct writer *w, uint32_t ip, const struct port *port, uint32_t number, bool only_local)
{
    if (!add_pool(w, SET_SERVICES, ip, port, number, only_local ? &port->local : &port->all))
        return;
    if (only_local)
        add_pool(w, SET_INSIDE, ip, port, number, &port->all);
    else
        add(w, (struct elem){ .set = SET_AS_NODE, .key = { ip, port->protocol, number } });
}

static void add_node_fronts(struct writer *w, const struct port *port, uint32_t number, bool only_local)
{
    for (unsigned i = 0; i < w->p->n_node_ips; i++)
        if (!is_loopback(w->p->node_ips[i]))
            add_outer_front(w, w->p->node_ips[i], port, number, only_local);
    if (w->p->conf->localhost)          /* a packet from 127.0.0.1 cannot leave the node */
        add_pool(w, SET_SERVICES, htonl(INADDR_LOOPBACK), port, number, &port->local);
}

static void add_port(struct writer *w, const struct val *v, const struct val *service, const struct port *port)
{
    const struct val *cluster_ips = json_get(service, STR("clusterIPs")), *external_ips = json_get(service, STR("externalIPs"));
    bool outer_local = json_bool(service, "externalLocal", false), inner_local = json_bool(service, "internalLocal", false);
    uint32_t ip, number = port_word(port->port), node_port = port_word(json_int(v, "nodePort", 0));
    if (val_is(cluster_ips, VAL_ARR))
        val_each(i, cluster_ips)
            if (read_ip(val_str(i), &ip) && add_pool(w, SET_SERVICES, ip, port, number, inner_local ? &port->local : &port->all))
                add(w, (struct elem){ .set = SET_CLUSTER_IPS, .key = { ip } });
    if (val_is(external_ips, VAL_ARR))
        val_each(i, external_ips)
            if (read_ip(val_str(i), &ip) && !is_loopback(ip))
                add_outer_front(w, ip, port, number, outer_local);
    if (node_port)
        add_node_fronts(w, port, node_port, outer_local);
}

/* --- one Service --- */

static void service_free(struct service *s)
{
    for (uint32_t i = 0; s && i < s->n_ports; i++) {
        mem_free(s->ports[i].all.at);
        mem_free(s->ports[i].local.at);
    }
    if (s) {
        mem_free(s->ports);
        mem_free(s->elems);
        mem_free(s->name);
        mem_free(s->text);
    }
    mem_free(s);
}

static bool has_udp(const struct service *s)
{
    for (uint32_t i = 0; s && i < s->n_ports; i++)
        if (s->ports[i].protocol == IPPROTO_UDP)
            return true;
    return false;
}

static bool read_service(struct proxy *p, const struct val *v, struct str text, const struct service *before, struct service *s)
{
    const struct val *ports = json_get(v, STR("ports"));
    struct writer w = { .p = p, .s = s };
    int64_t sticky = json_int(v, "sessionAffinitySeconds", 0);
    s->sticky_s = sticky > 0 && sticky <= 864000 ? (uint32_t)sticky : 0;
    if (val_is(ports, VAL_ARR) && ports->n) {
        s->ports = mem_alloc(ports->n * sizeof *s->ports);
        if (!s->ports)
            return false;
        val_each(port, ports) {
            if (!read_port(port, before, s->sticky_s > 0, &s->ports[s->n_ports++]))
                return false;
            add_port(&w, port, v, &s->ports[s->n_ports - 1]);
        }
    }
    if (w.blocked) {
        if (p->host)
            kl_log(p->host, KL_WARN, "an address and port of Service '%s' is taken already", s->name);
        s->text = mem_dup(text.at, text.len);
        p->n_blocked++;
    }
    return !w.failed && (!w.blocked || s->text);
}

static void release_all(struct proxy *p, const struct service *s)
{
    for (uint32_t i = 0; i < s->n_elems; i++)
        model_release(&p->model, &s->elems[i]);
    p->n_blocked -= s->text != NULL;
    p->udp_changed |= has_udp(s);
}

static int put_service(struct proxy *p, struct str name, struct str text, uint64_t hash, struct kl_err *err)
{
    struct service *before = map_get(&p->services, name), *s = mem_alloc(sizeof *s);
    _cleanup_arena_ struct arena *a = arena_new(SERVICE_BYTES);
    const struct val *v = s && a ? json_parse(a, text, err) : NULL;
    if (s)
        s->name = mem_dup(name.at, name.len);
    if (!v || !s->name) {
        service_free(s);
        return err->code ? kl_err_wrap(err, "Service '" STR_FMT "'", STR_ARG(name)) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    s->text_hash = hash;
    s->seen = p->round;
    if (before) {
        release_all(p, before);
        map_del(&p->services, name);
    }
    bool ok = read_service(p, v, text, before, s) && map_put(&p->services, str_of(s->name), s);
    p->udp_changed |= has_udp(s);
    service_free(before);
    if (ok)
        return 0;
    p->model.lost = true;               /* claims without a Service */
    service_free(s);
    return kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static void drop_service(struct proxy *p, struct str name)
{
    struct service *s = map_del(&p->services, name);
    if (s)
        release_all(p, s);
    service_free(s);
}

/* --- all of them --- */

static struct str name_of(struct str text, char *room, size_t n)
{
    struct str ns = json_scan_text(json_scan_member(text, STR("namespace"))), name = json_scan_text(json_scan_member(text, STR("name")));
    int len = snprintf(room, n, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    return str_n(room, len > 0 && (size_t)len < n ? (size_t)len : 0);
}

static int read_services(struct proxy *p, struct str list, bool again, struct kl_err *err)
{
    struct str text;
    char room[600];
    int rc = 0;
    while (rc == 0 && list.at && json_scan_item(&list, &text)) {
        struct str name = name_of(text, room, sizeof room);
        struct service *s = map_get(&p->services, name);
        uint64_t hash = hash_sip(p->model.hash_key, text.at, text.len);
        if (s && s->text_hash == hash && !again)
            s->seen = p->round;
        else
            rc = put_service(p, name, text, hash, err);
    }
    return rc;
}

static int drop_unseen(struct proxy *p, struct kl_err *err)
{
    size_t at = 0, n = 0;
    struct str name;
    void *value;
    struct str *gone = mem_alloc((p->services.n + 1) * sizeof *gone);
    if (!gone)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    while (map_next(&p->services, &at, &name, &value))
        if (((struct service *)value)->seen != p->round)
            gone[n++] = name;
    while (n)
        drop_service(p, gone[--n]);
    mem_free(gone);
    return 0;
}

/* Services that did not get all they want try again: who had it may have gone. */
static int retry_blocked(struct proxy *p, struct kl_err *err)
{
    size_t at = 0;
    struct str name;
    void *value;
    unsigned n = 0;
    struct service **all = p->n_blocked ? mem_alloc(p->n_blocked * sizeof(struct service *)) : NULL;
    if (!all)
        return p->n_blocked ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
    while (n < p->n_blocked && map_next(&p->services, &at, &name, &value))
        if (((struct service *)value)->text)
            all[n++] = value;
    int rc = 0;
    while (n && rc == 0) {
        struct service *s = all[--n];
        _cleanup_free_ char *text = TAKE_PTR(s->text), *z = mem_dup(s->name, strlen(s->name));
        p->n_blocked--;
        s->seen = p->round;
        rc = z && text ? put_service(p, str_of(z), str_of(text), s->text_hash, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    mem_free(all);
    return rc;
}

void services_free(struct proxy *p)
{
    size_t at = 0;
    struct str name;
    void *value;
    while (map_next(&p->services, &at, &name, &value))
        service_free(value);
    map_free(&p->services);
    mem_free(p->node_ips);
    mem_free(p->pods);
    p->node_ips = NULL;
    p->pods = NULL;
    p->n_node_ips = p->n_pods = p->n_blocked = 0;
}

/* --- the node --- */

static unsigned count_items(struct str list)
{
    unsigned n = 0;
    struct str item;
    while (list.at && json_scan_item(&list, &item))
        n++;
    return n;
}

static int read_node_ips(struct proxy *p, struct str list, struct kl_err *err)
{
    struct str item;
    mem_free(p->node_ips);
    p->n_node_ips = 0;
    p->node_ips = mem_alloc((count_items(list) + 1) * sizeof *p->node_ips);
    if (!p->node_ips)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    while (list.at && json_scan_item(&list, &item))
        p->n_node_ips += read_ip(json_scan_text(item), &p->node_ips[p->n_node_ips]);
    return 0;
}

static bool read_range(struct str text, struct range *ret)
{
    struct str bits = text, ip = str_cut(&bits, '/');
    uint32_t at;
    int64_t n;
    if (!read_ip(ip, &at) || !str_int(bits, &n) || n < 1 || n > 32)
        return false;
    uint32_t rest = (uint32_t)((1ULL << (32 - n)) - 1);
    ret->first = ntohl(at) & ~rest;
    ret->last = ret->first | rest;
    return true;
}

/* Ranges that lie in others are left out: an interval set has no overlaps. */
static int read_pods(struct proxy *p, struct str list, struct kl_err *err)
{
    struct str item;
    unsigned n = 0;
    struct range *all = mem_alloc((count_items(list) + 1) * sizeof *all);
    mem_free(p->pods);
    p->pods = all;
    p->n_pods = 0;
    p->handle = 0;                      /* the table is written anew */
    if (!all)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    while (list.at && json_scan_item(&list, &item)) {
        struct range r;
        bool covered = !read_range(json_scan_text(item), &r);
        for (unsigned i = 0; i < n && !covered; i++) {
            covered = all[i].first <= r.first && r.last <= all[i].last;
            if (r.first <= all[i].first && all[i].last <= r.last)
                all[i--] = all[--n];
        }
        if (!covered)
            all[n++] = r;
    }
    p->n_pods = n;
    return 0;
}

int services_read(struct proxy *p, struct str state, bool whole, struct kl_err *err)
{
    struct str node_ips = json_scan_member(state, STR("nodeIPs")), pods = json_scan_member(state, STR("podCIDRs")), gone, room_name;
    uint64_t node_hash = hash_sip(p->model.hash_key, node_ips.at ? node_ips.at : "", node_ips.len);
    uint64_t pods_hash = hash_sip(p->model.hash_key, pods.at ? pods.at : "", pods.len);
    bool again = whole && node_hash != p->node_hash;
    char room[600];
    int rc = again ? read_node_ips(p, node_ips, err) : 0;
    if (rc == 0 && whole && pods_hash != p->pods_hash)
        rc = read_pods(p, pods, err);
    if (rc < 0)
        return rc;
    p->round++;
    rc = read_services(p, json_scan_member(state, STR("services")), again, err);
    if (rc == 0 && whole) {
        p->node_hash = node_hash;
        p->pods_hash = pods_hash;
        rc = drop_unseen(p, err);
    }
    struct str removed = whole ? STR_NONE : json_scan_member(state, STR("removed"));
    while (rc == 0 && removed.at && json_scan_item(&removed, &gone)) {
        room_name = name_of(gone, room, sizeof room);
        drop_service(p, room_name);
    }
    return rc < 0 ? rc : retry_blocked(p, err);
}
