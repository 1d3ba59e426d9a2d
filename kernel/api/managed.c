/* managed.c - metadata.managedFields of what is written: whose fields they are now. What the kinds' endpoints do not write is in the rows. */
#include "api-internal.h"
#include "base/clock.h"
#include "crd.h"
#include "object/managed.h"

/* --- what an endpoint does not write, as upstream's strategies reset it --- */

struct reset_row {
    const char *group, *kind, *sub;
    const char *paths;                  /* separated by spaces */
    bool only;                          /* all but these */
};

static const struct reset_row rows[] = {
    { "", "Pod", "status", "spec metadata.deletionTimestamp metadata.ownerReferences", false },
    { "", "Pod", "ephemeralcontainers", "spec.ephemeralContainers", true },
    { "", "Pod", "resize", "spec.containers.*.resources spec.containers.*.resizePolicy spec.initContainers.*.resources "
      "spec.initContainers.*.resizePolicy spec.resources", true },
    { "", "Namespace", "finalize", "status", false },
    { "apps", "Deployment", "status", "spec metadata.labels", false },
    { "admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "status", "metadata spec", false },
    { "certificates.k8s.io", "CertificateSigningRequest", "", "spec status", false },
    { "certificates.k8s.io", "CertificateSigningRequest", "status", "spec status.conditions", false },
    { "certificates.k8s.io", "CertificateSigningRequest", "approval", "spec status.certificate", false },
    { "flowcontrol.apiserver.k8s.io", "FlowSchema", "status", "metadata spec", false },
    { "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "status", "metadata spec", false },
    { "networking.k8s.io", "ServiceCIDR", "status", "metadata spec", false },
    { "resource.k8s.io", "ResourceClaim", "status", "metadata spec", false },
    { "storage.k8s.io", "VolumeAttachment", "status", "metadata spec", false },
};

static const struct fields *paths(struct arena *a, const char *text)
{
    const struct fields *set = NULL;
    struct str rest = str_of(text);
    while (rest.at) {
        struct str one = str_cut(&rest, ' ');
        set = fields_union(a, set, fields_path(a, arena_dup(a, one)));
    }
    return set;
}

static void set_ignored(const struct api_op *op, struct managed_write *w)
{
    const char *sub = op->subresource ? op->subresource : "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].kind, op->kind->kind) == 0 && strcmp(rows[i].group, op->kind->group) == 0 && strcmp(rows[i].sub, sub) == 0) {
            w->ignored = paths(op->arena, rows[i].paths);
            w->only = rows[i].only;
            return;
        }
    if (strcmp(sub, "status") == 0)
        w->ignored = paths(op->arena, op->kind->flags & K_CUSTOM ? "metadata spec" : "spec");
    else if (!sub[0] && op->kind->flags & K_STATUS)
        w->ignored = fields_path(op->arena, "status");
}

/* --- the write --- */

static bool stranger(struct api_op *op, const char *why)
{
    api_fail(&op->err, op->arena, KL_INTERNAL, "%s", why ? why : "out of memory");
    op->err.reason = NULL;              /* upstream's 500 has none */
    op->strangers = true;
    return false;
}

/* A custom object under the version's name. Nothing is pruned here, as upstream has it: a field that only one of the two knows, with a default perhaps, is a stranger. */
static bool convert_custom(struct api_op *op, const struct schema_kind *from, const struct schema_kind *to, const struct val *v, const struct val **ret)
{
    struct api_asker q = api_op_asker(op);
    const struct merge_type t = merge_type_of(to->type);
    if (from != to && !(to->definition && to->definition->webhook)) {
        struct val *named = val_copy(op->arena, v);
        json_set_str(op->arena, named, STR("apiVersion"), str_of(api_group_version(op->arena, to)));
        const char *why = named ? merge_check(op->arena, &t, named, false) : "out of memory";
        if (why)
            return stranger(op, why);
    }
    *ret = api_convert(&q, from, to, (struct val *)v);
    return *ret != NULL;
}

/* The object as the version sees it, of whatever version it is. What fails, or has to be waited for, is in op->err: the write looks there. */
static bool convert(void *ctx, struct str api_version, const struct val *v, const struct val **ret, struct merge_type *ret_type)
{
    struct api_op *op = ctx;
    struct str version = api_version, group = STR(""), from_version = json_str(v, "apiVersion"), from_group = STR("");
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    if (str_find(from_version, '/') >= 0)
        from_group = str_cut(&from_version, '/');
    const struct schema_kind *from = from_version.len ? schema_kind_find(from_group, from_version, str_of(op->kind->kind)) : op->kind, *to;
    bool custom = op->kind->flags & K_CUSTOM;
    if (custom)                         /* versions that are not served have fields too */
        to = api_custom_version(op->kind, api_version);
    else
        to = schema_kind_find(group, version, str_of(op->kind->kind));
    if (custom && !to)
        return stranger(op, arena_printf(op->arena, "request to convert CR to an invalid group/version: " STR_FMT, STR_ARG(api_version)));
    if (!from || !to || to->storage != op->kind->storage)
        return false;
    *ret_type = merge_type_of(to->type);
    if (custom)
        return convert_custom(op, from, to, v, ret);
    struct api_asker q = api_op_asker(op);
    struct val *stored = api_convert(&q, from, from->storage, (struct val *)v);
    *ret = stored ? api_convert(&q, to->storage, to, stored) : NULL;
    return *ret != NULL;
}

void api_managed_write(struct api_op *op, struct managed_write *w)
{
    char now[CLOCK_TEXT];
    bool scale = op->scales;
    clock_format(api_op_now(op), now);
    *w = (struct managed_write){ .arena = op->arena, .type = merge_type_of(op->kind->type), .api_version = str_of(api_group_version(op->arena, op->kind)),
                                 .manager = op->manager.len ? op->manager : STR("kube-apiserver"), .convert = convert, .ctx = op,
                                 .subresource = scale ? STR("scale") : str_of(op->subresource ? op->subresource : "") };
    w->reconciles = op->kind->flags & K_REVISED;
    if (!scale)                         /* upstream keeps no times for scale */
        w->now = arena_str(op->arena, str_of(now));
    set_ignored(op, w);
}

static void set_list(struct api_op *op, struct val *v, struct val *list)
{
    struct val *meta = json_obj(op->arena, v, STR("metadata"));
    if (list)
        json_set(op->arena, meta, STR("managedFields"), list);
    else
        json_del(meta, STR("managedFields"));
}

static struct val *whole_new(struct api_op *op, const struct managed_write *w, struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    buf_room(&b, 2048);
    fields_write_new(op->arena, &b, op->kind->type, v, managed_stripped(op->arena, w->ignored));
    return b.failed || b.len <= 2 ? NULL : managed_new(w, arena_str(op->arena, buf_str(&b)));
}

/* Items without the member that tells them apart: whose they are cannot be said. No other kind's validation lets such pass. */
bool api_cannot_be_tracked(const struct api_op *op, const struct val *v)
{
    const struct val *list = api_is_kind(op->kind, "", "ServiceAccount") ? json_get(v, STR("secrets")) : NULL;
    if (val_is(list, VAL_ARR))
        val_each(s, list)
            if (!json_get(s, STR("name")))
                return true;
    return false;
}

void api_track_create(struct api_op *op, struct val *v)
{
    struct managed_write w;
    struct managed m;
    struct val *list = json_path(v, "metadata.managedFields");
    api_managed_write(op, &w);
    if (list && (managed_resets(list) || managed_decode(op->arena, list, &m, NULL) < 0 || !m.first))
        list = NULL;
    set_list(op, v, NULL);
    if (api_cannot_be_tracked(op, v))
        return;
    if (!list && op->kind->type->flags & F_PRESERVE) {          /* what the type does not name is somebody's too */
        m = (struct managed){ 0 };
    } else if (!list) {
        set_list(op, v, whole_new(op, &w, v));
        return;
    }
    managed_update(&w, &m, NULL, v);
    set_list(op, v, managed_encode(op->arena, &m));
}

/* The entries that a write starts from: those that it brings, where it may and they can be understood, else the object's. */
static const struct val *base_of(const struct api_op *op, const struct val *given, const struct val *live, bool *ret_reset)
{
    struct managed m;
    *ret_reset = false;
    if (op->subresource || op->scales || !given)
        return live;
    if (managed_resets(given)) {
        *ret_reset = true;
        return NULL;
    }
    if (live && val_equal(given, live))
        return live;
    return managed_decode(op->arena, given, &m, NULL) == 0 && m.first ? given : live;
}

/* The entries without the number that a scale writes. *ret_owned: somebody had it. */
static struct val *without_replicas(struct api_op *op, const struct val *list, bool *ret_owned)
{
    struct managed m;
    struct arena *a = op->arena;
    const char *path = op->kind->scale_spec ? op->kind->scale_spec + (op->kind->scale_spec[0] == '.') : "spec.replicas";
    *ret_owned = false;
    if (managed_decode(a, list, &m, NULL) < 0)
        return val_copy(a, list);
    for (struct managed_entry **at = &m.first, *e; (e = *at);) {
        const struct fields *left = fields_minus_deep(a, e->set, fields_path(a, path));
        bool same = fields_equal(left, e->set);
        *ret_owned |= !same;
        if (left) {
            e->text = same ? e->text : NULL;
            e->set = left;
            at = &e->next;
        } else {
            *at = e->next;
        }
    }
    return managed_encode(a, &m);
}

void api_track_update(struct api_op *op, struct val *v, const struct val *old)
{
    struct managed_write w;
    struct managed m;
    bool reset;
    const struct val *live = json_path(old, "metadata.managedFields");
    const struct val *base = base_of(op, json_path(v, "metadata.managedFields"), live, &reset);
    if (!base || api_cannot_be_tracked(op, v)) {         /* not tracked: only an apply begins again */
        set_list(op, v, NULL);
        return;
    }
    bool owned = false;
    struct val *rest = op->scales ? without_replicas(op, base, &owned) : NULL;
    if (op->scales && (op->scales_to_none || !owned)) {         /* a Scale whose number is nobody's has no managers, and gets none */
        set_list(op, v, rest);
        return;
    }
    api_managed_write(op, &w);
    struct val *list = NULL;
    if (!managed_change(&w, base, old, v, &list)) {
        if (base != live && managed_decode(op->arena, base, &m, NULL) == 0)
            list = managed_encode(op->arena, &m);
        else
            list = val_copy(op->arena, base);
    }
    if (op->strangers) {                /* upstream forgets all managers then, and lets the write pass */
        op->err = (struct api_error){ 0 };
        list = NULL;
    }
    set_list(op, v, list);
}

/* Texts of one length that differ may differ in the entries' times alone: those do not make a write. */
bool api_times_alone(struct api_op *op, struct val *v, struct store_object *old)
{
    struct val *was = json_parse(op->arena, store_object_json(old), NULL);
    struct val *x = json_path(v, "metadata.managedFields"), *y = json_path(was, "metadata.managedFields");
    if (!val_is(x, VAL_ARR) || !val_is(y, VAL_ARR) || x->n != y->n)
        return false;
    for (struct val *e = x->first, *f = y->first; e && f; e = e->next, f = f->next) {
        struct str time = json_str(f, "time");
        if (time.len && json_str(e, "time").len)
            json_set_str(op->arena, e, STR("time"), time);
    }
    return true;
}
