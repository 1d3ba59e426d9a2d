/* yaml.c - YAML to tree. Reads one document of YAML 1.1 as Kubernetes' tools do; aliases are refused, so that no document grows when it is
 * read. */
#include <stdlib.h>
#include <yaml.h>

#include "base/map.h"
#include "base/yaml-internal.h"

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct kl_err *err;
    unsigned depth, nodes;
    void (*mark)(void *ctx, const struct val *v, unsigned line);
    void (*twice)(void *ctx, const char *text);
    void *ctx;
};

static int fail(struct reader *r, const yaml_event_t *e, const char *what)
{
    return kl_err_set(r->err, KL_BAD_REQUEST, "error converting YAML to JSON: yaml: line %zu: %s", e->start_mark.line + 1, what);
}

static int next(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e))
        return 0;
    /* Counted as upstream's library counts: a parser's lines from 0, and there is no line 0. */
    const yaml_parser_t *p = &r->parser;
    size_t line = p->problem_mark.line ? p->problem_mark.line + (p->error == YAML_SCANNER_ERROR) : p->context_mark.line;
    char where[40] = "";
    if (line)
        snprintf(where, sizeof where, "line %zu: ", line);
    return kl_err_set(r->err, KL_BAD_REQUEST, "error converting YAML to JSON: yaml: %s%s", where, p->problem ? p->problem : "not YAML");
}

bool yaml_is_one_of(struct str s, const char *list)
{
    struct str rest = str_of(list);
    while (rest.at)
        if (str_eq(str_cut(&rest, '|'), s))
            return true;
    return false;
}

static bool is_float(struct str s)
{
    bool digits = false, point = false;
    size_t i = s.len && (s.at[0] == '-' || s.at[0] == '+');
    for (; i < s.len; i++) {
        char c = s.at[i];
        if (c >= '0' && c <= '9')
            digits = true;
        else if (c == '.' && !point)
            point = true;
        else if ((c == 'e' || c == 'E') && digits && i + 1 < s.len) {
            size_t k = i + 1 + (s.at[i + 1] == '-' || s.at[i + 1] == '+');
            if (k >= s.len)
                return false;
            for (; k < s.len; k++)
                if (s.at[k] < '0' || s.at[k] > '9')
                    return false;
            return true;
        } else
            return false;
    }
    return digits && point;
}

/* Octal (0o17, 017), hexadecimal and decimal integers of YAML 1.1. */
static bool parse_int(struct str s, int64_t *ret)
{
    bool minus = s.len && s.at[0] == '-';
    struct str d = s.len && (minus || s.at[0] == '+') ? str_skip(s, 1) : s;
    int base = 10;
    char text[40], *end;
    if (d.len > 2 && d.at[0] == '0' && (d.at[1] == 'x' || d.at[1] == 'o' || d.at[1] == 'b')) {
        base = d.at[1] == 'x' ? 16 : d.at[1] == 'o' ? 8 : 2;
        d = str_skip(d, 2);
    } else if (d.len > 1 && d.at[0] == '0') {
        base = 8;
    }
    if (!d.len || d.len > 30 || d.at[0] == '-' || d.at[0] == '+' || d.at[0] == ' ')
        return false;
    if (base == 10)
        return str_int(minus ? s : d, ret);
    snprintf(text, sizeof text, "%s" STR_FMT, minus ? "-" : "", STR_ARG(d));
    *ret = strtoll(text, &end, base);
    return *end == '\0';
}

enum yaml_plain yaml_plain_kind(struct str s, int64_t *ret)
{
    if (yaml_is_one_of(s, "|~|null|Null|NULL"))
        return PLAIN_NULL;
    if (yaml_is_one_of(s, "y|Y|true|True|TRUE|yes|Yes|YES|on|On|ON"))
        return PLAIN_TRUE;
    if (yaml_is_one_of(s, "n|N|false|False|FALSE|no|No|NO|off|Off|OFF"))
        return PLAIN_FALSE;
    if (parse_int(s, ret))
        return PLAIN_INT;
    return is_float(s) && s.at[0] != '.' && s.at[0] != '+' && s.at[s.len - 1] != '.' ? PLAIN_FLOAT : PLAIN_TEXT;
}

static struct val *text_val(struct reader *r, struct str s)
{
    struct str copy = arena_str(r->arena, s);
    return copy.at ? val_of_str(r->arena, copy) : NULL;
}

static struct val *plain_scalar(struct reader *r, struct str s)
{
    int64_t i;
    enum yaml_plain kind = yaml_plain_kind(s, &i);
    switch (kind) {
    case PLAIN_NULL: return val_new(r->arena, VAL_NULL);
    case PLAIN_TRUE: case PLAIN_FALSE: return val_of_bool(r->arena, kind == PLAIN_TRUE);
    case PLAIN_INT: return val_of_int(r->arena, i);
    default: break;
    }
    struct val *v = text_val(r, s);
    if (v && kind == PLAIN_FLOAT)
        v->type = VAL_NUM;
    return v;
}

static struct val *scalar(struct reader *r, const yaml_event_t *e)
{
    struct str s = str_n((const char *)e->data.scalar.value, e->data.scalar.length);
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !e->data.scalar.tag)
        return plain_scalar(r, s);
    return text_val(r, s);
}

static struct val *value(struct reader *r, yaml_event_t *e);

#define FEW 64                          /* members that are looked through one by one */

/* The member of that name; seen knows those of large maps. */
static struct val *member_of(struct val *map, struct map *seen, struct str name)
{
    if (map->n < FEW)
        return json_get(map, name);
    if (!seen->n)
        val_each(m, map)
            if (!map_put(seen, val_key(m), m))
                return NULL;
    return map_get(seen, name);
}

/* A key that comes again: the last counts. */
static void replace(struct reader *r, struct val *there, const struct val *v, size_t line)
{
    struct val *next = there->next;
    const char *key = there->key;
    uint32_t len = there->key_len;
    char *text = arena_printf(r->arena, "line %zu: key \"" STR_FMT "\" already set in map", line, (int)len, key);
    *there = *v;
    there->next = next;
    there->key = key;
    there->key_len = len;
    if (text)
        r->twice(r->ctx, text);
}

/* A key is text in JSON: what stands there without quotes becomes what it means, written out. */
static struct str key_text(struct reader *r, const yaml_event_t *key)
{
    struct str s = str_n((const char *)key->data.scalar.value, key->data.scalar.length);
    int64_t i;
    enum yaml_plain kind = key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !key->data.scalar.tag ? yaml_plain_kind(s, &i) : PLAIN_TEXT;
    switch (kind) {
    case PLAIN_TRUE: return STR("true");
    case PLAIN_FALSE: return STR("false");
    case PLAIN_INT: return str_of(arena_printf(r->arena, "%lld", (long long)i));
    default: return arena_str(r->arena, s);
    }
}

static int add_member(struct reader *r, struct val *map, struct map *seen, yaml_event_t *key)
{
    yaml_event_t e;
    if (key->type != YAML_SCALAR_EVENT)
        return fail(r, key, "a key is not text");
    struct str name = key_text(r, key);
    struct val *there = name.at ? member_of(map, seen, name) : NULL;
    if (there && !r->twice)
        return fail(r, key, arena_printf(r->arena, "key \"" STR_FMT "\" already set in map", STR_ARG(name)));
    if (next(r, &e) < 0)
        return -1;
    struct val *v = value(r, &e);
    size_t line = e.start_mark.line + 1;
    yaml_event_delete(&e);
    if (!v || !name.at)
        return -1;
    if (there) {
        replace(r, there, v, line);
        return 0;
    }
    v->key = name.at;
    v->key_len = (uint32_t)name.len;
    val_push(map, v);
    return map->n > FEW && seen->n && !map_put(seen, name, v) ? -1 : 0;
}

static struct val *collection(struct reader *r, enum val_type t, yaml_event_type_t end)
{
    struct val *v = val_new(r->arena, t), *ret = NULL;
    struct map seen = { 0 };
    while (v && !ret) {
        yaml_event_t e;
        if (next(r, &e) < 0)
            break;
        bool done = e.type == end;
        int rc = 0;
        if (!done && t == VAL_ARR) {
            struct val *item = value(r, &e);
            rc = item && val_push(v, item) ? 0 : -1;
        } else if (!done) {
            rc = add_member(r, v, &seen, &e);
        }
        yaml_event_delete(&e);
        if (rc < 0)
            break;
        ret = done ? v : NULL;
    }
    map_free(&seen);
    return ret;
}

static struct val *value(struct reader *r, yaml_event_t *e)
{
    struct val *v = NULL;
    if (++r->nodes > JSON_NODES || r->depth >= JSON_DEPTH) {
        kl_err_set(r->err, KL_TOO_LARGE, "a YAML document may hold at most %d values, %d levels deep", JSON_NODES, JSON_DEPTH);
        return NULL;
    }
    r->depth++;
    switch (e->type) {
    case YAML_SCALAR_EVENT: v = scalar(r, e); break;
    case YAML_SEQUENCE_START_EVENT: v = collection(r, VAL_ARR, YAML_SEQUENCE_END_EVENT); break;
    case YAML_MAPPING_START_EVENT: v = collection(r, VAL_OBJ, YAML_MAPPING_END_EVENT); break;
    case YAML_ALIAS_EVENT: fail(r, e, "aliases are not allowed"); break;
    default: fail(r, e, "unexpected end of the document");
    }
    r->depth--;
    if (v && r->mark)
        r->mark(r->ctx, v, (unsigned)e->start_mark.line + 1);
    return v;
}

static struct val *document(struct reader *r)
{
    struct val *v = NULL;
    for (bool more = true; more;) {
        yaml_event_t e;
        if (next(r, &e) < 0)
            return NULL;
        bool structure = e.type == YAML_STREAM_START_EVENT || e.type == YAML_DOCUMENT_START_EVENT;
        if (!structure) {
            more = false;
            if (e.type == YAML_STREAM_END_EVENT)
                kl_err_set(r->err, KL_BAD_REQUEST, "error converting YAML to JSON: the document is empty");
            else
                v = value(r, &e);
        }
        yaml_event_delete(&e);
    }
    return v;
}

static struct val *read_all(struct reader *r, struct str text)
{
    if (!yaml_parser_initialize(&r->parser)) {
        kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)(text.at ? text.at : ""), text.len);
    struct val *v = document(r);
    yaml_parser_delete(&r->parser);
    if (!v && !r->err->code)
        kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    return v;
}

struct val *yaml_read(struct arena *a, struct str text, struct kl_err *err)
{
    return read_all(&(struct reader){ .arena = a, .err = err }, text);
}

struct val *yaml_read_marked(struct arena *a, struct str text, void (*mark)(void *ctx, const struct val *v, unsigned line), void *ctx, struct kl_err *err)
{
    return read_all(&(struct reader){ .arena = a, .err = err, .mark = mark, .ctx = ctx }, text);
}

struct val *yaml_read_twice(struct arena *a, struct str text, void (*twice)(void *ctx, const char *text), void *ctx, struct kl_err *err)
{
    return read_all(&(struct reader){ .arena = a, .err = err, .twice = twice, .ctx = ctx }, text);
}
