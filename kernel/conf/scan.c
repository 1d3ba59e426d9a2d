/* scan.c - what libconfig does not see, or tells at a wrong place, found in a file's text before it reads it: numbers that it would wrap around,
 * texts that are not closed, and texts that are not UTF-8. */
#include "conf/scan.h"

struct scan {
    struct str rest;
    unsigned line;
    const char *file;
    struct kl_err *err;
};

static void skip(struct scan *s, size_t n)
{
    for (size_t i = 0; i < n && i < s->rest.len; i++)
        s->line += s->rest.at[i] == '\n';
    s->rest = str_skip(s->rest, n);
}

static size_t find(struct str s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.len; i++)
        if (memcmp(s.at + i, text, n) == 0)
            return i + n;
    return s.len;
}

/* One well-formed character, or 0. */
static size_t character(struct str s)
{
    static const struct {
        unsigned char mask, head, more;
        uint32_t least;
    } forms[] = { { 0x80, 0, 0, 0 }, { 0xe0, 0xc0, 1, 0x80 }, { 0xf0, 0xe0, 2, 0x800 }, { 0xf8, 0xf0, 3, 0x10000 } };
    unsigned char c = (unsigned char)s.at[0];
    for (size_t f = 0; f < 4; f++) {
        if ((c & forms[f].mask) != forms[f].head)
            continue;
        uint32_t v = c & (unsigned char)~forms[f].mask;
        if (s.len <= forms[f].more)
            return 0;
        for (unsigned i = 1; i <= forms[f].more; i++) {
            if ((s.at[i] & 0xc0) != 0x80)
                return 0;
            v = v << 6 | ((unsigned char)s.at[i] & 0x3f);
        }
        return v < forms[f].least || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : forms[f].more + 1u;
    }
    return 0;
}

static int text(struct scan *s)
{
    unsigned began = s->line;
    skip(s, 1);
    while (s->rest.len && s->rest.at[0] != '"') {
        if (str_starts(s->rest, STR("\\x")) && s->rest.len > 2 && strchr("89abcdefABCDEF", s->rest.at[2]))
            return kl_err_set(s->err, KL_INVALID, "%s:%u: '%.4s' is half a character; write it as UTF-8", s->file, s->line, s->rest.at);
        size_t n = s->rest.at[0] == '\\' && s->rest.len > 1 ? 2 : character(s->rest);
        if (!n)
            return kl_err_set(s->err, KL_INVALID, "%s:%u: a text is not UTF-8", s->file, s->line);
        skip(s, n);
    }
    if (!s->rest.len)
        return kl_err_set(s->err, KL_INVALID, "%s:%u: a text that begins here has no closing quote", s->file, began);
    skip(s, 1);
    return 0;
}

static bool word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '*' || c == '.' || c == '+';
}

/* A name or a number. Only whole decimal numbers without the mark of 64 bits wrap. */
static int word(struct scan *s)
{
    size_t n = 0;
    int64_t value;
    while (n < s->rest.len && word_char(s->rest.at[n]))
        n++;
    struct str w = str_n(s->rest.at, n);
    bool number = str_int(w, &value), digits = true;
    for (size_t i = w.at[0] == '-' || w.at[0] == '+'; i < w.len; i++)
        digits &= w.at[i] >= '0' && w.at[i] <= '9';
    digits &= w.len > 1;
    if ((number && (value > INT32_MAX || value < INT32_MIN)) || (digits && !number && w.len > 9))
        return kl_err_set(s->err, KL_INVALID, "%s:%u: '" STR_FMT "' does not fit into 32 bits; write '" STR_FMT "L'", s->file, s->line, STR_ARG(w), STR_ARG(w));
    skip(s, n);
    return 0;
}

int conf_scan(const char *file, struct str content, struct kl_err *err)
{
    struct scan s = { content, 1, file, err };
    int rc = 0;
    while (s.rest.len && rc == 0) {
        char c = s.rest.at[0];
        if (c == '"')
            rc = text(&s);
        else if (c == '#' || str_starts(s.rest, STR("//")))
            skip(&s, find(s.rest, "\n"));
        else if (str_starts(s.rest, STR("/*")))
            skip(&s, find(s.rest, "*/"));
        else if (word_char(c))
            rc = word(&s);
        else
            skip(&s, 1);
    }
    return rc;
}
