/* answer.c - one question, one answer: the names of Kubernetes' DNS specification 1.1. */
#include <ctype.h>
#include <ldns/ldns.h>

#include "dns.h"

#define LABELS     40
#define OWN_SIZE   1232                 /* longest answer by UDP: no fragments on any path */
#define SPEC       "1.1.0"

/* A name's labels in lower case, the last one first: "a.b.c" is c, b, a. */
struct labels {
    char text[256];
    struct str at[LABELS];
    unsigned n;
};

struct question {
    struct zone *zone;
    ldns_pkt *reply;
    const ldns_rdf *name;
    ldns_rr_type type;
    bool exists;                        /* the name, whether or not it has records of that type */
    const char *chase;                  /* the asker wants addresses of that name, which is an alias */
};

static bool read_labels(const ldns_rdf *name, struct labels *l)
{
    const uint8_t *at = ldns_rdf_data(name);
    size_t size = ldns_rdf_size(name), used = 0;
    unsigned n = 0;
    for (size_t i = 0; i < size && at[i]; i += at[i] + 1u) {
        if (i + 1 + at[i] > size || n == LABELS || used + at[i] > sizeof l->text)
            return false;
        char *to = l->text + used;
        for (unsigned k = 0; k < at[i]; k++)
            to[k] = (char)tolower(at[i + 1 + k]);
        l->at[n++] = str_n(to, at[i]);
        used += at[i];
    }
    for (unsigned i = 0; i < n / 2; i++) {
        struct str t = l->at[i];
        l->at[i] = l->at[n - 1 - i];
        l->at[n - 1 - i] = t;
    }
    l->n = n;
    return true;
}

/* --- records --- */

static ldns_rr *record(const struct question *q, ldns_rdf *owner, ldns_rr_type type)
{
    ldns_rr *rr = ldns_rr_new();
    if (!rr)
        return NULL;
    ldns_rr_set_owner(rr, owner ? owner : ldns_rdf_clone(q->name));
    ldns_rr_set_type(rr, type);
    ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, DNS_TTL);
    return rr;
}

static bool wants(const struct question *q, ldns_rr_type type)
{
    return q->type == type || q->type == LDNS_RR_TYPE_ANY;
}

static void add_a(struct question *q, ldns_pkt_section section, ldns_rdf *owner, uint32_t ip)
{
    ldns_rr *rr = record(q, owner, LDNS_RR_TYPE_A);
    uint32_t net = htonl(ip);
    if (!rr)
        return;
    ldns_rr_push_rdf(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof net, &net));
    ldns_pkt_push_rr(q->reply, section, rr);
}

static void add_name(struct question *q, ldns_rr_type type, const char *target)
{
    ldns_rdf *name = ldns_dname_new_frm_str(target);
    ldns_rr *rr = name ? record(q, NULL, type) : NULL;
    if (!rr) {
        ldns_rdf_deep_free(name);
        return;
    }
    ldns_rr_push_rdf(rr, name);
    ldns_pkt_push_rr(q->reply, LDNS_SECTION_ANSWER, rr);
}

/* With the target's address in the additional section. */
static void add_srv(struct question *q, const char *target, uint16_t port, uint32_t ip)
{
    ldns_rdf *name = ldns_dname_new_frm_str(target);
    ldns_rr *rr = name ? record(q, NULL, LDNS_RR_TYPE_SRV) : NULL;
    if (!rr) {
        ldns_rdf_deep_free(name);
        return;
    }
    ldns_rr_push_rdf(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, 0));
    ldns_rr_push_rdf(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, 100));
    ldns_rr_push_rdf(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, port));
    ldns_rr_push_rdf(rr, name);
    ldns_pkt_push_rr(q->reply, LDNS_SECTION_ANSWER, rr);
    add_a(q, LDNS_SECTION_ADDITIONAL, ldns_rdf_clone(name), ip);
}

static void add_text(struct question *q, ldns_pkt_section section, const char *line)
{
    ldns_rr *rr = NULL;
    if (ldns_rr_new_frm_str(&rr, line, DNS_TTL, NULL, NULL) == LDNS_STATUS_OK)
        ldns_pkt_push_rr(q->reply, section, rr);
}

static void add_soa(struct question *q, ldns_pkt_section section)
{
    char line[600];
    snprintf(line, sizeof line, "%s. %d IN SOA ns.dns.%s. hostmaster.%s. 1 7200 1800 86400 %d", q->zone->domain, DNS_TTL, q->zone->domain,
             q->zone->domain, DNS_TTL);
    add_text(q, section, line);
}

/* --- Services --- */

static void service_name(const struct question *q, const struct dns_service *s, const char *host, char ret[512])
{
    snprintf(ret, 512, "%s%s%s.%s.svc.%s.", host ? host : "", host ? "." : "", s->name, s->ns, q->zone->domain);
}

/* Each answer begins with another endpoint: clients take the first. */
static void add_endpoints(struct question *q, const struct dns_service *s, struct str host)
{
    uint32_t turn = s->n_endpoints ? ldns_get_random() % s->n_endpoints : 0;
    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        const struct dns_endpoint *e = &s->endpoints[(i + turn) % s->n_endpoints];
        if (host.len && !str_eq_nocase(host, str_of(e->host)))
            continue;
        q->exists = true;
        if (wants(q, LDNS_RR_TYPE_A))
            add_a(q, LDNS_SECTION_ANSWER, NULL, e->ip);
    }
}

static void answer_service(struct question *q, const struct dns_service *s)
{
    q->exists = true;
    if (s->kind == DNS_EXTERNAL) {
        add_name(q, LDNS_RR_TYPE_CNAME, s->external);
        q->chase = q->type == LDNS_RR_TYPE_A || q->type == LDNS_RR_TYPE_AAAA ? s->external : NULL;
    } else if (s->kind == DNS_HEADLESS)
        add_endpoints(q, s, STR_NONE);
    else if (wants(q, LDNS_RR_TYPE_A))
        add_a(q, LDNS_SECTION_ANSWER, NULL, s->ip);
}

static bool is_port(const struct dns_port *p, struct str name, struct str protocol)
{
    return p->name[0] && name.len > 1 && protocol.len > 1 && str_eq_nocase(str_skip(name, 1), str_of(p->name)) && str_is(str_skip(protocol, 1), p->protocol);
}

/* _name._protocol.service */
static void answer_port(struct question *q, const struct dns_service *s, struct str name, struct str protocol)
{
    char target[512];
    for (uint32_t i = 0; s->kind == DNS_CLUSTER_IP && i < s->n_ports; i++)
        if (is_port(&s->ports[i], name, protocol)) {
            q->exists = true;
            service_name(q, s, NULL, target);
            if (wants(q, LDNS_RR_TYPE_SRV))
                add_srv(q, target, s->ports[i].port, s->ip);
        }
    for (uint32_t i = 0; s->kind == DNS_HEADLESS && i < s->n_endpoints; i++)
        for (uint32_t k = 0; k < s->endpoints[i].n_ports; k++)
            if (is_port(&s->endpoints[i].ports[k], name, protocol)) {
                q->exists = true;
                service_name(q, s, s->endpoints[i].host, target);
                if (wants(q, LDNS_RR_TYPE_SRV))
                    add_srv(q, target, s->endpoints[i].ports[k].port, s->endpoints[i].ip);
            }
}

/* l: below "svc" of the zone: namespace, service, then an endpoint's host, or protocol and port. */
static void answer_svc(struct question *q, const struct str *l, unsigned n)
{
    if (n == 0 || (n == 1 && zone_has_namespace(q->zone, l[0]))) {
        q->exists = true;
        return;
    }
    const struct dns_service *s = n >= 2 ? zone_find(q->zone, l[0], l[1]) : NULL;
    if (!s)
        return;
    if (n == 2)
        answer_service(q, s);
    else if (n == 3 && s->kind == DNS_HEADLESS)
        add_endpoints(q, s, l[2]);
    else if (n == 4 && l[2].at[0] == '_' && l[3].at[0] == '_')
        answer_port(q, s, l[3], l[2]);
    if (n == 3 && !q->exists && l[2].at[0] == '_')      /* nothing at the protocol itself, but below it */
        q->exists = s->kind != DNS_EXTERNAL;
}

/* 10-244-0-7.namespace.pod: says what it is asked, as upstream's default does. */
static void answer_pod(struct question *q, const struct str *l, unsigned n)
{
    unsigned a, b, c, d;
    char text[32], rest;
    if (n < 2)
        q->exists = true;
    if (n != 2 || l[1].len >= sizeof text)
        return;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(l[1]));
    if (sscanf(text, "%u-%u-%u-%u%c", &a, &b, &c, &d, &rest) != 4 || (a | b | c | d) > 255 || !zone_has_namespace(q->zone, l[0]))
        return;
    q->exists = true;
    if (wants(q, LDNS_RR_TYPE_A))
        add_a(q, LDNS_SECTION_ANSWER, NULL, a << 24 | b << 16 | c << 8 | d);
}

/* --- zones --- */

/* How many labels the zone has, when the name is in it; else 0. */
static unsigned in_zone(const struct zone *z, const struct labels *l)
{
    unsigned n = 0;
    struct str rest = str_of(z->domain);
    struct str parts[LABELS];
    while (rest.at && n < LABELS)
        parts[n++] = str_cut(&rest, '.');
    for (unsigned i = 0; i < n; i++)
        if (i >= l->n || !str_eq(l->at[i], parts[n - 1 - i]))
            return 0;
    return n;
}

static void answer_in_zone(struct question *q, const struct labels *l, unsigned skip)
{
    const struct str *at = l->at + skip;
    unsigned n = l->n - skip;
    char line[600];
    if (n == 0) {
        q->exists = true;
        if (wants(q, LDNS_RR_TYPE_SOA))
            add_soa(q, LDNS_SECTION_ANSWER);
    } else if (str_is(at[0], "svc")) {
        answer_svc(q, at + 1, n - 1);
    } else if (str_is(at[0], "pod")) {
        answer_pod(q, at + 1, n - 1);
    } else if (n == 1 && str_is(at[0], "dns-version")) {
        q->exists = true;
        snprintf(line, sizeof line, "dns-version.%s. %d IN TXT \"" SPEC "\"", q->zone->domain, DNS_TTL);
        if (wants(q, LDNS_RR_TYPE_TXT))
            add_text(q, LDNS_SECTION_ANSWER, line);
    }
}

/* "7.0.244.10.in-addr.arpa" */
static bool read_reverse(const struct labels *l, uint32_t *ret)
{
    if (l->n != 6 || !str_is(l->at[0], "arpa") || !str_is(l->at[1], "in-addr"))
        return false;
    *ret = 0;
    for (unsigned i = 2; i < 6; i++) {
        int64_t part;
        if (!str_int(l->at[i], &part) || part < 0 || part > 255)
            return false;
        *ret = *ret << 8 | (uint32_t)part;
    }
    return true;
}

static bool answer_reverse(struct question *q, uint32_t ip)
{
    const struct dns_endpoint *e;
    const struct dns_service *s = zone_by_ip(q->zone, ip, &e);
    char name[512];
    if (!s)
        return range_has(q->zone->service_range, ip) || range_has(q->zone->pod_range, ip);
    q->exists = true;
    service_name(q, s, e ? e->host : NULL, name);
    if (wants(q, LDNS_RR_TYPE_PTR))
        add_name(q, LDNS_RR_TYPE_PTR, name);
    return true;
}

/* An alias of a name in the zone is followed here, once. */
static void follow(struct question *q)
{
    struct labels l;
    ldns_rdf *target = q->chase ? ldns_dname_new_frm_str(q->chase) : NULL;
    unsigned zone = target && read_labels(target, &l) ? in_zone(q->zone, &l) : 0;
    if (zone) {
        const ldns_rdf *name = q->name;
        q->name = target;
        answer_in_zone(q, &l, zone);
        q->name = name;
        q->chase = NULL;
    }
    ldns_rdf_deep_free(target);
}

/* False: not ours. */
static bool answer(struct question *q)
{
    struct labels l;
    uint32_t ip;
    if (!read_labels(q->name, &l))
        return false;
    unsigned zone = in_zone(q->zone, &l);
    if (zone) {
        answer_in_zone(q, &l, zone);
        follow(q);
    } else if (!read_reverse(&l, &ip) || !answer_reverse(q, ip)) {
        return false;
    }
    ldns_pkt_set_aa(q->reply, true);
    if (!q->exists)
        ldns_pkt_set_rcode(q->reply, LDNS_RCODE_NXDOMAIN);
    if (!ldns_pkt_ancount(q->reply))
        add_soa(q, LDNS_SECTION_AUTHORITY);
    return true;
}

/* --- messages --- */

static ldns_pkt *new_reply(const ldns_pkt *asked, const ldns_rr *question)
{
    ldns_pkt *r = ldns_pkt_new();
    if (!r)
        return NULL;
    ldns_pkt_set_id(r, ldns_pkt_id(asked));
    ldns_pkt_set_qr(r, true);
    ldns_pkt_set_rd(r, ldns_pkt_rd(asked));
    ldns_pkt_set_ra(r, true);
    ldns_pkt_set_opcode(r, ldns_pkt_get_opcode(asked));
    if (question)
        ldns_pkt_push_rr(r, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    if (ldns_pkt_edns(asked))
        ldns_pkt_set_edns_udp_size(r, OWN_SIZE);
    return r;
}

/* Cut to the question when it does not fit. */
static bool to_wire(ldns_pkt *r, size_t most, uint8_t *ret, size_t *ret_n)
{
    uint8_t *wire = NULL;
    size_t n = 0;
    if (ldns_pkt2wire(&wire, r, &n) != LDNS_STATUS_OK)
        return false;
    if (n > most) {
        LDNS_FREE(wire);
        ldns_pkt_set_tc(r, true);
        static const ldns_pkt_section sections[] = { LDNS_SECTION_ANSWER, LDNS_SECTION_AUTHORITY, LDNS_SECTION_ADDITIONAL };
        for (int i = 0; i < 3; i++) {
            ldns_rr_list *l = i == 0 ? ldns_pkt_answer(r) : i == 1 ? ldns_pkt_authority(r) : ldns_pkt_additional(r);
            ldns_rr *rr;
            while ((rr = ldns_rr_list_pop_rr(l)))
                ldns_rr_free(rr);
            ldns_pkt_set_section_count(r, sections[i], 0);
        }
        if (ldns_pkt2wire(&wire, r, &n) != LDNS_STATUS_OK)
            return false;
    }
    bool fits = n <= most;
    if (fits)
        memcpy(ret, wire, n);
    *ret_n = n;
    LDNS_FREE(wire);
    return fits;
}

static size_t fitting(const ldns_pkt *asked, size_t most_by_default)
{
    size_t own = ldns_pkt_edns_udp_size(asked);
    if (most_by_default > 512 || own <= 512)
        return most_by_default;
    return own < OWN_SIZE ? own : OWN_SIZE;
}

/* A question of our own about the alias's name. False: it cannot be made; the alias alone has to do. */
static bool ask_alias(const struct question *q, const ldns_pkt *asked, uint8_t *ret, size_t *ret_n)
{
    ldns_rdf *name = ldns_dname_new_frm_str(q->chase);
    ldns_pkt *p = name ? ldns_pkt_query_new(name, q->type, LDNS_RR_CLASS_IN, LDNS_RD) : NULL;
    if (!p)
        return false;
    ldns_pkt_set_id(p, ldns_pkt_id(asked));
    bool ok = to_wire(p, 512, ret, ret_n);
    ldns_pkt_free(p);
    return ok;
}

enum dns_answer dns_answer(struct zone *z, const uint8_t *at, size_t n, size_t most_by_default, uint8_t *ret, size_t *ret_n)
{
    ldns_pkt *asked = NULL;
    if (n < LDNS_HEADER_SIZE || (at[2] & 0x80) || ldns_wire2pkt(&asked, at, n) != LDNS_STATUS_OK)
        return DNS_DROP;                /* an answer, or no DNS at all */
    const ldns_rr *question = ldns_pkt_qdcount(asked) == 1 ? ldns_rr_list_rr(ldns_pkt_question(asked), 0) : NULL;
    struct question q = { .zone = z, .reply = new_reply(asked, question) };
    enum dns_answer how = DNS_DROP;
    bool ours = true, chase = false;
    if (!q.reply) {
        ldns_pkt_free(asked);
        return DNS_DROP;
    }
    if (!question) {
        ldns_pkt_set_rcode(q.reply, LDNS_RCODE_FORMERR);
    } else if (ldns_pkt_get_opcode(asked) != LDNS_PACKET_QUERY) {
        ldns_pkt_set_rcode(q.reply, LDNS_RCODE_NOTIMPL);
    } else {
        q.name = ldns_rr_owner(question);
        q.type = ldns_rr_get_type(question);
        pthread_rwlock_rdlock(&z->lock);
        ours = ldns_rr_get_class(question) == LDNS_RR_CLASS_IN && answer(&q);
        chase = ours && q.chase && ask_alias(&q, asked, ret, ret_n);
        pthread_rwlock_unlock(&z->lock);
    }
    if (!ours)
        how = DNS_FORWARD;
    else if (chase)
        how = DNS_CHASE;
    else if (to_wire(q.reply, fitting(asked, most_by_default), ret, ret_n))
        how = DNS_REPLY;
    ldns_pkt_free(q.reply);
    ldns_pkt_free(asked);
    return how;
}

size_t dns_chased(const uint8_t *at, size_t n, const uint8_t *answer_at, size_t answer_n, size_t most_by_default, uint8_t *ret)
{
    ldns_pkt *asked = NULL, *came = NULL;
    size_t ret_n = 0;
    if (ldns_wire2pkt(&asked, at, n) == LDNS_STATUS_OK && ldns_wire2pkt(&came, answer_at, answer_n) == LDNS_STATUS_OK && ldns_pkt_qdcount(asked) == 1 &&
        ldns_pkt_qdcount(came) == 1) {
        const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(asked), 0), *alias = ldns_rr_list_rr(ldns_pkt_question(came), 0);
        struct question q = { .reply = new_reply(asked, question), .name = ldns_rr_owner(question) };
        ldns_rr *rr = q.reply ? record(&q, NULL, LDNS_RR_TYPE_CNAME) : NULL;
        if (rr) {
            ldns_rr_push_rdf(rr, ldns_rdf_clone(ldns_rr_owner(alias)));
            ldns_pkt_push_rr(q.reply, LDNS_SECTION_ANSWER, rr);
            for (size_t i = 0; i < ldns_pkt_ancount(came); i++)
                ldns_pkt_push_rr(q.reply, LDNS_SECTION_ANSWER, ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_answer(came), i)));
            ldns_pkt_set_rcode(q.reply, ldns_pkt_get_rcode(came));
            if (!to_wire(q.reply, fitting(asked, most_by_default), ret, &ret_n))
                ret_n = 0;
        }
        ldns_pkt_free(q.reply);
    }
    ldns_pkt_free(asked);
    ldns_pkt_free(came);
    return ret_n;
}

size_t dns_failure(const uint8_t *q, size_t n, uint8_t *ret)
{
    memcpy(ret, q, n);
    ret[2] |= 0x80;                     /* QR */
    ret[3] = (uint8_t)((ret[3] & 0x70) | 0x80 | LDNS_RCODE_SERVFAIL);
    return n;
}
