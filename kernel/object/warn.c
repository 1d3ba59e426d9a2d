/* warn.c - objects that are valid, but of which upstream says something to whoever writes them. */
#include "object/warn.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/quantity.h"
#include "object/base64.h"

/* --- one warning --- */

static void say_formatted(struct warning *w, const char *place, const char *fmt, va_list ap)
{
    char text[2048];
    vsnprintf(text, sizeof text, fmt, ap);
    const char *s = place ? words(&w->names, "%s: %s", place, text) : words(&w->names, "%s", text);
    if (s[0])
        w->say(w->ctx, s);
}

void warn_at(struct warning *w, const struct path *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_formatted(w, path_text(w->arena, p), fmt, ap);
    va_end(ap);
}

void warn(struct warning *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_formatted(w, NULL, fmt, ap);
    va_end(ap);
}

void warn_annotation(struct warning *w, const struct path *up, const struct val *annotations, struct str key, const char *why)
{
    if (json_get(annotations, key))
        warn_at(w, KEY(IN(IN(up, "metadata"), "annotations"), key), "%s", why);
}

void warn_ip(struct warning *w, const struct path *p, struct str ip)
{
    unsigned char room[16];
    char given[64], best[64];
    if (ip.len >= sizeof given || str_find(ip, ':') < 0)
        return;
    memcpy(given, ip.at, ip.len);
    given[ip.len] = '\0';
    if (inet_pton(AF_INET6, given, room) != 1)
        return;
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    if (memcmp(room, mapped, 12) == 0) {
        inet_ntop(AF_INET, room + 12, best, sizeof best);
        warn_at(w, p, "non-standard IP address \"%s\" is invalid: use \"%s\"", given, best);
        return;
    }
    inet_ntop(AF_INET6, room, best, sizeof best);
    if (strcmp(best, given) != 0)
        warn_at(w, p, "IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")", given, best);
}

void warn_fraction(struct warning *w, const struct path *p, const struct val *amounts, const char *resource)
{
    struct quantity q;
    const struct val *x = json_get(amounts, str_of(resource));
    if (x && quantity_parse(val_str(x), &q) && quantity_milli(q) % 1000)
        warn_at(w, KEY(p, str_of(resource)), "fractional byte value \"" STR_FMT "\" is invalid, must be an integer", STR_ARG(val_str(x)));
}

/* --- nodes' labels --- */

static const char *const old_labels[][2] = {
    { "beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead" },
    { "beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead" },
    { "failure-domain.beta.kubernetes.io/region", "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead" },
    { "failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead" },
    { "beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead" },
    { "app.kubernetes.io/created-by", "deprecated since v1.9" },
    { "scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead" },
    { "node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead" },
};

const char *warn_old_label(struct str key)
{
    for (size_t i = 0; i < sizeof old_labels / sizeof *old_labels; i++)
        if (str_is(key, old_labels[i][0]))
            return old_labels[i][1];
    return NULL;
}

void warn_node_term(struct warning *w, const struct path *p, const struct val *term, bool values_too)
{
    LIST_EACH (e, at, json_get(term, STR("matchExpressions"))) {
        const struct path *here = ITEM(IN(p, "matchExpressions"), at.i);
        struct str key = json_str(e, "key");
        const char *texts[4];
        if (warn_old_label(key))
            warn_at(w, IN(here, "key"), STR_FMT " is %s", STR_ARG(key), warn_old_label(key));
        LIST_EACH (x, xt, values_too ? json_get(e, STR("values")) : NULL) {
            unsigned n = name_errors(w->arena, val_str(x), G_LABEL_VALUE, texts, 4);
            for (unsigned i = 0; i < n; i++)
                warn_at(w, ITEM(IN(here, "values"), xt.i), STR_FMT " is invalid, %s", STR_ARG(val_str(x)), texts[i]);
        }
    }
}

/* --- kinds --- */

static void warn_name(struct warning *w, const struct val *v, const char *where)
{
    const char *texts[4], *all = "";
    unsigned n = name_errors(w->arena, json_str(v, "metadata.name"), G_LABEL, texts, 4);
    for (unsigned i = 0; i < n; i++)
        all = words(&w->names, "%s%s%s", all, i ? " " : "", texts[i]);
    if (n)
        warn(w, "metadata.name: this is used in %s, which can result in surprising behavior; a DNS label is recommended: [%s]", where, all);
}

#define PODS  "Pod names and hostnames"
#define RULES(name) static void name(struct warning *w, const struct val *v, const struct val *old)

RULES(pod)
{
    if (old)
        return;
    warn_name(w, v, "the Pod's hostname");
    warn_pod(w, NULL, json_get(v, STR("metadata")), json_get(v, STR("spec")));
}

static bool spec_changed(const struct val *v, const struct val *old)
{
    return !old || !val_equal(json_get(v, STR("spec")), json_get(old, STR("spec")));
}

static void template(struct warning *w, const struct path *p, const struct val *t)
{
    warn_pod(w, p, json_get(t, STR("metadata")), json_get(t, STR("spec")));
}

RULES(pod_template)
{
    if (!old)
        template(w, IN(NULL, "template"), json_get(v, STR("template")));
}

RULES(runner)
{
    if (spec_changed(v, old))
        template(w, IN(IN(NULL, "spec"), "template"), json_path(v, "spec.template"));
}

RULES(named_runner)
{
    if (!old)
        warn_name(w, v, PODS);
    runner(w, v, old);
}

/* Upstream asks for the generation, which annotations count in too. */
RULES(deployment)
{
    if (!old)
        warn_name(w, v, PODS);
    if (!old || json_int(v, "metadata.generation", 0) != json_int(old, "metadata.generation", 0))
        template(w, IN(IN(NULL, "spec"), "template"), json_path(v, "spec.template"));
}

static void claim_sizes(struct warning *w, const struct path *p, const struct val *spec)
{
    struct val *resources = json_get(spec, STR("resources"));
    warn_fraction(w, IN(IN(p, "resources"), "requests"), json_get(resources, STR("requests")), "storage");
    warn_fraction(w, IN(IN(p, "resources"), "limits"), json_get(resources, STR("limits")), "storage");
}

RULES(stateful_set)
{
    runner(w, v, old);
    LIST_EACH (t, at, json_path(v, "spec.volumeClaimTemplates")) {
        const struct path *here = ITEM(IN(IN(NULL, "spec"), "volumeClaimTemplates"), at.i);
        claim_sizes(w, old ? IN(here, "Spec") : here, json_get(t, STR("spec")));
    }
    if (json_int(v, "spec.revisionHistoryLimit", 0) < 0)
        warn(w, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended");
}

static void job_spec(struct warning *w, const struct path *p, const struct val *spec)
{
    if (str_is(json_str(spec, "completionMode"), "Indexed") && json_int(spec, "completions", 0) > 100000 && json_int(spec, "parallelism", 0) > 10000)
        warn_at(w, p, "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to "
                "track completedIndexes when a big number of indexes fail");
    template(w, IN(p, "template"), json_get(spec, STR("template")));
}

RULES(job)
{
    if (!old)
        warn_name(w, v, PODS);
    if (spec_changed(v, old))
        job_spec(w, IN(NULL, "spec"), json_get(v, STR("spec")));
}

RULES(cron_job)
{
    if (!old)
        warn_name(w, v, PODS);
    if (spec_changed(v, old))
        job_spec(w, IN(IN(IN(NULL, "spec"), "jobTemplate"), "spec"), json_path(v, "spec.jobTemplate.spec"));
    struct str schedule = json_str(v, "spec.schedule");
    if (old && (str_starts(schedule, STR("TZ")) || str_starts(schedule, STR("CRON_TZ"))))
        warn(w, "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
             "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details");
}

RULES(service)
{
    struct val *spec = json_get(v, STR("spec")), *external = json_get(spec, STR("externalIPs"));
    struct str type = json_str(spec, "type"), balancer = json_str(spec, "loadBalancerIP");
    bool headless = str_is(type, "ClusterIP") && str_is(json_str(spec, "clusterIP"), "None"), named = str_is(type, "ExternalName");
    bool some = external && external->n;
    (void)old;
    if (json_get(json_path(v, "metadata.annotations"), STR("service.kubernetes.io/topology-aware-hints")))
        warn(w, "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead");
    if (headless && balancer.len)
        warn(w, "spec.loadBalancerIP is ignored for headless services");
    if (headless && some)
        warn(w, "spec.externalIPs is ignored for headless services");
    if (headless && !str_is(json_str(spec, "sessionAffinity"), "None"))
        warn(w, "spec.SessionAffinity is ignored for headless services");
    LIST_EACH (x, at, external)
        warn_ip(w, ITEM(IN(IN(NULL, "spec"), "externalIPs"), at.i), val_str(x));
    if (some && !headless && !named)
        warn(w, "spec.externalIPs is deprecated and may no longer be implemented in some clusters");
    warn_ip(w, IN(IN(NULL, "spec"), "loadBalancerIP"), balancer);
    if (named && some)
        warn(w, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    if (!named && json_str(spec, "externalName").len)
        warn(w, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
    if (str_is(json_str(spec, "trafficDistribution"), "PreferClose"))
        warn(w, "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
}

/* Whether anything PEM is in it; what it is, and whether the key is the certificate's, is not looked at. */
static bool has_pem(struct warning *w, struct str encoded)
{
    char *room = arena_alloc(w->arena, base64_decoded(encoded) + 1);
    if (!room)
        return true;
    size_t n = base64_decode(encoded, room);
    room[n] = '\0';
    return memmem(room, n, "-----BEGIN ", 11) && memmem(room, n, "-----END ", 9);
}

RULES(secret)
{
    struct val *data = json_get(v, STR("data"));
    (void)old;
    if (!str_is(json_str(v, "type"), "kubernetes.io/tls"))
        return;
    if (!has_pem(w, val_str(json_get(data, STR("tls.crt")))))
        warn(w, "tls: failed to find any PEM data in certificate input");
    else if (!has_pem(w, val_str(json_get(data, STR("tls.key")))))
        warn(w, "tls: failed to find any PEM data in key input");
}

RULES(volume)
{
    static const char *const members[][2] = {
        { "cephfs", "deprecated in v1.28, non-functional in v1.31+" },    { "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+" },
        { "scaleIO", "deprecated in v1.16, non-functional in v1.22+" },   { "storageos", "deprecated in v1.22, non-functional in v1.25+" },
        { "glusterfs", "deprecated in v1.25, non-functional in v1.26+" }, { "rbd", "deprecated in v1.28, non-functional in v1.31+" },
    };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *annotations = json_path(v, "metadata.annotations");
    (void)old;
    warn_annotation(w, NULL, annotations, STR("volume.beta.kubernetes.io/storage-class"), "deprecated since v1.8; use \"storageClassName\" attribute instead");
    warn_annotation(w, NULL, annotations, STR("volume.beta.kubernetes.io/mount-options"), "deprecated since v1.31; use \"mountOptions\" attribute instead");
    if (str_is(json_str(spec, "persistentVolumeReclaimPolicy"), "Recycle"))
        warn_at(w, IN(p, "persistentVolumeReclaimPolicy"),
                "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.");
    LIST_EACH (t, at, json_path(spec, "nodeAffinity.required.nodeSelectorTerms"))
        warn_node_term(w, ITEM(IN(IN(IN(p, "nodeAffinity"), "required"), "nodeSelectorTerms"), at.i), t, false);
    for (int i = 0; i < 6; i++)
        if (json_get(spec, str_of(members[i][0])))
            warn_at(w, IN(p, members[i][0]), "%s", members[i][1]);
}

RULES(claim)
{
    (void)old;
    warn_annotation(w, NULL, json_path(v, "metadata.annotations"), STR("volume.beta.kubernetes.io/storage-class"),
                    "deprecated since v1.8; use \"storageClassName\" attribute instead");
    claim_sizes(w, IN(NULL, "spec"), json_get(v, STR("spec")));
}

RULES(node)
{
    (void)old;
    if (json_path(v, "spec.configSource"))
        warn(w, "spec.configSource: the feature is removed");
    if (json_str(v, "spec.externalID").len)
        warn(w, "spec.externalID: this field is deprecated, and is unused by Kubernetes");
}

RULES(service_account)
{
#define ENFORCE "kubernetes.io/enforce-mountable-secrets"
    if (!json_get(json_path(old, "metadata.annotations"), STR(ENFORCE)) && json_get(json_path(v, "metadata.annotations"), STR(ENFORCE)))
        warn(w, "metadata.annotations[" ENFORCE "]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets");
}

RULES(ingress)
{
    if (!old && !json_path(v, "spec.ingressClassName") && json_get(json_path(v, "metadata.annotations"), STR("kubernetes.io/ingress.class")))
        warn(w, "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead");
}

RULES(endpoint_slice)
{
    if (!old && str_is(json_str(v, "addressType"), "FQDN"))
        warn(w, "spec.addressType: FQDN endpoints are deprecated");
}

RULES(quota)
{
    static const char *const names[] = { "cpu", "memory", "storage", "ephemeral-storage" };
    struct val *hard = json_path(v, "spec.hard");
    for (int i = 0; i < 4 && !old; i++) {
        const char *low = words(&w->names, "requests.%s", names[i]), *high = words(&w->names, "limits.%s", names[i]);
        if (i < 2 && !json_get(hard, str_of(low)))
            low = names[i];
        struct str x = json_get(hard, str_of(low)) ? val_str(json_get(hard, str_of(low))) : STR_NONE;
        struct str y = json_get(hard, str_of(high)) ? val_str(json_get(hard, str_of(high))) : STR_NONE;
        struct quantity a, b;
        if (x.len && y.len && quantity_parse(x, &a) && quantity_parse(y, &b) && quantity_cmp(a, b) > 0)
            warn(w, "ResourceQuota %s (" STR_FMT ") should be less than %s (" STR_FMT ")", low, STR_ARG(x), high, STR_ARG(y));
    }
}

RULES(csi_driver)
{
    const struct val *now = json_path(v, "spec.tokenRequests"), *was = json_path(old, "spec.tokenRequests");
    if (val_is(now, VAL_ARR) && now->n && !json_path(v, "spec.serviceAccountTokenInSecrets") && !(old && val_equal(now, was)))
        warn(w, "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume "
             "attributes");
}

RULES(storage_class)
{
    (void)old;
    LIST_EACH (t, at, json_get(v, STR("allowedTopologies")))
        LIST_EACH (e, et, json_get(t, STR("matchLabelExpressions")))
            if (warn_old_label(json_str(e, "key")))
                warn_at(w, IN(ITEM(IN(ITEM(IN(NULL, "allowedTopologies"), at.i), "matchLabelExpressions"), et.i), "key"), "%s",
                        warn_old_label(json_str(e, "key")));
}

/* Of custom resources, where any finalizer is let pass. */
static void custom_finalizers(struct warning *w, const struct val *v, const struct val *old)
{
    const struct val *was = json_path(old, "metadata.finalizers");
    struct str last = STR_NONE;
    for (;;) {                          /* in order, each once */
        struct str next = STR_NONE;
        LIST_EACH (f, at, json_path(v, "metadata.finalizers")) {
            struct str s = val_str(f);
            bool wanted = at.i < 64 && str_find(s, '/') < 0 && !str_is(s, "orphan") && !str_is(s, "foregroundDeletion") && !(was && json_lists(was, s));
            if (wanted && (!last.at || str_cmp(s, last) > 0) && (!next.at || str_cmp(s, next) < 0))
                next = s;
        }
        if (!next.at)
            return;
        warn(w, "metadata.finalizers: \"" STR_FMT "\": prefer a domain-qualified finalizer name%s to avoid accidental conflicts with other finalizer writers",
             STR_ARG(next), str_find(next, '.') >= 0 ? " including a path (/)" : "");
        last = next;
    }
}

static const struct {
    const char *resource;
    void (*rules)(struct warning *w, const struct val *v, const struct val *old);
} rows[] = {
    { "/pods", pod },
    { "/podtemplates", pod_template },
    { "/replicationcontrollers", named_runner },
    { "/services", service },
    { "/secrets", secret },
    { "/persistentvolumes", volume },
    { "/persistentvolumeclaims", claim },
    { "/nodes", node },
    { "/serviceaccounts", service_account },
    { "/resourcequotas", quota },
    { "apps/deployments", deployment },
    { "apps/replicasets", named_runner },
    { "apps/daemonsets", runner },
    { "apps/statefulsets", stateful_set },
    { "batch/jobs", job },
    { "batch/cronjobs", cron_job },
    { "networking.k8s.io/ingresses", ingress },
    { "discovery.k8s.io/endpointslices", endpoint_slice },
    { "storage.k8s.io/csidrivers", csi_driver },
    { "storage.k8s.io/storageclasses", storage_class },
};

void object_warnings(struct arena *a, const struct schema_kind *k, const struct val *v, const struct val *old,
                     void (*say)(void *ctx, const char *text), void *ctx)
{
    struct warning w = { a, { .arena = a }, say, ctx };
    if (k->flags & K_CUSTOM && json_path(v, "metadata.finalizers"))
        custom_finalizers(&w, v, old);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].resource, k->resource) == 0)
            rows[i].rules(&w, v, old);
}
