/* zone.c - see zone.h. */
#include "zone.h"

#include <criterion/criterion.h>

struct zone zone;
static struct arena *a;

void zone_set_up(void)
{
    static const struct conf conf = { .service_cidr = "10.96.0.0/12", .cluster_cidr = "10.244.0.0/16", .domain = "cluster.local" };
    a = arena_new(0);
    zone_init(&zone, &conf);
}

void zone_tear_down(void)
{
    zone_free(&zone);
    arena_free(a);
}

void put_service(const char *service, const char *slice)
{
    struct kl_err err;
    kl_err_init(&err);
    const struct val *v = json_parse(a, str_of(service), &err), *s = slice ? json_parse(a, str_of(slice), &err) : NULL;
    cr_assert(v != NULL && (!slice || s), "%s", err.msg);
    cr_assert(zone_put(&zone, json_str(v, "metadata.namespace"), json_str(v, "metadata.name"), service_new(v, &s, slice ? 1 : 0, &err)));
}

size_t query(uint8_t *at, const char *name, ldns_rr_type type)
{
    ldns_pkt *p = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, LDNS_RD);
    uint8_t *wire;
    size_t n;
    ldns_pkt_set_id(p, 4711);
    cr_assert_eq(ldns_pkt2wire(&wire, p, &n), LDNS_STATUS_OK);
    memcpy(at, wire, n);
    free(wire);
    ldns_pkt_free(p);
    return n;
}

static int compare(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

static void add_list(struct buf *b, const ldns_rr_list *l)
{
    char *lines[64];
    size_t n = ldns_rr_list_rr_count(l);
    cr_assert_leq(n, 64u);
    for (size_t i = 0; i < n; i++) {
        lines[i] = ldns_rr2str(ldns_rr_list_rr(l, i));
        for (char *p = lines[i]; *p; p++)
            *p = *p == '\t' ? ' ' : *p == '\n' ? '\0' : *p;
    }
    qsort(lines, n, sizeof *lines, compare);
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "; %s", lines[i]);
        free(lines[i]);
    }
}

const char *says(const uint8_t *at, size_t n)
{
    struct buf b = BUF_INIT(0);
    ldns_pkt *p = NULL;
    if (ldns_wire2pkt(&p, at, n) != LDNS_STATUS_OK)
        return "not DNS";
    cr_expect_eq(ldns_pkt_id(p), 4711);
    cr_expect(ldns_pkt_qr(p));
    ldns_lookup_table *rcode = ldns_lookup_by_id(ldns_rcodes, ldns_pkt_get_rcode(p));
    buf_printf(&b, "%s%s%s", rcode->name, ldns_pkt_aa(p) ? " aa" : "", ldns_pkt_tc(p) ? " tc" : "");
    add_list(&b, ldns_pkt_answer(p));
    if (ldns_pkt_nscount(p))
        buf_add_z(&b, "; SOA");
    if (ldns_pkt_arcount(p))
        buf_add_z(&b, " +");
    add_list(&b, ldns_pkt_additional(p));
    ldns_pkt_free(p);
    const char *text = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return text;
}
