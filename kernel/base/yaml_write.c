/* yaml_write.c - a tree as YAML: sorted keys, two spaces of indent, styles and folding as sigs.k8s.io/yaml has them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/yaml-internal.h"

/* --- texts that are no text without quotes --- */

static size_t digits(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && s.at[at + n] >= '0' && s.at[at + n] <= '9')
        n++;
    return n;
}

/* 190:20:30, as YAML 1.1 writes numbers to the base of 60. */
static bool is_base60(struct str s)
{
    size_t i = s.len && (s.at[0] == '-' || s.at[0] == '+'), parts = 0;
    if (!digits(s, i))
        return false;
    while (i < s.len && (digits(s, i) || s.at[i] == '_'))
        i++;
    for (size_t n; i < s.len && s.at[i] == ':' && (n = digits(s, i + 1)); i += 1 + n, parts++)
        if (n > 2 || (n == 2 && s.at[i + 1] > '5'))
            return false;
    if (parts && i < s.len && s.at[i] == '.')
        for (i++; i < s.len && (digits(s, i) || s.at[i] == '_');)
            i++;
    return parts && i == s.len;
}

/* 2026-1-2 and what may follow a day: T or a space, and a time. */
static bool is_time(struct str s)
{
    size_t month = digits(s, 5), day = month ? digits(s, 6 + month) : 0, end = 6 + month + day;
    if (digits(s, 0) != 4 || s.len < 8 || s.at[4] != '-' || month > 2 || !day || day > 2 || s.at[5 + month] != '-')
        return false;
    return end == s.len || (strchr("Tt ", s.at[end]) && digits(s, end + 1) && memchr(s.at + end, ':', s.len - end));
}

static bool reads_back_as_text(struct str s)
{
    int64_t i;
    return yaml_plain_kind(s, &i) == PLAIN_TEXT && !is_base60(s) && !is_time(s);
}

/* --- styles --- */

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

/* --- scalars, folded as libyaml folds them: at the first single space behind the 80th column --- */

#define WIDTH 80

struct pen {
    struct buf *b;
    int column, indent;                 /* where the line is; of a line that goes on, in spaces; < 0: it is not folded */
};

static void put(struct pen *p, const char *at, size_t n)
{
    buf_add(p->b, at, n);
    for (size_t i = 0; i < n; i++)
        p->column += ((unsigned char)at[i] & 0xc0) != 0x80;
}

static struct pen pen_at(struct buf *b, int indent)
{
    struct pen p = { b, 0, indent };
    size_t i = b->len;
    while (i > 0 && b->at[i - 1] != '\n')
        i--;
    for (; i < b->len; i++)
        p.column += ((unsigned char)b->at[i] & 0xc0) != 0x80;
    return p;
}

/* Instead of the space at i of s. */
static bool fold(struct pen *p, struct str s, size_t i)
{
    if (p->indent < 0 || p->column <= WIDTH || (i && s.at[i - 1] == ' '))
        return false;
    buf_add_c(p->b, '\n');
    for (int k = 0; k < p->indent; k++)
        buf_add_c(p->b, ' ');
    p->column = p->indent;
    return true;
}

static void put_escaped(struct pen *p, uint32_t c, const char *at, size_t n)
{
    static const struct {
        uint32_t c;
        char name;
    } rows[] = { { 0, '0' }, { 7, 'a' }, { 8, 'b' }, { 9, 't' }, { 10, 'n' }, { 11, 'v' }, { 12, 'f' }, { 13, 'r' }, { 27, 'e' }, { '"', '"' }, { '\\', '\\' }, { 0x85, 'N' },
                 { 0x2028, 'L' }, { 0x2029, 'P' } };
    char text[12];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].c == c) {
            put(p, (char[]){ '\\', rows[i].name }, 2);
            return;
        }
    if (is_printable(c) && !is_break(c)) {
        put(p, at, n);
        return;
    }
    snprintf(text, sizeof text, c < 0x100 ? "\\x%02X" : c < 0x10000 ? "\\u%04X" : "\\U%08X", c);
    put(p, text, strlen(text));
}

static void write_double(struct pen *p, struct str s)
{
    put(p, "\"", 1);
    for (size_t i = 0; i < s.len;) {
        size_t at = i;
        uint32_t c = code_point(s, &i);
        if (c == ' ' && at && i < s.len && fold(p, s, at)) {
            if (s.at[i] == ' ')
                put(p, "\\", 1);
            continue;
        }
        put_escaped(p, c, s.at + at, i - at);
    }
    put(p, "\"", 1);
}

static void write_single(struct pen *p, struct str s)
{
    put(p, "'", 1);
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == ' ' && i && i + 1 < s.len && s.at[i + 1] != ' ' && fold(p, s, i))
            continue;
        put(p, &s.at[i], 1);
        if (s.at[i] == '\'')
            put(p, "'", 1);
    }
    put(p, "'", 1);
}

static void write_plain(struct pen *p, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] != ' ' || (i + 1 < s.len && s.at[i + 1] == ' ') || !fold(p, s, i))
            put(p, &s.at[i], 1);
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

/* Keys are written on one line. Texts that would read back as another type are quoted. */
static void write_text(struct buf *b, struct str s, int indent, bool key)
{
    struct look l = look_at(s);
    struct pen p = pen_at(b, key ? -1 : 2 * indent);
    if (!reads_back_as_text(s) || yaml_is_one_of(s, "y|Y|n|N|=|<<"))
        write_double(&p, s);
    else if (l.plain)
        write_plain(&p, s);
    else if (l.lines && l.block && !key)
        write_lines(b, s, indent);
    else if (l.quoted)
        write_single(&p, s);
    else
        write_double(&p, s);
}

/* --- keys in the order that people count in: item2 before item10 --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static int64_t number_at(struct str s, size_t i, size_t *ret_end, int64_t n)
{
    for (*ret_end = i; *ret_end < s.len && is_digit(s.at[*ret_end]) && n < INT64_MAX / 20; ++*ret_end)
        n = n * 10 + (s.at[*ret_end] - '0');
    return n;
}

/* The first place where they differ, at i, decides. */
static int differ_at(struct str a, struct str b, size_t i, bool in_digits)
{
    bool letter_a = is_letter(a.at[i]), letter_b = is_letter(b.at[i]);
    size_t end_a, end_b;
    int64_t from = 0;
    if (letter_a && letter_b)
        return (unsigned char)a.at[i] < (unsigned char)b.at[i] ? -1 : 1;
    if (letter_a || letter_b)
        return (in_digits ? letter_a : letter_b) ? -1 : 1;
    if (a.at[i] == '0' || b.at[i] == '0')
        for (size_t k = i; k > 0 && is_digit(a.at[k - 1]) && !from; k--)
            from = a.at[k - 1] != '0';
    int64_t x = number_at(a, i, &end_a, from), y = number_at(b, i, &end_b, from);
    if (x != y)
        return x < y ? -1 : 1;
    if (end_a != end_b)
        return end_a < end_b ? -1 : 1;
    return (unsigned char)a.at[i] < (unsigned char)b.at[i] ? -1 : 1;
}

static int by_name(const void *x, const void *y)
{
    struct str a = val_key(*(const struct val *const *)x), b = val_key(*(const struct val *const *)y);
    bool in_digits = false;
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        if (a.at[i] != b.at[i])
            return differ_at(a, b, i, in_digits);
        in_digits = is_digit(a.at[i]);
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* --- trees --- */

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
    qsort(at, n, sizeof *at, by_name);
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
