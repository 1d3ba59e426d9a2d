/* namespace.c - a namespace that is being deleted is emptied, pods first, and then let go. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "core.h"

#define ROUND_MOST 200                  /* deletions in one call */

struct finalizer_count {
    struct str name;
    int64_t n;
};

struct emptying {
    struct ctl_run *r;
    struct val *ns;
    struct str name;
    unsigned deletions;
    int64_t remaining;
    const char *content[256];           /* "pods. has 2 resource instances" */
    unsigned n_content;
    struct finalizer_count finalizers[64];
    unsigned n_finalizers;
    char failure[512];
    bool refused;                       /* something could not be deleted: to be tried again */
};

/* --- content --- */

static void note_finalizers(struct emptying *e, struct str json)
{
    struct str list = json_scan_path(json, "metadata.finalizers"), item;
    while (list.at && json_scan_item(&list, &item)) {
        struct str name = json_scan_text(item);
        unsigned i = 0;
        while (i < e->n_finalizers && !str_eq(e->finalizers[i].name, name))
            i++;
        if (i == sizeof e->finalizers / sizeof *e->finalizers)
            return;
        e->finalizers[i].name = name;
        e->finalizers[i].n++;
        e->n_finalizers += i == e->n_finalizers;
    }
}

static int delete_one(struct emptying *e, const char *resource, struct str json)
{
    struct ctl_run *r = e->r;
    struct kl_object_key k = { sizeof k, resource, arena_dup(r->arena, e->name), NULL, NULL };
    struct kl_delete_options o = { .size = sizeof o, .propagation = "Background", .grace_seconds = -1 };
    k.name = arena_dup(r->arena, json_scan_text(json_scan_path(json, "metadata.name")));
    o.uid = arena_dup(r->arena, json_scan_text(json_scan_path(json, "metadata.uid")));
    if (!k.ns || !k.name || !o.uid)
        return ctl_no_memory(r);
    int rc = r->ctl->objects->remove(r->ctl->host, r->call, &k, &o);
    if (rc < 0 && rc != -KL_NOT_FOUND && !e->refused)
        snprintf(e->failure, sizeof e->failure, "%s \"%s\": %s", resource, k.name, r->call->err.msg);
    e->refused |= rc < 0 && rc != -KL_NOT_FOUND;
    kl_err_init(&r->call->err);
    return 0;
}

static int list(struct emptying *e, const char *resource, struct kl_object_list *ret)
{
    struct kl_list_options o = { .size = sizeof o, .resource = resource, .ns = arena_dup(e->r->arena, e->name) };
    *ret = (struct kl_object_list){ .size = sizeof *ret };
    return o.ns ? e->r->ctl->objects->list(e->r->ctl->host, e->r->call, &o, ret) : ctl_no_memory(e->r);
}

/* Deletes what is not on its way yet, and counts what is left then. */
static int empty_kind(struct emptying *e, const char *resource)
{
    struct kl_object_list l;
    int rc = list(e, resource, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n && e->deletions < ROUND_MOST; i++) {
        struct str json = str_n(l.at[i].at, l.at[i].len);
        if (json_scan_path(json, "metadata.deletionTimestamp").at)
            continue;
        e->deletions++;
        rc = delete_one(e, resource, json);
    }
    if (rc == 0 && l.n)
        rc = list(e, resource, &l);
    if (rc < 0 || !l.n)
        return rc;
    for (uint32_t i = 0; i < l.n; i++)
        note_finalizers(e, str_n(l.at[i].at, l.at[i].len));
    struct str name = str_of(resource), group = str_cut(&name, '/');
    char *line = arena_printf(e->r->arena, STR_FMT "." STR_FMT " has %u resource instances", STR_ARG(name), STR_ARG(group), l.n);
    if (line && e->n_content < sizeof e->content / sizeof *e->content)
        e->content[e->n_content++] = line;
    e->remaining += l.n;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pods have the time that they ask for, counted from when the namespace was told to go; whoever is there after that stays for no reason that is known. While they
 * are, what is around them is not looked at, and not told either: upstream's conditions say nothing of them but that. */
static int wait_for_pods(struct emptying *e)
{
    struct kl_object_list l;
    int64_t grace = 0;
    int rc = list(e, PODS, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
        struct str json = str_n(l.at[i].at, l.at[i].len), phase = json_scan_text(json_scan_path(json, "status.phase"));
        int64_t own = 0;
        bool over = str_is(phase, "Succeeded") || str_is(phase, "Failed");
        if (!over && str_int(json_scan_path(json, "spec.terminationGracePeriodSeconds"), &own) && own > grace)
            grace = own;
    }
    int64_t left = meta_time(e->ns, "metadata.deletionTimestamp") + grace * NS_S - e->r->now_ns;
    if (left > 0)
        ctl_again(e->r, left);
    else if (!e->n_finalizers && !e->failure[0])
        snprintf(e->failure, sizeof e->failure, "unexpected items still remain in namespace: " STR_FMT " for gvr: /v1, Resource=pods", STR_ARG(e->name));
    e->n_content = e->n_finalizers = 0;
    return rc;
}

static int empty(struct emptying *e)
{
    struct ctl_run *r = e->r;
    const char *const *all, **kinds;
    unsigned n = 0;
    int rc = empty_kind(e, PODS);
    if (rc < 0 || e->remaining)         /* pods may need what is around them until they have ended */
        return rc < 0 ? rc : wait_for_pods(e);
    rc = r->ctl->objects->resources(r->ctl->host, r->call, &all);
    if (rc < 0)
        return rc;
    while (all[n])
        n++;
    kinds = arena_alloc(r->arena, (n + 1) * sizeof *kinds);
    if (!kinds)
        return ctl_no_memory(r);
    for (n = 0; *all; all++)
        if (strcmp(*all, PODS) != 0)
            kinds[n++] = *all;
    qsort(kinds, n, sizeof *kinds, by_text);
    for (unsigned i = 0; i < n && rc == 0; i++) {
        struct kl_kind k = { .size = sizeof k };
        rc = r->ctl->objects->kind(r->ctl->host, r->call, kinds[i], NULL, NULL, &k);
        if (rc == 0 && k.flags & KL_KIND_NAMESPACED)
            rc = empty_kind(e, kinds[i]);
    }
    return rc;
}

/* --- status --- */

static void set_condition(struct emptying *e, struct val *list, const char *type, bool on, const char *reason, const char *message)
{
    struct arena *a = e->r->arena;
    struct val *c = cond_find(list, type);
    struct str status = on ? STR("True") : STR("False");
    if (!c) {
        c = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), str_of(type));
    }
    if (!str_eq(json_str(c, "status"), status))
        json_set_str(a, c, STR("lastTransitionTime"), ctl_now(e->r));
    json_set_str(a, c, STR("status"), status);
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
}

/* In order, so that the same state has the same words. */
static const char *joined(struct emptying *e, const char *begin, const char **at, unsigned n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    qsort(at, n, sizeof *at, by_text);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", at[i]);
    return arena_printf(e->r->arena, "%s" STR_FMT, begin, STR_ARG(buf_str(&b)));
}

static const char *finalizers_text(struct emptying *e)
{
    const char *at[sizeof e->finalizers / sizeof *e->finalizers];
    unsigned n = 0;
    for (unsigned i = 0; i < e->n_finalizers; i++) {
        at[n] = arena_printf(e->r->arena, STR_FMT " in %lld resource instances", STR_ARG(e->finalizers[i].name), (long long)e->finalizers[i].n);
        n += at[n] != NULL;
    }
    return joined(e, "Some content in the namespace has finalizers remaining: ", at, n);
}

static int write_status(struct emptying *e)
{
    struct arena *a = e->r->arena;
    struct val *now = val_copy(a, e->ns), *list = json_arr(a, json_obj(a, now, STR("status")), STR("conditions"));
    const char *content = joined(e, "Some resources are remaining: ", e->content, e->n_content);
    char *failure = arena_printf(a, "Failed to delete all resource types, 1 remaining: %s", e->failure);
    set_condition(e, list, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered");
    set_condition(e, list, "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions", "All legacy kube types successfully parsed");
    if (e->failure[0])
        set_condition(e, list, "NamespaceDeletionContentFailure", true, "ContentDeletionFailed", failure);
    else
        set_condition(e, list, "NamespaceDeletionContentFailure", false, "ContentDeleted",
                      "All content successfully deleted, may be waiting on finalization");
    if (e->n_content)
        set_condition(e, list, "NamespaceContentRemaining", true, "SomeResourcesRemain", content);
    else
        set_condition(e, list, "NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed");
    if (e->n_finalizers)
        set_condition(e, list, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", finalizers_text(e));
    else
        set_condition(e, list, "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "All content-preserving finalizers finished");
    return ctl_update(e->r, NAMESPACES, "status", e->ns, now, &e->ns);
}

static int finalize(struct emptying *e)
{
    struct val *now = val_copy(e->r->arena, e->ns), *list = json_path(now, "spec.finalizers");
    if (val_is(list, VAL_ARR))
        for (struct val *f = list->first, *next; f; f = next) {
            next = f->next;
            if (str_is(val_str(f), "kubernetes"))
                val_unlink(list, f);
        }
    return ctl_update(e->r, NAMESPACES, "finalize", e->ns, now, NULL);
}

/* --- reconcile --- */

static int run(struct ctl_run *r, struct str none, struct str name)
{
    struct emptying e = { .r = r, .name = name };
    (void)none;
    int rc = ctl_get(r, NAMESPACES, STR(""), name, &e.ns);
    if (rc < 0 || !e.ns || !meta_deleting(e.ns))
        return rc;
    rc = empty(&e);
    if (rc == 0 && e.deletions >= ROUND_MOST && !e.failure[0])
        ctl_again(r, 1);
    else if (rc == 0 && (e.remaining || e.failure[0]))
        rc = write_status(&e);
    else if (rc == 0)
        rc = finalize(&e);
    if (rc == 0 && e.refused)
        return kl_fail(r->call, KL_UNAVAILABLE, "not all content could be deleted: %s", e.failure);
    return rc;
}

/* An object has gone, maybe the last of a namespace that waits for it. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    (void)old;
    struct str ns = r->call->flags & KL_CALL_DELETED ? json_scan_text(json_scan_path(obj, "metadata.namespace")) : STR_NONE;
    if (ns.len)
        ctl_key_add(keys, STR(""), ns);
    return 0;
}

CTL_RUN(namespace, run)
CTL_MAP(namespace, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), NAMESPACES, NULL, NULL },
    { sizeof(struct kl_watch), "*", NULL, "map" },
};
CTL_TABLE(namespace, watches, namespace_map);
