/* url.c - percent-coding and query strings. */
#include "http/http.h"

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

struct str http_decode(struct arena *a, struct str s, bool query)
{
    bool plain = true;
    for (size_t i = 0; i < s.len && plain; i++)
        plain = s.at[i] != '%' && !(query && s.at[i] == '+');
    if (plain)
        return s.at ? s : STR("");
    char *out = arena_raw(a, s.len + 1), *o = out;
    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '+' && query) {
            *o++ = ' ';
        } else if (s.at[i] == '%') {
            if (i + 2 >= s.len || hex(s.at[i + 1]) < 0 || hex(s.at[i + 2]) < 0)
                return STR_NONE;
            *o++ = (char)(hex(s.at[i + 1]) << 4 | hex(s.at[i + 2]));
            i += 2;
        } else {
            *o++ = s.at[i];
        }
    }
    return str_n(out, (size_t)(o - out));
}

bool http_query_next(struct arena *a, struct str *rest, struct str *ret_key, struct str *ret_value)
{
    while (rest->at && rest->len) {
        struct str value = str_cut(rest, '&');
        struct str key = str_cut(&value, '=');
        if (!key.len)
            continue;
        *ret_key = http_decode(a, key, true);
        *ret_value = http_decode(a, value.at ? value : STR(""), true);
        if (ret_key->at && ret_value->at)
            return true;
    }
    return false;
}

struct str http_query_find(struct arena *a, struct str query, const char *name)
{
    struct str key, value;
    while (http_query_next(a, &query, &key, &value))
        if (str_is(key, name))
            return value;
    return STR_NONE;
}

void http_encode(struct buf *b, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || memchr("-._~", c, 4)) {
            buf_add_c(b, (char)c);
            continue;
        }
        buf_add_c(b, '%');
        buf_add_c(b, digits[c >> 4]);
        buf_add_c(b, digits[c & 15]);
    }
}
