/* json_path.c - the JSON paths of additionalPrinterColumns, as upstream's client library understands them: a path is a row of steps, each of which makes
 * another set of values of the set before it. Fields that are not there are nothing; a step that does not suit its values is a failure. */
#include <stdlib.h>

#include "object/custom-internal.h"

#define FEW 4

struct set {                            /* a value of its own: copies are apart, unless both grow */
    const struct val *few[FEW], **more;
    unsigned n, room;
};

struct walk {
    struct arena *arena;
    struct set now;
    unsigned depth;                     /* of paths within paths */
};

#define DEPTH_MOST 8

static const struct val *item_of(const struct set *s, unsigned i)
{
    return i < FEW ? s->few[i] : s->more[i - FEW];
}

static bool add(struct walk *w, struct set *s, const struct val *v)
{
    if (s->n >= FEW && s->n - FEW == s->room) {
        unsigned room = s->room ? s->room * 2 : 16;
        const struct val **more = arena_alloc(w->arena, room * sizeof(const struct val *));
        if (!more)
            return false;
        if (s->room)
            memcpy(more, s->more, s->room * sizeof(const struct val *));
        s->more = more;
        s->room = room;
    }
    *(s->n < FEW ? &s->few[s->n] : &s->more[s->n - FEW]) = v;
    s->n++;
    return true;
}

static bool follow(struct walk *w, struct str path);

/* A path of its own that begins with these values. */
static bool apart(struct walk *w, struct set from, struct str path, struct set *ret)
{
    struct walk x = { w->arena, from, w->depth + 1 };
    bool ok = x.depth < DEPTH_MOST && follow(&x, path);
    *ret = x.now;
    return ok;
}

/* --- steps --- */

static bool step_field(struct walk *w, struct str name)
{
    struct set next = { .n = 0 };
    bool ok = true;
    for (unsigned i = 0; i < w->now.n && ok; i++) {
        const struct val *m = json_get(item_of(&w->now, i), name);
        ok = !m || add(w, &next, m);
    }
    w->now = next;
    return ok;
}

static bool step_all(struct walk *w)
{
    struct set next = { .n = 0 };
    for (unsigned i = 0; i < w->now.n; i++)
        if (item_of(&w->now, i)->type >= VAL_ARR)
            val_each(kid, item_of(&w->now, i))
                if (!add(w, &next, kid))
                    return false;
    w->now = next;
    return true;
}

static bool add_below(struct walk *w, struct set *s, const struct val *v)
{
    if (v->type < VAL_ARR || !v->n)
        return true;
    if (!add(w, s, v))
        return false;
    val_each(kid, v)
        if (!add_below(w, s, kid))
            return false;
    return true;
}

static bool step_below(struct walk *w)
{
    struct set next = { .n = 0 };
    for (unsigned i = 0; i < w->now.n; i++)
        if (!add_below(w, &next, item_of(&w->now, i)))
            return false;
    w->now = next;
    return true;
}

struct range {
    int64_t from, to, step;
    bool has_from, has_to, has_step, one;
};

static bool add_range(struct walk *w, struct set *s, const struct val *list, const struct range *r)
{
    int64_t n = list->n, from = r->has_from ? r->from : 0, to = r->has_to ? r->to : n, k = 0;
    from += from < 0 ? n : 0;
    to += to < 0 || (to == 0 && r->one) ? n : 0;
    if (from == to)
        return true;
    if (from < 0 || from >= n || to < 0 || to > n || from > to || (r->has_step && r->step < 1))
        return false;
    val_each(item, list) {
        if (k >= from && k < to && (k - from) % (r->has_step ? r->step : 1) == 0 && !add(w, s, item))
            return false;
        k++;
    }
    return true;
}

static bool step_range(struct walk *w, const struct range *r)
{
    struct set next = { .n = 0 };
    for (unsigned i = 0; i < w->now.n; i++) {
        if (item_of(&w->now, i)->type == VAL_NULL)
            continue;
        if (item_of(&w->now, i)->type != VAL_ARR || !add_range(w, &next, item_of(&w->now, i), r))
            return false;
    }
    w->now = next;
    return true;
}

/* "1", "-1", "1:3", "::2": a number alone is one item. */
static bool read_range(struct str text, struct range *r)
{
    struct str part[3] = { STR_NONE, STR_NONE, STR_NONE };
    int64_t *const to[3] = { &r->from, &r->to, &r->step };
    bool *const has[3] = { &r->has_from, &r->has_to, &r->has_step };
    unsigned n = 0;
    *r = (struct range){ .one = str_find(text, ':') < 0 };
    for (; text.at && n < 3; n++)
        part[n] = str_cut(&text, ':');
    if (text.at)
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (part[i].len && !(*has[i] = str_int(part[i], to[i])))
            return false;
    if (r->one) {
        r->to = r->from + 1;
        r->has_to = true;
    }
    return true;
}

static bool step_bracket(struct walk *w, struct str inside);

static bool step_union(struct walk *w, struct str inside)
{
    struct set next = { .n = 0 };
    while (inside.at) {
        struct walk one = { w->arena, w->now, w->depth };
        if (!step_bracket(&one, str_trim(str_cut(&inside, ','))))
            return false;
        for (unsigned i = 0; i < one.now.n; i++)
            if (!add(w, &next, item_of(&one.now, i)))
                return false;
    }
    w->now = next;
    return true;
}

/* What stands in '' is itself a path: its dots want a backslash. */
static bool step_bracket(struct walk *w, struct str inside)
{
    struct range r;
    if (str_is(inside, "*"))
        inside = STR(":");
    if (str_find(inside, ',') >= 0)
        return step_union(w, inside);
    if (inside.len >= 2 && inside.at[0] == '\'' && str_find(str_skip(inside, 1), '\'') == (long)inside.len - 2) {
        char *path = arena_printf(w->arena, "." STR_FMT, STR_ARG(str_n(inside.at + 1, inside.len - 2)));
        struct set next;
        bool ok = path && apart(w, w->now, str_of(path), &next);
        if (ok)
            w->now = next;
        return ok;
    }
    return read_range(inside, &r) && step_range(w, &r);
}

/* --- filters --- */

enum sort { SORT_NONE, SORT_BOOL, SORT_INT, SORT_FLOAT, SORT_STR };

static enum sort sort_of(const struct val *v)
{
    static const enum sort of[] = { [VAL_BOOL] = SORT_BOOL, [VAL_INT] = SORT_INT, [VAL_NUM] = SORT_FLOAT, [VAL_STR] = SORT_STR };
    return v->type < sizeof of / sizeof *of ? of[v->type] : SORT_NONE;
}

static double number(const struct val *v)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(v->n < 63 ? v->n : 63), v->s);
    return strtod(text, NULL);
}

/* < 0, 0, > 0. False: these two cannot be compared. */
static bool compare(const struct val *a, const struct val *b, int *ret)
{
    enum sort sort = sort_of(a);
    if (sort == SORT_NONE || sort != sort_of(b))
        return false;
    double x = sort == SORT_FLOAT ? number(a) : 0, y = sort == SORT_FLOAT ? number(b) : 0;
    *ret = sort == SORT_STR ? str_cmp(val_str(a), val_str(b)) : sort == SORT_FLOAT ? (x > y) - (x < y) : (a->i > b->i) - (a->i < b->i);
    return true;
}

static bool holds(struct str op, const struct val *a, const struct val *b, bool *ret)
{
    static const struct {
        const char *op;
        bool less, equal, more;
    } rows[] = { { "==", false, true, false }, { "!=", true, false, true }, { "<", true, false, false },
                 { "<=", true, true, false },  { ">", false, false, true }, { ">=", false, true, true } };
    int order;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_is(op, rows[i].op))
            continue;
        if (!compare(a, b, &order) || (a->type == VAL_BOOL && i > 1))
            return false;
        *ret = order < 0 ? rows[i].less : order > 0 ? rows[i].more : rows[i].equal;
        return true;
    }
    return false;
}

static bool add_filtered(struct walk *w, struct set *s, const struct val *item, struct str left, struct str op, struct str right)
{
    struct set self = { .n = 0 }, a, b;
    bool yes = false, ok = add(w, &self, item) && apart(w, self, left, &a);
    if (!op.len)
        return !ok || !a.n || add(w, s, item);
    if (!ok || a.n > 1)
        return false;
    if (!a.n)
        return true;
    if (!apart(w, self, right, &b) || b.n > 1)
        return false;
    if (b.n && !holds(op, a.few[0], b.few[0], &yes))
        return false;
    return !yes || add(w, s, item);
}

static bool step_filter(struct walk *w, struct str filter)
{
    size_t n = 0, from;
    struct set next = { .n = 0 };
    while (n < filter.len && !strchr("!<>=", filter.at[n]))
        n++;
    for (from = n; n < filter.len && strchr("!<>=", filter.at[n]);)
        n++;
    bool compares = from > 0 && n > from && n < filter.len;
    struct str left = compares ? str_n(filter.at, from) : filter, op = compares ? str_n(filter.at + from, n - from) : STR(""), right = str_skip(filter, n);
    for (unsigned i = 0; i < w->now.n; i++) {
        if (item_of(&w->now, i)->type != VAL_ARR)
            return false;
        val_each(item, item_of(&w->now, i))
            if (!add_filtered(w, &next, item, left, op, right))
                return false;
    }
    w->now = next;
    return true;
}

/* --- the row of steps --- */

static bool ends_name(char c)
{
    return memchr(" \t\r\n.,[]$@{}", c, 12) != NULL;
}

/* A name up to what ends it, without its backslashes; *path goes on behind it. */
static bool take_name(struct walk *w, struct str *path, struct str *ret)
{
    size_t len = 0, n = 0;
    bool plain = true;
    for (; len < path->len && !ends_name(path->at[len]); len++)
        if (path->at[len] == '\\') {
            plain = false;
            len += len + 1 < path->len;
        }
    *ret = str_n(path->at, len);
    *path = str_skip(*path, len);
    if (plain)
        return true;
    char *name = arena_raw(w->arena, len);
    for (size_t i = 0; name && i < len; i++)
        if (ret->at[i] != '\\')
            name[n++] = ret->at[i];
    *ret = str_n(name, n);
    return name != NULL;
}

static bool take_field(struct walk *w, struct str *path)
{
    struct str name;
    if (!take_name(w, path, &name))
        return false;
    return str_is(name, "*") ? step_all(w) : step_field(w, name);
}

/* A text or a number in place of the values. */
static bool take_literal(struct walk *w, struct str *path)
{
    struct val *v;
    char quote = path->at[0];
    size_t n = 1;
    if (quote == '"' || quote == '\'') {
        while (n < path->len && (path->at[n] != quote || path->at[n - 1] == '\\'))
            n++;
        if (n == path->len)
            return false;
        v = val_of_str(w->arena, str_n(path->at + 1, n - 1));
        w->now = (struct set){ .n = 0 };
        *path = str_skip(*path, n + 1);
        return v && add(w, &w->now, v);
    }
    while (n < path->len && !ends_name(path->at[n]))
        n++;
    while (n < path->len && path->at[n] == '.' && quote != 't' && quote != 'f')      /* 1.5 */
        for (n++; n < path->len && path->at[n] >= '0' && path->at[n] <= '9';)
            n++;
    struct str text = str_n(path->at, n);
    v = str_is(text, "true") || str_is(text, "false") ? val_of_bool(w->arena, quote == 't') : json_parse(w->arena, quote == '+' ? str_skip(text, 1) : text, NULL);
    *path = str_skip(*path, n);
    if (!v)
        return false;
    struct set next = { .n = 0 };
    for (unsigned i = 0; i < w->now.n; i++)
        if (!add(w, &next, v))
            return false;
    w->now = next;
    return v->type == VAL_BOOL || v->type == VAL_INT || v->type == VAL_NUM;
}

/* Up to the ")]" that ends a filter: within its one quoted text a bracket is text. */
static bool take_filter(struct walk *w, struct str *path)
{
    char pair = 0;
    bool closed = false;
    for (size_t i = 3; i + 1 < path->len; i++) {
        char c = path->at[i];
        if ((c == '"' || c == '\'') && !pair)
            pair = c;
        else if (pair && c == pair && path->at[i - 1] != '\\')
            closed = true;
        else if (c == ')' && (pair != 0) == closed) {
            struct str filter = str_n(path->at + 3, i - 3);
            bool ok = path->at[i + 1] == ']';
            *path = str_skip(*path, i + 2);
            return ok && step_filter(w, filter);
        }
    }
    return false;
}

static bool take_step(struct walk *w, struct str *path)
{
    char c = path->at[0];
    if (str_starts(*path, STR("[?(")))
        return take_filter(w, path);
    if (str_starts(*path, STR(".."))) {
        *path = str_skip(*path, 2);
        bool name = path->len && !ends_name(path->at[0]);
        return step_below(w) && (!name || take_field(w, path));
    }
    if (c == '[') {
        long end = str_find(*path, ']');
        struct str inside = end > 0 ? str_n(path->at + 1, (size_t)end - 1) : STR_NONE;
        *path = str_skip(*path, end > 0 ? (size_t)end + 1 : path->len);
        return end > 0 && step_bracket(w, inside);
    }
    if (c == ' ' || c == '@' || c == '$' || c == '.') {
        *path = str_skip(*path, 1);
        return c != '.' || take_field(w, path);
    }
    return take_literal(w, path);
}

static bool follow(struct walk *w, struct str path)
{
    while (path.len)
        if (!take_step(w, &path))
            return false;
    return true;
}

const struct val *custom_json_path(struct arena *a, const struct val *v, struct str path)
{
    struct walk w = { .arena = a };
    return add(&w, &w.now, v) && follow(&w, path) && w.now.n ? w.now.few[0] : NULL;
}
