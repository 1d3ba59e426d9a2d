/* yaml.c - YAML to tree and back. Reads one document of YAML 1.1 as Kubernetes' tools do; aliases are refused, so that no document
 * grows when it is read. Writes with sorted keys, two spaces of indent, as sigs.k8s.io/yaml does. */
#include <stdlib.h>
#include <yaml.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/yaml.h"

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
    return kl_err_set(r->err, KL_BAD_REQUEST, "error converting YAML to JSON: yaml: line %zu: %s", r->parser.problem_mark.line + 1,
                      r->parser.problem ? r->parser.problem : "not YAML");
}

static bool is_one_of(struct str s, const char *list)
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

enum plain { PLAIN_TEXT = 0, PLAIN_NULL, PLAIN_TRUE, PLAIN_FALSE, PLAIN_INT, PLAIN_FLOAT };

/* What a scalar without quotes and without a tag is. */
static enum plain plain_kind(struct str s, int64_t *ret)
{
    if (is_one_of(s, "|~|null|Null|NULL"))
        return PLAIN_NULL;
    if (is_one_of(s, "true|True|TRUE|yes|Yes|YES|on|On|ON"))
        return PLAIN_TRUE;
    if (is_one_of(s, "false|False|FALSE|no|No|NO|off|Off|OFF"))
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
    enum plain kind = plain_kind(s, &i);
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

static int add_member(struct reader *r, struct val *map, struct map *seen, yaml_event_t *key)
{
    yaml_event_t e;
    if (key->type != YAML_SCALAR_EVENT)
        return fail(r, key, "a key is not text");
    struct str name = arena_str(r->arena, str_n((const char *)key->data.scalar.value, key->data.scalar.length));
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

/* --- writing --- */

static bool reads_back_as_text(struct str s)
{
    int64_t i;
    return plain_kind(s, &i) == PLAIN_TEXT;
}

/* What a text holds, as libyaml's emitter looks at it: which styles may write it. */
struct look {
    bool plain, quoted, block;          /* without quotes, in single quotes, as lines behind | */
    bool lines;
};

static uint32_t code_point(struct str s, size_t *i)
{
    unsigned char c = (unsigned char)s.at[*i];
    unsigned more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t v = more ? c & (0x3fu >> more) : c;
    for (++*i; more && *i < s.len; more--)
        v = v << 6 | ((unsigned char)s.at[(*i)++] & 0x3f);
    return v;
}

static bool is_break(uint32_t c)
{
    return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_printable(uint32_t c)
{
    return c == '\n' || (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c < 0xd800) || (c >= 0xe000 && c < 0xfffe && c != 0xfeff);
}

static struct look look_at(struct str s)
{
    struct look l = { .plain = s.len > 0, .quoted = true, .block = s.len > 0 };
    bool special = false, before_space = true, before_break = false;
    if (str_starts(s, STR("---")) || str_starts(s, STR("...")) || (s.len && strchr("#,[]{}&*!|>'\"%@`", s.at[0])))
        l.plain = false;
    for (size_t i = 0; i < s.len;) {
        size_t at = i;
        uint32_t c = code_point(s, &i);
        bool last = i >= s.len, space_behind = last || s.at[i] == ' ' || s.at[i] == '\n' || s.at[i] == '\t';
        special |= !is_printable(c) || (is_break(c) && c != '\n');
        if ((at == 0 && (c == '?' || c == '-') && space_behind) || (c == ':' && space_behind) || (c == '#' && before_space))
            l.plain = false;
        if (c == ' ') {
            l.plain &= at != 0 && !last && !before_break;
            l.quoted &= !before_break;
            l.block &= !last && at != 0;
        } else if (is_break(c)) {
            l.lines = true;
            special |= before_space && at != 0 && !before_break;
            l.block &= at != 0;
        }
        before_space = c == ' ' || is_break(c);
        before_break = is_break(c);
    }
    l.plain &= !special && !l.lines;
    l.quoted &= !special && !l.lines;
    l.block &= !special;
    return l;
}

static void write_double(struct buf *b, struct str s)
{
    buf_add_c(b, '"');
    for (size_t i = 0; i < s.len;) {
        size_t at = i;
        uint32_t c = code_point(s, &i);
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", (char)c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_add_z(b, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        else if (is_printable(c) && !is_break(c))
            buf_add(b, s.at + at, i - at);
        else if (c < 0x100)
            buf_printf(b, "\\x%02X", c);
        else
            buf_printf(b, c < 0x10000 ? "\\u%04X" : "\\U%08X", c);
    }
    buf_add_c(b, '"');
}

static void write_single(struct buf *b, struct str s)
{
    buf_add_c(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        buf_add_c(b, s.at[i]);
        if (s.at[i] == '\'')
            buf_add_c(b, '\'');
    }
    buf_add_c(b, '\'');
}

static void write_lines(struct buf *b, struct str s, int indent)
{
    bool end = s.at[s.len - 1] == '\n', keep = end && (s.len == 1 || s.at[s.len - 2] == '\n');
    buf_add_z(b, keep ? "|+" : end ? "|" : "|-");
    if (end)
        s.len--;
    while (s.at) {
        struct str line = str_cut(&s, '\n');
        buf_add_c(b, '\n');
        for (int i = 0; line.len && i < indent; i++)
            buf_lit(b, "  ");
        buf_add_str(b, line);
    }
}

/* Keys are written on one line. Texts that would read back as another type, or that look like times of YAML 1.1, are quoted. */
static void write_text(struct buf *b, struct str s, int indent, bool key)
{
    struct look l = look_at(s);
    bool base60 = s.len && memchr(s.at, ':', s.len) && (strchr("+-0123456789", s.at[0]) != NULL);
    if (s.len && (!reads_back_as_text(s) || base60 || is_one_of(s, "y|Y|n|N|=|<<")))
        write_double(b, s);
    else if (l.plain)
        buf_add_str(b, s);
    else if (l.lines && l.block && !key)
        write_lines(b, s, indent);
    else if (l.quoted)
        write_single(b, s);
    else
        write_double(b, s);
}

static void write_value(struct buf *b, const struct val *v, int indent, bool in_list);

static void line_start(struct buf *b, int indent)
{
    for (int i = 0; i < indent; i++)
        buf_lit(b, "  ");
}

static void write_map(struct buf *b, const struct val *v, int indent, bool in_list)
{
    const struct val **at = mem_alloc(v->n * sizeof *at);
    unsigned n = 0;
    if (!at) {
        b->failed = true;
        return;
    }
    val_each(m, v)
        at[n++] = m;
    qsort(at, n, sizeof *at, val_by_key);
    for (unsigned i = 0; i < n; i++) {
        if (i || !in_list)
            line_start(b, indent);
        write_text(b, val_key(at[i]), 0, true);
        buf_add_c(b, ':');
        write_value(b, at[i], indent, false);
    }
    mem_free(at);
}

static void write_value(struct buf *b, const struct val *v, int indent, bool in_list)
{
    if (v->type >= VAL_ARR && v->n == 0) {
        buf_add_z(b, v->type == VAL_ARR ? " []\n" : " {}\n");
        return;
    }
    if (v->type == VAL_OBJ) {
        buf_add_c(b, in_list ? ' ' : '\n');
        write_map(b, v, indent + 1, in_list);
        return;
    }
    if (v->type == VAL_ARR) {
        if (!in_list)
            buf_add_c(b, '\n');
        bool first = in_list;
        val_each(item, v)
        {
            if (first)
                buf_add_c(b, ' ');
            else
                line_start(b, in_list ? indent + 1 : indent);
            first = false;
            buf_add_c(b, '-');
            write_value(b, item, in_list ? indent + 1 : indent, true);
        }
        return;
    }
    buf_add_c(b, ' ');
    if (v->type == VAL_STR)
        write_text(b, str_n(v->s, v->n), indent + 1, false);
    else
        json_write(b, v);
    buf_add_c(b, '\n');
}

void yaml_write(struct buf *b, const struct val *v)
{
    if (v->type == VAL_OBJ && v->n) {
        write_map(b, v, 0, false);
    } else if (v->type == VAL_ARR && v->n) {
        val_each(item, v)
        {
            buf_add_c(b, '-');
            write_value(b, item, 0, true);
        }
    } else if (v->type == VAL_STR) {
        write_text(b, val_str(v), 1, false);
        buf_add_c(b, '\n');
    } else {
        json_write(b, v);
        buf_add_c(b, '\n');
    }
}
