/* managed.c - managedFields: entries, and what a write other than an apply does to them. */
#include "object/managed.h"

#include <stdlib.h>

#include "base/clock.h"
#include "fields-internal.h"

#define MOST_UPDATERS 10                /* more are joined, the oldest first */
#define ANCIENT "ancient-changes"

/* --- entries --- */

static int decode_entry(struct arena *a, const struct val *v, unsigned i, struct managed_entry *e, struct kl_err *err)
{
    struct str operation = json_str(v, "operation"), type = json_str(v, "fieldsType");
    e->applied = str_is(operation, "Apply");
    e->manager = json_str(v, "manager");
    e->api_version = json_str(v, "apiVersion");
    e->subresource = json_str(v, "subresource");
    e->time = json_str(v, "time");
    e->text = json_get(v, STR("fieldsV1"));
    if (!e->applied && !str_is(operation, "Update"))
        return kl_err_set(err, KL_INVALID, "operation must be `Apply` or `Update`");
    if (!e->api_version.len)
        return kl_err_set(err, KL_INVALID, "apiVersion must not be empty");
    if (!type.len)
        return kl_err_set(err, KL_INVALID, "missing fieldsType in managed fields entry %u", i);
    if (!str_is(type, "FieldsV1"))
        return kl_err_set(err, KL_INVALID, "invalid fieldsType \"" STR_FMT "\" in managed fields entry %u", STR_ARG(type), i);
    return e->text ? fields_decode(a, e->text, &e->set, err) : 0;
}

static bool same_owner(const struct managed_entry *x, const struct managed_entry *y)
{
    return x->applied == y->applied && str_eq(x->manager, y->manager) && str_eq(x->subresource, y->subresource) &&
           (x->applied || str_eq(x->api_version, y->api_version));
}

static struct managed_entry **find(struct managed *m, const struct managed_entry *like)
{
    struct managed_entry **e = &m->first;
    while (*e && !same_owner(*e, like))
        e = &(*e)->next;
    return e;
}

int managed_decode(struct arena *a, const struct val *list, struct managed *ret, struct kl_err *err)
{
    unsigned i = 0;
    *ret = (struct managed){ NULL };
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(v, list) {
        struct managed_entry *e = arena_alloc(a, sizeof *e);
        if (!e)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        if (decode_entry(a, v, i++, e, err) < 0)
            return -err->code;
        struct managed_entry **at = find(ret, e);       /* the last of several counts */
        e->next = *at ? (*at)->next : NULL;
        *at = e;
    }
    return 0;
}

bool managed_resets(const struct val *list)
{
    return val_is(list, VAL_ARR) && (!list->n || (list->n == 1 && list->first->type == VAL_OBJ && !list->first->n));
}

static int64_t seconds(struct str time)
{
    int64_t ns;
    return time.at && clock_parse(time, &ns) ? ns / 1000000000 : 0;
}

static int entry_cmp(const void *x, const void *y)
{
    const struct managed_entry *p = *(struct managed_entry *const *)x, *q = *(struct managed_entry *const *)y;
    int64_t s = seconds(p->time), t = seconds(q->time);
    if (p->applied != q->applied)
        return p->applied ? -1 : 1;
    if (s != t)
        return s < t ? -1 : 1;
    int c = str_cmp(p->manager, q->manager);
    if (c == 0)
        c = str_cmp(p->api_version, q->api_version);
    return c ? c : str_cmp(p->subresource, q->subresource);
}

static struct managed_entry **to_array(struct arena *a, struct managed *m, bool updaters_only, unsigned *ret_n)
{
    unsigned n = 0;
    for (struct managed_entry *e = m->first; e; e = e->next)
        n += !updaters_only || !e->applied;
    struct managed_entry **at = arena_alloc(a, (n + 1) * sizeof *at);
    *ret_n = at ? n : 0;
    n = 0;
    for (struct managed_entry *e = m->first; e && at; e = e->next)
        if (!updaters_only || !e->applied)
            at[n++] = e;
    return at;
}

static struct val *raw(struct arena *a, struct str json)
{
    struct val *v = val_new(a, VAL_NUM);
    if (v && json.at) {                 /* text that is written as it is */
        v->s = json.at;
        v->n = (uint32_t)json.len;
    }
    return v;
}

static void put(struct arena *a, struct val *obj, struct str key, struct str text)
{
    if (text.len)
        json_set_str(a, obj, key, text);
}

static struct val *entry_tree(struct arena *a, const struct managed_entry *e, struct val *fields)
{
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, STR("manager"), e->manager);
    put(a, v, STR("operation"), e->applied ? STR("Apply") : STR("Update"));
    put(a, v, STR("apiVersion"), e->api_version);
    put(a, v, STR("time"), e->time);
    put(a, v, STR("fieldsType"), STR("FieldsV1"));
    json_set(a, v, STR("fieldsV1"), fields);
    put(a, v, STR("subresource"), e->subresource);
    return v;
}

struct val *managed_encode(struct arena *a, struct managed *m)
{
    unsigned n;
    struct managed_entry **at = to_array(a, m, false, &n);
    struct val *list = n ? val_new(a, VAL_ARR) : NULL;
    if (n > 1)
        qsort(at, n, sizeof *at, entry_cmp);
    for (unsigned i = 0; i < n && list; i++) {
        struct val *fields = at[i]->text ? val_copy(a, at[i]->text) : NULL;
        if (!fields) {
            _cleanup_buf_ struct buf b = BUF_INIT(0);
            fields_encode(&b, at[i]->set);
            fields = raw(a, arena_str(a, buf_str(&b)));
        }
        val_push(list, entry_tree(a, at[i], fields));
    }
    return list;
}

static struct managed_entry *own_entry(const struct managed_write *w, bool applied)
{
    struct managed_entry *e = arena_alloc(w->arena, sizeof *e);
    if (e)
        *e = (struct managed_entry){ .manager = w->manager.len ? w->manager : STR("unknown"), .api_version = w->api_version,
                                     .subresource = w->subresource, .time = w->now, .applied = applied };
    return e;
}

struct val *managed_new(const struct managed_write *w, struct str fields)
{
    struct managed_entry *e = own_entry(w, false);
    struct val *list = e ? val_new(w->arena, VAL_ARR) : NULL;
    if (list)
        val_push(list, entry_tree(w->arena, e, raw(w->arena, fields)));
    return list;
}

/* --- what is never owned --- */

#define NAME(text) .element = FIELDS_NAME, .member = true, .name = { text, sizeof text - 1 }
static const struct fields strip_metadata[] = {
    { NAME("clusterName"), .next = &strip_metadata[1] }, { NAME("creationTimestamp"), .next = &strip_metadata[2] },
    { NAME("generation"), .next = &strip_metadata[3] },  { NAME("managedFields"), .next = &strip_metadata[4] },
    { NAME("name"), .next = &strip_metadata[5] },        { NAME("namespace"), .next = &strip_metadata[6] },
    { NAME("resourceVersion"), .next = &strip_metadata[7] }, { NAME("selfLink"), .next = &strip_metadata[8] },
    { NAME("uid") },
};
static const struct fields strip[] = {
    { NAME("apiVersion"), .next = &strip[1] }, { NAME("kind"), .next = &strip[2] }, { NAME("metadata"), .kids = strip_metadata },
};

/* The same with what most kinds' main endpoints ignore. */
static const struct fields strip_status[] = {
    { NAME("apiVersion"), .next = &strip_status[1] }, { NAME("kind"), .next = &strip_status[2] },
    { NAME("metadata"), .kids = strip_metadata, .next = &strip_status[3] }, { NAME("status") },
};

const struct fields *managed_stripped(struct arena *a, const struct fields *ignored)
{
    if (!ignored)
        return strip;
    if (fields_equal(ignored, &strip_status[3]))
        return strip_status;
    return fields_union(a, strip, ignored);
}

const struct fields *managed_filter(const struct managed_write *w, const struct fields *set)
{
    return w->only ? fields_within(w->arena, set, w->ignored) : fields_minus_deep(w->arena, set, w->ignored);
}

/* --- writes --- */

static void set_fields(struct managed_entry *e, const struct fields *set)
{
    if (!fields_equal(set, e->set))
        e->text = NULL;
    e->set = set;
}

static bool touches(const struct fields *x, const struct fields *y)
{
    while (x && y) {
        int c = fields_cmp(x, y);
        if (c == 0 && ((x->member && y->member) || touches(x->kids, y->kids)))
            return true;
        x = c <= 0 ? x->next : x;
        y = c >= 0 ? y->next : y;
    }
    return false;
}

/* The differences as the entry's version sees them. */
bool managed_seen(const struct managed_write *w, struct managed_seen *s, struct str version)
{
    const struct val *old, *now;
    struct merge_type t, u;
    if (str_eq(version, s->version))
        return true;
    if (!w->convert || !w->convert(w->ctx, version, s->now, &now, &t))
        return false;
    old = NULL;
    if (s->old && !w->convert(w->ctx, version, s->old, &old, &u))
        return false;
    s->version = version;
    t.bare |= s->bare;
    fields_compare(w->arena, &t, old, now, &s->changed, &s->removed);
    return true;
}

void managed_take(const struct managed_write *w, struct managed *m, struct managed_seen *s, const struct managed_entry *but)
{
    for (struct managed_entry **at = &m->first, *e; (e = *at);) {
        if (e == but) {
            at = &e->next;
            continue;
        }
        if (!managed_seen(w, s, e->api_version)) {
            *at = e->next;
            continue;
        }
        const struct fields *set = e->set;
        if (touches(set, s->changed))
            set = fields_minus(w->arena, set, s->changed);
        if (touches(set, s->removed))
            set = fields_minus(w->arena, set, s->removed);
        if (set != e->set)
            set_fields(e, set);
        if (e->set)
            at = &e->next;
        else
            *at = e->next;
    }
}

/* --- at most ten updaters --- */

static bool ancient(const struct managed_entry *e)
{
    return !e->applied && str_is(e->manager, ANCIENT) && !e->subresource.len;
}

void managed_drop(struct managed *m, const struct managed_entry *gone)
{
    for (struct managed_entry **at = &m->first; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            return;
        }
}

static void join_oldest(struct arena *a, struct managed *m)
{
    unsigned n, left;
    struct managed_entry **at = to_array(a, m, true, &n);
    if (n <= MOST_UPDATERS)
        return;
    qsort(at, n, sizeof *at, entry_cmp);
    left = n;
    for (unsigned i = 0; i < n && left > MOST_UPDATERS; i++) {
        struct managed_entry *first = NULL, *bucket = NULL;
        for (unsigned k = 0; k < i && !first; k++)      /* the first of this version */
            if (str_eq(at[k]->api_version, at[i]->api_version))
                first = at[k];
        if (!first)
            continue;
        for (struct managed_entry *e = m->first; e; e = e->next)
            if (ancient(e) && str_eq(e->api_version, at[i]->api_version))
                bucket = e;
        if (bucket == at[i])
            continue;
        if (!bucket) {
            bucket = first;
            bucket->manager = STR(ANCIENT);
            bucket->subresource = STR("");
        }
        set_fields(bucket, fields_union(a, at[i]->set, bucket->set));
        bucket->time = at[i]->time;
        managed_drop(m, at[i]);
        left--;
    }
}

static void see(const struct managed_write *w, struct managed_seen *s, const struct val *old, const struct val *now)
{
    static const struct val nothing = { .type = VAL_OBJ };
    *s = (struct managed_seen){ .version = w->api_version, .old = old ? old : &nothing, .now = now };
    fields_compare(w->arena, &w->type, s->old, now, &s->changed, &s->removed);
    s->changed = managed_filter(w, s->changed);
    s->removed = managed_filter(w, s->removed);
}

static void update(const struct managed_write *w, struct managed *m, struct managed_seen *s)
{
    const struct fields *own = fields_minus(w->arena, s->changed, strip);
    if (s->changed || s->removed)
        managed_take(w, m, s, NULL);
    struct managed_entry *e = own ? own_entry(w, false) : NULL, **at = e ? find(m, e) : NULL;
    if (!e) {
        join_oldest(w->arena, m);
        return;
    }
    if (*at) {
        set_fields(*at, fields_union(w->arena, own, (*at)->set));
        (*at)->time = w->now;
        (*at)->api_version = w->api_version;
    } else {
        e->set = own;
        *at = e;
    }
    join_oldest(w->arena, m);
}

void managed_update(const struct managed_write *w, struct managed *m, const struct val *old, const struct val *now)
{
    struct managed_seen s;
    see(w, &s, old, now);
    update(w, m, &s);
}

bool managed_change(const struct managed_write *w, const struct val *list, const struct val *old, const struct val *now, struct val **ret)
{
    struct managed_seen s;
    struct managed m;
    see(w, &s, old, now);
    bool same = !fields_minus(w->arena, s.changed, strip) && !fields_minus(w->arena, s.removed, strip);
    if (same && !w->reconciles)
        return false;
    if (managed_decode(w->arena, list, &m, NULL) < 0)
        m.first = NULL;
    bool mended = w->reconciles && managed_reconcile(w, &m, s.old);
    if (same && !mended)
        return false;
    if (m.first)
        update(w, &m, &s);
    *ret = managed_encode(w->arena, &m);
    return true;
}
