/* apply.c - server-side apply: PATCH with a configuration. The merge itself is kernel/object/managed_apply.c; here is what is around it: the live
 * object, kubectl's own annotation from the days of client-side apply, and the way into create and update. */
#include "api-internal.h"
#include "object/managed.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define MOST_ANNOTATIONS (256u << 10)

struct apply {
    struct api_op *op;
    struct managed_write write;
    struct merge_type bare;
    const struct val *config;
    struct val *live;                   /* as it is encoded, without managedFields */
    const struct val *list;             /* the live object's managedFields */
    bool exists;
};

/* "default/web; apps/v1, Kind=Deployment" */
static const char *whom(struct api_op *op, const struct val *config)
{
    struct str ns = json_str(config, "metadata.namespace"), name = json_str(config, "metadata.name");
    return arena_printf(op->arena, STR_FMT "/" STR_FMT "; %s/%s, Kind=%s", STR_ARG(ns), STR_ARG(name), op->kind->group, op->kind->version, op->kind->kind);
}

static int check_config(struct apply *x)
{
    struct api_op *op = x->op;
    struct str version = json_str(x->config, "apiVersion"), group = STR(""), kind = json_str(x->config, "kind");
    bool same = str_is(version, api_group_version(op->arena, op->kind)) && str_is(kind, op->kind->kind);
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    if (!same)
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "invalid object type: " STR_FMT "/" STR_FMT ", Kind=" STR_FMT, STR_ARG(group),
                        STR_ARG(version), STR_ARG(kind));
    if (json_path(x->config, "metadata.managedFields"))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "metadata.managedFields must be nil");
    const char *why = merge_check(op->arena, &x->bare, x->config, false);
    if (why)                            /* upstream answers 500, as if it were the server's fault */
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "failed to create typed patch object (%s): %s", whom(op, x->config), why);
    return 0;
}

static int load_live(struct apply *x, const struct val *old_tree)
{
    struct api_op *op = x->op;
    x->list = json_path(old_tree, "metadata.managedFields");
    x->live = object_encoded(op->arena, op->kind->type, old_tree);
    if (!x->live)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    json_del(json_get(x->live, STR("metadata")), STR("managedFields"));
    return 0;
}

/* The live object itself may be one whose fields nobody can own: then nobody may apply to it. */
static int check_live(const struct apply *x, const struct val *old_tree)
{
    struct api_op *op = x->op;
    const char *why = old_tree && api_cannot_be_tracked(op, old_tree) ? merge_check(op->arena, &x->write.type, old_tree, true) : NULL;
    if (!why)
        return 0;
    api_fail(&op->err, op->arena, KL_INTERNAL, "failed to create manager for existing fields: failed to convert new object (" STR_FMT "/%s) to smd typed: %s",
             STR_ARG(json_str(old_tree, "metadata.namespace")), strchr(whom(op, old_tree), '/') + 1, why);
    op->err.reason = NULL;              /* upstream's 500 has none */
    return -KL_INTERNAL;
}

static int load_managed(struct apply *x, struct managed *m)
{
    struct kl_err err;
    kl_err_init(&err);
    if (managed_decode(x->op->arena, x->list, m, &err) < 0)
        return api_fail(&x->op->err, x->op->arena, KL_INTERNAL, "failed to decode managed fields: %s", err.msg);
    if (m->first || !x->exists)
        return 0;
    struct managed_write before = x->write;     /* nobody knows who wrote it so far */
    before.manager = STR("before-first-apply");
    before.type.bare = true;
    struct val *empty = object_encoded(x->op->arena, x->op->kind->type, NULL);
    if (!empty)
        return api_fail(&x->op->err, x->op->arena, KL_NO_MEMORY, "out of memory");
    managed_update(&before, m, x->op->kind->flags & K_CUSTOM ? NULL : empty, x->live);
    return 0;
}

/* --- kubectl's annotation --- */

static bool by_kubectl(const struct apply *x)
{
    return str_is(x->write.manager, "kubectl");
}

/* What kubectl applied from the client's side and nobody has changed since: it may take that without force. */
static const struct fields *allowed(const struct apply *x)
{
    struct arena *a = x->op->arena;
    const struct fields *changed, *removed;
    struct str text = val_str(json_get(json_path(x->live, "metadata.annotations"), STR(LAST_APPLIED)));
    struct val *last = text.len ? json_parse(a, text, NULL) : NULL;
    if (!val_is(last, VAL_OBJ) || !str_eq(json_str(last, "apiVersion"), x->write.api_version) || merge_check(a, &x->bare, last, false))
        return NULL;
    fields_compare(a, &x->bare, last, x->live, &changed, &removed);
    return fields_minus(a, fields_minus(a, fields_of(a, &x->bare, last), changed), removed);
}

/* False: conflicts are left. */
static bool forgive(const struct apply *x, struct managed_conflicts *c)
{
    const struct fields *free_to_take = allowed(x);
    unsigned n = 0;
    for (unsigned i = 0; i < c->n; i++) {
        c->at[i].set = fields_minus(x->op->arena, c->at[i].set, free_to_take);
        if (c->at[i].set)
            c->at[n++] = c->at[i];
    }
    c->n = n;
    return n == 0;
}

static void sort_members(struct arena *a, struct val *v)
{
    if (v->type < VAL_ARR)
        return;
    val_each(m, v)
        sort_members(a, m);
    if (v->type == VAL_OBJ)
        json_sort(a, v);
}

static size_t annotations_size(const struct val *annotations)
{
    size_t n = 0;
    val_each(m, annotations)
        n += m->key_len + val_str(m).len;
    return n;
}

/* Clients that still look at the annotation find what was applied. */
static void renew_annotation(const struct apply *x, struct val *v)
{
    struct arena *a = x->op->arena;
    struct val *annotations = json_path(v, "metadata.annotations");
    if (!by_kubectl(x) || !val_str(json_get(annotations, STR(LAST_APPLIED))).len)
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct val *config = val_copy(a, x->config), *own = json_path(config, "metadata.annotations");
    if (own)
        json_del(own, STR(LAST_APPLIED));
    if (val_is(own, VAL_OBJ) && !own->n)
        json_del(json_get(config, STR("metadata")), STR("annotations"));
    sort_members(a, config);
    json_write(&b, config);
    buf_add_c(&b, '\n');
    json_set_str(a, annotations, STR(LAST_APPLIED), arena_str(a, buf_str(&b)));
    if (annotations_size(annotations) > MOST_ANNOTATIONS)
        json_del(annotations, STR(LAST_APPLIED));
}

/* --- apply --- */

static int conflict(struct apply *x, const struct managed_conflicts *c)
{
    struct api_op *op = x->op;
    struct object_causes causes = { .arena = op->arena };
    const char *text = managed_conflict_text(op->arena, c, &causes);
    api_fail(&op->err, op->arena, KL_CONFLICT, "conflict");
    op->err.message = text;
    op->err.causes = causes.at;
    op->err.n_causes = causes.n;
    return -KL_CONFLICT;
}

static int merge(struct apply *x, struct val **ret)
{
    struct api_op *op = x->op;
    struct managed m;
    struct managed_conflicts c;
    if (load_managed(x, &m) < 0)
        return -op->err.code;
    int rc = managed_apply(&x->write, &m, x->live, x->config, op->force, ret, &c);
    if (op->err.code)                   /* another version's fields are not known, or not yet */
        return -op->err.code;
    if (rc == -KL_CONFLICT && by_kubectl(x) && forgive(x, &c)) {
        if (load_managed(x, &m) < 0)
            return -op->err.code;
        rc = managed_apply(&x->write, &m, x->live, x->config, true, ret, &c);
        if (op->err.code)
            return -op->err.code;
    }
    if (rc == -KL_CONFLICT)
        return conflict(x, &c);
    if (rc < 0)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    *ret = val_copy(op->arena, *ret);
    renew_annotation(x, *ret);
    struct val *list = managed_encode(op->arena, &m), *meta = json_obj(op->arena, *ret, STR("metadata"));
    if (list)
        json_set(op->arena, meta, STR("managedFields"), list);
    return 0;
}

static int conform(struct api_op *op, const struct val *config, struct val *v)
{
    struct kl_err err;
    kl_err_init(&err);
    json_set_str(op->arena, v, STR("apiVersion"), str_of(api_group_version(op->arena, op->kind)));
    json_set_str(op->arena, v, STR("kind"), str_of(op->kind->kind));
    if (object_conform(op->arena, op->kind->type, v, NULL, &err) < 0)
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "failed to convert new object (%s) to proper version: unable to convert unstructured object to "
                        "%s/%s, Kind=%s: %s", whom(op, config), op->kind->group, op->kind->version, op->kind->kind, err.msg);
    return arena_exhausted(op->arena) ? api_fail(&op->err, op->arena, KL_TOO_LARGE, "the request needs more memory than one request may use") : 0;
}

/* What is stored in another version is converted on the way: what is wrong is said of the version that was sent. */
static int check_version(struct api_op *op, const struct val *config)
{
    return api_converts(op->kind) ? conform(op, config, val_copy(op->arena, config)) : 0;
}

int api_apply_merge(struct api_op *op, const struct val *config, const struct val *old_tree, struct val **ret)
{
    struct apply x = { .op = op, .config = config, .exists = old_tree != NULL };
    if (!val_is(config, VAL_OBJ))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "error decoding YAML: a configuration is an object");
    api_managed_write(op, &x.write);
    x.bare = x.write.type;
    x.bare.bare = true;
    if (check_live(&x, old_tree) < 0 || check_config(&x) < 0 || check_version(op, config) < 0 || load_live(&x, old_tree) < 0 || merge(&x, ret) < 0)
        return -op->err.code;
    op->applies = true;
    return conform(op, config, *ret);
}

int api_apply_create(struct api_op *op, const struct val *config)
{
    struct val *v;
    struct str uid = json_str(config, "metadata.uid"), name = json_str(config, "metadata.name");
    if (op->subresource)
        return api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    if (api_apply_merge(op, config, NULL, &v) < 0)
        return -op->err.code;
    api_warn_twice(op, op->twice);
    if (uid.len)
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name,
                                 arena_printf(op->arena, "uid mismatch: the provided object specified uid " STR_FMT ", and no existing object was found",
                                              STR_ARG(uid)));
    if (name.len && !str_eq(name, op->name))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the name of the object (" STR_FMT ") does not match the name on the URL (" STR_FMT ")",
                        STR_ARG(name), STR_ARG(op->name));
    json_set_str(op->arena, json_obj(op->arena, v, STR("metadata")), STR("name"), op->name);
    return api_op_create(op, v);
}
