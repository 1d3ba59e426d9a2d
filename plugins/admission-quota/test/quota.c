/* quota.c - quotas: what is charged, refused and counted. */
#include <criterion/criterion.h>

#include "fake.h"
#include "quota.h"

static struct fake *f;
static void *self;

static void begin(void)
{
    f = mem_alloc(sizeof *f);
    fake_init(f);
    cr_assert_eq(quota_admission.life.open(&f->host, NULL, &self, &f->call), 0);
}

static void end(void)
{
    quota_admission.life.close(self);
    fake_done(f);
    mem_free(f);
}

TestSuite(quota, .init = begin, .fini = end);

static void put_quota(const char *name, const char *spec, const char *status)
{
    fake_put(f, QUOTAS, arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{%s},\"status\":{%s}}", name, spec, status));
}

static const char *used(const char *quota)
{
    struct amounts x = amounts_read(f->arena, json_path(fake_get(f, QUOTAS, "default", quota), "status.used"));
    return amounts_text(&x);
}

static struct kl_admission_verdict verdict;

static int create(const char *resource, const char *object)
{
    return fake_review(f, &quota_admission, self, &(struct fake_ask){ .resource = resource, .object = object }, &verdict);
}

static int update(const char *resource, const char *sub, const char *old, const char *object)
{
    return fake_review(f, &quota_admission, self, &(struct fake_ask){ .verb = "update", .resource = resource, .subresource = sub, .object = object, .old_object = old }, &verdict);
}

#define POD(requests) "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{" requests "},\"limits\":{\"memory\":\"64Mi\"}}}]}}"

Test(quota, pods_are_charged_until_it_is_full)
{
    put_quota("q", "\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"1\",\"limits.memory\":\"1Gi\"}", "\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"1\",\"limits.memory\":\"1Gi\"},\"used\":{\"pods\":\"0\",\"requests.cpu\":\"0\",\"limits.memory\":\"0\"}");
    cr_assert_eq(create("/pods", POD("\"cpu\":\"300m\"")), 0, "%s", f->call.err.msg);
    cr_assert_str_eq(used("q"), "limits.memory=64Mi,pods=1,requests.cpu=300m");
    cr_assert_eq(create("/pods", POD("\"cpu\":\"800m\"")), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "exceeded quota: q, requested: requests.cpu=800m, used: requests.cpu=300m, limited: requests.cpu=1");
    cr_assert_eq(create("/pods", POD("\"cpu\":\"700m\"")), 0);
    cr_assert_eq(create("/pods", POD("\"cpu\":\"1m\"")), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "exceeded quota: q, requested: pods=1,requests.cpu=1m, used: pods=2,requests.cpu=1, limited: pods=2,requests.cpu=1");
    cr_assert_str_eq(used("q"), "limits.memory=128Mi,pods=2,requests.cpu=1");
}

Test(quota, what_must_be_said)
{
    put_quota("q", "\"hard\":{\"memory\":\"1Gi\",\"cpu\":\"1\",\"limits.cpu\":\"2\"}", "\"hard\":{\"memory\":\"1Gi\",\"cpu\":\"1\",\"limits.cpu\":\"2\"},\"used\":{}");
    cr_assert_eq(create("/pods", "{\"spec\":{\"containers\":[{\"name\":\"b\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}},{\"name\":\"a\"}]}}"), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "failed quota: q: must specify cpu for: a; limits.cpu for: a,b; memory for: a,b");
    cr_assert_eq(create("/configmaps", "{\"metadata\":{}}"), 0);
}

Test(quota, a_quota_without_status_holds_at_once)
{
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"a\",\"namespace\":\"default\"},\"spec\":{},\"status\":{\"phase\":\"Running\"}}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"b\",\"namespace\":\"default\"},\"spec\":{},\"status\":{\"phase\":\"Succeeded\"}}");
    put_quota("q", "\"hard\":{\"pods\":\"2\",\"count/pods\":\"9\"}", "");
    cr_assert_eq(create("/pods", "{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"), 0);
    cr_assert_str_eq(used("q"), "count/pods=3,pods=2");
    cr_assert_eq(create("/pods", "{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"), -KL_FORBIDDEN);
}

Test(quota, dry_runs_are_held_to_it_but_charge_nothing)
{
    put_quota("q", "\"hard\":{\"secrets\":\"1\"}", "\"hard\":{\"secrets\":\"1\"},\"used\":{\"secrets\":\"0\"}");
    f->call.flags = KL_CALL_DRY_RUN;
    cr_assert_eq(create("/secrets", "{\"metadata\":{}}"), 0);
    cr_assert_str_eq(used("q"), "secrets=0");
    f->call.flags = 0;
    cr_assert_eq(create("/secrets", "{\"metadata\":{}}"), 0);
    cr_assert_str_eq(used("q"), "secrets=1");
    f->call.flags = KL_CALL_DRY_RUN;
    cr_assert_eq(create("/secrets", "{\"metadata\":{}}"), -KL_FORBIDDEN);
}

Test(quota, services)
{
    put_quota("q", "\"hard\":{\"services\":\"2\",\"services.nodeports\":\"2\",\"services.loadbalancers\":\"1\"}", "");
    cr_assert_eq(create("/services", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":1},{\"port\":2}]}}"), 0);
    cr_assert_str_eq(used("q"), "services=1,services.loadbalancers=0,services.nodeports=2");
    cr_assert_eq(create("/services", "{\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":1}]}}"), -KL_FORBIDDEN);
    cr_assert_eq(create("/services", "{\"spec\":{\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false,\"ports\":[{\"port\":1}]}}"), 0);
    cr_assert_str_eq(used("q"), "services=2,services.loadbalancers=1,services.nodeports=2");
    cr_assert_eq(update("/services", NULL, "{\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"port\":1}]}}", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":1}]}}"), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=2, limited: services.nodeports=2");
}

Test(quota, claims_by_class_and_growth)
{
    put_quota("q", "\"hard\":{\"persistentvolumeclaims\":\"5\",\"requests.storage\":\"10Gi\",\"gold.storageclass.storage.k8s.io/requests.storage\":\"5Gi\"}", "");
#define CLAIM(size) "{\"spec\":{\"storageClassName\":\"gold\",\"resources\":{\"requests\":{\"storage\":\"" size "\"}}}}"
    cr_assert_eq(create("/persistentvolumeclaims", CLAIM("4Gi")), 0);
    cr_assert_str_eq(used("q"), "gold.storageclass.storage.k8s.io/requests.storage=4Gi,persistentvolumeclaims=1,requests.storage=4Gi");
    cr_assert_eq(update("/persistentvolumeclaims", NULL, CLAIM("4Gi"), CLAIM("6Gi")), -KL_FORBIDDEN);
    cr_assert_eq(update("/persistentvolumeclaims", NULL, CLAIM("4Gi"), CLAIM("5Gi")), 0);
    cr_assert_str_eq(used("q"), "gold.storageclass.storage.k8s.io/requests.storage=5Gi,persistentvolumeclaims=1,requests.storage=5Gi");
}

Test(quota, objects_by_count)
{
    put_quota("q", "\"hard\":{\"count/jobs.batch\":\"1\",\"count/widgets.example.com\":\"0\",\"configmaps\":\"1\"}", "");
    cr_assert_eq(create("batch/jobs", "{\"metadata\":{}}"), 0);
    cr_assert_eq(create("batch/jobs", "{\"metadata\":{}}"), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1");
    cr_assert_eq(create("example.com/widgets", "{\"metadata\":{}}"), -KL_FORBIDDEN);
    cr_assert_eq(create("/configmaps", "{\"metadata\":{}}"), 0);
    cr_assert_eq(create("apps/deployments", "{\"metadata\":{}}"), 0);
}

Test(quota, scopes)
{
    static const struct {
        const char *spec, *pod;
        bool in;
    } rows[] = {
        { "\"scopes\":[\"BestEffort\"]", "{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}", true },
        { "\"scopes\":[\"BestEffort\"]", POD("\"cpu\":\"1\""), false },
        { "\"scopes\":[\"NotBestEffort\"]", POD("\"cpu\":\"1\""), true },
        { "\"scopes\":[\"Terminating\"]", "{\"spec\":{\"activeDeadlineSeconds\":5}}", true },
        { "\"scopes\":[\"Terminating\"]", "{\"spec\":{}}", false },
        { "\"scopes\":[\"NotTerminating\"]", "{\"spec\":{}}", true },
        { "\"scopes\":[\"Terminating\",\"BestEffort\"]", "{\"spec\":{\"activeDeadlineSeconds\":5}}", true },
        { "\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"In\",\"values\":[\"high\"]}]}", "{\"spec\":{\"priorityClassName\":\"high\"}}", true },
        { "\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"In\",\"values\":[\"high\"]}]}", "{\"spec\":{\"priorityClassName\":\"low\"}}", false },
        { "\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"NotIn\",\"values\":[\"high\"]}]}", "{\"spec\":{}}", true },
        { "\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"DoesNotExist\"}]}", "{\"spec\":{\"priorityClassName\":\"low\"}}", false },
        { "\"scopes\":[\"CrossNamespacePodAffinity\"]", "{\"spec\":{\"affinity\":{\"podAntiAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"podAffinityTerm\":{\"namespaces\":[\"x\"]}}]}}}}", true },
        { "\"scopes\":[\"CrossNamespacePodAffinity\"]", "{\"spec\":{\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{\"topologyKey\":\"x\"}]}}}}", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct val *quota = json_parse(f->arena, str_of(arena_printf(f->arena, "{\"spec\":{\"hard\":{\"pods\":\"1\"},%s}}", rows[i].spec)), NULL);
        struct val *pod = json_parse(f->arena, str_of(rows[i].pod), NULL);
        cr_assert(quota && pod, "row %zu", i);
        cr_expect_eq(usage_in_scopes(f->arena, quota, STR("/pods"), pod), rows[i].in, "row %zu", i);
    }
}

#define LIVES(rest) "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"" rest "},\"spec\":{%s\"containers\":[{\"name\":\"c\"}]}}"

Test(quota, a_pod_that_gets_a_deadline_comes_under_other_quotas)
{
    const char *endless = arena_printf(f->arena, LIVES(""), ""), *ends = arena_printf(f->arena, LIVES(""), "\"activeDeadlineSeconds\":9,");
    put_quota("q", "\"hard\":{\"pods\":\"1\"},\"scopes\":[\"Terminating\"]", "\"hard\":{\"pods\":\"1\"},\"used\":{\"pods\":\"0\"}");
    cr_assert_eq(update("/pods", "", endless, endless), 0);
    cr_assert_str_eq(used("q"), "pods=0");
    cr_assert_eq(update("/pods", "", endless, ends), 0);
    cr_assert_str_eq(used("q"), "pods=1");
    cr_assert_eq(update("/pods", "", ends, ends), 0);
    cr_assert_eq(create("/pods", ends), -KL_FORBIDDEN);
    cr_assert_eq(update("/pods", "", endless, ends), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1");
}

Test(quota, who_comes_with_a_version_is_charged_nothing)
{
    put_quota("q", "\"hard\":{\"pods\":\"1\"}", "\"hard\":{\"pods\":\"1\"},\"used\":{\"pods\":\"0\"}");
    cr_assert_eq(create("/pods", arena_printf(f->arena, LIVES(",\"resourceVersion\":\"7\""), "")), 0);
    cr_assert_str_eq(used("q"), "pods=0");
}

Test(quota, the_controller_counts_anew)
{
    int64_t again;
    void *controller;
    cr_assert_eq(quota_controller.life.open(&f->host, NULL, &controller, &f->call), 0);
    put_quota("q", "\"hard\":{\"pods\":\"9\",\"requests.cpu\":\"9\",\"requests.nvidia.com/gpu\":\"4\",\"count/jobs.batch\":\"3\",\"strange\":\"1\"}", "\"hard\":{\"pods\":\"1\"},\"used\":{\"pods\":\"7\"}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"a\",\"namespace\":\"default\"},\"spec\":{\"overhead\":{\"cpu\":\"1\"},\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"3\"}}},"
             "{\"name\":\"s\",\"restartPolicy\":\"Always\",\"resources\":{\"requests\":{\"cpu\":\"500m\"}}}],\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\",\"nvidia.com/gpu\":\"2\"}}}]}}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"b\",\"namespace\":\"default\"},\"status\":{\"phase\":\"Failed\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]}}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"other\"},\"spec\":{}}");
    fake_put(f, "batch/jobs", "{\"metadata\":{\"name\":\"j\",\"namespace\":\"default\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}");
    cr_assert_eq(quota_controller.reconcile(controller, &f->call, "default/q", &again), 0);
    cr_assert_str_eq(used("q"), "count/jobs.batch=1,pods=1,requests.cpu=4,requests.nvidia.com/gpu=2");
    cr_assert_eq(again, 1000000000LL, "what is going is looked at again soon");
    cr_assert(str_is(json_str(fake_get(f, QUOTAS, "default", "q"), "status.hard.pods"), "9"));
    uint32_t before = f->updates;
    cr_assert_eq(quota_controller.reconcile(controller, &f->call, "default/q", &again), 0);
    cr_assert_eq(f->updates, before, "nothing changed, nothing is written");
    cr_assert_eq(quota_controller.reconcile(controller, &f->call, "default/gone", &again), 0);
    quota_controller.life.close(controller);
}

static const char *mapped(void *controller, const char *resource, const char *old, const char *obj, bool deleted)
{
    struct kl_bytes keys = { "", 0 };
    f->call.flags = deleted ? KL_CALL_DELETED : 0;
    cr_assert_eq(quota_controller.map(controller, &f->call, resource, (struct kl_bytes){ old, strlen(old) }, (struct kl_bytes){ obj, strlen(obj) }, &keys), 0);
    return keys.len ? keys.at : "";
}

Test(quota, what_wakes_the_controller)
{
    void *controller;
    cr_assert_eq(quota_controller.life.open(&f->host, NULL, &controller, &f->call), 0);
#define P(phase) "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},\"status\":{\"phase\":\"" phase "\"}}"
    cr_assert_str_eq(mapped(controller, "/pods", P("Running"), P("Failed"), false), "", "there is no quota");
    put_quota("q", "", "");
    put_quota("r", "", "");
    cr_assert_str_eq(mapped(controller, "/pods", "", P("Pending"), false), "");
    cr_assert_str_eq(mapped(controller, "/pods", P("Pending"), P("Pending"), false), "");
    cr_assert_str_eq(mapped(controller, "/pods", P("Running"), P("Failed"), false), "default/q\ndefault/r");
    cr_assert_str_eq(mapped(controller, "/pods", P("Running"), P("Running"), true), "default/q\ndefault/r");
#define Q(hard, used) "{\"metadata\":{\"name\":\"q\",\"namespace\":\"default\"},\"spec\":{\"hard\":{\"pods\":\"" hard "\"}},\"status\":{\"used\":{\"pods\":\"" used "\"}}}"
    cr_assert_str_eq(mapped(controller, QUOTAS, Q("1", "0"), Q("1", "1"), false), "", "its own writing");
    cr_assert_str_eq(mapped(controller, QUOTAS, Q("1", "0"), Q("2", "0"), false), "default/q");
    quota_controller.life.close(controller);
}

static void with_limited(const char *json)
{
    const struct quota_conf conf = { json };
    quota_admission.life.close(self);
    cr_assert_eq(quota_admission.life.open(&f->host, &conf, &self, &f->call), 0, "%s", f->call.err.msg);
}

#define CLASS(name) "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"priorityClassName\":\"" name "\",\"containers\":[{\"name\":\"c\"}]}}"

Test(quota, limited_scopes_need_a_quota)
{
    with_limited("[{\"resource\":\"pods\",\"match_scopes\":[{\"scope\":\"PriorityClass\",\"operator\":\"In\",\"values\":[\"high\",\"higher\"]}]}]");
    cr_assert_eq(create("/pods", CLASS("low")), 0, "%s", f->call.err.msg);
    cr_assert_eq(create("/configmaps", "{\"metadata\":{}}"), 0);
    cr_assert_eq(create("/pods", CLASS("high")), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "insufficient quota to match these scopes: [{PriorityClass In [high higher]}]");
    put_quota("q", "\"hard\":{\"pods\":\"2\"},\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"In\",\"values\":[\"high\"]}]}",
              "\"hard\":{\"pods\":\"2\"},\"used\":{\"pods\":\"0\"}");
    cr_assert_eq(create("/pods", CLASS("high")), 0, "%s", f->call.err.msg);
    cr_assert_eq(create("/pods", CLASS("higher")), -KL_FORBIDDEN);
    cr_assert_str_eq(used("q"), "pods=1");
}

Test(quota, limited_names_need_a_quota)
{
    with_limited("[{\"resource\":\"pods\",\"match_contains\":[\"cpu\"]}]");
    cr_assert_eq(create("/pods", POD("\"cpu\":\"1\"")), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "insufficient quota to consume: cpu,requests.cpu");
    put_quota("q", "\"hard\":{\"cpu\":\"4\",\"requests.cpu\":\"4\"}", "\"hard\":{\"cpu\":\"4\",\"requests.cpu\":\"4\"},\"used\":{\"cpu\":\"0\",\"requests.cpu\":\"0\"}");
    cr_assert_eq(create("/pods", POD("\"cpu\":\"1\"")), 0, "%s", f->call.err.msg);
    cr_assert_eq(create("/pods", POD("\"cpu\":\"4\"")), -KL_FORBIDDEN);
}

Test(quota, limited_resources_that_are_wrong)
{
    static const char *const rows[][2] = {
        { "[{\"match_contains\":[\"x\"]}]", "limited_resources[0].resource: a value is needed" },
        { "[{\"resource\":\"pods\",\"contains\":[]}]", "limited_resources[0]: unknown setting 'contains'" },
        { "[{\"resource\":\"pods\",\"match_scopes\":[{\"scope\":\"Best\"}]}]", "limited_resources[0].match_scopes: unknown scope \"Best\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct quota_conf conf = { rows[i][0] };
        void *other;
        cr_expect_eq(quota_admission.life.open(&f->host, &conf, &other, &f->call), -KL_INVALID);
        cr_expect_str_eq(f->call.err.msg, rows[i][1]);
    }
}
