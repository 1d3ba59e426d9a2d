/* state.c - Services and EndpointSlices to what a proxy is told. */
#include <criterion/criterion.h>

#include "proxy.h"

static const struct here here = { { "n1", 2 }, { "z1", 2 }, NULL };
static struct arena *a;

static void set_up(void)
{
    a = arena_new(0);
}

static void tear_down(void)
{
    arena_free(a);
}

TestSuite(state, .init = set_up, .fini = tear_down);

static struct val *parse(const char *text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, str_of(text), &err);
    cr_assert(v != NULL, "%s in %s", err.msg, text);
    return v;
}

static struct str text_of(const struct val *v)
{
    struct buf b = BUF_INIT(0);
    json_write(&b, v);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct str one(const char *service, const char *slice)
{
    struct slices s = { parse(slice), NULL };
    struct val *v = state_service(a, &here, parse(service), &s);
    return v ? text_of(v) : STR("none");
}

#define META "\"metadata\":{\"namespace\":\"d\",\"name\":\"s\"}"
#define SLICE(endpoints) "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}],\"endpoints\":[" endpoints "]}"
#define SERVICE(more) "{" META ",\"spec\":{\"clusterIP\":\"10.96.0.9\",\"clusterIPs\":[\"10.96.0.9\"],\"type\":\"ClusterIP\"," more "\"ports\":[" \
                      "{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\",\"targetPort\":\"web\"}]}}"
#define OUT(members, endpoints) "{\"namespace\":\"d\",\"name\":\"s\",\"clusterIPs\":[\"10.96.0.9\"],\"externalIPs\":[]," members \
                                ",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"nodePort\":0,\"endpoints\":[" endpoints "]}]}"
#define PLAIN "\"sessionAffinitySeconds\":0,\"externalLocal\":false,\"internalLocal\":false"

static void expect(struct str got, const char *wanted)
{
    cr_expect(str_is(got, wanted), "got    " STR_FMT "\nwanted %s", STR_ARG(got), wanted);
}

Test(state, ready_endpoints_with_the_slices_port)
{
    expect(one(SERVICE(""), SLICE("{\"addresses\":[\"10.244.0.2\"],\"nodeName\":\"n1\",\"conditions\":{\"ready\":true}},"
                                  "{\"addresses\":[\"10.244.0.3\"],\"nodeName\":\"n2\",\"conditions\":{\"ready\":false}},"
                                  "{\"addresses\":[\"10.244.0.4\"],\"conditions\":{}}")),
           OUT(PLAIN, "{\"ip\":\"10.244.0.2\",\"port\":8080,\"local\":true},{\"ip\":\"10.244.0.4\",\"port\":8080,\"local\":false}"));
}

Test(state, ending_endpoints_serve_when_no_other_does)
{
    expect(one(SERVICE(""), SLICE("{\"addresses\":[\"10.244.0.2\"],\"conditions\":{\"ready\":false,\"serving\":true,\"terminating\":true}},"
                                  "{\"addresses\":[\"10.244.0.3\"],\"conditions\":{\"ready\":false,\"serving\":false,\"terminating\":true}}")),
           OUT(PLAIN, "{\"ip\":\"10.244.0.2\",\"port\":8080,\"local\":false}"));
}

#define READY(ip, node, hints) "{\"addresses\":[\"" ip "\"],\"nodeName\":\"" node "\",\"conditions\":{\"ready\":true}" hints "}"
#define ENDING(ip, node) "{\"addresses\":[\"" ip "\"],\"nodeName\":\"" node "\",\"conditions\":{\"ready\":false,\"serving\":true,\"terminating\":true}}"
#define TOLD(ip, more) "{\"ip\":\"" ip "\",\"port\":8080," more "}"
#define ZONES(zone) ",\"hints\":{\"forZones\":[{\"name\":\"" zone "\"}]}"
#define BOTH(zone, node) ",\"hints\":{\"forZones\":[{\"name\":\"" zone "\"}],\"forNodes\":[{\"name\":\"" node "\"}]}"
#define LOCAL "\"externalTrafficPolicy\":\"Local\","
#define PLAIN_LOCAL "\"sessionAffinitySeconds\":0,\"externalLocal\":true,\"internalLocal\":false"

Test(state, ending_endpoints_of_this_node_serve_policy_local_when_no_other_here_does)
{
    expect(one(SERVICE(LOCAL), SLICE(ENDING("10.244.0.2", "n1") "," READY("10.244.1.2", "n2", ""))),
           OUT(PLAIN_LOCAL, TOLD("10.244.0.2", "\"local\":true,\"cluster\":false") "," TOLD("10.244.1.2", "\"local\":false")));
    expect(one(SERVICE(LOCAL), SLICE(ENDING("10.244.0.2", "n1") "," READY("10.244.0.3", "n1", ""))), OUT(PLAIN_LOCAL, TOLD("10.244.0.3", "\"local\":true")));
    expect(one(SERVICE(""), SLICE(ENDING("10.244.0.2", "n1") "," READY("10.244.1.2", "n2", ""))), OUT(PLAIN, TOLD("10.244.1.2", "\"local\":false")));
}

Test(state, hints_lead_to_the_same_zone)
{
    expect(one(SERVICE(""), SLICE(READY("10.244.0.2", "n2", ZONES("z1")) "," READY("10.244.1.2", "n3", ZONES("z2")))), OUT(PLAIN, TOLD("10.244.0.2", "\"local\":false")));
    expect(one(SERVICE(""), SLICE(READY("10.244.0.2", "n2", ZONES("z3")) "," READY("10.244.1.2", "n3", ZONES("z2")))),
           OUT(PLAIN, TOLD("10.244.0.2", "\"local\":false") "," TOLD("10.244.1.2", "\"local\":false")));     /* none for this zone */
    expect(one(SERVICE(""), SLICE(READY("10.244.0.2", "n2", ZONES("z1")) "," READY("10.244.1.2", "n3", ""))),
           OUT(PLAIN, TOLD("10.244.0.2", "\"local\":false") "," TOLD("10.244.1.2", "\"local\":false")));     /* one has no hint */
    expect(one(SERVICE(""), SLICE(READY("10.244.0.2", "n2", ZONES("z1")) "," ENDING("10.244.1.2", "n3"))),
           OUT(PLAIN, TOLD("10.244.0.2", "\"local\":false")));                                             /* what is not ready needs none */
    expect(one(SERVICE(LOCAL), SLICE(READY("10.244.0.2", "n1", ZONES("z2")) "," READY("10.244.1.2", "n3", ZONES("z1")))),
           OUT(PLAIN_LOCAL, TOLD("10.244.0.2", "\"local\":true,\"cluster\":false") "," TOLD("10.244.1.2", "\"local\":false")));
}

Test(state, hints_lead_to_the_same_node_before_the_zone)
{
    expect(one(SERVICE(""), SLICE(READY("10.244.0.2", "n1", BOTH("z1", "n1")) "," READY("10.244.1.2", "n2", BOTH("z1", "n2")))), OUT(PLAIN, TOLD("10.244.0.2", "\"local\":true")));
    expect(one(SERVICE(""), SLICE(READY("10.244.0.2", "n3", BOTH("z1", "n3")) "," READY("10.244.1.2", "n2", BOTH("z2", "n2")))), OUT(PLAIN, TOLD("10.244.0.2", "\"local\":false")));
}

static struct str health_of(const char *service, const char *slice)
{
    return text_of(json_get(parse(one(service, slice).at), STR("healthCheck")));
}

Test(state, what_a_health_check_tells)
{
#define BALANCED "\"externalTrafficPolicy\":\"Local\",\"healthCheckNodePort\":30001,"
    expect(health_of(SERVICE(BALANCED), SLICE(READY("10.244.0.2", "n1", "") "," READY("10.244.0.2", "n1", "") "," READY("10.244.1.2", "n2", "") "," READY("10.244.0.3", "n1", ""))),
           "{\"port\":30001,\"endpoints\":2}");
    expect(health_of(SERVICE(BALANCED), SLICE(ENDING("10.244.0.2", "n1"))), "{\"port\":30001,\"endpoints\":0}");
    cr_expect(json_get(parse(one(SERVICE(LOCAL), SLICE("")).at), STR("healthCheck")) == NULL);
}

Test(state, policies_and_affinity)
{
    expect(one(SERVICE("\"sessionAffinity\":\"ClientIP\",\"externalTrafficPolicy\":\"Local\",\"internalTrafficPolicy\":\"Local\","), SLICE("")),
           OUT("\"sessionAffinitySeconds\":10800,\"externalLocal\":true,\"internalLocal\":true", ""));
    expect(one(SERVICE("\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":7}},"), SLICE("")),
           OUT("\"sessionAffinitySeconds\":7,\"externalLocal\":false,\"internalLocal\":false", ""));
}

Test(state, what_is_not_proxied)
{
    expect(one("{" META ",\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":1}]}}", SLICE("")), "none");
    expect(one("{" META ",\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"x\",\"clusterIP\":\"\"}}", SLICE("")), "none");
    expect(one("{\"metadata\":{\"labels\":{\"" OTHER_PROXY "\":\"mesh\"}},\"spec\":{\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"port\":1}]}}", SLICE("")), "none");
    expect(one("{\"metadata\":{\"labels\":{\"" HEADLESS "\":\"\"}},\"spec\":{\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"port\":1}]}}", SLICE("")), "none");
    expect(one(SERVICE(""), "{\"addressType\":\"IPv6\",\"ports\":[{\"name\":\"http\",\"port\":8080}],\"endpoints\":[{\"addresses\":[\"fd00::1\"]}]}"), OUT(PLAIN, ""));
    expect(one(SERVICE(""), "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"other\",\"port\":8080}],\"endpoints\":[{\"addresses\":[\"10.244.0.2\"]}]}"), OUT(PLAIN, ""));
}

Test(state, addresses_of_load_balancers)
{
    struct str got = one("{" META ",\"spec\":{\"clusterIP\":\"10.96.0.9\",\"externalIPs\":[\"192.0.2.5\"],\"ports\":[]},\"status\":{\"loadBalancer\":{\"ingress\":["
                         "{\"ip\":\"192.0.2.6\",\"ipMode\":\"VIP\"},{\"ip\":\"192.0.2.7\",\"ipMode\":\"Proxy\"},{\"hostname\":\"x\"}]}}}",
                         SLICE(""));
    expect(text_of(json_get(parse(got.at), STR("externalIPs"))), "[\"192.0.2.5\",\"192.0.2.6\"]");
    expect(text_of(json_get(parse(got.at), STR("clusterIPs"))), "[\"10.96.0.9\"]");
}

Test(state, the_whole_of_it)
{
    static const char service[] = SERVICE("");
    static const char slice[] = "{\"metadata\":{\"namespace\":\"d\",\"name\":\"s-1\",\"labels\":{\"kubernetes.io/service-name\":\"s\"}},\"addressType\":\"IPv4\","
                                "\"ports\":[{\"name\":\"http\",\"port\":1}],\"endpoints\":[{\"addresses\":[\"10.244.0.2\"]}]}";
    static const char stray[] = "{\"metadata\":{\"namespace\":\"d\",\"name\":\"x\"},\"addressType\":\"IPv4\",\"endpoints\":[]}";
    const struct kl_bytes svc[] = { { service, sizeof service - 1 } }, sl[] = { { slice, sizeof slice - 1 }, { stray, sizeof stray - 1 } };
    struct kl_object_list services = { .size = sizeof services, .n = 1, .at = svc }, slices = { .size = sizeof slices, .n = 2, .at = sl };
    struct kl_err err;
    kl_err_init(&err);
    struct here seen = state_here(a, "n1", parse(
        "{\"metadata\":{\"labels\":{\"" ZONE "\":\"z1\"}},\"status\":{\"addresses\":[{\"type\":\"Hostname\",\"address\":\"n1\"},{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"}]}}"));
    struct val *v = state_build(a, &seen, "10.244.0.0/16", &services, &slices, &err);
    expect(seen.zone, "z1");
    cr_assert(v != NULL, "%s", err.msg);
    expect(text_of(v), "{\"node\":\"n1\",\"nodeIPs\":[\"192.0.2.1\"],\"podCIDRs\":[\"10.244.0.0/16\"],\"services\":["
                       OUT(PLAIN, "{\"ip\":\"10.244.0.2\",\"port\":1,\"local\":false}") "]}");
}
