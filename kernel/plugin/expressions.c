/* expressions.c - keelson.host.cel/0: kernel/cel for plugins. [any] */
#include "cel/cel.h"
#include "host-internal.h"

#define PROGRAM_MOST (4u << 20)
#define RUN_MOST     (16u << 20)

struct program {                        /* drop frees what begins so */
    struct arena *arena;
    struct cel_program *run;
    struct cel_var *vars;
    unsigned n;
};

static const struct cel_type *type_of(struct arena *a, const char *text)
{
    if (strcmp(text, "dyn") == 0)
        return cel_type(CEL_DYN);
    if (strcmp(text, "map") == 0)
        return cel_map_of(a, cel_type(CEL_STRING), cel_type(CEL_DYN));
    const struct schema_type *t = schema_type_by_name(str_of(text));
    return t ? cel_type_of_rows(a, t) : NULL;
}

static void drop(const struct kl_host *h, void *program)
{
    struct program *p = program;
    (void)h;
    if (p)
        arena_free(p->arena);
}

static int declare(struct program *p, struct kl_call *c, const char *const *variables)
{
    while (variables[2 * p->n])
        p->n++;
    if (!(p->vars = arena_alloc(p->arena, (p->n + 1) * sizeof *p->vars)))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < p->n; i++) {
        p->vars[i] = (struct cel_var){ arena_dup(p->arena, str_of(variables[2 * i])), type_of(p->arena, variables[2 * i + 1]) };
        if (!p->vars[i].type)
            return kl_fail(c, KL_INVALID, "'%s' is no type", variables[2 * i + 1]);
    }
    return 0;
}

static int compile(const struct kl_host *h, struct kl_call *c, const char *text, const char *const *variables, void **ret)
{
    struct arena *a = arena_new(PROGRAM_MOST);
    struct program *p = a ? arena_alloc(a, sizeof *p) : NULL;
    struct str copy = p ? arena_str(a, str_of(text)) : STR_NONE;
    const char *why = NULL;
    (void)h;
    if (!copy.at) {
        arena_free(a);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    p->arena = a;
    int rc = declare(p, c, variables);
    if (rc == 0 && !(p->run = cel_compile(a, copy, p->vars, p->n, 0, &why)))
        rc = kl_fail(c, KL_INVALID, "%s", why ? why : "out of memory");
    if (rc < 0) {
        arena_free(a);
        return rc;
    }
    *ret = p;
    return 0;
}

static int eval(const struct kl_host *h, struct kl_call *c, void *program, const struct kl_bytes *values, size_t n, struct kl_bytes *ret)
{
    const struct program *p = program;
    _cleanup_arena_ struct arena *a = arena_new(RUN_MOST);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct cel_val *vars = a ? arena_alloc(a, (p->n + 1) * sizeof *vars) : NULL;
    (void)h;
    if (!vars || n != p->n)
        return kl_fail(c, vars ? KL_INVALID : KL_NO_MEMORY, vars ? "one value is needed for each variable" : "out of memory");
    for (unsigned i = 0; i < p->n; i++) {
        struct val *v = json_parse(a, str_n(values[i].at, values[i].len), &c->err);
        if (!v)
            return -c->err.code;
        vars[i] = cel_of_json(v, p->vars[i].type);
    }
    struct cel_run run = { .arena = a, .vars = vars, .limit = CEL_CALL_LIMIT };
    struct cel_val out = cel_eval(p->run, &run);
    if (out.kind == CEL_ERROR)
        return kl_fail(c, KL_INVALID, STR_FMT, STR_ARG(out.s));
    struct val *json = cel_to_json(a, out);
    if (json)
        json_write(&b, json);
    if (!json || b.failed)
        return kl_fail(c, KL_INVALID, "the result has no form in JSON");
    *ret = (struct kl_bytes){ kl_dup(c, b.at, b.len), b.len };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

const struct kl_host_cel host_cel_table = { sizeof host_cel_table, compile, eval, drop, host_conditions, host_match };
