/* meta.c - see meta.h. */
#include "meta.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_scan.h"

struct str meta_ns(const struct val *v)
{
    return json_str(v, "metadata.namespace");
}

struct str meta_name(const struct val *v)
{
    return json_str(v, "metadata.name");
}

struct str meta_uid(const struct val *v)
{
    return json_str(v, "metadata.uid");
}

struct str meta_label(const struct val *v, const char *key)
{
    return val_str(json_get(json_path(v, "metadata.labels"), str_of(key)));
}

struct str meta_annotation(const struct val *v, const char *key)
{
    return val_str(json_get(json_path(v, "metadata.annotations"), str_of(key)));
}

static void set_in(struct arena *a, struct val *v, struct str map, const char *key, struct str value)
{
    json_set_str(a, json_obj(a, json_obj(a, v, STR("metadata")), map), str_of(key), value);
}

void meta_set_label(struct arena *a, struct val *v, const char *key, struct str value)
{
    set_in(a, v, STR("labels"), key, value);
}

void meta_set_annotation(struct arena *a, struct val *v, const char *key, struct str value)
{
    set_in(a, v, STR("annotations"), key, value);
}

bool meta_deleting(const struct val *v)
{
    return json_str(v, "metadata.deletionTimestamp").len > 0;
}

int64_t meta_time(const struct val *v, const char *path)
{
    int64_t ns;
    return clock_parse(json_str(v, path), &ns) ? ns : 0;
}

int meta_cmp_created(const struct val *x, const struct val *y)
{
    int64_t a = meta_time(x, "metadata.creationTimestamp"), b = meta_time(y, "metadata.creationTimestamp");
    return a != b ? (a < b ? -1 : 1) : str_cmp(meta_name(x), meta_name(y));
}

static struct val *finalizer(const struct val *v, const char *name)
{
    struct val *list = json_path(v, "metadata.finalizers");
    if (val_is(list, VAL_ARR))
        val_each(f, list)
            if (str_is(val_str(f), name))
                return f;
    return NULL;
}

bool meta_has_finalizer(const struct val *v, const char *name)
{
    return finalizer(v, name) != NULL;
}

void meta_set_finalizer(struct arena *a, struct val *v, const char *name, bool on)
{
    struct val *f = finalizer(v, name), *meta = json_obj(a, v, STR("metadata"));
    if (on && !f)
        val_push(json_arr(a, meta, STR("finalizers")), val_of_str(a, str_of(name)));
    if (on || !f)
        return;
    struct val *list = json_get(meta, STR("finalizers"));
    val_unlink(list, f);
    if (!list->n)
        json_del(meta, STR("finalizers"));
}

/* --- owners --- */

struct val *meta_controller(const struct val *v)
{
    struct val *refs = json_path(v, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(ref, refs)
            if (json_bool(ref, "controller", false))
                return ref;
    return NULL;
}

struct str meta_controller_text(struct str json)
{
    struct str refs = json_scan_path(json, "metadata.ownerReferences"), ref;
    while (refs.at && json_scan_item(&refs, &ref))
        if (str_is(json_scan_member(ref, STR("controller")), "true"))
            return ref;
    return STR_NONE;
}

bool meta_controlled_by(const struct val *v, struct str uid)
{
    struct val *ref = meta_controller(v);
    return ref && str_eq(json_str(ref, "uid"), uid);
}

struct val *meta_owner_ref(struct arena *a, const struct val *owner)
{
    struct val *ref = val_new(a, VAL_OBJ);
    json_set_str(a, ref, STR("apiVersion"), json_str(owner, "apiVersion"));
    json_set_str(a, ref, STR("kind"), json_str(owner, "kind"));
    json_set_str(a, ref, STR("name"), meta_name(owner));
    json_set_str(a, ref, STR("uid"), meta_uid(owner));
    json_set_bool(a, ref, STR("controller"), true);
    json_set_bool(a, ref, STR("blockOwnerDeletion"), true);
    return ref;
}

void meta_drop_owner(struct val *v, struct str uid)
{
    struct val *meta = json_get(v, STR("metadata")), *refs = json_get(meta, STR("ownerReferences"));
    if (!val_is(refs, VAL_ARR))
        return;
    for (struct val *ref = refs->first, *next; ref; ref = next) {
        next = ref->next;
        if (str_eq(json_str(ref, "uid"), uid))
            val_unlink(refs, ref);
    }
    if (!refs->n)
        json_del(meta, STR("ownerReferences"));
}

/* --- conditions --- */

struct val *cond_find(const struct val *list, const char *type)
{
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), type))
                return c;
    return NULL;
}

bool cond_is(const struct val *v, const char *type, const char *status)
{
    struct val *c = cond_find(json_path(v, "status.conditions"), type);
    return c && str_is(json_str(c, "status"), status);
}

bool cond_drop(struct val *list, const char *type)
{
    struct val *c = cond_find(list, type);
    if (c)
        val_unlink(list, c);
    return c != NULL;
}

/* --- selectors --- */

static bool all_there(const struct val *map, const struct val *labels)
{
    if (val_is(map, VAL_OBJ))
        val_each(m, map) {
            struct val *l = json_get(labels, val_key(m));
            if (!l || !str_eq(val_str(l), val_str(m)))
                return false;
        }
    return true;
}

static bool expression_holds(const struct val *e, const struct val *labels)
{
    struct str op = json_str(e, "operator");
    struct val *l = json_get(labels, json_str(e, "key"));
    if (str_is(op, "Exists"))
        return l != NULL;
    if (str_is(op, "DoesNotExist"))
        return l == NULL;
    bool in = l && json_lists(json_get(e, STR("values")), val_str(l));
    return str_is(op, "In") ? in : str_is(op, "NotIn") && !in;
}

bool sel_matches(const struct val *selector, const struct val *labels)
{
    if (!selector || !all_there(json_get(selector, STR("matchLabels")), labels))
        return false;
    struct val *list = json_get(selector, STR("matchExpressions"));
    if (val_is(list, VAL_ARR))
        val_each(e, list)
            if (!expression_holds(e, labels))
                return false;
    return true;
}

static bool something(const struct val *v)
{
    return v && v->type >= VAL_ARR && v->n;
}

bool sel_empty(const struct val *selector)
{
    return !something(json_get(selector, STR("matchLabels"))) && !something(json_get(selector, STR("matchExpressions")));
}

bool sel_map_matches(const struct val *map, const struct val *labels)
{
    return something(map) && all_there(map, labels);
}

static void write_map(struct buf *b, const struct val *map)
{
    if (val_is(map, VAL_OBJ))
        val_each(m, map) buf_printf(b, "%s" STR_FMT "=" STR_FMT, b->len ? "," : "", STR_ARG(val_key(m)), STR_ARG(val_str(m)));
}

static void write_expression(struct buf *b, const struct val *e)
{
    struct str op = json_str(e, "operator"), key = json_str(e, "key");
    bool in = str_is(op, "In"), absent = str_is(op, "DoesNotExist");
    buf_printf(b, "%s%s" STR_FMT, b->len ? "," : "", absent ? "!" : "", STR_ARG(key));
    if (absent || str_is(op, "Exists"))
        return;
    buf_add_z(b, in ? " in (" : " notin (");
    struct val *values = json_get(e, STR("values"));
    if (val_is(values, VAL_ARR))
        val_each(v, values) buf_printf(b, "%s" STR_FMT, v == values->first ? "" : ",", STR_ARG(val_str(v)));
    buf_add_c(b, ')');
}

const char *sel_text(struct arena *a, const struct val *selector)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    write_map(&b, json_get(selector, STR("matchLabels")));
    struct val *list = json_get(selector, STR("matchExpressions"));
    if (val_is(list, VAL_ARR))
        val_each(e, list) write_expression(&b, e);
    return b.failed ? NULL : arena_dup(a, buf_str(&b));
}

static void show_selector(struct buf *b, const struct val *selector)
{
    struct val *labels = json_get(selector, STR("matchLabels")), *more = json_get(selector, STR("matchExpressions"));
    buf_lit(b, "&LabelSelector{MatchLabels:map[string]string{");
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels)
            buf_printf(b, STR_FMT ": " STR_FMT ",", STR_ARG(val_key(l)), STR_ARG(val_str(l)));
    buf_lit(b, "},MatchExpressions:[]LabelSelectorRequirement{");
    if (val_is(more, VAL_ARR))
        val_each(m, more) {
            struct val *values = json_get(m, STR("values"));
            buf_printf(b, "LabelSelectorRequirement{Key:" STR_FMT ",Operator:" STR_FMT ",Values:[", STR_ARG(json_str(m, "key")), STR_ARG(json_str(m, "operator")));
            if (val_is(values, VAL_ARR))
                val_each(v, values)
                    buf_printf(b, "%s" STR_FMT, v == values->first ? "" : " ", STR_ARG(val_str(v)));
            buf_lit(b, "],},");
        }
    buf_lit(b, "},}");
}

const char *sel_shown(struct arena *a, const struct val *selector)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    if (!selector)
        return "nil";
    show_selector(&b, selector);
    return arena_dup(a, buf_str(&b));
}

const char *sel_map_text(struct arena *a, const struct val *map)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    write_map(&b, map);
    return b.failed ? NULL : arena_dup(a, buf_str(&b));
}

void meta_set_count(struct arena *a, struct val *v, struct str key, int64_t n)
{
    if (n)
        json_set_int(a, v, key, n);
    else
        json_del(v, key);
}

int64_t int_or_percent(const struct val *v, int64_t total, bool up, int64_t fallback)
{
    int64_t n;
    struct str s = val_str(v);
    if (val_is(v, VAL_INT))
        return v->i;
    if (!str_ends(s, STR("%")) || !str_int(str_n(s.at, s.len - 1), &n))
        return fallback;
    return (n * total + (up ? 99 : 0)) / 100;
}
