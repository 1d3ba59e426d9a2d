/* gc.c - objects go when all their owners have gone: in the background, before their owner (foreground), or they stay (orphan).
 *
 * Keys are of three kinds: "owner UID" (the owner has gone: look at its dependents), "item RESOURCE NS NAME" (look at the object and its owners), and "refs ..."
 * the same of one that names other owners than before.
 */
#include "base/json_scan.h"
#include "core.h"

#define ORPHAN     "orphan"
#define FOREGROUND "foregroundDeletion"

struct item {
    struct ctl_run *r;
    const char *resource;
    struct val *v;
    bool fresh;                         /* its owners were named just now */
};

/* --- keys --- */

static int item_key(struct ctl_run *r, const struct val *v, char key[700])
{
    struct kl_kind k = { .size = sizeof k };
    int rc = r->ctl->objects->kind(r->ctl->host, r->call, NULL, arena_dup(r->arena, json_str(v, "apiVersion")),
                                   arena_dup(r->arena, json_str(v, "kind")), &k);
    if (rc == 0)
        snprintf(key, 700, "item %s " STR_FMT " " STR_FMT, k.resource, STR_ARG(meta_ns(v)), STR_ARG(meta_name(v)));
    return rc;
}

static int look_at(struct ctl_run *r, const struct val *v)
{
    char key[700];
    int rc = item_key(r, v, key);
    if (rc == 0)
        r->ctl->queue->add(r->ctl->host, key, 0);
    return rc;
}

static int dependents_of(struct ctl_run *r, struct str uid, struct ctl_list *ret)
{
    return ctl_list(r, (struct kl_list_options){ .owner_uid = arena_dup(r->arena, uid) }, ret);
}

static bool dying_in_foreground(const struct val *v)
{
    return meta_deleting(v) && meta_has_finalizer(v, FOREGROUND);
}

static struct val *ref_to(const struct val *v, struct str uid)
{
    struct val *refs = json_path(v, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(ref, refs)
            if (str_eq(json_str(ref, "uid"), uid))
                return ref;
    return NULL;
}

static int update_dependent(struct ctl_run *r, const struct val *old, const struct val *now)
{
    struct kl_kind k = { .size = sizeof k };
    int rc = r->ctl->objects->kind(r->ctl->host, r->call, NULL, arena_dup(r->arena, json_str(old, "apiVersion")),
                                   arena_dup(r->arena, json_str(old, "kind")), &k);
    return rc < 0 ? rc : ctl_update(r, k.resource, NULL, old, now, NULL);
}

/* --- owners that go --- */

static int drop_finalizer(struct item *i, const char *name)
{
    struct val *now = val_copy(i->r->arena, i->v);
    meta_set_finalizer(i->r->arena, now, name, false);
    return ctl_update(i->r, i->resource, NULL, i->v, now, NULL);
}

static int orphan_dependents(struct item *i)
{
    struct ctl_list l;
    int rc = dependents_of(i->r, meta_uid(i->v), &l);
    for (uint32_t k = 0; rc == 0 && k < l.n; k++) {
        struct val *now = val_copy(i->r->arena, l.at[k]);
        meta_drop_owner(now, meta_uid(i->v));
        rc = update_dependent(i->r, l.at[k], now);
    }
    return rc < 0 ? rc : drop_finalizer(i, ORPHAN);
}

/* The owner stays until no dependent blocks it any more. */
static int foreground(struct item *i)
{
    struct ctl_list l;
    bool blocked = false;
    int rc = dependents_of(i->r, meta_uid(i->v), &l);
    for (uint32_t k = 0; rc == 0 && k < l.n; k++) {
        blocked |= json_bool(ref_to(l.at[k], meta_uid(i->v)), "blockOwnerDeletion", false);
        if (!meta_deleting(l.at[k]))
            rc = look_at(i->r, l.at[k]);
    }
    return rc < 0 || blocked ? rc : drop_finalizer(i, FOREGROUND);
}

/* --- objects and their owners --- */

enum owner_state { OWNER_SOLID, OWNER_GONE, OWNER_WAITING, OWNER_WRONG };

static void tell_wrong_namespace(struct item *i, const struct val *ref)
{
    struct val *about = val_copy(i->r->arena, i->v);
    struct str ns = meta_ns(i->v).len ? meta_ns(i->v) : STR("");
    json_del(json_get(about, STR("metadata")), STR("resourceVersion"));
    ctl_event(i->r, about, "Warning", "OwnerRefInvalidNamespace",
              "ownerRef [" STR_FMT "/" STR_FMT ", namespace: " STR_FMT ", name: " STR_FMT ", uid: " STR_FMT "] does not exist in namespace \"" STR_FMT "\"",
              STR_ARG(json_str(ref, "apiVersion")), STR_ARG(json_str(ref, "kind")), STR_ARG(ns), STR_ARG(json_str(ref, "name")), STR_ARG(json_str(ref, "uid")),
              STR_ARG(ns));
}

/* Owners of an object in a namespace are in the same, or in none. One that is somewhere else is told, once: it is as if it were not there. */
static int look_elsewhere(struct item *i, const char *resource, const struct val *ref)
{
    struct ctl_run *r = i->r;
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = resource,
                                 .field_selector = arena_printf(r->arena, "metadata.name=" STR_FMT, STR_ARG(json_str(ref, "name"))) };
    int rc = i->fresh ? r->ctl->objects->list(r->ctl->host, r->call, &o, &l) : 0;
    for (uint32_t k = 0; rc == 0 && k < l.n; k++)
        if (str_eq(json_scan_text(json_scan_path(str_n(l.at[k].at, l.at[k].len), "metadata.uid")), json_str(ref, "uid")))
            tell_wrong_namespace(i, ref);
    return rc;
}

static int owner_state(struct item *i, const struct val *ref, enum owner_state *ret)
{
    struct ctl_run *r = i->r;
    struct kl_kind k = { .size = sizeof k };
    struct val *owner;
    *ret = OWNER_WRONG;
    int rc = r->ctl->objects->kind(r->ctl->host, r->call, NULL, arena_dup(r->arena, json_str(ref, "apiVersion")),
                                   arena_dup(r->arena, json_str(ref, "kind")), &k);
    if (rc == -KL_NOT_FOUND) {          /* a kind that is not served: nobody can say that its object has gone */
        kl_err_init(&r->call->err);
        return 0;
    }
    if (rc < 0)
        return rc;
    bool namespaced = k.flags & KL_KIND_NAMESPACED;
    if (namespaced && !meta_ns(i->v).len)
        return look_elsewhere(i, k.resource, ref);
    rc = ctl_get(r, k.resource, namespaced ? meta_ns(i->v) : STR(""), json_str(ref, "name"), &owner);
    if (rc < 0)
        return rc;
    if (!owner || !str_eq(meta_uid(owner), json_str(ref, "uid")))
        *ret = OWNER_GONE;
    else
        *ret = dying_in_foreground(owner) ? OWNER_WAITING : OWNER_SOLID;
    return *ret == OWNER_GONE && namespaced ? look_elsewhere(i, k.resource, ref) : 0;
}

/* A ring of objects that wait for each other: this one stops blocking, so that the others can go. */
static int unblock(struct item *i)
{
    struct ctl_list l;
    bool ring = false;
    int rc = dependents_of(i->r, meta_uid(i->v), &l);
    for (uint32_t k = 0; rc == 0 && k < l.n; k++)
        ring |= dying_in_foreground(l.at[k]);
    if (rc < 0 || !ring)
        return rc;
    struct val *now = val_copy(i->r->arena, i->v), *refs = json_path(now, "metadata.ownerReferences");
    val_each(ref, refs) if (json_bool(ref, "blockOwnerDeletion", false)) json_set_bool(i->r->arena, ref, STR("blockOwnerDeletion"), false);
    return ctl_update(i->r, i->resource, NULL, i->v, now, &i->v);
}

static int delete_item(struct item *i, bool waiting)
{
    struct ctl_list l = { .n = 0 };
    int rc = waiting ? dependents_of(i->r, meta_uid(i->v), &l) : 0;
    if (rc < 0)
        return rc;
    if (waiting && l.n) {
        rc = unblock(i);
        return rc < 0 ? rc : ctl_delete(i->r, i->resource, i->v, "Foreground");
    }
    const char *how = meta_has_finalizer(i->v, ORPHAN) ? "Orphan" : meta_has_finalizer(i->v, FOREGROUND) ? "Foreground" : "Background";
    return ctl_delete(i->r, i->resource, i->v, how);
}

static int judge(struct item *i)
{
    struct val *refs = json_path(i->v, "metadata.ownerReferences"), *now = val_copy(i->r->arena, i->v);
    unsigned n[4] = { 0 };
    if (!val_is(refs, VAL_ARR) || !refs->n)
        return 0;
    val_each(ref, refs) {
        enum owner_state state;
        int rc = owner_state(i, ref, &state);
        if (rc < 0)
            return rc;
        n[state]++;
        if (state == OWNER_GONE || state == OWNER_WAITING)
            meta_drop_owner(now, json_str(ref, "uid"));
    }
    if (n[OWNER_WRONG] && !n[OWNER_SOLID])
        return 0;
    if (n[OWNER_SOLID])
        return ctl_update(i->r, i->resource, NULL, i->v, now, NULL);
    return delete_item(i, n[OWNER_WAITING] > 0);
}

/* --- reconcile --- */

static int run_owner(struct ctl_run *r, struct str uid)
{
    struct ctl_list l;
    int rc = dependents_of(r, uid, &l);
    for (uint32_t k = 0; rc == 0 && k < l.n; k++)
        rc = look_at(r, l.at[k]);
    return rc;
}

/* The key was cut at its first '/', which is in the resource's name. */
static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct item i = { .r = r };
    if (str_starts(name, STR("owner ")))
        return run_owner(r, str_skip(name, 6));
    i.fresh = str_starts(ns, STR("refs "));
    struct str group = str_skip(ns, strlen("item ")), plural = str_cut(&name, ' '), space = str_cut(&name, ' ');
    i.resource = arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(plural));
    int rc = i.resource ? ctl_get(r, i.resource, space, name, &i.v) : ctl_no_memory(r);
    if (rc < 0 || !i.v)
        return rc;
    if (meta_deleting(i.v)) {
        if (meta_has_finalizer(i.v, ORPHAN))
            return orphan_dependents(&i);
        return meta_has_finalizer(i.v, FOREGROUND) ? foreground(&i) : 0;
    }
    return judge(&i);
}

/* --- map --- */

static void add_item(struct buf *keys, const char *what, const char *resource, struct str ns, struct str name)
{
    buf_printf(keys, "%s%s %s " STR_FMT " " STR_FMT, keys->len ? "\n" : "", what, resource, STR_ARG(ns), STR_ARG(name));
}

/* Owners that may wait for this dependent. */
static void add_owners(struct ctl_run *r, struct str refs, struct str ns, struct buf *keys)
{
    struct str ref;
    while (refs.at && json_scan_item(&refs, &ref)) {
        struct kl_kind k = { .size = sizeof k };
        if (!str_is(json_scan_member(ref, STR("blockOwnerDeletion")), "true"))
            continue;
        const char *version = arena_dup(r->arena, json_scan_text(json_scan_member(ref, STR("apiVersion"))));
        const char *kind = arena_dup(r->arena, json_scan_text(json_scan_member(ref, STR("kind"))));
        if (version && kind && r->ctl->objects->kind(r->ctl->host, r->call, NULL, version, kind, &k) == 0)
            add_item(keys, "item", k.resource, k.flags & KL_KIND_NAMESPACED ? ns : STR(""), json_scan_text(json_scan_member(ref, STR("name"))));
    }
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    bool deleted = r->call->flags & KL_CALL_DELETED;
    struct str meta = ctl_meta(r), was = old.len ? json_scan_path(old, "metadata.ownerReferences") : STR_NONE;
    struct str refs = json_scan_value(ctl_part(r, CTL_OWNERS)), dying = deleted ? STR_NONE : json_scan_member(meta, STR("deletionTimestamp"));
    (void)obj;
    if (!deleted && !dying.at && !refs.at && !was.at)
        return 0;
    struct str ns = json_scan_text(json_scan_member(meta, STR("namespace"))), name = json_scan_text(json_scan_member(meta, STR("name")));
    if (deleted) {
        buf_printf(keys, "owner " STR_FMT, STR_ARG(json_scan_text(json_scan_member(meta, STR("uid")))));
        add_owners(r, refs, ns, keys);
        return 0;
    }
    bool fresh = refs.at && !str_eq(refs, was);
    if (fresh || (dying.at && json_scan_member(meta, STR("finalizers")).at))
        add_item(keys, fresh ? "refs" : "item", resource, ns, name);
    if (was.at && !str_eq(refs, was))
        add_owners(r, was, ns, keys);
    return 0;
}

CTL_RUN(garbage_collector, run)
CTL_MAP(garbage_collector, map)

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), "*", NULL, "map" } };
CTL_TABLE(garbage_collector, watches, garbage_collector_map);
