/* claim.c - whose is this object: adoption, release, and the keys of owners that an object concerns. */
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "meta.h"
#include "pods.h"

/* Out of memory shows in the arena, which is asked when the run ends. */
static void keep(struct ctl_list *l, struct val *v)
{
    l->at[l->n++] = v;
}

static int release(struct ctl_run *r, const struct val *owner, const char *resource, const struct val *v)
{
    struct val *now = val_copy(r->arena, v);
    meta_drop_owner(now, meta_uid(owner));
    return ctl_update(r, resource, NULL, v, now, NULL);
}

static int adopt(struct ctl_run *r, const struct val *owner, const char *resource, struct val **v)
{
    struct val *now = val_copy(r->arena, *v);
    val_push(json_arr(r->arena, json_obj(r->arena, now, STR("metadata")), STR("ownerReferences")), meta_owner_ref(r->arena, owner));
    return ctl_update(r, resource, NULL, *v, now, v);
}

/* An object that somebody removes meanwhile is no failure of ours. */
static int forgive(struct ctl_run *r, int rc)
{
    if (rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&r->call->err);
    return 0;
}

static int owned(struct ctl_run *r, const struct val *owner, const struct val *selector, const char *resource, struct ctl_list *ret)
{
    struct ctl_list all;
    struct kl_list_options o = { .resource = resource, .ns = arena_dup(r->arena, meta_ns(owner)), .owner_uid = arena_dup(r->arena, meta_uid(owner)) };
    int rc = ctl_list(r, o, &all);
    for (uint32_t i = 0; rc == 0 && i < all.n; i++) {
        struct val *v = all.at[i];
        if (!meta_controlled_by(v, meta_uid(owner)))
            continue;
        if (sel_matches(selector, json_path(v, "metadata.labels")))
            keep(ret, v);
        else if (!meta_deleting(owner))
            rc = forgive(r, release(r, owner, resource, v));
    }
    return rc;
}

static int orphans(struct ctl_run *r, const struct val *owner, const char *resource, const struct kl_object_list *l, struct ctl_list *ret)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < l->n; i++) {
        struct str text = str_n(l->at[i].at, l->at[i].len);
        if (meta_controller_text(text).at)
            continue;
        struct val *v = json_parse(r->arena, text, &r->call->err);
        if (!v)
            return -r->call->err.code;
        if (meta_deleting(v))
            continue;
        rc = adopt(r, owner, resource, &v);
        if (rc == 0)
            keep(ret, v);
        rc = forgive(r, rc);
    }
    return rc;
}

int claim(struct ctl_run *r, const struct val *owner, const struct val *selector, const char *resource, struct ctl_list *ret)
{
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = resource, .ns = arena_dup(r->arena, meta_ns(owner)),
                                 .label_selector = sel_text(r->arena, selector) };
    struct kl_list_options mine = { .size = sizeof mine, .resource = resource, .ns = o.ns, .owner_uid = arena_dup(r->arena, meta_uid(owner)) };
    struct kl_object_list n_mine = { .size = sizeof n_mine };
    int rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    if (rc == 0)
        rc = r->ctl->objects->list(r->ctl->host, r->call, &mine, &n_mine);
    if (rc < 0)
        return rc;
    *ret = (struct ctl_list){ .at = arena_alloc(r->arena, (l.n + n_mine.n + 1) * sizeof *ret->at) };
    if (!ret->at)
        return ctl_no_memory(r);
    rc = owned(r, owner, selector, resource, ret);
    return rc < 0 || meta_deleting(owner) || sel_empty(selector) ? rc : orphans(r, owner, resource, &l, ret);
}

/* --- the other way: from an object to its owners --- */

/* Its controller's key, when that is of the kind. Has it a controller at all? */
static bool controller_key(struct str refs, struct str json, const char *kind, struct buf *keys)
{
    struct str ref;
    bool any = false;
    while (refs.at && json_scan_item(&refs, &ref)) {
        if (!str_is(json_scan_member(ref, STR("controller")), "true"))
            continue;
        any = true;
        if (str_is(json_scan_text(json_scan_member(ref, STR("kind"))), kind))
            ctl_key_add(keys, json_scan_text(json_scan_path(json, "metadata.namespace")), json_scan_text(json_scan_member(ref, STR("name"))));
    }
    return any;
}

static bool selects(const struct val *s, const struct val *labels, bool plain)
{
    return plain ? sel_map_matches(s, labels) : sel_matches(s, labels) && !sel_empty(s);
}

static struct val *labels_of(struct ctl_run *r, struct str open)
{
    struct str text = json_scan_value(open);
    return text.at ? json_parse(r->arena, text, &r->call->err) : NULL;
}

int keys_by_selector(struct ctl_run *r, const char *resource, struct str old, struct str obj, bool plain, struct buf *keys)
{
    struct str ns = json_scan_text(json_scan_path(obj, "metadata.namespace"));
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = resource, .ns = arena_dup(r->arena, ns) };
    int rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    if (rc < 0 || !l.n)                 /* of five kinds of owners most namespaces have one or two */
        return rc;
    struct val *now = labels_of(r, ctl_part(r, CTL_LABELS)), *before = labels_of(r, json_scan_open(old, "metadata.labels"));
    for (uint32_t i = 0; (now || before) && i < l.n; i++) {     /* of many owners, only the selectors become trees */
        struct str json = str_n(l.at[i].at, l.at[i].len), text = json_scan_path(json, "spec.selector");
        struct val *s = text.at ? json_parse(r->arena, text, &r->call->err) : NULL;
        if (s && ((now && selects(s, now, plain)) || (before && selects(s, before, plain))))
            ctl_key_add(keys, ns, json_scan_text(json_scan_path(json, "metadata.name")));
    }
    return rc;
}

int keys_of_dependent(struct ctl_run *r, const char *kind, const char *resource, struct str old, struct str obj, bool plain, struct buf *keys)
{
    bool controlled = controller_key(ctl_part(r, CTL_OWNERS), obj, kind, keys);
    if (old.len)
        controller_key(json_scan_open(old, "metadata.ownerReferences"), old, kind, keys);
    return keys->len || controlled ? 0 : keys_by_selector(r, resource, STR_NONE, obj, plain, keys);
}
