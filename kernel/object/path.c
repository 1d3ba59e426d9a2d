/* path.c - field paths as the API writes them. */
#include "object-internal.h"

void path_write(struct buf *b, const struct path *p)
{
    if (!p)
        return;
    path_write(b, p->up);
    if (!p->name.at) {
        buf_add_c(b, '[');
        buf_add_int(b, p->index);
        buf_add_c(b, ']');
        return;
    }
    if (p->index == PATH_KEY) {
        buf_printf(b, "[" STR_FMT "]", STR_ARG(p->name));
        return;
    }
    if (b->len)
        buf_add_c(b, '.');
    buf_add_str(b, p->name);
}

const char *path_text(struct arena *a, const struct path *p)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    path_write(&b, p);
    const char *s = b.failed ? NULL : arena_dup(a, buf_str(&b));
    return s ? s : "...";
}

void strict_say(struct object_strict *s, const char *text)
{
    if (!s || s->n == 64 || !text)
        return;
    if (s->n == s->cap) {
        unsigned cap = s->cap ? s->cap * 2 : 4;
        const char **at = arena_alloc(s->arena, cap * sizeof *at);
        if (!at)
            return;
        if (s->n)
            memcpy(at, s->at, s->n * sizeof *at);
        s->at = at;
        s->cap = cap;
    }
    s->at[s->n++] = text;
}

void strict_add(struct object_strict *s, const char *what, const struct path *p)
{
    if (s && s->n < 64)
        strict_say(s, arena_printf(s->arena, "%s \"%s\"", what, path_text(s->arena, p)));
}
