/* flow_objects.c - the priority levels and schemas that every cluster has, kept as upstream keeps them: mandatory ones are what they must be, suggested
 * ones are made anew when they are gone and follow this table for as long as nobody says otherwise
 * (annotation apf.kubernetes.io/autoupdate-spec). And each schema says whether its level is there. */
#include "api/flow.h"

#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/log.h"

#define ANNOTATION "apf.kubernetes.io/autoupdate-spec"
#define GROUP      "flowcontrol.apiserver.k8s.io"

#define QUEUES(queues, hand) "\"limitResponse\":{\"type\":\"Queue\",\"queuing\":{\"queues\":" #queues ",\"handSize\":" #hand ",\"queueLengthLimit\":50}}"
#define LEVEL(shares, lend, response) \
    "{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":" #shares ",\"lendablePercent\":" #lend "," response "}}"
#define USER(name)  "{\"kind\":\"User\",\"user\":{\"name\":\"" name "\"}}"
#define IN_GROUP(name) "{\"kind\":\"Group\",\"group\":{\"name\":\"" name "\"}}"
#define ACCOUNT(name) "{\"kind\":\"ServiceAccount\",\"serviceAccount\":{\"name\":\"" name "\",\"namespace\":\"kube-system\"}}"
#define ALL_URLS    "\"nonResourceRules\":[{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]"
#define RESOURCES(verbs, group, names, namespaces, cluster) \
    "{\"verbs\":[" verbs "],\"apiGroups\":[\"" group "\"],\"resources\":[" names "]," cluster "\"namespaces\":[\"" namespaces "\"]}"
#define CLUSTER     "\"clusterScope\":true,"
#define ALL         "\"resourceRules\":[" RESOURCES("\"*\"", "*", "\"*\"", "*", CLUSTER) "]," ALL_URLS
#define GET_PUT     "\"get\",\"create\",\"update\""
#define SCHEMA(level, precedence, by, subjects, targets) \
    "{\"priorityLevelConfiguration\":{\"name\":\"" level "\"},\"matchingPrecedence\":" #precedence "," by "\"rules\":[{\"subjects\":[" subjects "]," targets "}]}"
#define BY(what)    "\"distinguisherMethod\":{\"type\":\"By" what "\"},"
#define EVERYBODY   IN_GROUP("system:unauthenticated") "," IN_GROUP("system:authenticated")
#define LEASES      RESOURCES(GET_PUT, "coordination.k8s.io", "\"leases\"", "*", "")
#define MANAGER     "system:kube-controller-manager"

static const struct row {
    bool schema, mandatory;
    const char *name, *spec;
} rows[] = {
    { false, true, "exempt", "{\"type\":\"Exempt\",\"exempt\":{\"nominalConcurrencyShares\":0,\"lendablePercent\":0}}" },
    { false, true, "catch-all", LEVEL(5, 0, "\"limitResponse\":{\"type\":\"Reject\"}") },
    { false, false, "system", LEVEL(30, 33, QUEUES(64, 6)) },
    { false, false, "node-high", LEVEL(40, 25, QUEUES(64, 6)) },
    { false, false, "leader-election", LEVEL(10, 0, QUEUES(16, 4)) },
    { false, false, "workload-high", LEVEL(40, 50, QUEUES(128, 6)) },
    { false, false, "workload-low", LEVEL(100, 90, QUEUES(128, 6)) },
    { false, false, "global-default", LEVEL(20, 50, QUEUES(128, 6)) },
    { true, true, "exempt", SCHEMA("exempt", 1, "", IN_GROUP("system:masters"), ALL) },
    { true, true, "catch-all", SCHEMA("catch-all", 10000, BY("User"), EVERYBODY, ALL) },
    { true, false, "probes", SCHEMA("exempt", 2, "", EVERYBODY, "\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/healthz\",\"/readyz\",\"/livez\"]}]") },
    { true, false, "system-leader-election", SCHEMA("leader-election", 100, BY("User"), USER(MANAGER) "," USER("system:kube-scheduler") "," ACCOUNT("*"),
                                                    "\"resourceRules\":[" LEASES "]") },
    { true, false, "system-node-high", SCHEMA("node-high", 400, BY("User"), IN_GROUP("system:nodes"), "\"resourceRules\":["
                                              RESOURCES("\"*\"", "", "\"nodes\",\"nodes/status\"", "*", CLUSTER) ","
                                              RESOURCES("\"*\"", "coordination.k8s.io", "\"leases\"", "*", "") "]") },
    { true, false, "system-nodes", SCHEMA("system", 500, BY("User"), IN_GROUP("system:nodes"), ALL) },
    { true, false, "kube-controller-manager", SCHEMA("workload-high", 800, BY("Namespace"), USER(MANAGER), ALL) },
    { true, false, "kube-scheduler", SCHEMA("workload-high", 800, BY("Namespace"), USER("system:kube-scheduler"), ALL) },
    { true, false, "kube-system-service-accounts", SCHEMA("workload-high", 900, BY("Namespace"), ACCOUNT("*"), ALL) },
    { true, false, "service-accounts", SCHEMA("workload-low", 9000, BY("User"), IN_GROUP("system:serviceaccounts"), ALL) },
    { true, false, "global-default", SCHEMA("global-default", 9900, BY("User"), EVERYBODY, ALL) },
};

static const char *const masters[] = { "system:masters", NULL };
static const struct kl_user user = { .size = sizeof user, .name = "system:apiserver", .uid = "", .groups = masters };

static const struct schema_kind *kind_of(bool schema)
{
    return schema_kind_find(STR(GROUP), STR("v1"), schema ? STR("FlowSchema") : STR("PriorityLevelConfiguration"));
}

static struct api_op op_of(struct flow *f, struct arena *a, const struct schema_kind *k, struct str name)
{
    return (struct api_op){ .api = f->api, .arena = a, .user = &user, .kind = k, .name = name, .grace_s = -1 };
}

static bool update(struct flow *f, struct arena *a, const struct schema_kind *k, struct val *v)
{
    struct api_op op = op_of(f, a, k, json_str(v, "metadata.name"));
    if (api_op_update(&op, v) == 0)
        return true;
    if (op.err.code != KL_CONFLICT && op.err.code != KL_NOT_FOUND)
        log_warn("api", "%s '" STR_FMT "': %s", k->kind, STR_ARG(op.name), op.err.message);
    return false;
}

/* --- one object of the table --- */

static struct val *wanted(struct flow *f, struct arena *a, const struct schema_kind *k, const struct row *r)
{
    struct api_op op = op_of(f, a, k, str_of(r->name));
    char *text = arena_printf(a, "{\"apiVersion\":\"" GROUP "/v1\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\",\"annotations\":{\"" ANNOTATION "\":\"true\"}},"
                              "\"spec\":%s}", k->kind, r->name, r->spec);
    struct val *v = NULL;
    return text && api_op_decode(&op, k->type, MEDIA_JSON, str_of(text), &v) == 0 && object_default(a, k, v) == 0 ? v : NULL;
}

/* Does it follow the table? What says nothing does for as long as nobody has changed it. */
static bool follows(const struct row *r, const struct val *now)
{
    struct str said = val_str(json_get(json_path(now, "metadata.annotations"), STR(ANNOTATION)));
    if (r->mandatory || str_is(said, "true"))
        return true;
    return !str_is(said, "false") && json_int(now, "metadata.generation", 0) == 1;
}

/* False: it was written. */
static bool keep(struct flow *f, const struct row *r)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    const struct schema_kind *k = kind_of(r->schema);
    struct val *want = a && k ? wanted(f, a, k, r) : NULL;
    if (!want)
        return true;
    struct store_object *o = store_head(f->api->store, str_of(k->resource), STR(""), str_of(r->name));
    if (!o) {
        struct api_op op = op_of(f, a, k, str_of(r->name));
        if (api_op_create(&op, want) < 0)
            log_warn("api", "%s '%s': %s", k->kind, r->name, op.err.message);
        return false;
    }
    struct val *now = json_parse(a, store_object_json(o), NULL);
    struct val *notes = json_obj(a, json_get(now, STR("metadata")), STR("annotations"));
    bool as_it_is = follows(r, now);
    struct str says = as_it_is ? STR("true") : STR("false");
    bool same = !as_it_is || val_equal(json_get(now, STR("spec")), json_get(want, STR("spec")));
    if (!now || !notes || (same && str_eq(val_str(json_get(notes, STR(ANNOTATION))), says)))
        return true;
    json_set_str(a, notes, STR(ANNOTATION), says);
    if (!same)
        json_set(a, now, STR("spec"), val_copy(a, json_get(want, STR("spec"))));
    return !update(f, a, k, now);
}

/* --- conditions --- */

/* By apply, as upstream's controller of that name does: whoever else writes conditions keeps theirs. */
static void apply_dangling(struct flow *f, struct arena *a, const char *name, const char *level, bool there)
{
    char now[CLOCK_TEXT];
    clock_format(env_wall_ns(), now);
    struct api_op op = op_of(f, a, kind_of(true), str_of(name));
    op.subresource = "status";
    op.manager = STR("api-priority-and-fairness-config-consumer-v1");
    op.force = true;
    char *text = arena_printf(a, "{\"apiVersion\":\"" GROUP "/v1\",\"kind\":\"FlowSchema\",\"metadata\":{\"name\":\"%s\"},\"status\":{\"conditions\":[{\"type\":\"Dangling\","
                              "\"status\":\"%s\",\"lastTransitionTime\":\"%s\",\"reason\":\"%s\",\"message\":\"This FlowSchema references the PriorityLevelConfiguration "
                              "object named \\\"%s\\\" %s\"}]}}", name, there ? "False" : "True", now, there ? "Found" : "NotFound", level,
                              there ? "and it exists" : "but there is no such object");
    struct val *config = text ? json_parse(a, str_of(text), NULL) : NULL;
    if (config && api_op_patch(&op, API_PATCH_APPLY, config) < 0 && op.err.code != KL_CONFLICT && op.err.code != KL_NOT_FOUND)
        log_warn("api", "FlowSchema '%s': %s", name, op.err.message);
}

static bool judge(void *ctx, struct store_object *o)
{
    struct flow *f = ctx;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *v = a ? json_parse(a, store_object_json(o), NULL) : NULL;
    struct str level = json_str(v, "spec.priorityLevelConfiguration.name");
    if (!v)
        return true;
    bool there = store_head(f->api->store, str_of(kind_of(false)->resource), STR(""), level) != NULL;
    struct val *list = json_path(v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Dangling") && str_is(json_str(c, "status"), there ? "False" : "True"))
                return true;
    apply_dangling(f, a, arena_dup(a, store_object_name(o)), arena_dup(a, level), there);
    return true;
}

bool flow_keep_objects(struct flow *f)
{
    struct store_range schemas = { .resource = str_of(kind_of(true)->resource), .head = true };
    bool kept = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        kept &= keep(f, &rows[i]);
    if (kept)                           /* else once what was written has been seen */
        store_list(f->api->store, &schemas, judge, f);
    return kept;
}
