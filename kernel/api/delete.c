/* delete.c - DELETE: preconditions, propagation, finalizers, grace. */
#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"
#include "crd.h"

static bool has_finalizer(const struct val *v, const char *name)
{
    struct val *list = json_path(v, "metadata.finalizers");
    if (val_is(list, VAL_ARR))
        val_each(f, list)
            if (str_is(val_str(f), name))
                return true;
    return false;
}

static void set_finalizer(struct arena *a, struct val *v, const char *name, bool on)
{
    struct val *meta = json_obj(a, v, STR("metadata"));
    if (on && !has_finalizer(v, name))
        val_push(json_arr(a, meta, STR("finalizers")), val_of_str(a, str_of(name)));
    struct val *list = json_get(meta, STR("finalizers"));
    if (on || !val_is(list, VAL_ARR))
        return;
    for (struct val *f = list->first, *next; f; f = next) {
        next = f->next;
        if (str_is(val_str(f), name))
            val_unlink(list, f);
    }
    if (!list->n)
        json_del(meta, STR("finalizers"));
}

static bool is_definition(const struct schema_kind *k)
{
    return strcmp(k->resource, CRD_RESOURCE) == 0;
}

/* Kinds whose own strategy begins their deletion: it sets the time alone, and looks at what is asked for by itself. */
static bool goes_by_itself(const struct schema_kind *k)
{
    return is_definition(k) || api_is_kind(k, "", "Namespace");
}

static int check_preconditions(struct api_op *op, struct store_object *o)
{
    struct schema_kind kind = *op->kind->storage;
    bool ns = goes_by_itself(op->kind);
    if (ns && op->want_uid.len && !str_eq(op->want_uid, store_object_uid(o)))
        return api_fail_conflict(&op->err, op->arena, &kind, op->name, arena_printf(op->arena, "Precondition failed: UID in precondition: " STR_FMT ", UID in object meta: " STR_FMT,
                                                                                    STR_ARG(op->want_uid), STR_ARG(store_object_uid(o))));
    unsigned long long revision = store_object_revision(o);
    bool other = op->want_version.len && !str_is(op->want_version, arena_printf(op->arena, "%llu", revision));
    if (ns && other)
        return api_fail_conflict(&op->err, op->arena, &kind, op->name, arena_printf(op->arena, "Precondition failed: ResourceVersion in precondition: " STR_FMT
                                                                                    ", ResourceVersion in object meta: %llu", STR_ARG(op->want_version), revision));
    kind.plural = kind.kind;            /* what upstream calls the resource here */
    if (op->want_uid.len && !str_eq(op->want_uid, store_object_uid(o)))
        return api_fail_conflict(&op->err, op->arena, &kind, op->name,
                                 arena_printf(op->arena, "the UID in the precondition (" STR_FMT ") does not match the UID in record (" STR_FMT
                                              "). The object might have been deleted and then recreated",
                                              STR_ARG(op->want_uid), STR_ARG(store_object_uid(o))));
    if (other)
        return api_fail_conflict(&op->err, op->arena, &kind, op->name,
                                 arena_printf(op->arena, "the ResourceVersion in the precondition (" STR_FMT ") does not match the ResourceVersion in record "
                                              "(%llu). The object might have been modified", STR_ARG(op->want_version), revision));
    return 0;
}

/* Which of upstream's two finalizers the deletion asks for: explicit option, then what is set already, then the kind's default. */
static void set_propagation(struct api_op *op, struct val *v)
{
    bool orphan = has_finalizer(v, "orphan"), foreground = has_finalizer(v, "foregroundDeletion");
    if (strcmp(op->kind->kind, "Event") == 0) {         /* nothing depends on one */
        orphan = foreground = false;
    } else if (op->propagation.len) {
        orphan = str_is(op->propagation, "Orphan");
        foreground = str_is(op->propagation, "Foreground");
    } else if (!orphan && !foreground) {
        orphan = op->kind->flags & K_ORPHAN_DEFAULT;
        if (orphan && strcmp(op->kind->kind, "Job") == 0 && op->warn)
            op->warn(op->warn_ctx, "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
                                   "to remove them or set propagationPolicy=Orphan to suppress this warning");
    }
    set_finalizer(op->arena, v, "orphan", orphan);
    set_finalizer(op->arena, v, "foregroundDeletion", foreground);
}

/* Of a definition: its objects go first. crd.c takes the finalizer away when none is left. */
static void begin_removal(struct api_op *op, struct val *v)
{
    char now[CLOCK_TEXT];
    struct arena *a = op->arena;
    struct val *list = json_arr(a, json_obj(a, v, STR("status")), STR("conditions")), *c = NULL;
    clock_format(api_op_now(op), now);
    set_finalizer(a, v, CRD_FINALIZER, true);
    val_each(x, list)
        if (str_is(json_str(x, "type"), "Terminating"))
            c = x;
    if (!c)
        c = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, c, STR("type"), STR("Terminating"));
    if (!str_is(json_str(c, "status"), "True"))
        json_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_of(now)));
    json_set_str(a, c, STR("status"), STR("True"));
    json_set_str(a, c, STR("reason"), STR("InstanceDeletionPending"));
    json_set_str(a, c, STR("message"), STR("CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"));
}

/* How a deletion goes on. PENDING: it began earlier, and as it was asked for now changes nothing. */
enum pace { AT_ONCE, PENDING, GRACEFUL };
struct grace {
    enum pace pace;
    int64_t seconds, ends_ns;
};

/* The first time: from now, as the pod says if nobody else does; where nothing runs there is nothing to wait for. */
static struct grace first_grace(struct api_op *op, const struct val *v, int64_t asked)
{
    struct str phase = json_str(v, "status.phase");
    int64_t s = asked >= 0 ? asked : json_int(v, "spec.terminationGracePeriodSeconds", 30);
    if (!json_str(v, "spec.nodeName").len || str_is(phase, "Failed") || str_is(phase, "Succeeded"))
        s = 0;
    s = s < 0 ? 1 : s;
    return (struct grace){ GRACEFUL, s, api_op_now(op) + s * NS_PER_S };
}

/* Later it may only become shorter, counted from when it began; the end is never in the past, and who asked for some time leaves a second to whoever waits for it. */
static struct grace shorter_grace(struct api_op *op, const struct val *v, int64_t asked)
{
    int64_t was = json_int(v, "metadata.deletionGracePeriodSeconds", 0), ends;
    was = was < 0 ? 1 : was;
    if (!was || !clock_parse(json_str(v, "metadata.deletionTimestamp"), &ends))
        return (struct grace){ .pace = AT_ONCE };
    if (asked < 0 || asked >= was)
        return (struct grace){ .pace = PENDING };
    ends += (asked - was) * NS_PER_S;
    if (ends < api_op_now(op))
        return (struct grace){ GRACEFUL, asked ? 1 : 0, api_op_now(op) };
    return (struct grace){ GRACEFUL, asked, ends };
}

static struct grace grace_of(struct api_op *op, const struct val *v, bool deleting)
{
    if (!(op->kind->flags & K_GRACEFUL))
        return (struct grace){ .pace = AT_ONCE };
    return deleting ? shorter_grace(op, v, op->grace_s) : first_grace(op, v, op->grace_s);
}

static void mark_deleting(struct api_op *op, struct val *v, int64_t ends_ns, int64_t seconds)
{
    char when[CLOCK_TEXT];
    struct val *m = json_obj(op->arena, v, STR("metadata"));
    clock_format(ends_ns, when);
    bool ns = goes_by_itself(op->kind);
    if (!ns && !json_get(m, STR("deletionTimestamp")) && json_get(m, STR("generation")))
        json_set_int(op->arena, m, STR("generation"), json_int(m, "generation", 0) + 1);
    json_set_str(op->arena, m, STR("deletionTimestamp"), arena_str(op->arena, str_of(when)));
    if (!ns)
        json_set_int(op->arena, m, STR("deletionGracePeriodSeconds"), seconds);
}

static bool finalizers_left(const struct api_op *op, const struct val *v)
{
    struct val *list = json_path(v, "metadata.finalizers"), *spec = json_path(v, "spec.finalizers");
    if (val_is(list, VAL_ARR) && list->n)
        return true;
    return strcmp(op->kind->kind, "Namespace") == 0 && val_is(spec, VAL_ARR) && spec->n;
}

static int nothing_changed(struct api_op *op, struct store_object *o)
{
    op->object = o;
    op->json = store_object_json(o);
    op->result_kind = op->kind->storage;
    return api_show(op, op->json);
}

/* Watches see it marked before they see it gone, even when nobody waits between. */
static int mark_and_delete(struct api_op *op, struct val *v, struct store_object *o)
{
    void (*durable)(void *ctx, int rc, const struct kl_err *err) = op->durable;
    op->durable = NULL;                 /* it is the deletion that is waited for */
    int rc = op->dry_run ? 0 : api_commit_put(op, v, o);
    op->durable = durable;
    return rc < 0 ? rc : api_commit_delete(op, v, op->dry_run ? o : op->object);
}

/* What a cluster cannot be without, whoever asks. */
static int check_immortal(struct api_op *op)
{
    static const struct {
        const char *resource, *name, *why;
    } rows[] = {
        { "/namespaces", "default", "this namespace may not be deleted" },
        { "/namespaces", "kube-system", "this namespace may not be deleted" },
        { "/namespaces", "kube-public", "this namespace may not be deleted" },
        { "scheduling.k8s.io/priorityclasses", "system-cluster-critical", "this is a system priority class and cannot be deleted" },
        { "scheduling.k8s.io/priorityclasses", "system-node-critical", "this is a system priority class and cannot be deleted" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_is(op->name, rows[i].name) || strcmp(op->kind->storage->resource, rows[i].resource) != 0)
            continue;
        api_fail(&op->err, op->arena, KL_FORBIDDEN, "%s \"%s\" is forbidden: %s", api_resource_text(op->arena, op->kind), rows[i].name, rows[i].why);
        op->err.name = rows[i].name;
        op->err.group = op->kind->group;
        op->err.kind = op->kind->plural;
        return -KL_FORBIDDEN;
    }
    return 0;
}

int api_op_delete(struct api_op *op)
{
    if (check_immortal(op) < 0)
        return -op->err.code;
    if (!(op->kind->flags & K_NAMESPACED))
        op->ns = STR("");
    struct store_object *o = store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name);
    if (!o)
        return api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    struct val *none = NULL, *v = api_tree(op->arena, o, &op->err);
    if (!v || check_preconditions(op, o) < 0)
        return -op->err.code;
    if (api_admit(op, true, "delete", &none, o) < 0 || api_admit(op, false, "delete", &none, o) < 0)
        return -op->err.code;
    if (op->ask_only)
        return 0;
    op->as_stored = op->kind->flags & K_CUSTOM;         /* whoever converts it may be gone already */
    bool deleting = json_path(v, "metadata.deletionTimestamp") != NULL;
    struct grace grace = grace_of(op, v, deleting);
    if (grace.pace == PENDING)
        return nothing_changed(op, o);
    if (is_definition(op->kind) && !deleting)
        begin_removal(op, v);
    else
        set_propagation(op, v);
    if (strcmp(op->kind->kind, "Namespace") == 0 && !op->kind->group[0])
        json_set_str(op->arena, json_obj(op->arena, v, STR("status")), STR("phase"), STR("Terminating"));
    if (grace.pace == GRACEFUL)
        mark_deleting(op, v, grace.ends_ns, grace.seconds);
    if (!finalizers_left(op, v) && !grace.seconds)
        return grace.pace == GRACEFUL ? mark_and_delete(op, v, o) : api_commit_delete(op, v, o);
    if (grace.pace == AT_ONCE && deleting && !op->propagation.len)
        return nothing_changed(op, o);
    if (grace.pace == AT_ONCE && !deleting)
        mark_deleting(op, v, api_op_now(op), 0);
    return api_commit_put(op, v, o);
}
