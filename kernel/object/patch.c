/* patch.c - JSON patch (RFC 6902) and merge patch (RFC 7386). Both work on a copy. */
#include "object-internal.h"
#include "object/custom.h"

#include "base/map.h"

#define MOST_OPS 10000
#define MOST_BYTES (12u << 20)          /* what copies may add up to in the arena */

const char *patch_word(const struct val *v)
{
    return val_is(v, VAL_ARR) ? "array" : val_is(v, VAL_STR) ? "string" : val_is(v, VAL_BOOL) ? "bool" : "number";
}

/* --- merge patch --- */

static struct val *merge(struct arena *a, struct val *old, const struct val *patch);

/* The same as member after member, for objects so large that looking each one up from the start would take too long. */
static struct val *merge_wide(struct arena *a, struct val *old, const struct val *patch)
{
    static struct val gone;
    struct map now = { 0 };
    struct val *all = val_new(a, VAL_OBJ), *added = val_new(a, VAL_OBJ);
    bool ok = all && added;
    for (struct val *x = old->first; x && ok; x = x->next)
        ok = map_put(&now, val_key(x), x);
    for (const struct val *m = patch->first; m && ok; m = m->next) {
        struct val *there = map_get(&now, val_key(m)), *v = &gone;
        if (m->type != VAL_NULL)
            v = merge(a, there == &gone ? NULL : there, m);
        else if (!there)
            continue;
        if (v && v != &gone && v != there) {
            v->key = m->key;
            v->key_len = m->key_len;
        }
        if (v && !there)
            val_push(added, v);
        ok = v && map_put(&now, val_key(m), v);
    }
    for (struct val *x = old->first, *next; x && ok; x = next) {
        next = x->next;
        struct val *v = map_get(&now, val_key(x));
        if (v != &gone)
            val_push(all, v);
    }
    for (struct val *x = added->first, *next; x && ok; x = next) {
        next = x->next;
        struct val *v = map_get(&now, val_key(x));
        if (v != &gone)
            val_push(all, v);
    }
    map_free(&now);
    if (ok) {
        old->first = all->first;
        old->last = all->last;
        old->n = all->n;
        old->names = all->names;
    }
    return ok ? old : NULL;
}

static struct val *merge(struct arena *a, struct val *old, const struct val *patch)
{
    if (patch->type != VAL_OBJ)
        return val_copy(a, patch);
    if (!val_is(old, VAL_OBJ))
        old = val_new(a, VAL_OBJ);
    if (old && ((uint64_t)old->n + patch->n) * patch->n > 1u << 20)
        return merge_wide(a, old, patch);
    val_each(m, patch) {
        if (m->type == VAL_NULL) {
            json_del(old, val_key(m));
            continue;
        }
        struct val *there = json_get(old, val_key(m)), *now = merge(a, there, m);
        if (now != there && !json_set(a, old, val_key(m), now))
            return NULL;
    }
    return old;
}

struct val *object_patch_merge(struct arena *a, const struct val *old, const struct val *patch, struct kl_err *err)
{
    if (!val_is(patch, VAL_OBJ)) {
        kl_err_set(err, KL_BAD_REQUEST, "error decoding patch: json: cannot unmarshal %s into Go value of type map[string]interface {}", patch_word(patch));
        return NULL;
    }
    struct val *v = merge(a, val_copy(a, old), patch);
    if (!v || arena_exhausted(a)) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    return v;
}

/* --- JSON patch --- */

struct spot {
    struct val *parent;                 /* NULL: the root */
    struct str key;                     /* unescaped last token */
    struct val *value;                  /* NULL: not there */
};

static struct str unescape(struct arena *a, struct str s)
{
    if (str_find(s, '~') < 0)
        return s;
    char *out = arena_dup(a, s), *o = out;
    for (size_t i = 0; out && i < s.len; i++) {
        if (s.at[i] == '~' && i + 1 < s.len)
            *o++ = s.at[++i] == '1' ? '/' : '~';
        else
            *o++ = s.at[i];
    }
    return str_n(out, (size_t)(o - out));
}

/* Upstream's library reads "01" and "+1", and "-1" is the last of len places. */
static bool index_in(struct str text, unsigned len, int64_t *ret)
{
    if (text.len > 1 && text.at[0] == '+' && text.at[1] != '-')
        text = str_skip(text, 1);
    if (!str_int(text, ret) || *ret >= len || *ret < -(int64_t)len)
        return false;
    *ret += *ret < 0 ? len : 0;
    return true;
}

static struct val *item_at(struct val *arr, struct str index)
{
    int64_t n;
    if (!index_in(index, arr->n, &n))
        return NULL;
    struct val *v = arr->first;
    while (n--)
        v = v->next;
    return v;
}

static struct val *child(struct val *parent, struct str key)
{
    return parent->type == VAL_OBJ ? json_get(parent, key) : parent->type == VAL_ARR ? item_at(parent, key) : NULL;
}

static int missing(struct kl_err *err, struct str op, struct str path)
{
    return kl_err_set(err, KL_INVALID, "json patch: " STR_FMT " operation does not apply: doc is missing path: \"" STR_FMT "\": missing value", STR_ARG(op), STR_ARG(path));
}

/* Its place is there, and it is not. */
static int no_member(struct kl_err *err, struct str op, struct str path, const struct spot *s)
{
    if (s->parent->type != VAL_OBJ)
        return missing(err, op, path);
    return kl_err_set(err, KL_INVALID, "json patch: error in " STR_FMT " for path: '" STR_FMT "': Unable to remove nonexistent key: " STR_FMT ": missing value", STR_ARG(op),
                      STR_ARG(path), STR_ARG(s->key));
}

/* What stands before the first '/' is not looked at, and the whole object is no place: both as upstream. */
static int locate(struct arena *a, struct val *root, struct str op, struct str path, struct spot *ret, struct kl_err *err)
{
    *ret = (struct spot){ NULL, STR_NONE, root };
    long first = str_find(path, '/');
    if (first < 0)
        return missing(err, op, path);
    struct str rest = str_skip(path, (size_t)first + 1);
    while (rest.at) {
        struct str key = unescape(a, str_cut(&rest, '/'));
        if (!ret->value || ret->value->type < VAL_ARR)
            return missing(err, op, path);
        *ret = (struct spot){ ret->value, key, child(ret->value, key) };
    }
    return 0;
}

/* Replaced, tested and copied can also be a member that is not there: null. */
static bool is_place(const struct spot *s)
{
    return s->value || s->parent->type == VAL_OBJ;
}

static int insert(struct arena *a, struct spot *s, struct val *v, struct str path, struct kl_err *err)
{
    int64_t n;
    if (!v)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (s->parent->type == VAL_OBJ)
        return json_set(a, s->parent, s->key, v) ? 0 : -KL_NO_MEMORY;
    v->key = NULL;
    if (str_is(s->key, "-"))
        return val_push(s->parent, v) ? 0 : -KL_NO_MEMORY;
    if (!index_in(s->key, s->parent->n + 1, &n))
        return missing(err, STR("add"), path);
    if (n == s->parent->n)
        return val_push(s->parent, v) ? 0 : -KL_NO_MEMORY;
    struct val *before = NULL, *at = s->parent->first;
    for (; n; n--)
        before = at, at = at->next;
    v->next = at;
    *(before ? &before->next : &s->parent->first) = v;
    s->parent->n++;
    return 0;
}

/* What is stored must be readable: patches may nest no deeper than texts may. */
static bool too_deep(const struct val *v, int left)
{
    if (v->type < VAL_ARR)
        return false;
    if (left == 0)
        return true;
    val_each(kid, v)
        if (too_deep(kid, left - 1))
            return true;
    return false;
}

static int nests(struct kl_err *err, struct str path, const struct val *v)
{
    int left = JSON_DEPTH;
    for (size_t i = 0; i < path.len && left > 0; i++)
        left -= path.at[i] == '/';
    return v && too_deep(v, left) ? kl_err_set(err, KL_INVALID, "the JSON patch nests values more than %d deep", JSON_DEPTH) : 0;
}

static bool as_tested(const struct val *there, const struct val *value)
{
    if (!there || there->type == VAL_NULL)
        return !value || value->type == VAL_NULL;
    return value && val_equal(there, value);
}

static int apply_whole(struct arena *a, struct val **root, bool replace, const struct val *value, struct kl_err *err)
{
    if (!replace)
        return value && val_equal(*root, value) ? 0 : kl_err_set(err, KL_INVALID, "json patch: testing value failed: test failed");
    if (!value || value->type < VAL_ARR)
        return kl_err_set(err, KL_INVALID, "json patch: replace operation value must be object or array");
    *root = val_copy(a, value);
    return *root ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

/* taken: the operations are not asked again, so their values become the object's. */
static int apply_op(struct arena *a, struct val **root, const struct val *op, bool taken, struct kl_err *err)
{
    struct str name = json_str(op, "op"), path = json_str(op, "path"), from = json_str(op, "from");
    struct val *value = json_get(op, STR("value"));
    struct spot to, src;
    bool add = str_is(name, "add"), replace = str_is(name, "replace"), test = str_is(name, "test");
    bool move = str_is(name, "move"), copy = str_is(name, "copy"), remove = str_is(name, "remove");
    if (!(add || replace || test || move || copy || remove))
        return kl_err_set(err, KL_INVALID, "json patch: Unexpected kind: " STR_FMT, STR_ARG(name.at ? name : STR("unknown")));
    if (!path.at || ((move || copy) && !from.at))
        return kl_err_set(err, KL_INVALID, "json patch: " STR_FMT " operation failed to decode %s: missing value", STR_ARG(name), path.at ? "from" : "path");
    if (!path.len && (replace || test))
        return apply_whole(a, root, replace, value, err);
    if (move || copy) {
        if (locate(a, *root, name, from, &src, err) < 0)
            return -KL_INVALID;
        if (move && !src.value)
            return no_member(err, name, src.key, &src);
        if (!is_place(&src))
            return missing(err, name, from);
        if (move && (str_eq(path, from) || (str_starts(path, from) && path.at[from.len] == '/')))
            return str_eq(path, from) ? 0 : kl_err_set(err, KL_INVALID, "json patch: a value cannot move into itself");
        value = src.value ? val_copy(a, src.value) : val_new(a, VAL_NULL);
        if (move)
            val_unlink(src.parent, src.value);
    }
    if (locate(a, *root, name, path, &to, err) < 0)
        return -KL_INVALID;
    if (remove && !to.value)
        return no_member(err, name, path, &to);
    if ((replace || test) && !is_place(&to))
        return missing(err, name, path);
    if (test)
        return as_tested(to.value, value) ? 0 : kl_err_set(err, KL_INVALID, "json patch: testing path " STR_FMT " failed: test failed", STR_ARG(path));
    if (remove) {
        val_unlink(to.parent, to.value);
        return 0;
    }
    if (nests(err, path, value) < 0)
        return -KL_INVALID;
    if (replace && to.parent->type == VAL_ARR) {
        struct val *now = value ? val_copy(a, value) : val_new(a, VAL_NULL);
        if (!now)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        val_replace(to.value, now);
        return 0;
    }
    struct val *one = taken && value ? arena_raw(a, sizeof *one) : NULL;    /* it is a member of the operation too */
    if (one)
        *one = *value;
    return insert(a, &to, move || copy ? value : one ? one : value ? val_copy(a, value) : val_new(a, VAL_NULL), path, err);
}

/* What could be no operation at all is told before any is tried. */
static int check_ops(const struct val *ops, struct kl_err *err)
{
    val_each(op, ops) {
        if (op->type != VAL_OBJ && op->type != VAL_NULL)
            return kl_err_set(err, KL_BAD_REQUEST, "error decoding patch: json: cannot unmarshal %s into Go value of type handlers.jsonPatchOp", patch_word(op));
        for (const struct val *m = op->type == VAL_OBJ ? op->first : NULL; m; m = m->next) {
            struct str key = val_key(m);
            if (m->type != VAL_STR && m->type != VAL_NULL && (str_is(key, "op") || str_is(key, "path") || str_is(key, "from")))
                return kl_err_set(err, KL_BAD_REQUEST, "error decoding patch: json: cannot unmarshal %s into Go struct field jsonPatchOp." STR_FMT
                                  " of type string", val_is(m, VAL_OBJ) ? "object" : patch_word(m), STR_ARG(key));
        }
    }
    return 0;
}

static struct val *patch_json(struct arena *a, struct val *root, const struct val *ops, bool taken, struct kl_err *err)
{
    size_t before = arena_used(a);
    if (val_is(ops, VAL_NULL))
        return root;
    if (!val_is(ops, VAL_ARR)) {
        kl_err_set(err, KL_BAD_REQUEST, "error decoding patch: json: cannot unmarshal %s into Go value of type []handlers.jsonPatchOp",
                   val_is(ops, VAL_OBJ) ? "object" : patch_word(ops));
        return NULL;
    }
    if (ops->n > MOST_OPS) {
        kl_err_set(err, KL_TOO_LARGE, "The allowed maximum operations in a JSON patch is %d, got %u", MOST_OPS, ops->n);
        return NULL;
    }
    if (check_ops(ops, err) < 0)
        return NULL;
    val_each(op, ops) {
        if (apply_op(a, &root, op, taken, err) < 0)
            return NULL;
        if (arena_exhausted(a) || arena_used(a) - before > MOST_BYTES) {
            kl_err_set(err, KL_TOO_LARGE, "the JSON patch makes the object too large");
            return NULL;
        }
    }
    if (!val_is(root, VAL_OBJ)) {
        kl_err_set(err, KL_INVALID, "the JSON patch leaves no object");
        return NULL;
    }
    return root;
}

struct val *object_patch_json(struct arena *a, const struct val *old, const struct val *ops, struct kl_err *err)
{
    return patch_json(a, val_copy(a, old), ops, false, err);
}

struct val *object_patch_json_here(struct arena *a, struct val *root, struct val *ops, struct kl_err *err)
{
    return patch_json(a, root, ops, true, err);
}

/* --- what is odd about one --- */

static void check_operation(const struct val *x, long at, struct object_strict *strict)
{
    static const char *const members[] = { "op", "path", "from", "value" };
    for (const struct val *m = x->type == VAL_OBJ ? x->first : NULL; m; m = m->next) {
        bool known = false;
        for (int i = 0; i < 4; i++)
            known |= str_is(val_key(m), members[i]);
        if (!known)
            strict_say(strict, arena_printf(strict->arena, "json patch unknown field \"[%ld]." STR_FMT "\"", at, STR_ARG(val_key(m))));
    }
}

void object_patch_strict(struct val *patch, bool json, struct object_strict *strict)
{
    struct path here = { NULL, STR_NONE, 0 };
    if (!json)
        custom_prune(NULL, patch, NULL, strict);
    if (!json || patch->type != VAL_ARR)
        return;
    val_each(x, patch) {
        struct object_strict found = { .arena = strict->arena };
        custom_prune(NULL, x, &here, &found);
        for (unsigned i = 0; i < found.n; i++)
            strict_say(strict, arena_printf(strict->arena, "json patch %s", found.at[i]));
        check_operation(x, here.index++, strict);
    }
}
