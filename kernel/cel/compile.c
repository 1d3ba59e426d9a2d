/* compile.c - text to program: parsed, checked, constants evaluated, literals looked at. */
#include "cel/cel-internal.h"

/* --- what is constant --- */

struct folder {
    struct cel_program *p;
    struct troubles *troubles;
    const char *why;
};

static bool is_constant(const struct node *n)
{
    return n->kind == N_LITERAL || n->constant || (n->kind == N_IDENT && n->slot < 0);      /* the last: a type's name */
}

static bool all_constant(const struct node *n)
{
    for (unsigned i = 0; i < n->n; i++)
        if (!is_constant(n->args[i]) || n->args[i]->optional)
            return false;
    return true;
}

static bool calls(const struct node *n, const char *name, unsigned args)
{
    return n->kind == N_CALL && n->n == args && str_is(n->name, name);
}

static const struct node *text_arg(const struct node *n, unsigned i)
{
    return i < n->n && n->args[i]->kind == N_LITERAL && n->args[i]->value.kind == CEL_STRING ? n->args[i] : NULL;
}

/* Texts that can be seen to be no pattern, no time, no duration, no format. */
static void look_at_literals(struct folder *f, struct node *n)
{
    struct arena *a = f->p->arena;
    const struct node *text;
    int64_t s;
    int32_t ns;
    int arg;
    if (calls(n, "duration", 1) && n->args[0]->kind == N_LITERAL && !((text = text_arg(n, 0)) && duration_parse(text->value.s, &s)))
        trouble(f->troubles, n->args[0]->at, "invalid duration argument");
    if (calls(n, "timestamp", 1) && (text = text_arg(n, 0)) && (text->value.s.len <= 10 || !timestamp_parse(text->value.s, &s, &ns)))
        trouble(f->troubles, text->at, "invalid timestamp argument");
    if (n->kind == N_CALL && str_is(n->name, "matches") && n->n && (text = text_arg(n, n->n - 1))) {
        const char *why = NULL;
        n->regex = regex_compile(a, text->value.s, &why);
        if (!n->regex)
            trouble(f->troubles, text->at, "invalid matches argument");
    }
    if (n->of && n->kind == N_CALL && (str_is(n->name, "find") || str_is(n->name, "findAll")) && (text = text_arg(n, 0))) {
        const char *why = regex_check(a, text->value.s);
        if (why && !f->why)
            f->why = arena_printf(a, "error parsing regexp: %s", why);
    }
    if (n->of && calls(n, "format", 1) && n->of->kind == N_LITERAL && n->of->value.kind == CEL_STRING && n->args[0]->kind == N_LIST) {
        const char *why = format_check(a, n->of->value.s, n->args[0], &arg);
        const struct node *at = why && arg >= 0 && arg < (int)n->args[0]->n ? n->args[0]->args[arg] : n;
        if (why)
            trouble(f->troubles, at->at, "%s", why);
    }
}

static void evaluate(struct folder *f, struct node *n)
{
    struct cel_run run = { .arena = f->p->arena };
    struct cel_ctx c = { .run = &run, .arena = f->p->arena, .program = f->p };
    struct cel_val v = eval_node(&c, n);
    map_free(&c.big);
    if (is_error(v)) {
        if (!f->why)
            f->why = arena_dup(f->p->arena, v.s);
        return;
    }
    n->value = v;
    n->constant = true;
}

static void fold(struct folder *f, struct node *n)
{
    struct node *const kids[] = { n->of, n->range, n->init, n->cond, n->step, n->result };
    for (size_t i = 0; i < sizeof kids / sizeof *kids; i++)
        if (kids[i])
            fold(f, kids[i]);
    for (unsigned i = 0; i < n->n; i++)
        fold(f, n->args[i]);
    look_at_literals(f, n);
    if (f->troubles->n)
        return;
    bool conversion = n->kind == N_CALL && !n->of && n->n_sigs && n->sigs[0]->fn->flags & FN_FOLDS && n->n == 1;
    if ((n->kind == N_LIST || n->kind == N_MAP || conversion) && all_constant(n))
        evaluate(f, n);
}

bool fold_constants(struct cel_program *p, struct troubles *t, const char **ret_why)
{
    struct folder f = { .p = p, .troubles = t };
    fold(&f, p->root);
    *ret_why = f.why;
    return !t->n && !f.why;
}

/* --- all --- */

static bool compile(struct cel_program *p, struct troubles *t, const char **ret_why)
{
    struct parser parser = { .lex = { .text = p->text, .troubles = t }, .arena = p->arena, .troubles = t, .binds = p->flags & CEL_BIND };
    if (runes(p->text) > CEL_POINTS) {
        trouble(t, 0, "expression code point size exceeds limit: size: %lld, limit %d", (long long)runes(p->text), CEL_POINTS);
        return false;
    }
    p->root = parse(&parser);
    return p->root && check(p, t) && fold_constants(p, t, ret_why);
}

struct cel_program *cel_compile(struct arena *a, struct str text, const struct cel_var *vars, unsigned n_vars, unsigned flags, const char **ret_why)
{
    struct cel_program *p = arena_alloc(a, sizeof *p);
    struct troubles t = { .arena = a };
    *ret_why = NULL;
    if (p) {
        p->arena = a;
        p->text = arena_str(a, text);
        p->vars = vars;
        p->n_vars = n_vars;
        p->flags = flags;
        p->used = arena_alloc(a, n_vars + 1);
        t.text = p->text;
    }
    if (p && p->text.at && p->used && compile(p, &t, ret_why) && !arena_exhausted(a))
        return p;
    if (t.n)
        *ret_why = troubles_text(&t);
    else if (!*ret_why)
        *ret_why = "out of memory";
    return NULL;
}

const struct cel_type *cel_result(const struct cel_program *p)
{
    return p->root->type;
}

bool cel_result_is(const struct cel_program *p, enum cel_kind kind)
{
    return p->root->type->kind == kind || p->root->type->kind == CEL_DYN;
}

bool cel_uses(const struct cel_program *p, const char *variable)
{
    for (unsigned i = 0; i < p->n_vars; i++)
        if (strcmp(p->vars[i].name, variable) == 0)
            return p->used[i];
    return false;
}
