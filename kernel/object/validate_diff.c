/* validate_diff.c - what changed in a part that may not change, as lines: "@@ -8,7 +8,7 @@ ...", both as upstream's types show them (validate_shown.c), indented.
 * Blocks are found as difflib finds them: the longest that both have, then those on either side of it.
 */
#include "object/validate.h"

#define LINES_MOST 400                  /* of one side: whoever has more sees no lines */
#define CONTEXT    3

struct lines {
    struct str at[LINES_MOST];
    unsigned n;
};

struct piece {
    unsigned a, b, n;                   /* n lines are the same from there */
};

struct diff {
    struct lines old, now;
    struct piece same[LINES_MOST + 1];
    unsigned n_same;
};

/* JSON of one line in many, a space for each level. */
static void indent(struct buf *b, struct str json)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < json.len; i++) {
        char x = json.at[i], next = i + 1 < json.len ? json.at[i + 1] : '\0';
        bool opens = !quoted && (x == '{' || x == '['), closes = !quoted && (x == '}' || x == ']');
        if (x == '"' && !(quoted && json.at[i - 1] == '\\' && !(i > 1 && json.at[i - 2] == '\\')))
            quoted = !quoted;
        if (opens && (next == '}' || next == ']')) {
            buf_add(b, &json.at[i++], 2);
            continue;
        }
        depth += opens;
        depth -= closes;
        if (closes)
            buf_printf(b, "\n%*s", (int)depth, "");
        buf_add_c(b, x);
        if (opens || (!quoted && x == ','))
            buf_printf(b, "\n%*s", (int)depth, "");
        else if (!quoted && x == ':')
            buf_add_c(b, ' ');
    }
}

static bool split(struct arena *a, struct lines *l, const struct buf *text)
{
    struct str rest = arena_str(a, buf_str(text));
    for (l->n = 0; rest.at; l->n++) {
        if (l->n == LINES_MOST)
            return false;
        l->at[l->n] = str_cut(&rest, '\n');
    }
    return l->n != 0;
}

static struct piece longest(const struct diff *d, unsigned a, unsigned a_end, unsigned b, unsigned b_end)
{
    struct piece best = { a, b, 0 };
    for (unsigned i = a; i < a_end; i++)
        for (unsigned j = b; j < b_end; j++) {
            unsigned n = 0;
            while (i + n < a_end && j + n < b_end && str_eq(d->old.at[i + n], d->now.at[j + n]))
                n++;
            if (n > best.n)
                best = (struct piece){ i, j, n };
        }
    return best;
}

static void match(struct diff *d, unsigned a, unsigned a_end, unsigned b, unsigned b_end)
{
    struct piece x = longest(d, a, a_end, b, b_end);
    if (!x.n)
        return;
    match(d, a, x.a, b, x.b);
    d->same[d->n_same++] = x;
    match(d, x.a + x.n, a_end, x.b + x.n, b_end);
}

static void write_lines(struct buf *b, char mark, const struct lines *l, unsigned from, unsigned to)
{
    for (; from < to; from++)
        buf_printf(b, "%c" STR_FMT "\n", mark, STR_ARG(l->at[from]));
}

static void write_range(struct buf *b, char mark, unsigned from, unsigned to)
{
    unsigned n = to - from;
    buf_printf(b, n == 1 ? "%c%u" : "%c%u,%u", mark, n ? from + 1 : from, n);
}

/* A hunk: from the end of the block before `first` to the beginning of the one behind `last`. */
static void write_hunk(struct buf *b, const struct diff *d, unsigned first, unsigned last)
{
    const struct piece *s = d->same;
    unsigned lead = s[first].n < CONTEXT ? s[first].n : CONTEXT, tail = s[last].n < CONTEXT ? s[last].n : CONTEXT;
    unsigned a = s[first].a + s[first].n - lead, from = s[first].b + s[first].n - lead;
    buf_add_z(b, "@@ ");
    write_range(b, '-', a, s[last].a + tail);
    buf_add_c(b, ' ');
    write_range(b, '+', from, s[last].b + tail);
    buf_add_z(b, " @@\n");
    write_lines(b, ' ', &d->old, a, a + lead);
    for (unsigned k = first; k < last; k++) {
        write_lines(b, '-', &d->old, s[k].a + s[k].n, s[k + 1].a);
        write_lines(b, '+', &d->now, s[k].b + s[k].n, s[k + 1].b);
        write_lines(b, ' ', &d->old, s[k + 1].a, s[k + 1].a + (k + 1 < last ? s[k + 1].n : tail));
    }
}

static void write_hunks(struct buf *b, struct diff *d)
{
    unsigned first = 0;
    for (unsigned k = 1; k < d->n_same; k++)
        if (d->same[k].n > 2 * CONTEXT || k + 1 == d->n_same) {
            write_hunk(b, d, first, k);
            first = k;
        }
}

/* Blocks that follow each other are one; an empty one at either end, so that each difference is between two. */
static void join(struct diff *d)
{
    unsigned n = 0;
    struct piece *s = d->same;
    for (unsigned k = 0; k < d->n_same; k++) {
        if (n && s[n - 1].a + s[n - 1].n == s[k].a && s[n - 1].b + s[n - 1].n == s[k].b)
            s[n - 1].n += s[k].n;
        else
            s[n++] = s[k];
    }
    d->n_same = n;
}

const char *changed_lines(causes c, const char *type, const struct val *old, const struct val *now)
{
    _cleanup_buf_ struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    struct diff *d = arena_alloc(c->arena, sizeof *d);
    indent(&x, str_of(shown_as(c, type, old)));
    indent(&y, str_of(shown_as(c, type, now)));
    if (!d || x.failed || y.failed || !split(c->arena, &d->old, &x) || !split(c->arena, &d->now, &y))
        return "";
    match(d, 0, d->old.n, 0, d->now.n);
    join(d);
    if (d->n_same < 2)
        return "";                      /* the braces at both ends are the same, or there is no object */
    write_hunks(&out, d);
    return out.failed ? "" : words(c, "\n" STR_FMT, STR_ARG(buf_str(&out)));
}
