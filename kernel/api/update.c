/* update.c - PUT and PATCH: the new tree beside the old one, through the same gate. A write that changes nothing keeps the
 * revision and makes no event. */
#include "api-internal.h"
#include "object/custom.h"

#include <stdlib.h>

#define MODIFIED "the object has been modified; please apply your changes to the latest version and try again"

static int need_name(struct api_op *op, const struct val *v)
{
    return json_str(v, "metadata.name").len ? 0 : api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the name of the object (" STR_FMT
           " based on URL) was undeterminable: name must be provided", STR_ARG(op->name));
}

static int check_names(struct api_op *op, struct val *v)
{
    struct str name = json_str(v, "metadata.name");
    if (name.len && !str_eq(name, op->name))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the name of the object (" STR_FMT ") does not match the name on the URL ("
                        STR_FMT ")", STR_ARG(name), STR_ARG(op->name));
    return api_fit_namespace(op, v);
}

int api_check_named(struct api_op *op, struct val *v)
{
    return need_name(op, v) < 0 || check_names(op, v) < 0 ? -op->err.code : 0;
}

static int check_revision(struct api_op *op, const struct val *v, struct store_object *old, bool unconditional)
{
    struct str rv = json_str(v, "metadata.resourceVersion");
    struct api_error why;
    uint64_t n;
    if (api_parse_version(op->arena, rv, &n, &why) < 0) {
        api_fail(&op->err, op->arena, KL_INTERNAL, "%s", strstr(why.message, "strconv."));
        op->err.reason = NULL;          /* upstream's 500 has none */
        return -KL_INTERNAL;
    }
    if (!n && !unconditional) {
        struct object_causes c = { .arena = op->arena };
        object_cause_add(&c, "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update");
        struct schema_kind resource = *op->kind;        /* upstream tells of the resource here, not of the kind */
        resource.kind = op->kind->plural;
        return api_fail_invalid(&op->err, op->arena, &resource, op->name, &c);
    }
    if (n && n != store_object_revision(old))
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name, MODIFIED);
    return 0;
}

/* Where upstream keeps objects of the kind: below the resource's name mostly. */
static const char *storage_key(struct api_op *op)
{
    static const struct {
        const char *group, *plural, *key;
    } rows[] = { { "", "replicationcontrollers", "controllers" }, { "", "services", "services/specs" }, { "", "endpoints", "services/endpoints" }, { "", "nodes", "minions" },
                 { "networking.k8s.io", "ingresses", "ingress" }, { "apiextensions.k8s.io", NULL, NULL }, { "apiregistration.k8s.io", NULL, NULL } };
    const struct schema_kind *k = op->kind;
    const char *key = k->flags & K_CUSTOM ? NULL : k->plural;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].group, k->group) == 0 && (!rows[i].plural || strcmp(rows[i].plural, k->plural) == 0))
            key = rows[i].key;
    return key ? key : arena_printf(op->arena, "%s/%s", k->group, k->plural);
}

int api_check_uid(struct api_op *op, const struct val *v, struct store_object *old)
{
    struct str uid = json_str(v, "metadata.uid"), is = old ? store_object_uid(old) : STR("");
    if (!uid.len || str_eq(uid, is))
        return 0;
    const char *key = arena_printf(op->arena, "%s/%s/" STR_FMT "%s" STR_FMT, op->dry_run ? "" : "/registry", storage_key(op), STR_ARG(op->ns), op->ns.len ? "/" : "",
                                   STR_ARG(op->name));
    return api_fail_conflict(&op->err, op->arena, op->kind, op->name,
                             arena_printf(op->arena, "StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: "
                                          "Precondition failed: UID in precondition: " STR_FMT ", UID in object meta: " STR_FMT,
                                          key ? key : "", STR_ARG(uid), STR_ARG(is)));
}

int api_check_identity(struct api_op *op, struct val *v, struct store_object *old)
{
    bool other = check_names(op, v) < 0 || api_check_uid(op, v, old) < 0 || check_revision(op, v, old, op->kind->flags & K_UNCONDITIONAL_UPDATE) < 0;
    return other ? -op->err.code : 0;
}

static bool gone_now(const struct val *v)
{
    struct val *finalizers = json_path(v, "metadata.finalizers"), *spec = json_path(v, "spec.finalizers");
    if (!json_path(v, "metadata.deletionTimestamp") || (val_is(finalizers, VAL_ARR) && finalizers->n))
        return false;
    if (str_is(json_str(v, "kind"), "Namespace") && val_is(spec, VAL_ARR) && spec->n)
        return false;
    return json_int(v, "metadata.deletionGracePeriodSeconds", 0) == 0;
}

int api_update_tree(struct api_op *op, struct store_object *old, struct val *old_tree, struct val *v)
{
    bool whole = !op->scales || !(op->kind->flags & K_CUSTOM);     /* a Scale brings a number alone to what was stored, in whichever version */
    if (whole && object_default(op->arena, op->kind, v) < 0)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    object_trim(op->kind->type, v);     /* as the old one is */
    api_convert_input(op, v);
    if (!op->applies)
        api_track_update(op, v, old_tree);
    if (op->err.code)                   /* other versions' fields wait for their conversion */
        return -op->err.code;
    /* What may still be changed is seen as it came; who judges sees what would be stored. */
    if (api_admit(op, true, "update", &v, old) < 0 || api_prepare_update(op, v, old_tree) < 0)
        return -op->err.code;
    struct val *meta = json_obj(op->arena, v, STR("metadata"));
    if (!json_get(meta, STR("resourceVersion")))
        json_set_str(op->arena, meta, STR("resourceVersion"), json_str(old_tree, "metadata.resourceVersion"));
    if (api_validate(op, v, old_tree) < 0 || api_admit(op, false, "update", &v, old) < 0)
        return -op->err.code;
    if (strcmp(op->kind->plural, "services") == 0 && !op->kind->group[0] && api_service_allocate(op, v, old_tree) < 0)
        return -op->err.code;
    if (gone_now(v))
        return api_commit_emptied(op, v, old);
    return api_commit_changed(op, v, old);
}

/* ret_shown (may be NULL): the object as it is read, with what is null: that can be replaced, copied, tested. */
static struct val *old_tree_of(struct api_op *op, struct store_object *old, struct val **ret_shown)
{
    struct api_asker q = api_op_asker(op);
    struct val *v = api_stored_tree(&q, op->kind, old);
    struct str text = store_object_json(old);
    struct kl_err err;
    kl_err_init(&err);
    if (ret_shown)
        *ret_shown = v;
    if (!v || op->kind->flags & K_CUSTOM || !memmem(text.at, text.len, "null", 4))
        return v;
    if (ret_shown && !(*ret_shown = val_copy(op->arena, v)))
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory"), NULL;
    /* Some members are written as null where they are not there; what is compared with it has none of them. */
    return object_conform(op->arena, op->kind->type, v, NULL, &err) < 0 ? (api_fail_err(&op->err, op->arena, &err), NULL) : v;
}

int api_op_update(struct api_op *op, struct val *v)
{
    if (!(op->kind->flags & K_NAMESPACED))
        op->ns = STR("");
    bool handled = false;
    if (op->subresource && strcmp(op->subresource, "status") != 0) {
        int rc = api_op_subresource(op, "update", 0, v, &handled);
        if (handled)
            return rc;
    }
    if (api_check_named(op, v) < 0)
        return -op->err.code;
    struct store_object *old = store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name);
    if (!old && op->kind->flags & K_CREATE_ON_UPDATE && !op->subresource)
        return api_check_uid(op, v, NULL) < 0 ? -op->err.code : api_op_create(op, v);
    if (!old)
        return api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    if (api_check_uid(op, v, old) < 0 || check_revision(op, v, old, op->kind->flags & K_UNCONDITIONAL_UPDATE) < 0)
        return -op->err.code;
    struct val *old_tree = old_tree_of(op, old, NULL);
    return old_tree ? api_update_tree(op, old, old_tree, v) : -op->err.code;
}

static struct val *apply(struct api_op *op, int type, const struct val *old, const struct val *patch, struct kl_err *err)
{
    switch (type) {
    case KL_PATCH_JSON: return object_patch_json(op->arena, old, patch, err);
    case KL_PATCH_MERGE: return object_patch_merge(op->arena, old, patch, err);
    default: return object_patch_strategic(op->arena, op->kind->type, old, patch, err);
    }
}

/* The patch went well, what came out did not: it is shown as it was made; of a strategic patch, the patch. */
static int fail_patched(struct api_op *op, int type, const struct val *old, const struct val *patch, const char *why)
{
    if (type == KL_PATCH_STRATEGIC)
        return api_fail_strategic(&op->err, op->arena, patch, why);
    return api_fail_patched(&op->err, op->arena, apply(op, type, old, patch, NULL), patch, why);
}

/* "core", "apps", "networking": what upstream calls the package of a group's types. */
static const char *package(struct api_op *op, const char *group)
{
    return group[0] ? arena_printf(op->arena, "%.*s", (int)strcspn(group, "."), group) : "core";
}

/* Custom resources are held to what the patch says they are. */
static int check_custom_kind(struct api_op *op, struct val *v, int type, const struct val *old, const struct val *patch)
{
    const struct schema_kind *k = op->kind;
    const char *gv = api_group_version(op->arena, k);
    struct str kind = json_str(v, "kind"), version = json_str(v, "apiVersion"), of = version, group = STR("");
    struct object_causes c = { .arena = op->arena };
    if (str_is(kind, k->kind) && str_is(version, gv))
        return 0;
    if (!kind.len) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        json_write(&b, v);
        return fail_patched(op, type, old, patch, arena_printf(op->arena, "Object 'Kind' is missing in '%s'", buf_str(&b).at));
    }
    if (!version.len)
        return api_fail(&op->err, op->arena, KL_INTERNAL, "Internal error occurred: Object 'apiVersion' is missing in 'object has no apiVersion field'");
    if (str_find(version, '/') >= 0)
        group = str_cut(&of, '/');
    struct schema_kind said = *k;
    said.kind = arena_dup(op->arena, kind);
    said.group = arena_dup(op->arena, group);
    if (!str_is(version, gv))
        object_cause_add(&c, "FieldValueInvalid", "apiVersion", "Invalid value: \"" STR_FMT "\": must be %s", STR_ARG(version), gv);
    if (!str_is(kind, k->kind))
        object_cause_add(&c, "FieldValueInvalid", "kind", "Invalid value: \"" STR_FMT "\": must be %s", STR_ARG(kind), k->kind);
    return api_fail_invalid(&op->err, op->arena, &said, op->name, &c);
}

/* Without a version it is what upstream has in memory, whose members have other names: nothing of it is known, and it has no name. */
static int no_version(struct api_op *op, struct val *v)
{
    for (const struct val *m = v->first; m && op->field_validation == VALIDATE_WARN && op->warn; m = m->next)
        if (!str_is(val_key(m), "kind"))
            op->warn(op->warn_ctx, arena_printf(op->arena, "unknown field \"" STR_FMT "\"", STR_ARG(val_key(m))));
    json_del(v, STR("metadata"));
    return need_name(op, v);
}

/* A patch may not make it another kind; a strategic one does not even try. */
static int check_kind(struct api_op *op, struct val *v, int type, const struct val *old, const struct val *patch)
{
    const struct schema_kind *k = op->kind;
    const char *gv = api_group_version(op->arena, k);
    struct str kind = json_str(v, "kind"), version = json_str(v, "apiVersion");
    if (str_is(kind, k->kind) && str_is(version, gv))
        return 0;
    if (k->flags & K_CUSTOM)
        return check_custom_kind(op, v, type, old, patch);
    if (type == KL_PATCH_STRATEGIC || (!kind.len && str_is(version, gv))) {
        json_set_str(op->arena, v, STR("kind"), str_of(k->kind));
        json_set_str(op->arena, v, STR("apiVersion"), str_of(gv));
        return 0;
    }
    if (!version.len)
        return no_version(op, v);
    struct str group = STR(""), of = version;
    if (str_find(of, '/') >= 0)
        group = str_cut(&of, '/');
    const char *why = schema_kind_find(group, of, kind)
        ? arena_printf(op->arena, "converting (" STR_FMT "." STR_FMT ") to (%s.%s): unknown conversion", STR_ARG(of), STR_ARG(kind), package(op, k->group), k->kind)
        : arena_printf(op->arena, "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
                       STR_ARG(kind), STR_ARG(version));
    return fail_patched(op, type, old, patch, why);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What upstream's converter takes though a decoder does not, or why it does not take it either. */
static int conform_anew(struct api_op *op, struct val **v, const struct val *old, const struct val *patch, struct object_strict *strict, const char *why)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *again = apply(op, KL_PATCH_STRATEGIC, old, patch, &err);
    const char *fault = again ? object_restore(op->arena, op->kind->type, again) : why;
    strict->n = 0;
    if (fault || object_conform(op->arena, op->kind->type, again, strict, &err) < 0)
        return fail_patched(op, KL_PATCH_STRATEGIC, old, patch, fault ? fault : why);
    *v = again;
    return 0;
}

/* *v: what the patch made of old. */
static int conform(struct api_op *op, struct val **v, int type, const struct val *old, const struct val *patch)
{
    struct kl_err err;
    kl_err_init(&err);
    struct object_strict strict = { .arena = op->arena }, all = op->strict;
    if (check_kind(op, *v, type, old, patch) < 0)
        return -op->err.code;
    if (object_conform(op->arena, op->kind->type, *v, &strict, &err) < 0) {
        const char *why = arena_printf(op->arena, "%s", err.msg);
        if (type != KL_PATCH_STRATEGIC)
            return fail_patched(op, type, old, patch, why);
        if (conform_anew(op, v, old, patch, &strict, why) < 0)
            return -op->err.code;
    }
    if (op->kind->flags & K_CUSTOM)
        custom_strict_order(&strict);
    if (type == KL_PATCH_STRATEGIC && strict.n)
        qsort(strict.at, strict.n, sizeof *strict.at, by_text);
    all.arena = op->arena;
    for (unsigned i = 0; i < strict.n; i++)
        strict_say(&all, strict.at[i]);
    if (all.n && op->field_validation == VALIDATE_STRICT)
        return fail_patched(op, type, old, patch, arena_printf(op->arena, "strict decoding error: %s", api_strict_text(op->arena, &all)));
    for (unsigned i = 0; i < all.n && op->field_validation == VALIDATE_WARN && op->warn; i++)
        op->warn(op->warn_ctx, all.at[i]);
    return 0;
}

int api_op_patch(struct api_op *op, int type, const struct val *patch)
{
    struct kl_err err;
    kl_err_init(&err);
    if (!(op->kind->flags & K_NAMESPACED))
        op->ns = STR("");
    bool handled = false;
    if (op->subresource && strcmp(op->subresource, "status") != 0) {
        int rc = api_op_subresource(op, "patch", type, (struct val *)patch, &handled);
        if (handled)
            return rc;
    }
    struct store_object *old = store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name);
    if (!old && type == API_PATCH_APPLY)
        return api_apply_create(op, patch);
    if (!old)
        return api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    struct val *shown = NULL, *old_tree = old_tree_of(op, old, type == KL_PATCH_JSON ? &shown : NULL), *v = NULL;
    if (!old_tree)
        return -op->err.code;
    if (!shown)
        shown = old_tree;
    if (type == API_PATCH_APPLY && api_apply_merge(op, patch, old_tree, &v) < 0)
        return -op->err.code;
    api_warn_twice(op, op->twice);
    if (!v)
        v = apply(op, type, shown, patch, &err);
    if (!v)
        return api_fail_patch(&op->err, op->arena, &err);
    bool applies = type == API_PATCH_APPLY;
    if ((!applies && (conform(op, &v, type, shown, patch) < 0 || need_name(op, v) < 0)) || check_names(op, v) < 0 || api_check_uid(op, v, old) < 0 ||
        check_revision(op, v, old, applies || op->kind->flags & K_UNCONDITIONAL_UPDATE) < 0)
        return -op->err.code;
    return api_update_tree(op, old, old_tree, v);
}
