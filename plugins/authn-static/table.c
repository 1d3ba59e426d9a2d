/* table.c - a file of tokens, read once. */
#include "table.h"

#include "base/buf.h"
#include "base/cleanup.h"

#define COLUMNS 64

/* One field at *rest, which is then what follows its comma; at == NULL: the line has ended. False: a quote that does not end. */
static bool field(struct arena *a, struct str *rest, struct str *ret, bool *ret_last)
{
    struct str s = *rest;
    size_t i = 0, n = 0;
    char *out = arena_alloc(a, s.len + 1);
    if (!out)
        return false;
    if (s.len && s.at[0] == '"') {
        for (i = 1;; i++) {
            if (i >= s.len)
                return false;
            if (s.at[i] == '"' && (i + 1 >= s.len || s.at[i + 1] != '"'))
                break;
            i += s.at[i] == '"';
            out[n++] = s.at[i];
        }
        i++;
    }
    for (; i < s.len && s.at[i] != ',' && s.at[i] != '\n'; i++)
        if (s.at[i] != '\r')
            out[n++] = s.at[i];
    *ret = str_n(out, n);
    *ret_last = i >= s.len || s.at[i] == '\n';
    *rest = i < s.len ? str_skip(s, i + 1) : STR_NONE;
    return true;
}

static const char *const *groups(struct arena *a, struct str list)
{
    unsigned n = 0, most = 2;
    for (size_t i = 0; i < list.len; i++)
        most += list.at[i] == ',';
    const char **ret = arena_alloc(a, (most + 1) * sizeof *ret);
    for (struct str rest = list; ret && list.len && rest.at;) {
        struct str g = str_cut(&rest, ',');
        if (g.len)
            ret[n++] = arena_dup(a, g);
    }
    if (ret)
        ret[n] = "system:authenticated";
    return ret;
}

static bool add(struct table *t, const struct str *f, unsigned n)
{
    struct entry *e = arena_alloc(t->arena, sizeof *e);
    if (!e)
        return false;
    *e = (struct entry){ arena_dup(t->arena, f[1]), arena_dup(t->arena, f[2]), groups(t->arena, n > 3 ? f[3] : STR_NONE) };
    return e->user && e->uid && e->groups && map_put(&t->by_token, f[0], e);
}

int table_read(struct table *t, struct str text, struct kl_err *err)
{
    *t = (struct table){ .arena = arena_new(64 << 20) };
    if (!t->arena)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (unsigned line = 1; text.len; line++) {
        struct str f[COLUMNS];
        unsigned n = 0;
        bool last = false;
        while (!last && n < COLUMNS) {
            if (!field(t->arena, &text, &f[n], &last))
                return kl_err_set(err, KL_INVALID, "line %u: a quote does not end", line);
            n++;
        }
        if (n == 1 && !f[0].len)
            continue;
        if (!last || n < 3)
            return kl_err_set(err, KL_INVALID, "line %u: token, user name, uid and if wanted groups are needed; it has %u fields", line, n);
        if (f[0].len && f[1].len && !add(t, f, n))
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    return 0;
}

void table_free(struct table *t)
{
    map_free(&t->by_token);
    arena_free(t->arena);
}
