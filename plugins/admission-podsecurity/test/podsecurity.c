/* podsecurity.c - levels, versions, each check's words, who is concerned. */
#include <criterion/criterion.h>

#include "fake.h"
#include "podsecurity.h"

static void check(const char *level, const char *pod, const char *want)
{
    struct arena *a = arena_new(0);
    struct level_version lv;
    struct str version = str_of(level), name = str_cut(&version, ':');
    struct findings f;
    cr_assert(level_parse(name, &lv.level) && version_parse(version, &lv.minor), "%s", level);
    struct val *v = json_parse(a, str_of(pod), NULL);
    cr_assert(v, "%s", pod);
    check_pod(a, lv, json_get(v, STR("metadata")), json_get(v, STR("spec")), &f);
    cr_assert_str_eq(findings_text(a, &f, true), want, "%s of %s\n got  %s\n want %s", level, pod, findings_text(a, &f, true), want);
    arena_free(a);
}

#define POD(spec) "{\"metadata\":{\"name\":\"x\"},\"spec\":{" spec "}}"
#define ONE(ctx)  POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"securityContext\":{" ctx "}}]")
#define GOOD      "\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},\"runAsNonRoot\":true,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}"

Test(podsecurity, restricted)
{
    check("restricted:latest", POD("\"containers\":[{\"name\":\"c\"}]"),
          "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
          "(container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set "
          "securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to "
          "\"RuntimeDefault\" or \"Localhost\")");
    check("restricted:latest", ONE(GOOD), "");
    check("restricted:latest", ONE(GOOD ",\"runAsUser\":0"), "runAsUser=0 (container \"c\" must not set runAsUser=0)");
    check("restricted:latest", POD("\"securityContext\":{\"runAsNonRoot\":false},\"containers\":[{\"name\":\"c\",\"securityContext\":{" GOOD "}}]"),
          "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)");
    check("restricted:latest", ONE("\"allowPrivilegeEscalation\":false,\"runAsNonRoot\":true,\"seccompProfile\":{\"type\":\"Unconfined\"},\"capabilities\":{\"add\":[\"SYS_ADMIN\",\"CHOWN\"]}"),
          "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]; container \"c\" must not include \"CHOWN\", "
          "\"SYS_ADMIN\" in securityContext.capabilities.add), seccompProfile (container \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")");
    check("restricted:latest", POD("\"volumes\":[{\"name\":\"v\",\"hostPath\":{\"path\":\"/\"}},{\"name\":\"w\",\"nfs\":{}},{\"name\":\"e\",\"emptyDir\":{}}],\"containers\":[{\"name\":\"c\",\"securityContext\":{" GOOD "}}]"),
          "restricted volume types (volumes \"v\", \"w\" use restricted volume types \"hostPath\", \"nfs\")");
    check("restricted:latest", POD("\"os\":{\"name\":\"windows\"},\"containers\":[{\"name\":\"c\"}],\"securityContext\":{\"runAsNonRoot\":true}"), "");
    check("restricted:v1.24", POD("\"os\":{\"name\":\"windows\"},\"containers\":[{\"name\":\"c\",\"securityContext\":{" GOOD ",\"allowPrivilegeEscalation\":true}}]"),
          "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)");
    check("restricted:v1.7", ONE("\"runAsNonRoot\":true"), "");
    check("restricted:latest", POD("\"hostUsers\":false,\"containers\":[{\"name\":\"c\",\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},\"runAsUser\":0,\"seccompProfile\":{\"type\":\"RuntimeDefault\"},\"procMount\":\"Unmasked\"}}]"),
          "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")");
    check("privileged:latest", ONE("\"privileged\":true"), "");
}

Test(podsecurity, baseline)
{
    check("baseline:latest", POD("\"hostNetwork\":true,\"hostIPC\":true,\"containers\":[{\"name\":\"a\",\"securityContext\":{\"privileged\":true},\"ports\":[{\"hostPort\":80},{\"hostPort\":443}]},"
                                 "{\"name\":\"b\",\"securityContext\":{\"privileged\":true}}]"),
          "host namespaces (hostNetwork=true, hostIPC=true), hostPort (container \"a\" uses hostPorts 443, 80), privileged (containers \"a\", \"b\" must not set "
          "securityContext.privileged=true)");
    check("baseline:latest", ONE("\"capabilities\":{\"add\":[\"NET_ADMIN\",\"CHOWN\"]}"),
          "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)");
    check("baseline:latest", POD("\"volumes\":[{\"name\":\"v\",\"hostPath\":{}}],\"containers\":[{\"name\":\"c\"}]"), "hostPath volumes (volume \"v\")");
    check("baseline:latest", POD("\"securityContext\":{\"seLinuxOptions\":{\"type\":\"spc_t\",\"user\":\"u\",\"role\":\"r\"}},\"containers\":[{\"name\":\"c\"}]"),
          "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set; role may not be set)");
    check("baseline:v1.30", ONE("\"seLinuxOptions\":{\"type\":\"container_engine_t\"}"),
          "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"container_engine_t\")");
    check("baseline:v1.31", ONE("\"seLinuxOptions\":{\"type\":\"container_engine_t\"}"), "");
    check("baseline:latest", ONE("\"procMount\":\"Unmasked\""), "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")");
    check("baseline:latest", POD("\"securityContext\":{\"sysctls\":[{\"name\":\"kernel.msgmax\"},{\"name\":\"net.ipv4.tcp_rmem\"}]},\"containers\":[{\"name\":\"c\"}]"),
          "forbidden sysctls (kernel.msgmax)");
    check("baseline:v1.28", POD("\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.tcp_rmem\"}]},\"containers\":[{\"name\":\"c\"}]"), "forbidden sysctls (net.ipv4.tcp_rmem)");
    check("baseline:latest", ONE("\"windowsOptions\":{\"hostProcess\":true}"), "hostProcess (container \"c\" must not set securityContext.windowsOptions.hostProcess=true)");
    check("baseline:latest", ONE("\"appArmorProfile\":{\"type\":\"Unconfined\"}"), "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")");
    check("baseline:latest", "{\"metadata\":{\"annotations\":{\"container.apparmor.security.beta.kubernetes.io/c\":\"unconfined\"}},\"spec\":{\"containers\":[]}}",
          "forbidden AppArmor profile (annotation must not set AppArmor profile type to \"container.apparmor.security.beta.kubernetes.io/c=\"unconfined\"\")");
    check("baseline:v1.18", "{\"metadata\":{\"annotations\":{\"seccomp.security.alpha.kubernetes.io/pod\":\"unconfined\"}},\"spec\":{\"containers\":[]}}",
          "seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")");
    check("baseline:latest", POD("\"containers\":[{\"name\":\"c\",\"livenessProbe\":{\"httpGet\":{\"host\":\"1.2.3.4\"}}}]"),
          "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"1.2.3.4\")");
    check("baseline:v1.33", POD("\"containers\":[{\"name\":\"c\",\"livenessProbe\":{\"httpGet\":{\"host\":\"1.2.3.4\"}}}]"), "");
    check("baseline:latest", POD("\"securityContext\":{\"seccompProfile\":{\"type\":\"Unconfined\"}},\"ephemeralContainers\":[{\"name\":\"e\",\"securityContext\":{\"seccompProfile\":{\"type\":\"Unconfined\"}}}]"),
          "seccompProfile (pod and container \"e\" must not set securityContext.seccompProfile.type to \"Unconfined\")");
}

/* --- the plugin --- */

struct conf {
    const char *level[MODES], *version[MODES];
    const char *const *exempt_namespaces, *const *exempt_usernames, *const *exempt_runtime_classes;
};

extern const struct kl_plugin kl_plugin;
static const char *const friends[] = { "system:friend", NULL }, *const free_ns[] = { "free", NULL };
static const struct conf conf = { { "privileged", "privileged", "privileged" }, { "latest", "latest", "latest" }, free_ns, friends, NULL };
static struct fake *f;
static const struct kl_admission *table;
static void *self;

static void begin(void)
{
    f = mem_alloc(sizeof *f);
    fake_init(f);
    table = kl_plugin.providers.at[0].table;
    cr_assert_eq(table->life.open(&f->host, &conf, &self, &f->call), 0);
    fake_put(f, "/namespaces", "{\"metadata\":{\"name\":\"default\"}}");
    fake_put(f, "/namespaces", "{\"metadata\":{\"name\":\"strict\",\"labels\":{\"pod-security.kubernetes.io/enforce\":\"restricted\",\"pod-security.kubernetes.io/enforce-version\":\"v1.20\"}}}");
    fake_put(f, "/namespaces", "{\"metadata\":{\"name\":\"wary\",\"labels\":{\"pod-security.kubernetes.io/warn\":\"baseline\"}}}");
}

static void end(void)
{
    table->life.close(self);
    fake_done(f);
    mem_free(f);
}

#define PRIVILEGED_POD "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"securityContext\":{\"privileged\":true," GOOD "}}]}}"

TestSuite(podsecurity_plugin, .init = begin, .fini = end);

Test(podsecurity_plugin, pods)
{
    struct kl_admission_verdict v;
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "/pods", .name = "x", .object = PRIVILEGED_POD }, &v), 0);
    cr_assert_null(v.warnings);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "/pods", .name = "x", .ns = "strict", .object = PRIVILEGED_POD }, &v), -KL_FORBIDDEN);
    cr_assert_str_eq(v.refusal, "violates PodSecurity \"restricted:v1.20\": privileged (container \"c\" must not set securityContext.privileged=true)");
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "/pods", .ns = "strict", .user = "system:friend", .object = PRIVILEGED_POD }, &v), 0);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "/pods", .ns = "wary", .object = PRIVILEGED_POD }, &v), 0);
    cr_assert_str_eq(v.warnings[0], "would violate PodSecurity \"baseline:latest\": privileged (container \"c\" must not set securityContext.privileged=true)");
    /* an update that changes nothing of interest */
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .verb = "update", .resource = "/pods", .ns = "strict", .object = PRIVILEGED_POD, .old_object = PRIVILEGED_POD }, &v), 0);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .verb = "update", .resource = "/pods", .subresource = "ephemeralcontainers", .ns = "strict",
        .object = "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"ephemeralContainers\":[{\"name\":\"e\",\"image\":\"j\"}]}}",
        .old_object = "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}" }, &v), -KL_FORBIDDEN);
}

Test(podsecurity_plugin, templates_are_warned_about)
{
    struct kl_admission_verdict v;
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "apps/deployments", .ns = "strict", .object = "{\"spec\":{\"template\":{\"spec\":{\"hostPID\":true,\"containers\":[{\"name\":\"c\",\"securityContext\":{" GOOD "}}]}}}}" }, &v), 0);
    cr_assert_str_eq(v.warnings[0], "would violate PodSecurity \"restricted:v1.20\": host namespaces (hostPID=true)");
    cr_assert_null(v.warnings[1]);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "batch/cronjobs", .ns = "wary", .object = "{\"spec\":{\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{\"hostPID\":true}}}}}}" }, &v), 0);
    cr_assert_str_eq(v.warnings[0], "would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)");
}

#define NS(labels) "{\"metadata\":{\"name\":\"n\",\"labels\":{" labels "}}}"
#define L(mode, value) "\"pod-security.kubernetes.io/" mode "\":\"" value "\""

Test(podsecurity_plugin, labels_are_checked)
{
    struct kl_admission_verdict v;
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "/namespaces", .name = "n", .object = NS(L("enforce", "strong") "," L("warn-version", "1.2")) }, &v), -KL_INVALID);
    cr_assert_str_eq(v.causes[1], "metadata.labels[pod-security.kubernetes.io/enforce]");
    cr_assert_str_eq(v.causes[2], "Invalid value: \"strong\": must be one of privileged, baseline, restricted");
    cr_assert_str_eq(v.causes[5], "Invalid value: \"1.2\": must be \"latest\" or \"v1.x\"");
    cr_assert_null(v.causes[6]);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .verb = "update", .resource = "/namespaces", .name = "n", .object = NS(L("enforce", "strong")), .old_object = NS(L("enforce", "strong")) }, &v), 0);
}

Test(podsecurity_plugin, a_stricter_namespace_tells_whom_it_hits)
{
    struct kl_admission_verdict v;
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\"},\"spec\":{\"hostPID\":true}}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},\"spec\":{\"hostPID\":true}}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{\"hostPort\":1}]}]}}");
    fake_put(f, "/pods", "{\"metadata\":{\"name\":\"d\",\"namespace\":\"n\"},\"spec\":{}}");
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .verb = "update", .resource = "/namespaces", .name = "n", .object = NS(L("enforce", "baseline")), .old_object = NS("") }, &v), 0);
    cr_assert_str_eq(v.warnings[0], "existing pods in namespace \"n\" violate the new PodSecurity enforce level \"baseline:latest\"");
    cr_assert_str_eq(v.warnings[1], "a (and 1 other pod): host namespaces");
    cr_assert_str_eq(v.warnings[2], "c: hostPort");
    cr_assert_null(v.warnings[3]);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .verb = "update", .resource = "/namespaces", .name = "n", .object = NS(L("enforce", "baseline")), .old_object = NS(L("enforce", "restricted")) }, &v), 0);
    cr_assert_null(v.warnings);
    cr_assert_eq(fake_review(f, table, self, &(struct fake_ask){ .resource = "/namespaces", .name = "free", .object = NS(L("enforce", "baseline")) }, &v), 0);
    cr_assert_str_eq(v.warnings[0], "namespace \"free\" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored");
}
