/* What is said of objects that are wrong, row by row of validate_rows.txt:
 *
 *   create OBJECT      the object that the rows below change before it is made
 *   update OBJECT      the same, stored already
 *   part SUB OBJECT    the same, written through the subresource
 *   [{...}]            a JSON patch of it, and below it the complaints, in any order; one that ends in "*" is only the beginning
 *     FIELD: MESSAGE
 *     ! WARNING        of one without complaints
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "object/object.h"

#define WANT_MAX 8

struct state {
    struct arena *a;
    struct val *base;
    const struct schema_kind *kind;
    bool update;
    const char *part;
    /* the row in work */
    unsigned row, n_want;
    struct val *patch;
    struct str want[WANT_MAX];
    unsigned n_rows;
};

/* A warning, as a cause of no field. */
static void heard(void *ctx, const char *text)
{
    object_cause_add(ctx, "", "!", "%s", text);
}

static bool says(const struct object_cause *c, struct str want)
{
    char text[8192];
    int n = snprintf(text, sizeof text, "%s%s %s", c->field, c->field[0] == '!' ? "" : ":", c->message);
    cr_assert(n > 0 && (size_t)n < sizeof text);
    if (want.len && want.at[want.len - 1] == '*')
        return str_starts(str_of(text), str_n(want.at, want.len - 1));
    return str_eq(str_of(text), want);
}

static void finish(struct state *s)
{
    if (!s->patch)
        return;
    struct kl_err err;
    kl_err_init(&err);
    struct arena *a = arena_new(0);
    cr_assert(a);
    struct val *v = object_patch_json(a, s->base, s->patch, &err);
    cr_expect(v, "row %u: %s", s->row, err.msg);
    cr_assert_geq(object_conform(a, s->kind->type, v ? v : s->base, NULL, &err), 0, "row %u: %s", s->row, err.msg);
    cr_assert_geq(object_default(a, s->kind, v), 0);
    struct object_causes causes = { .arena = a };
    object_validate(s->kind, s->part, v, s->update ? s->base : NULL, &causes);
    if (!causes.n)
        object_warnings(a, s->kind, v, s->update ? s->base : NULL, heard, &causes);
    bool good = causes.n == s->n_want;
    for (unsigned i = 0; i < s->n_want; i++) {
        bool found = false;
        for (unsigned k = 0; k < causes.n && !found; k++)
            found = says(&causes.at[k], s->want[i]);
        cr_expect(found, "row %u: not said: " STR_FMT, s->row, STR_ARG(s->want[i]));
        good &= found;
    }
    for (unsigned k = 0; k < causes.n && !good; k++)
        fprintf(stderr, "row %u: said: %s: %s\n", s->row, causes.at[k].field, causes.at[k].message);
    cr_expect_eq(causes.n, s->n_want, "row %u: %u complaints, not %u", s->row, causes.n, s->n_want);
    s->patch = NULL;
    s->n_want = 0;
    s->n_rows++;
    arena_free(a);
}

static void begin(struct state *s, struct str text, bool update, struct str part)
{
    struct kl_err err;
    kl_err_init(&err);
    s->update = update;
    s->part = part.len ? arena_dup(s->a, part) : NULL;
    s->base = json_parse(s->a, text, &err);
    cr_assert(s->base, "row %u: %s", s->row, err.msg);
    struct str version = json_str(s->base, "apiVersion"), group = STR("");
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    s->kind = schema_kind_find(group, version, json_str(s->base, "kind"));
    cr_assert(s->kind, "row %u", s->row);
    cr_assert_geq(object_conform(s->a, s->kind->type, s->base, NULL, &err), 0);
    if (s->part)
        cr_assert_geq(object_default(s->a, s->kind, s->base), 0);
}

Test(validate_rows, all)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct state s = { .a = a };
    _cleanup_file_ FILE *f = fopen("tests/unit/kernel/object/validate_rows.txt", "r");
    cr_assert(f);
    _cleanup_free_ char *line = NULL;
    size_t room = 0;
    ssize_t n;
    struct kl_err err;
    kl_err_init(&err);
    for (unsigned at = 1; (n = getline(&line, &room, f)) > 0; at++) {
        struct str text = arena_str(a, str_n(line, (size_t)n - 1));
        if (str_starts(text, STR("  "))) {
            cr_assert(s.n_want < WANT_MAX);
            s.want[s.n_want++] = str_skip(text, 2);
            continue;
        }
        finish(&s);
        s.row = at;
        if (str_starts(text, STR("create ")) || str_starts(text, STR("update ")))
            begin(&s, str_skip(text, 7), text.at[0] == 'u', STR_NONE);
        else if (str_starts(text, STR("part "))) {
            struct str rest = str_skip(text, 5), part = str_cut(&rest, ' ');
            begin(&s, rest, true, part);
        }
        else if (str_starts(text, STR("[")))
            cr_assert((s.patch = json_parse(a, text, &err)), "row %u: %s", at, err.msg);
    }
    finish(&s);
    cr_expect_gt(s.n_rows, 500);
}
