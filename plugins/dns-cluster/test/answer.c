/* answer.c - the names of Kubernetes' DNS specification. */
#include <criterion/criterion.h>

#include "zone.h"

static void set_up(void)
{
    zone_set_up();
    put_service("{\"metadata\":{\"namespace\":\"d\",\"name\":\"web\"},\"spec\":{\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\"},"
                "{\"port\":53,\"protocol\":\"UDP\"}]}}",
                NULL);
    put_service("{\"metadata\":{\"namespace\":\"d\",\"name\":\"db\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"name\":\"sql\",\"port\":5432}]}}",
                "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"sql\",\"port\":5432,\"protocol\":\"TCP\"}],\"endpoints\":["
                "{\"addresses\":[\"10.244.0.3\"],\"hostname\":\"db-0\",\"conditions\":{\"ready\":true}},{\"addresses\":[\"10.244.0.4\"]},"
                "{\"addresses\":[\"10.244.0.5\"],\"conditions\":{\"ready\":false}}]}");
    put_service("{\"metadata\":{\"namespace\":\"e\",\"name\":\"out\"},\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"example.org\"}}", NULL);
    put_service("{\"metadata\":{\"namespace\":\"e\",\"name\":\"near\"},\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"web.d.svc.cluster.local\"}}", NULL);
}

TestSuite(answer, .init = set_up, .fini = zone_tear_down);

static const char *ask_most(const char *name, ldns_rr_type type, size_t most)
{
    uint8_t q[DNS_MESSAGE], r[DNS_MESSAGE];
    size_t n = query(q, name, type), len = 0;
    switch (dns_answer(&zone, q, n, most, r, &len)) {
    case DNS_REPLY: return says(r, len);
    case DNS_FORWARD: return "forward";
    case DNS_CHASE: return "chase";
    default: return "drop";
    }
}

#define expect(name, type, wanted) \
    do { \
        const char *got_ = ask_most(name, LDNS_RR_TYPE_##type, 512); \
        cr_expect_str_eq(got_, wanted, "%s " #type ": got    '%s'\nwanted '%s'", name, got_, wanted); \
    } while (0)

Test(answer, services_with_an_address)
{
    expect("web.d.svc.cluster.local", A, "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    expect("WeB.d.SVC.cluster.local", A, "NOERROR aa; WeB.d.SVC.cluster.local. 5 IN A 10.96.0.9");
    expect("web.d.svc.cluster.local", AAAA, "NOERROR aa; SOA");
    expect("web.d.svc.cluster.local", MX, "NOERROR aa; SOA");
    expect("_http._tcp.web.d.svc.cluster.local", SRV,
           "NOERROR aa; _http._tcp.web.d.svc.cluster.local. 5 IN SRV 0 100 80 web.d.svc.cluster.local. +; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    expect("_tcp.web.d.svc.cluster.local", SRV, "NOERROR aa; SOA");
    expect("_http._udp.web.d.svc.cluster.local", SRV, "NXDOMAIN aa; SOA");
    expect("9.0.96.10.in-addr.arpa", PTR, "NOERROR aa; 9.0.96.10.in-addr.arpa. 5 IN PTR web.d.svc.cluster.local.");
}

Test(answer, headless_services)
{
    expect("db.d.svc.cluster.local", A, "NOERROR aa; db.d.svc.cluster.local. 5 IN A 10.244.0.3; db.d.svc.cluster.local. 5 IN A 10.244.0.4");
    expect("db-0.db.d.svc.cluster.local", A, "NOERROR aa; db-0.db.d.svc.cluster.local. 5 IN A 10.244.0.3");
    expect("10-244-0-4.db.d.svc.cluster.local", A, "NOERROR aa; 10-244-0-4.db.d.svc.cluster.local. 5 IN A 10.244.0.4");
    expect("db-0.db.d.svc.cluster.local", AAAA, "NOERROR aa; SOA");
    expect("db-1.db.d.svc.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("_sql._tcp.db.d.svc.cluster.local", SRV,
           "NOERROR aa; _sql._tcp.db.d.svc.cluster.local. 5 IN SRV 0 100 5432 10-244-0-4.db.d.svc.cluster.local.; "
           "_sql._tcp.db.d.svc.cluster.local. 5 IN SRV 0 100 5432 db-0.db.d.svc.cluster.local. +; "
           "10-244-0-4.db.d.svc.cluster.local. 5 IN A 10.244.0.4; db-0.db.d.svc.cluster.local. 5 IN A 10.244.0.3");
    expect("3.0.244.10.in-addr.arpa", PTR, "NOERROR aa; 3.0.244.10.in-addr.arpa. 5 IN PTR db-0.db.d.svc.cluster.local.");
    expect("4.0.244.10.in-addr.arpa", PTR, "NXDOMAIN aa; SOA");
}

Test(answer, names_that_are_there_and_names_that_are_not)
{
    expect("cluster.local", A, "NOERROR aa; SOA");
    expect("cluster.local", SOA, "NOERROR aa; cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5");
    expect("svc.cluster.local", A, "NOERROR aa; SOA");
    expect("d.svc.cluster.local", A, "NOERROR aa; SOA");
    expect("x.svc.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("x.d.svc.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("a.web.d.svc.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("other.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("dns-version.cluster.local", TXT, "NOERROR aa; dns-version.cluster.local. 5 IN TXT \"1.1.0\"");
    expect("10-244-0-3.d.pod.cluster.local", A, "NOERROR aa; 10-244-0-3.d.pod.cluster.local. 5 IN A 10.244.0.3");
    expect("10-244-0-300.d.pod.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("example.org", A, "forward");
    expect("xcluster.local", A, "forward");
    expect("1.2.0.192.in-addr.arpa", PTR, "forward");
}

Test(answer, aliases)
{
    expect("out.e.svc.cluster.local", A, "chase");
    expect("out.e.svc.cluster.local", CNAME, "NOERROR aa; out.e.svc.cluster.local. 5 IN CNAME example.org.");
    expect("near.e.svc.cluster.local", A,
           "NOERROR aa; near.e.svc.cluster.local. 5 IN CNAME web.d.svc.cluster.local.; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    uint8_t q[DNS_MESSAGE], r[DNS_MESSAGE], others[DNS_MESSAGE], out[DNS_MESSAGE];
    size_t n = query(q, "out.e.svc.cluster.local", LDNS_RR_TYPE_A), len = 0;
    cr_assert_eq(dns_answer(&zone, q, n, 512, r, &len), DNS_CHASE);
    memcpy(others, r, len);             /* the others do not know it */
    others[2] |= 0x80;
    others[3] |= LDNS_RCODE_NXDOMAIN;
    size_t m = dns_chased(q, n, others, len, 512, out);
    cr_expect_str_eq(says(out, m), "NXDOMAIN; out.e.svc.cluster.local. 5 IN CNAME example.org.");
}

Test(answer, services_come_and_go)
{
    cr_assert(zone_put(&zone, STR("d"), STR("web"), NULL));
    expect("web.d.svc.cluster.local", A, "NXDOMAIN aa; SOA");
    expect("9.0.96.10.in-addr.arpa", PTR, "NXDOMAIN aa; SOA");
    put_service("{\"metadata\":{\"namespace\":\"d\",\"name\":\"web\"},\"spec\":{\"clusterIP\":\"10.96.0.8\",\"ports\":[{\"port\":80}]}}", NULL);
    expect("web.d.svc.cluster.local", A, "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.8");
    cr_assert(zone_put(&zone, STR("e"), STR("out"), NULL));
    cr_assert(zone_put(&zone, STR("e"), STR("near"), NULL));
    expect("e.svc.cluster.local", A, "NXDOMAIN aa; SOA");
}

Test(answer, long_answers_are_cut)
{
    struct buf b = BUF_INIT(0);
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "%s{\"addresses\":[\"10.244.1.%d\"]}", i ? "," : "{\"addressType\":\"IPv4\",\"ports\":[],\"endpoints\":[", i);
    buf_add_z(&b, "]}");
    put_service("{\"metadata\":{\"namespace\":\"d\",\"name\":\"many\"},\"spec\":{\"clusterIP\":\"None\"}}", b.at);
    expect("many.d.svc.cluster.local", A, "NOERROR aa tc");
    cr_expect(strstr(ask_most("many.d.svc.cluster.local", LDNS_RR_TYPE_A, DNS_MESSAGE), "10.244.1.59") != NULL, "whole by TCP");
    buf_free(&b);
}

Test(answer, what_is_no_question)
{
    uint8_t q[DNS_MESSAGE], r[DNS_MESSAGE];
    size_t n = query(q, "web.d.svc.cluster.local", LDNS_RR_TYPE_A), len = 0;
    for (size_t cut = 0; cut < n; cut++) {
        enum dns_answer how = dns_answer(&zone, q, cut, 512, r, &len);
        cr_expect(how == DNS_DROP || how == DNS_REPLY, "%zu", cut);
    }
    q[2] |= 0x80;
    cr_expect_eq(dns_answer(&zone, q, n, 512, r, &len), DNS_DROP, "an answer");
    q[2] = 0x28;                        /* an update */
    cr_assert_eq(dns_answer(&zone, q, n, 512, r, &len), DNS_REPLY);
    cr_expect_str_eq(says(r, len), "NOTIMPL");
}
