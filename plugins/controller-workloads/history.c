/* history.c - see history.h. The data is a patch that puts the template back, which is how `kubectl rollout undo` uses it. */
#include "history.h"

#include <stdlib.h>

#include "rollout.h"

static int by_revision(const void *a, const void *b)
{
    const struct val *x = *(struct val *const *)a, *y = *(struct val *const *)b;
    int64_t n = json_int(x, "revision", 0) - json_int(y, "revision", 0);
    return n ? (n < 0 ? -1 : 1) : meta_cmp_created(x, y);
}

static struct val *data_of(struct history *h)
{
    struct arena *a = h->r->arena;
    struct val *data = val_new(a, VAL_OBJ), *spec = json_obj(a, data, STR("spec"));
    struct val *t = json_set(a, spec, STR("template"), val_copy(a, json_path(h->owner, "spec.template")));
    json_set_str(a, t, STR("$patch"), STR("replace"));
    /* As Go writes maps. Who looks for the revision of a template compares the bytes (upstream's own controllers, its tests, tools built upon them). */
    return json_sort_all(a, data) ? data : NULL;
}

static struct val *find(const struct history *h, const struct val *data)
{
    for (uint32_t i = h->all.n; i-- > 0;)
        if (val_equal(json_get(h->all.at[i], STR("data")), data))
            return h->all.at[i];
    return NULL;
}

static int64_t next_revision(const struct history *h)
{
    return h->all.n ? json_int(h->all.at[h->all.n - 1], "revision", 0) + 1 : 1;
}

static int collide(struct history *h, struct str name, const struct val *data)
{
    struct arena *a = h->r->arena;
    struct val *there, *now;
    kl_err_init(&h->r->call->err);
    int rc = ctl_get(h->r, REVISIONS, meta_ns(h->owner), name, &there);
    if (rc < 0)
        return rc;
    ctl_again(h->r, 1);
    if (!there || (meta_controlled_by(there, meta_uid(h->owner)) && val_equal(json_get(there, STR("data")), data)))
        return 1;
    now = val_copy(a, h->owner);
    json_set_int(a, json_obj(a, now, STR("status")), STR("collisionCount"), json_int(h->owner, "status.collisionCount", 0) + 1);
    rc = ctl_update(h->r, h->resource, "status", h->owner, now, &h->owner);
    return rc < 0 ? rc : 1;
}

static int make(struct history *h, struct val *data)
{
    struct arena *a = h->r->arena;
    struct val *v = val_new(a, VAL_OBJ), *meta = json_obj(a, v, STR("metadata")), *labels = json_path(h->owner, "spec.template.metadata.labels");
    const char *hash = template_hash(h->r, data, json_int(h->owner, "status.collisionCount", 0));
    struct str name = str_of(arena_printf(a, STR_FMT "-%s", STR_ARG(meta_name(h->owner)), hash ? hash : ""));
    json_set_str(a, meta, STR("name"), name);
    if (labels)
        json_set(a, meta, STR("labels"), val_copy(a, labels));
    struct val *notes = json_path(h->owner, "metadata.annotations");
    if (notes)
        json_set(a, meta, STR("annotations"), val_copy(a, notes));
    meta_set_label(a, v, h->hash_label ? REVISION_HASH : "controller.kubernetes.io/hash", str_of(hash));
    val_push(json_arr(a, meta, STR("ownerReferences")), meta_owner_ref(a, h->owner));
    json_set(a, v, STR("data"), data);
    json_set_int(a, v, STR("revision"), next_revision(h));
    int rc = ctl_create(h->r, REVISIONS, meta_ns(h->owner), v, &h->newest);
    if (rc == -KL_ALREADY_EXISTS)
        return collide(h, name, data);
    if (rc < 0)
        return rc;
    struct val **at = arena_alloc(a, (h->all.n + 1) * sizeof *at);
    if (!at)
        return ctl_no_memory(h->r);
    for (uint32_t i = 0; i < h->all.n; i++)
        at[i] = h->all.at[i];
    at[h->all.n] = h->newest;
    h->all = (struct ctl_list){ at, h->all.n + 1 };
    return 0;
}

int history_sync(struct history *h)
{
    struct val *data = data_of(h);
    if (!data)
        return ctl_no_memory(h->r);
    int rc = claim(h->r, h->owner, json_path(h->owner, "spec.selector"), REVISIONS, &h->all);
    if (rc < 0)
        return rc;
    qsort(h->all.at, h->all.n, sizeof *h->all.at, by_revision);
    h->newest = find(h, data);
    if (!h->newest)
        return make(h, data);
    if (json_int(h->newest, "revision", 0) == json_int(h->all.at[h->all.n - 1], "revision", 0))
        return 0;
    struct val *old = h->newest, *now = val_copy(h->r->arena, old);     /* an old template serves again */
    json_set_int(h->r->arena, now, STR("revision"), next_revision(h));
    rc = ctl_update(h->r, REVISIONS, NULL, old, now, &h->newest);
    for (uint32_t i = 0; i < h->all.n; i++)
        if (h->all.at[i] == old)
            h->all.at[i] = h->newest;
    qsort(h->all.at, h->all.n, sizeof *h->all.at, by_revision);
    return rc;
}

struct val *history_named(const struct history *h, struct str name)
{
    for (uint32_t i = 0; i < h->all.n; i++)
        if (str_eq(meta_name(h->all.at[i]), name))
            return h->all.at[i];
    return NULL;
}

struct val *history_template(struct history *h, const struct val *revision)
{
    struct val *t = val_copy(h->r->arena, json_path(revision, "data.spec.template"));
    if (t)
        json_del(t, STR("$patch"));
    return t;
}

struct str history_label(const struct history *h, const struct val *revision)
{
    return h->hash_label ? meta_label(revision, REVISION_HASH) : meta_name(revision);
}

int history_clean_up(struct history *h, bool (*used)(void *ctx, const struct val *revision), void *ctx)
{
    int64_t limit = json_int(h->owner, "spec.revisionHistoryLimit", 10), n = 0;
    int rc = 0;
    for (uint32_t i = 0; i < h->all.n; i++)
        n += h->all.at[i] != h->newest && !used(ctx, h->all.at[i]);
    for (uint32_t i = 0; i < h->all.n && n > limit && rc == 0; i++) {
        if (h->all.at[i] == h->newest || used(ctx, h->all.at[i]))
            continue;
        rc = ctl_delete(h->r, REVISIONS, h->all.at[i], NULL);
        n--;
    }
    return rc;
}
