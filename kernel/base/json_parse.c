/* json_parse.c - JSON text to tree. One pass, no recursion: open containers sit on a small stack. */
#include "base/json.h"
#include "base/json_scan.h"
#include "base/plain.h"
#include "base/utf8.h"

struct parser {
    struct arena *arena;
    const char *start, *at, *end;
    const char *hole, *hole_end;        /* a comma and the member behind it that are stepped over; NULL: none */
    struct kl_err *err;
    unsigned nodes;
    struct val *spare;                  /* nodes that are not used yet: they come from the arena many at a time */
    unsigned n_spare;
};

static int fail_at(struct parser *p, const char *where)
{
    if (p->at >= p->end)
        return kl_err_set(p->err, KL_BAD_REQUEST, "unexpected end of JSON input");
    unsigned char c = (unsigned char)*p->at;
    if (c >= 0x20 && c < 0x7f)
        return kl_err_set(p->err, KL_BAD_REQUEST, "invalid character '%c' %s (byte %zu)", c, where,
                          (size_t)(p->at - p->start));
    return kl_err_set(p->err, KL_BAD_REQUEST, "invalid character '\\x%02x' %s (byte %zu)", c, where,
                      (size_t)(p->at - p->start));
}

static int no_memory(struct parser *p)
{
    return kl_err_set(p->err, KL_NO_MEMORY, "out of memory for a JSON document");
}

static inline void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

static char *put_utf8(char *o, unsigned c)
{
    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xc0 | c >> 6);
        *o++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *o++ = (char)(0xe0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 0x3f));
        *o++ = (char)(0x80 | (c & 0x3f));
    } else {
        *o++ = (char)(0xf0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 0x3f));
        *o++ = (char)(0x80 | (c >> 6 & 0x3f));
        *o++ = (char)(0x80 | (c & 0x3f));
    }
    return o;
}

static int hex4(struct parser *p, unsigned *ret)
{
    *ret = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        if (p->at >= p->end)
            return fail_at(p, "");
        char c = *p->at;
        unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10) : 16;
        if (d == 16)
            return fail_at(p, "in \\u hexadecimal character escape");
        *ret = *ret * 16 + d;
    }
    return 0;
}

static int unescape(struct parser *p, char **o)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    p->at++;
    if (p->at >= p->end)
        return fail_at(p, "");
    const char *f = *p->at ? strchr(from, *p->at) : NULL;
    if (f) {
        *(*o)++ = to[f - from];
        p->at++;
        return 0;
    }
    if (*p->at != 'u')
        return fail_at(p, "in string escape code");
    p->at++;
    unsigned c, low;
    if (hex4(p, &c) < 0)
        return -1;
    if (c >= 0xd800 && c < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
        const char *back = p->at;
        p->at += 2;
        if (hex4(p, &low) < 0)
            return -1;
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        } else {
            p->at = back;
            c = 0xfffd;
        }
    } else if (c >= 0xd800 && c < 0xe000) {
        c = 0xfffd;
    }
    *o = put_utf8(*o, c);
    return 0;
}

/* For each byte: 0 plain, 1 ends or needs care. */
static const uint8_t special[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['"'] = 1, ['\\'] = 1,
};

/* From p on the first byte that needs care, or the end. */
static inline const char *plain_run(const struct parser *p)
{
    const char *at = plain_skip_parse(p->at, p->end);
    while (at < p->end && !special[(unsigned char)*at] && !(*at & 0x80))
        at++;
    return at;
}

/* The slow way: with escapes or bad UTF-8. begin: first byte of the text; p->at: where the fast way stopped. */
static int parse_string_slow(struct parser *p, const char *begin, struct str *ret)
{
    const char *q = p->at;
    while ((q = plain_skip_string(q, p->end)) < p->end && *q != '"')
        q += (*q == '\\') + 1;
    char *out = arena_raw(p->arena, (size_t)(q - begin) * 3 + 4), *o = out;     /* a bad byte becomes three */
    if (!out)
        return no_memory(p);
    memcpy(o, begin, (size_t)(p->at - begin));
    o += p->at - begin;
    for (;;) {
        if (p->at >= p->end)
            return fail_at(p, "");
        unsigned char c = (unsigned char)*p->at;
        if (c == '"')
            break;
        if (c < 0x20)
            return fail_at(p, "in string literal");
        if (c == '\\') {
            if (unescape(p, &o) < 0)
                return -1;
            continue;
        }
        const char *run = p->at;
        size_t n = c < 0x80 ? (size_t)((p->at = plain_run(p)) - run) : utf8_len(run, p->end);
        if (n == 0) {
            o = put_utf8(o, 0xfffd);
            p->at++;
            continue;
        }
        str_copy(o, run, n);
        o += n;
        p->at = run + n;
    }
    p->at++;
    *ret = str_n(out, (size_t)(o - out));
    return 0;
}

static int parse_string(struct parser *p, struct str *ret)
{
    const char *begin = ++p->at;
    for (;;) {
        p->at = plain_run(p);
        if (p->at >= p->end)
            return fail_at(p, "");
        if (*p->at == '"') {
            *ret = str_n(begin, (size_t)(p->at - begin));
            p->at++;
            return 0;
        }
        size_t n = (*p->at & 0x80) ? utf8_len(p->at, p->end) : 0;
        if (n == 0)
            return parse_string_slow(p, begin, ret);
        p->at += n;
    }
}

static const char *skip_digits(struct parser *p)
{
    const char *from = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return from;
}

static int parse_number(struct parser *p, struct val *v)
{
    const char *begin = p->at;
    if (*p->at == '-')
        p->at++;
    const char *whole = skip_digits(p);
    if (p->at == whole)
        return fail_at(p, "in numeric literal");
    if (*whole == '0' && p->at - whole > 1) {
        p->at = whole + 1;
        return fail_at(p, "after top-level value");
    }
    bool integer = true;
    if (p->at < p->end && *p->at == '.') {
        integer = false;
        p->at++;
        const char *frac = skip_digits(p);
        if (frac == p->at)
            return fail_at(p, "after decimal point in numeric literal");
    }
    if (p->at < p->end && (*p->at | 32) == 'e') {
        integer = false;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        const char *exponent = skip_digits(p);
        if (exponent == p->at)
            return fail_at(p, "in exponent of numeric literal");
    }
    struct str text = str_n(begin, (size_t)(p->at - begin));
    if (integer && !(text.len == 2 && begin[0] == '-' && begin[1] == '0') && str_int(text, &v->i)) {
        v->type = VAL_INT;
        return 0;
    }
    v->type = VAL_NUM;
    v->s = begin;
    v->n = (uint32_t)text.len;
    return 0;
}

static int parse_word(struct parser *p, struct val *v)
{
    static const struct {
        struct str text;
        uint8_t type, value;
    } words[] = { { { "true", 4 }, VAL_BOOL, 1 }, { { "false", 5 }, VAL_BOOL, 0 }, { { "null", 4 }, VAL_NULL, 0 } };
    for (size_t i = 0; i < 3; i++) {
        struct str text = words[i].text;
        char where[48];
        size_t n = 0;
        while (n < text.len && p->at + n < p->end && p->at[n] == text.at[n])
            n++;
        if (n)
            p->at += n;
        if (n && n < text.len) {
            snprintf(where, sizeof where, "in literal %s (expecting '%c')", text.at, text.at[n]);
            return fail_at(p, where);
        }
        if (n) {
            v->type = words[i].type;
            v->i = words[i].value;
            return 0;
        }
    }
    return fail_at(p, "looking for beginning of value");
}

/* One scalar, or the opening of a container (left empty). */
static int parse_one(struct parser *p, struct val *v)
{
    struct str s;
    if (p->at >= p->end)
        return fail_at(p, "");
    switch (*p->at) {
    case '{':
    case '[':
        v->type = *p->at++ == '{' ? VAL_OBJ : VAL_ARR;
        return 0;
    case '"':
        if (parse_string(p, &s) < 0)
            return -1;
        v->type = VAL_STR;
        v->s = s.at;
        v->n = (uint32_t)s.len;
        return 0;
    default:
        return *p->at == '-' || (*p->at >= '0' && *p->at <= '9') ? parse_number(p, v) : parse_word(p, v);
    }
}

/* As many as the rest of the text may need, within reason. */
static int more_nodes(struct parser *p)
{
    size_t n = (size_t)(p->end - p->at) / 32 + 2;
    if (n > 64)
        n = 64;
    p->spare = arena_raw(p->arena, n * sizeof *p->spare);
    p->n_spare = p->spare ? (unsigned)n : 0;
    return p->spare ? 0 : no_memory(p);
}

static struct val *new_node(struct parser *p)
{
    if (++p->nodes > JSON_NODES) {
        kl_err_set(p->err, KL_TOO_LARGE, "a JSON document may hold at most %d values", JSON_NODES);
        return NULL;
    }
    if (!p->n_spare && more_nodes(p) < 0)
        return NULL;
    p->n_spare--;
    struct val *v = p->spare++;
    *v = (struct val){ 0 };
    return v;
}

static int parse_key(struct parser *p, struct val *v)
{
    struct str key;
    if (p->at >= p->end || *p->at != '"')
        return fail_at(p, "looking for beginning of object key string");
    if (parse_string(p, &key) < 0)
        return -1;
    v->key = key.at;
    v->key_len = (uint32_t)key.len;
    skip_space(p);
    if (p->at >= p->end || *p->at != ':')
        return fail_at(p, "after object key");
    p->at++;
    skip_space(p);
    return 0;
}

static struct val *parse_tree(struct parser *p)
{
    struct val *stack[JSON_DEPTH], *root = new_node(p);
    unsigned depth = 0;
    if (!root || parse_one(p, root) < 0)
        return NULL;
    if (root->type < VAL_ARR)
        return root;
    stack[depth++] = root;
    while (depth) {
        struct val *top = stack[depth - 1];
        char close = top->type == VAL_OBJ ? '}' : ']';
        skip_space(p);
        if (p->at == p->hole) {
            p->at = p->hole_end;
            continue;
        }
        if (p->at < p->end && *p->at == close) {
            p->at++;
            depth--;
            continue;
        }
        if (top->n) {
            if (p->at >= p->end || *p->at != ',') {
                fail_at(p, close == '}' ? "after object key:value pair" : "after array element");
                return NULL;
            }
            p->at++;
            skip_space(p);
        }
        struct val *v = new_node(p);
        if (!v || (close == '}' && parse_key(p, v) < 0) || parse_one(p, v) < 0)
            return NULL;
        val_push(top, v);
        if (v->type >= VAL_ARR) {
            if (depth == JSON_DEPTH) {
                kl_err_set(p->err, KL_TOO_LARGE, "a JSON document may be at most %d levels deep", JSON_DEPTH);
                return NULL;
            }
            stack[depth++] = v;
        }
    }
    return root;
}

struct val *json_next(struct arena *a, struct str *text, struct kl_err *err)
{
    struct parser p = { .arena = a, .start = text->at, .at = text->at, .end = text->at + text->len, .err = err };
    if (err)
        err->code = 0;
    if (text->len > UINT32_MAX) {
        kl_err_set(err, KL_TOO_LARGE, "a JSON document may be at most 4 GiB");
        return NULL;
    }
    skip_space(&p);
    struct val *v = p.at < p.end ? parse_tree(&p) : NULL;
    *text = str_n(p.at, (size_t)(p.end - p.at));
    return v;
}

static struct val *parse_but(struct arena *a, struct str text, const char *hole, const char *hole_end, struct kl_err *err)
{
    struct parser p = { .arena = a, .start = text.at, .at = text.at, .end = text.at + text.len, .hole = hole, .hole_end = hole_end, .err = err };
    if (text.len > UINT32_MAX) {
        kl_err_set(err, KL_TOO_LARGE, "a JSON document may be at most 4 GiB");
        return NULL;
    }
    skip_space(&p);
    struct val *v = parse_tree(&p);
    if (!v)
        return NULL;
    skip_space(&p);
    if (p.at < p.end) {
        fail_at(&p, "after top-level value");
        return NULL;
    }
    return v;
}

struct val *json_parse(struct arena *a, struct str text, struct kl_err *err)
{
    return parse_but(a, text, NULL, NULL, err);
}

/* A member that is not the first: its name and the comma before it end where its value begins. */
struct val *json_parse_without(struct arena *a, struct str text, const char *path, struct kl_err *err)
{
    struct str value = json_scan_path(text, path);
    const char *end = value.at + value.len, *from = value.at;
    while (from && from > text.at && from[-1] != ',' && from[-1] != '{')
        from--;
    if (!from || from == text.at || *--from != ',')
        return json_parse(a, text, err);
    return parse_but(a, text, from, end, err);
}
