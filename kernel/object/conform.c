/* conform.c - makes an untyped tree an object of its type: known members only, in the order of the rows, scalars canonical. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/quantity.h"
#include "object/custom.h"
#include "object-internal.h"

#define IN_MAP (-2)                     /* path.index: the name is a map's key, though it is written as a member's */

struct walk {
    struct arena *arena;
    struct object_strict *strict;
    struct kl_err *err;
    bool wrong;                         /* some value has not the type of its field: the first is in err */
    const struct schema_type *root;
};

static int conform_type(struct walk *w, const struct schema_type *t, struct val *v, const struct path *p, const char *owner);

static const char *const type_words[] = { "", "null", "bool", "number", "number", "string", "array", "object" };

static void member_write(struct buf *b, struct str name)
{
    buf_printf(b, "%s" STR_FMT, b->len ? "." : "", STR_ARG(name));
}

/* That member's field, with the structs written in which Go embeds it. */
static const struct schema_field *embedded(struct buf *b, const struct schema_type *t, struct str name)
{
    for (unsigned i = 0; t && i < t->n_fields; i++)
        if (!(t->fields[i].flags & F_INLINE_STRUCT) && str_is(name, t->fields[i].json))
            return &t->fields[i];
    for (unsigned i = 0; t && i < t->n_fields; i++) {
        size_t before = b->len;
        if (!(t->fields[i].flags & F_INLINE_STRUCT))
            continue;
        member_write(b, str_of(t->fields[i].type->go));
        const struct schema_field *f = embedded(b, t->fields[i].type, name);
        if (f)
            return f;
        b->len = before;
    }
    return NULL;
}

/* Where a value is, as Go's decoder says it: the names of fields alone. Returns the last of them; NULL: none that the rows know. The metadata of custom
 * resources is decoded by itself. */
static const struct schema_field *members_write(struct buf *b, const struct path *p, const struct schema_type *root)
{
    if (!p)
        return NULL;
    const struct schema_field *up = members_write(b, p->up, root);
    if (!p->name.at || p->index == IN_MAP)
        return up;
    const struct schema_field *f = embedded(b, up ? up->type : root, p->name);
    if (up || !root->custom)
        member_write(b, p->name);
    return f;
}

/* Text of a type of its own: the name that Go has for it, or for a list or map of such. */
static const char *named_type(struct walk *w, const struct schema_field *f, const char *go)
{
    const char *of = strstr(go, f && f->type->kind == T_STRINGS ? "[]string" : "string");
    if (of && strncmp(go, "map[string]", 11) == 0)
        of = strstr(go + 11, f && f->type->kind == T_STRINGS ? "[]string" : "string");
    return f && f->go && of ? arena_printf(w->arena, "%.*s%s", (int)(of - go), go, f->go) : go;
}

/* A value of another type than its field's. Go's decoder goes on: what a type's own decoder complains of comes before it. */
static int wrong(struct walk *w, const struct val *v, const struct path *p, const char *owner, const char *go)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    const char *num = "";
    if (w->wrong)
        return 0;
    if (v->type == VAL_NUM && (strcmp(go, "int32") == 0 || strcmp(go, "int64") == 0))
        num = arena_printf(w->arena, " %.*s", (int)v->n, v->s);
    if (v->type == VAL_INT && (strcmp(go, "int32") == 0 || strcmp(go, "int64") == 0))
        num = arena_printf(w->arena, " %lld", (long long)v->i);
    go = named_type(w, members_write(&b, p, w->root), go);
    w->wrong = true;
    kl_err_set(w->err, KL_BAD_REQUEST, "json: cannot unmarshal %s%s into Go struct field %s.%s of type %s", type_words[v->type], num, owner,
               b.len ? b.at : "", go);
    return 0;
}

/* A type as Go writes it: "v1.Container". */
static const char *go_type(struct walk *w, const struct schema_type *t)
{
    const char *dot = strrchr(t->name, '.'), *from = dot;
    if (t->kind == T_BYTES)
        return "[]uint8";
    while (from && from > t->name && from[-1] != '.')
        from--;
    return dot && t->kind == T_STRUCT ? arena_printf(w->arena, "%.*s.%s", (int)(dot - from), from, t->go) : t->go;
}

static int no_memory(struct walk *w)
{
    return kl_err_set(w->err, KL_NO_MEMORY, "out of memory");
}

static int conform_quantity(struct walk *w, struct val *v)
{
    struct quantity q;
    char text[QUANTITY_TEXT];
    struct str s = v->type == VAL_STR || v->type == VAL_NUM ? str_n(v->s, v->n) : STR_NONE;
    if (v->type == VAL_INT) {
        q = quantity_of(v->i, QUANTITY_DECIMAL);
    } else if (!quantity_parse(s, &q)) {
        return kl_err_set(w->err, KL_BAD_REQUEST, "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    }
    size_t n = quantity_format(q, text);
    if (v->type == VAL_STR && str_eq(s, str_n(text, n)))
        return 0;
    char *copy = arena_dup(w->arena, str_n(text, n));
    if (!copy)
        return no_memory(w);
    v->type = VAL_STR;
    v->s = copy;
    v->n = (uint32_t)n;
    return 0;
}

/* Go's parser of times goes through its layout; what does not fit is told with what was expected there. */
static int bad_time(struct walk *w, struct str s, bool micro)
{
    static const struct {
        const char *part;
        int digits;                     /* 0: the part itself */
    } rows[] = { { "2006", 4 }, { "-", 0 }, { "01", 2 }, { "-", 0 }, { "02", 2 }, { "T", 0 }, { "15", 2 }, { ":", 0 }, { "04", 2 }, { ":", 0 }, { "05", 2 } };
    const char *layout = micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00", *part = NULL;
    struct str rest = s;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !part; i++) {
        size_t n = rows[i].digits ? (size_t)rows[i].digits : 1;
        bool fits = rest.len >= n;
        for (size_t k = 0; k < n && fits; k++)
            fits = rows[i].digits ? rest.at[k] >= '0' && rest.at[k] <= '9' : rest.at[k] == rows[i].part[k];
        if (fits)
            rest = str_skip(rest, n);
        else
            part = rows[i].part;
    }
    size_t digits = 1;
    while (!part && rest.len > digits && rest.at[0] == '.' && rest.at[digits] >= '0' && rest.at[digits] <= '9')
        digits++;
    if (!part && micro && digits < 7)
        part = ".000000";
    if (!part) {
        rest = str_skip(rest, micro ? 7 : digits > 1 ? digits : 0);
        part = "Z07:00";
    }
    return kl_err_set(w->err, KL_BAD_REQUEST, "parsing time \"" STR_FMT "\" as \"%s\": cannot parse \"" STR_FMT "\" as \"%s\"", STR_ARG(s), layout,
                      STR_ARG(rest), part);
}

/* RFC 3339; upstream's MicroTime wants exactly six digits behind the point. */
static bool parses(struct str s, bool micro, int64_t *ret_seconds, int64_t *ret_ns)
{
    if (!clock_parse_parts(s, ret_seconds, ret_ns))
        return false;
    if (!micro)
        return true;
    size_t n = 0;
    long dot = str_find(s, '.');
    for (struct str rest = dot < 0 ? STR("") : str_skip(s, (size_t)dot + 1); n < rest.len && rest.at[n] >= '0' && rest.at[n] <= '9';)
        n++;
    return n == 6;
}

static int conform_time(struct walk *w, struct val *v, const struct path *p, bool micro, const char *owner)
{
    int64_t seconds, ns;
    char text[CLOCK_TEXT];
    if (v->type != VAL_STR)
        return wrong(w, v, p, owner, "string");
    struct str s = str_n(v->s, v->n);
    if (!parses(s, micro, &seconds, &ns))
        return bad_time(w, s, micro);
    clock_format_parts(seconds, ns, micro ? 6 : 0, text);
    if (str_is(s, text))
        return 0;
    v->s = arena_dup(w->arena, str_of(text));
    if (!v->s)
        return no_memory(w);
    v->n = (uint32_t)strlen(text);
    return 0;
}

static int conform_int(struct walk *w, struct val *v, const struct path *p, bool small, const char *owner)
{
    const char *go = small ? "int32" : "int64";
    if (v->type != VAL_INT || (small && (v->i > INT32_MAX || v->i < INT32_MIN)))
        return wrong(w, v, p, owner, go);
    return 0;
}

static int conform_bytes(struct walk *w, struct val *v, const struct path *p, const char *owner)
{
    if (v->type != VAL_STR)
        return wrong(w, v, p, owner, "[]uint8");
    if (!base64_valid(str_n(v->s, v->n)))
        return kl_err_set(w->err, KL_BAD_REQUEST, "illegal base64 data at input byte %zu", base64_wrong_at(str_n(v->s, v->n)));
    return 0;
}

static int conform_strings(struct walk *w, struct val *v, const struct path *p, const char *owner)
{
    if (v->type != VAL_ARR)
        return wrong(w, v, p, owner, "[]string");
    val_each(item, v)
        if (item->type != VAL_STR)
            return wrong(w, item, p, owner, "string");
    return 0;
}

static const struct schema_type *schema_props(void)
{
    static const struct schema_type *t;
    if (!t)
        t = schema_type_by_name(STR("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"));
    return t;
}

static int conform_union(struct walk *w, const struct schema_type *t, struct val *v, const struct path *p, const char *owner)
{
    if (t->kind == T_JSON_SCHEMA_OR_BOOL && v->type == VAL_BOOL)
        return 0;
    if (t->kind == T_JSON_SCHEMA_OR_STRINGS && v->type == VAL_ARR)
        return conform_strings(w, v, p, owner);
    if (t->kind == T_JSON_SCHEMA_OR_ARRAY && v->type == VAL_ARR) {
        val_each(item, v)
            if (conform_type(w, schema_props(), item, p, owner) < 0)
                return -1;
        return 0;
    }
    return conform_type(w, schema_props(), v, p, owner);
}

static int conform_scalar(struct walk *w, const struct schema_type *t, struct val *v, const struct path *p, const char *owner)
{
    switch (t->kind) {
    case T_STRING: return v->type == VAL_STR ? 0 : wrong(w, v, p, owner, "string");
    case T_BOOL: return v->type == VAL_BOOL ? 0 : wrong(w, v, p, owner, "bool");
    case T_INT32: return conform_int(w, v, p, true, owner);
    case T_INT64: return conform_int(w, v, p, false, owner);
    case T_DOUBLE: return v->type == VAL_INT || v->type == VAL_NUM ? 0 : wrong(w, v, p, owner, "float64");
    case T_BYTES: return conform_bytes(w, v, p, owner);
    case T_TIME: return conform_time(w, v, p, false, owner);
    case T_MICROTIME: return conform_time(w, v, p, true, owner);
    case T_DURATION: return v->type == VAL_STR ? 0 : wrong(w, v, p, owner, "v1.Duration");
    case T_QUANTITY: return conform_quantity(w, v);
    case T_INT_OR_STRING:
        if (v->type == VAL_STR)
            return 0;
        return conform_int(w, v, p, true, owner);
    case T_RAW: case T_JSON: return 0;  /* whatever it is: the kind's rules say what may be there */
    case T_STRINGS: return conform_strings(w, v, p, owner);
    default: return conform_union(w, t, v, p, owner);
    }
}

/* The keys of a map in order, each once: the last of several counts. Mostly they are like that already. */
static int sort_map(struct walk *w, struct val *v, const struct path *p)
{
    if (json_is_sorted(v))
        return 0;
    struct val *few[32], **at = v->n <= 32 ? few : arena_alloc(w->arena, v->n * sizeof *at);
    unsigned n = 0, left = 0;
    if (!at)
        return no_memory(w);
    val_each(m, v)
        at[n++] = m;
    qsort(at, n, sizeof *at, val_by_key);
    for (unsigned i = 0; i < n; i++) {
        struct path here = { p, val_key(at[i]), 0 };
        at[left++] = at[i];
        if (i + 1 == n || val_by_key(&at[i], &at[i + 1]) != 0)
            continue;
        at[left - 1] = json_get(v, val_key(at[i]));
        for (; i + 1 < n && val_by_key(&at[i], &at[i + 1]) == 0; i++)
            strict_add(w->strict, "duplicate field", &here);
    }
    v->first = v->last = NULL;
    v->n = 0;
    for (unsigned i = 0; i < left; i++)
        val_push(v, at[i]);
    return 0;
}

/* A null in a list or a map is what Go has in its place. */
static void be_zero(struct val *v, int kind)
{
    static const uint8_t types[] = { [T_STRUCT] = VAL_OBJ, [T_STRING] = VAL_STR, [T_BYTES] = VAL_STR, [T_QUANTITY] = VAL_STR, [T_BOOL] = VAL_BOOL,
                                     [T_INT32] = VAL_INT, [T_INT64] = VAL_INT, [T_DOUBLE] = VAL_INT, [T_INT_OR_STRING] = VAL_INT, [T_STRINGS] = VAL_ARR };
    if ((size_t)kind >= sizeof types || !types[kind])
        return;                         /* any JSON, or nothing that may be null */
    v->type = types[kind];
    v->first = v->last = NULL;
    v->n = 0;
    if (kind == T_QUANTITY) {
        v->s = "0";
        v->n = 1;
    } else if (v->type == VAL_INT || v->type == VAL_BOOL) {
        v->i = 0;
    }
}

static int conform_field(struct walk *w, const struct schema_field *f, struct val *v, const struct path *p, const char *owner)
{
    long i = 0;
    if (f->shape == SHAPE_ONE)
        return conform_type(w, f->type, v, p, owner);
    if (v->type != (f->shape == SHAPE_LIST ? VAL_ARR : VAL_OBJ))
        return wrong(w, v, p, owner, f->shape == SHAPE_MAP && f->type->kind == T_QUANTITY ? "v1.ResourceList" :
                     arena_printf(w->arena, "%s%s", f->shape == SHAPE_LIST ? "[]" : "map[string]", go_type(w, f->type)));
    if (f->shape == SHAPE_MAP && sort_map(w, v, p) < 0)
        return -1;
    val_each(kid, v)
    {
        struct path here = { p, f->shape == SHAPE_MAP ? val_key(kid) : STR_NONE, f->shape == SHAPE_MAP ? IN_MAP : i++ };
        if (kid->type == VAL_NULL)
            be_zero(kid, f->type->kind);
        if (conform_type(w, f->type, kid, &here, owner) < 0)
            return -1;
    }
    return 0;
}

/* A zero that Go cannot tell from "not there": defaults apply to it, and the encoder knows when to show it. */
static bool is_unset(const struct schema_field *f, const struct val *v)
{
    return f->shape == SHAPE_ONE && !(f->flags & F_POINTER) && is_plain_zero(f->type, v);
}

static bool is_type_meta(struct str key)
{
    return str_is(key, "kind") || str_is(key, "apiVersion");
}

static void relink(struct val *v, struct val **slots, unsigned n)
{
    v->first = v->last = NULL;
    v->n = 0;
    for (unsigned i = 0; i < n; i++)
        if (slots[i])
            val_push(v, slots[i]);
}

/* Members that a custom kind's root does not know but keeps, in a chain of their own. */
static void keep(struct walk *w, struct val *v, struct val *kept, const struct path *p)
{
    for (struct val *m = kept, *next; m; m = next) {
        struct path here = { p, val_key(m), 0 };
        next = m->next;
        val_push(v, m);
        custom_prune(NULL, m, &here, w->strict);
    }
    if (kept)
        custom_unique(v, p, w->strict);
}

static int conform_struct(struct walk *w, const struct schema_type *t, struct val *v, const struct path *p, const char *owner)
{
    struct val *slots[256 + 2], *kept = NULL, **last_kept = &kept;
    unsigned guess = 0;
    memset(slots, 0, (t->n_flat + 2u) * sizeof *slots);
    if (v->type != VAL_OBJ)
        return wrong(w, v, p, owner, go_type(w, t));
    for (struct val *m = v->first, *next; m; m = next) {
        next = m->next;
        struct path here = { p, val_key(m), 0 };
        int at = schema_flat_find(t, val_key(m), guess);
        bool meta = at < 0 && t->has_typemeta && is_type_meta(val_key(m));
        if (at < 0 && !meta) {
            if (t->flags & F_PRESERVE) {
                *last_kept = m;
                last_kept = &m->next;
                m->next = NULL;
            } else
                strict_add(w->strict, "unknown field", &here);
            continue;
        }
        unsigned slot = meta ? (m->key[0] == 'k' ? 0 : 1) : (unsigned)at + 2;
        guess = meta ? 0 : (unsigned)at + 1;
        if (slots[slot])
            strict_add(w->strict, "duplicate field", &here);
        slots[slot] = NULL;
        if (m->type == VAL_NULL && (meta || (t->flat[at]->type->kind != T_JSON && t->flat[at]->type->kind != T_CUSTOM) || t->flat[at]->flags & F_POINTER))
            continue;
        if (meta ? m->type != VAL_STR : conform_field(w, t->flat[at], m, &here, t->go) < 0)
            return meta ? wrong(w, m, &here, p ? t->go : "", "string") : -1;
        if (!meta && !t->custom)            /* a custom kind's rows may go before the tree does */
            m->key = t->flat[at]->json, m->place = (uint16_t)(at + 1);
        if (meta || !is_unset(t->flat[at], m))
            slots[slot] = m;
    }
    relink(v, slots, t->n_flat + 2u);
    keep(w, v, kept, p);
    return 0;
}

static int conform_type(struct walk *w, const struct schema_type *t, struct val *v, const struct path *p, const char *owner)
{
    if (t->kind == T_CUSTOM) {          /* what it is, its schema judges later */
        const struct val *schema = custom_schema_tree(t->custom);
        if (schema)
            custom_prune(schema, v, p, w->strict);
        return 0;
    }
    return t->kind == T_STRUCT ? conform_struct(w, t, v, p, owner) : conform_scalar(w, t, v, p, owner);
}

int object_conform(struct arena *a, const struct schema_type *t, struct val *v, struct object_strict *strict,
                   struct kl_err *err)
{
    struct walk w = { a, strict, err, false, t };
    if (v->type == VAL_NULL)            /* nothing at all is an empty object */
        *v = (struct val){ .type = VAL_OBJ, .next = v->next, .key = v->key, .key_len = v->key_len };
    return conform_type(&w, t, v, NULL, t->go) < 0 || w.wrong ? -(err && err->code ? err->code : KL_BAD_REQUEST) : 0;
}

static const struct schema_type *type_of(const struct val *v, struct kl_err *err)
{
    struct str gv = json_str(v, "apiVersion"), kind = json_str(v, "kind"), group = STR("");
    if (!kind.len) {
        kl_err_set(err, KL_BAD_REQUEST, "Object 'Kind' is missing");
        return NULL;
    }
    if (str_find(gv, '/') >= 0)
        group = str_cut(&gv, '/');
    const struct schema_type *t = schema_type_find(group, gv, kind);
    if (!t)
        kl_err_set(err, KL_BAD_REQUEST, "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "%s" STR_FMT "\"", STR_ARG(kind),
                   STR_ARG(group), group.len ? "/" : "", STR_ARG(gv));
    return t;
}

struct val *object_decode_json(struct arena *a, const struct schema_type *type, struct str text, struct object_strict *strict,
                               struct kl_err *err)
{
    struct val *v = json_parse(a, text, err);
    if (v && !type)
        type = type_of(v, err);
    return v && type && object_conform(a, type, v, strict, err) == 0 ? v : NULL;
}
