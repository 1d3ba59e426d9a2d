/* json_scan.c - see json_scan.h. */
#include "base/json_scan.h"

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* p at the opening quote; returns behind the closing one, or NULL. Strings are short: a loop costs less than memchr. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        p += *p == '\\';
    }
    return NULL;
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

struct str json_scan_member(struct str object, struct str key)
{
    struct str k, v;
    while (json_scan_next(&object, &k, &v))
        if (str_eq(k, key))
            return v;
    return STR_NONE;
}

struct str json_scan_path(struct str object, const char *path)
{
    struct str rest = str_of(path);
    while (rest.at && object.at)
        object = json_scan_member(object, str_cut(&rest, '.'));
    return object;
}

struct str json_scan_text(struct str v)
{
    return v.len >= 2 && v.at[0] == '"' ? str_n(v.at + 1, v.len - 2) : STR_NONE;
}
