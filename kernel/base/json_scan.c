/* json_scan.c - see json_scan.h. */
#include "base/json_scan.h"
#include "base/plain.h"

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static inline uint64_t string_stops(uint64_t x)
{
    return plain_zero(x ^ PLAIN_EACH('"')) | plain_zero(x ^ PLAIN_EACH('\\'));
}

/* p at the opening quote; returns behind the closing one, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++;;) {
        PLAIN_SKIP(p, end, string_stops);
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p + 1;
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
}

/* 1 a quote, 2 opens, 3 closes, 4 a comma */
static const uint8_t kinds[256] = { ['"'] = 1, ['{'] = 2, ['['] = 2, ['}'] = 3, [']'] = 3, [','] = 4 };

static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        switch (kinds[(unsigned char)*p]) {
        case 1:
            p = skip_string(p, end);
            if (!p || depth == 0)
                return p;
            continue;
        case 2:
            depth++;
            break;
        case 3:
            if (depth == 0)
                return p;
            if (--depth == 0)
                return p + 1;
            break;
        case 4:
            if (depth == 0)
                return p;
            break;
        }
        p++;
    }
    return depth ? NULL : p;
}

/* Steps over the opening bracket or the comma; returns where the next part begins, or NULL at the end. */
static const char *step(struct str *at, char open, char close)
{
    const char *end = at->at + at->len, *p = skip_space(at->at, end);
    if (p >= end || (*p != open && *p != ','))
        return NULL;
    p = skip_space(p + 1, end);
    return p < end && *p != close ? p : NULL;
}

bool json_scan_next(struct str *at, struct str *ret_key, struct str *ret_value)
{
    const char *end = at->at + at->len, *p = at->len ? step(at, '{', '}') : NULL;
    if (!p || *p != '"')
        return false;
    const char *k = skip_string(p, end);
    if (!k)
        return false;
    *ret_key = str_n(p + 1, (size_t)(k - p) - 2);
    p = skip_space(k, end);
    if (p >= end || *p != ':')
        return false;
    p = skip_space(p + 1, end);
    const char *v = skip_value(p, end);
    if (!v)
        return false;
    *ret_value = str_n(p, (size_t)(v - p));
    *at = str_n(v, (size_t)(end - v));
    return true;
}

bool json_scan_item(struct str *at, struct str *ret_value)
{
    const char *end = at->at + at->len, *p = at->len ? step(at, '[', ']') : NULL;
    const char *v = p ? skip_value(p, end) : NULL;
    if (!v || v == p)
        return false;
    *ret_value = str_n(p, (size_t)(v - p));
    *at = str_n(v, (size_t)(end - v));
    return true;
}

/* Where the value of that member begins; NULL: it is not there. */
static const char *find_member(const char *p, const char *end, struct str key)
{
    p = skip_space(p, end);
    while (p < end && (*p == '{' || *p == ',')) {
        p = skip_space(p + 1, end);
        const char *k = p < end && *p == '"' ? skip_string(p, end) : NULL;
        if (!k)
            return NULL;
        bool found = (size_t)(k - p) - 2 == key.len && memcmp(p + 1, key.at, key.len) == 0;
        p = skip_space(k, end);
        if (p >= end || *p != ':')
            return NULL;
        p = skip_space(p + 1, end);
        if (found)
            return p;
        p = skip_value(p, end);
        if (!p)
            return NULL;
        p = skip_space(p, end);
    }
    return NULL;
}

static struct str value_at(const char *p, const char *end)
{
    const char *v = p ? skip_value(p, end) : NULL;
    return v ? str_n(p, (size_t)(v - p)) : STR_NONE;
}

struct str json_scan_member(struct str object, struct str key)
{
    const char *end = object.at + object.len;
    return object.len ? value_at(find_member(object.at, end, key), end) : STR_NONE;
}

/* Goes down without looking where the values on the way end. */
struct str json_scan_open(struct str object, const char *path)
{
    struct str rest = str_of(path);
    const char *p = object.len ? object.at : NULL, *end = object.at + object.len;
    while (p && rest.at)
        p = find_member(p, end, str_cut(&rest, '.'));
    return p ? str_n(p, (size_t)(end - p)) : STR_NONE;
}

struct str json_scan_path(struct str object, const char *path)
{
    struct str from = json_scan_open(object, path);
    return from.len ? value_at(from.at, from.at + from.len) : STR_NONE;
}

struct str json_scan_text(struct str v)
{
    return v.len >= 2 && v.at[0] == '"' ? str_n(v.at + 1, v.len - 2) : STR_NONE;
}
