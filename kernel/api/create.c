/* create.c - a new object: name, metadata, admission, validation, commit. */
#include "api-internal.h"

#include "base/clock.h"
#include "base/env.h"
#include "base/json_scan.h"
#include "object/custom.h"

/* The object's namespace is the request's; many a manifest gives one to what has none. */
int api_fit_namespace(struct api_op *op, struct val *v)
{
    struct str ns = json_str(v, "metadata.namespace");
    if (!(op->kind->flags & K_NAMESPACED)) {
        if (ns.len)
            json_del(json_get(v, STR("metadata")), STR("namespace"));
        return 0;
    }
    if (ns.len && !str_eq(ns, op->ns))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST,
                        "the namespace of the provided object does not match the namespace sent on the request");
    if (!ns.len)
        json_set_str(op->arena, json_obj(op->arena, v, STR("metadata")), STR("namespace"), op->ns);
    return 0;
}

/* Creation needs a namespace that is there and not going. */
static int namespace_open(struct api_op *op, const struct val *v)
{
    if (!(op->kind->flags & K_NAMESPACED))
        return 0;
    const struct schema_kind *nk = schema_resource_find(STR(""), STR("v1"), STR("namespaces"));
    struct store_object *o = store_head(op->api->store, str_of(nk->resource), STR(""), op->ns);
    if (!o)
        return api_fail_not_found(&op->err, op->arena, nk, op->ns);
    if (!json_scan_path(store_object_json(o), "metadata.deletionTimestamp").at)
        return 0;
    struct object_cause *cause = arena_alloc(op->arena, sizeof *cause);
    api_fail(&op->err, op->arena, KL_FORBIDDEN, "%s \"" STR_FMT "\" is forbidden: unable to create new content in namespace "
             STR_FMT " because it is being terminated", api_resource_text(op->arena, op->kind), STR_ARG(api_shown_name(op, v)), STR_ARG(op->ns));
    op->err.name = arena_dup(op->arena, api_shown_name(op, v));
    op->err.group = op->kind->group;
    op->err.kind = op->kind->plural;
    if (cause) {
        *cause = (struct object_cause){ "NamespaceTerminating", "metadata.namespace",
                                        arena_printf(op->arena, "namespace " STR_FMT " is being terminated", STR_ARG(op->ns)) };
        op->err.causes = cause;
        op->err.n_causes = 1;
    }
    return -KL_FORBIDDEN;
}

static void random_suffix(char ret[6])
{
    static const char safe[] = "bcdfghjklmnpqrstvwxz2456789";
    unsigned char r[5];
    env_random(r, sizeof r);
    for (int i = 0; i < 5; i++)
        ret[i] = safe[r[i] % (sizeof safe - 1)];
    ret[5] = '\0';
}

static bool taken(struct api_op *op)
{
    return store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name) != NULL;
}

/* Whoever wants a name to be generated is told to try again, though he gave one too. */
static int name_taken(struct api_op *op, const struct val *v)
{
    api_fail_exists(&op->err, op->arena, op->kind, op->name);
    if (json_str(v, "metadata.generateName").len) {
        op->err.message = arena_printf(op->arena, "%s, the server was not able to generate a unique name for the object", op->err.message);
        op->err.retry_after = 1;
    }
    return -KL_ALREADY_EXISTS;
}

static int generate_name(struct api_op *op, struct val *v)
{
    struct str base = json_str(v, "metadata.generateName"), name = json_str(v, "metadata.name");
    char suffix[6];
    op->name = name;
    if (name.len || !base.len)
        return 0;
    if (base.len > 58)
        base.len = 58;
    for (int i = 0; i < 8; i++) {
        random_suffix(suffix);
        if (i == 0 && op->kept && op->kept->suffix[0])
            memcpy(suffix, op->kept->suffix, sizeof suffix);
        op->name = str_of(arena_printf(op->arena, STR_FMT "%s", STR_ARG(base), suffix));
        if (taken(op))
            continue;
        json_set_str(op->arena, json_obj(op->arena, v, STR("metadata")), STR("name"), op->name);
        if (op->kept)
            memcpy(op->kept->suffix, suffix, sizeof suffix);
        return 0;
    }
    return name_taken(op, v);
}

static void wipe_metadata(struct api_op *op, struct val *v)
{
    static const char *const wiped[] = { "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "uid", "creationTimestamp" };
    struct val *m = json_obj(op->arena, v, STR("metadata"));
    for (size_t i = 0; i < sizeof wiped / sizeof *wiped; i++)
        json_del(m, str_of(wiped[i]));
}

/* An object that comes with a version: the storage refuses it upstream, behind all who may have something to say, unless nothing is to be stored. */
static bool has_version(const struct api_op *op, struct val *v)
{
    int64_t version = 0;
    return !op->dry_run && str_int(json_str(v, "metadata.resourceVersion"), &version) && version > 0;
}

static int refuse_version(struct api_op *op)
{
    api_fail(&op->err, op->arena, KL_INTERNAL, "resourceVersion should not be set on objects to be created");
    op->err.reason = NULL; /* upstream's 500 has none */
    return -KL_INTERNAL;
}

/* Nobody says a new object's status but, of a custom kind, its default. */
static int begin_status(struct api_op *op, struct val *v)
{
    json_del(v, STR("status"));
    const struct val *schema = op->kind->flags & K_CUSTOM ? custom_schema_tree(op->kind->type->custom) : NULL;
    if (json_path(schema, "properties.status.default") && object_default(op->arena, op->kind, v) < 0)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    return 0;
}

static int fill_metadata(struct api_op *op, struct val *v)
{
    struct arena *a = op->arena;
    struct val *m = json_obj(a, v, STR("metadata"));
    char drawn[37] = "", when[CLOCK_TEXT], *uid = op->kept ? op->kept->uid : drawn;
    if (!uid[0])
        api_new_uid(uid);
    clock_format(api_op_now(op), when);
    json_set_str(a, m, STR("uid"), arena_str(a, str_of(uid)));
    json_set_str(a, m, STR("creationTimestamp"), arena_str(a, str_of(when)));
    if (op->kind->flags & K_GENERATION)
        json_set_int(a, m, STR("generation"), 1);
    bool node = !op->kind->group[0] && strcmp(op->kind->kind, "Node") == 0;            /* it says at once what it has */
    return op->kind->flags & K_STATUS && !node ? begin_status(op, v) : 0;
}

static int check_absent(struct api_op *op, const struct val *new)
{
    struct store_object *there = store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name);
    if (!there)
        return 0;
    struct val *v = api_tree(op->arena, there, &op->err);
    name_taken(op, new);
    if (json_path(v, "metadata.deletionTimestamp"))
        op->err.message = arena_printf(op->arena, "object is being deleted: %s", op->err.message);
    return -KL_ALREADY_EXISTS;
}

/* A Binding is no object: it is admitted under its own name, and then what it says is done to the pod. */
static int create_binding(struct api_op *op, struct val *v)
{
    bool handled;
    if (api_fit_namespace(op, v) < 0 || api_admit(op, true, "create", &v, NULL) < 0 || api_admit(op, false, "create", &v, NULL) < 0)
        return -op->err.code;
    op->kind = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    op->name = json_str(v, "metadata.name");
    op->subresource = "binding";
    op->admitted = true;
    return api_op_subresource(op, "create", 0, v, &handled);
}

int api_op_create(struct api_op *op, struct val *v)
{
    bool handled = false;
    if (op->subresource) {
        int rc = api_op_subresource(op, "create", 0, v, &handled);
        return handled ? rc : api_fail_method(&op->err, op->arena);
    }
    if (api_is_kind(op->kind, "", "Binding"))
        return create_binding(op, v);
    if (!(op->kind->flags & K_NAMESPACED))
        op->ns = STR("");
    if (op->kind->flags & K_TERMINATING)
        return api_fail(&op->err, op->arena, KL_METHOD_NOT_ALLOWED, "create not allowed while custom resource definition is terminating");
    op->name = json_str(v, "metadata.name");
    if (api_fit_namespace(op, v) < 0 || namespace_open(op, v) < 0)
        return -op->err.code;
    if (object_default(op->arena, op->kind, v) < 0)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    /* What the server gives an object is not there yet when it may still be changed. */
    wipe_metadata(op, v);
    api_convert_input(op, v);
    if (!op->applies) {
        api_prepare_tracked(op, v);
        api_track_create(op, v);
    }
    if (op->err.code)
        return -op->err.code;
    if (api_admit(op, true, "create", &v, NULL) < 0)
        return -op->err.code;
    if (api_fit_namespace(op, v) < 0 || generate_name(op, v) < 0 || fill_metadata(op, v) < 0)
        return -op->err.code;
    if (api_prepare_create(op, v) < 0 || api_validate(op, v, NULL) < 0 || api_admit(op, false, "create", &v, NULL) < 0)
        return -op->err.code;
    if (has_version(op, v) ? refuse_version(op) < 0 : check_absent(op, v) < 0)   /* storage's own faults come last */
        return -op->err.code;
    if (strcmp(op->kind->plural, "services") == 0 && !op->kind->group[0] && api_service_allocate(op, v, NULL) < 0)
        return -op->err.code;
    op->created = true;
    return api_commit_put(op, v, NULL);
}
