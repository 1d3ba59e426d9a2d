/* policy.c - policies compiled and kept in step with what is stored. policy_walk.c asks them. */
#include "policy.h"

#include "base/log.h"

static const char *const resources[] = { POLICY_GROUP "/validatingadmissionpolicies", POLICY_GROUP "/validatingadmissionpolicybindings",
                                         POLICY_GROUP "/mutatingadmissionpolicies", POLICY_GROUP "/mutatingadmissionpolicybindings" };
#define COMPILED_BYTES (256u << 20)

/* Who writes the status of policies: the server itself. */
static const char *const groups[] = { "system:masters", NULL };
static const struct kl_user server = { .size = sizeof server, .name = "system:apiserver", .uid = "", .groups = groups };

/* --- compiling --- */

static struct expression *expressions(struct arena *a, const struct val *list, const char *name, const char *text, const struct cel_var *vars,
                                      unsigned flags, enum cel_kind kind, unsigned *ret_n)
{
    struct expression *at = val_is(list, VAL_ARR) ? arena_alloc(a, (list->n + 1) * sizeof *at) : NULL;
    for (const struct val *v = at ? list->first : NULL; v; v = v->next) {
        struct expression *e = &at[(*ret_n)++];
        e->source = v;
        e->name = name ? json_str(v, name) : STR("");
        e->text = json_str(v, text);
        e->program = cel_admission_compile(a, e->text, vars, flags, kind, &e->why);
    }
    return at;
}

/* Each variable sees those before it. */
static const struct cel_type *variables(struct arena *a, struct policy *p, unsigned with)
{
    const struct val *list = json_get(p->spec, STR("variables"));
    unsigned n = val_is(list, VAL_ARR) ? list->n : 0;
    const struct cel_type *type = cel_struct_of(a, "kubernetes.variables", NULL, 0);
    p->variables = arena_alloc(a, (n + 1) * sizeof *p->variables);
    p->fields = arena_alloc(a, (n + 1) * sizeof *p->fields);
    for (const struct val *v = p->variables && p->fields && n ? list->first : NULL; v; v = v->next) {
        struct cel_var *vars = arena_alloc(a, CEL_ADMISSION_VARS * sizeof *vars);
        struct expression *e = &p->variables[p->n_variables];
        if (!vars)
            break;
        cel_admission_vars(vars, with, type);
        e->source = v;
        e->name = json_str(v, "name");
        e->text = json_str(v, "expression");
        e->program = cel_admission_compile(a, e->text, vars, p->mutating ? CEL_PATCH : 0, CEL_DYN, &e->why);
        const char *name = arena_dup(a, e->name);
        p->fields[p->n_variables++] = (struct cel_field){ name, name, e->program ? cel_result(e->program) : cel_type(CEL_DYN) };
        type = cel_struct_of(a, "kubernetes.variables", p->fields, p->n_variables);
    }
    return type;
}

/* Of exactly that type, or of the other one. */
static void must_be(struct arena *a, struct expression *e, const char *type, const char *or)
{
    const char *is = e->program ? cel_type_text(a, cel_result(e->program)) : NULL;
    if (is && strcmp(is, "null") == 0)
        is = "null_type";               /* in words of types it has another name than in those of overloads */
    if (!is || strcmp(is, type) == 0 || (or && strcmp(is, or) == 0))
        return;
    e->program = NULL;
    e->why = or ? arena_printf(a, "must evaluate to one of [%s %s] but got %s", type, or, is) : arena_printf(a, "must evaluate to %s but got %s", type, is);
}

static void mutations(struct arena *a, struct policy *p, const struct cel_var *vars)
{
    const struct val *list = json_get(p->spec, STR("mutations"));
    p->rules = val_is(list, VAL_ARR) ? arena_alloc(a, (list->n + 1) * sizeof *p->rules) : NULL;
    for (const struct val *v = p->rules ? list->first : NULL; v; v = v->next) {
        struct expression *e = &p->rules[p->n_rules++];
        bool patch = str_is(json_str(v, "patchType"), "JSONPatch");
        e->source = v;
        e->text = json_str(v, patch ? "jsonPatch.expression" : "applyConfiguration.expression");
        e->program = cel_admission_compile(a, e->text, vars, CEL_PATCH, CEL_DYN, &e->why);
        must_be(a, e, patch ? "list(JSONPatch)" : "Object", NULL);
    }
}

struct policy *policy_compile(struct arena *a, const struct val *object, bool mutating)
{
    struct policy *p = arena_alloc(a, sizeof *p);
    struct cel_var *conditions = arena_alloc(a, CEL_ADMISSION_VARS * sizeof *conditions), *vars = arena_alloc(a, CEL_ADMISSION_VARS * sizeof *vars);
    struct cel_var *messages = arena_alloc(a, CEL_ADMISSION_VARS * sizeof *messages);
    if (!p || !conditions || !vars || !messages)
        return NULL;
    p->name = json_str(object, "metadata.name");
    p->spec = json_get(object, STR("spec"));
    p->mutating = mutating;
    p->ignores = str_is(json_str(p->spec, "failurePolicy"), "Ignore");
    p->reinvokes = str_is(json_str(p->spec, "reinvocationPolicy"), "IfNeeded");
    unsigned with = json_get(p->spec, STR("paramKind")) ? CEL_WITH_PARAMS : 0;
    cel_admission_vars(conditions, with | CEL_WITH_AUTHORIZER, NULL);
    p->conditions = expressions(a, json_get(p->spec, STR("matchConditions")), "name", "expression", conditions, 0, CEL_BOOL, &p->n_conditions);
    const struct cel_type *type = variables(a, p, with | CEL_WITH_AUTHORIZER);
    if (!mutating && !p->n_variables)
        type = NULL;
    cel_admission_vars(vars, with | CEL_WITH_AUTHORIZER, type);
    cel_admission_vars(messages, with, type);
    if (mutating) {
        mutations(a, p, vars);
        return p;
    }
    p->rules = expressions(a, json_get(p->spec, STR("validations")), NULL, "expression", vars, 0, CEL_BOOL, &p->n_rules);
    p->notes = expressions(a, json_get(p->spec, STR("auditAnnotations")), "key", "valueExpression", vars, 0, CEL_DYN, &p->n_notes);
    for (unsigned i = 0; i < p->n_notes; i++)
        must_be(a, &p->notes[i], "string", "null_type");
    for (unsigned i = 0; i < p->n_rules; i++) {
        const char *why;
        struct str text = json_str(p->rules[i].source, "messageExpression");
        if (text.len)
            p->rules[i].message = cel_admission_compile(a, text, messages, 0, CEL_STRING, &why);
    }
    return p;
}

/* --- what is stored --- */

struct reading {
    struct policies *all;
    unsigned kind;
};

static struct policy **list_of(struct policies *x, unsigned kind)
{
    return kind < 2 ? &x->validating : &x->mutating;
}

static bool read_one(void *ctx, struct store_object *o)
{
    struct reading *r = ctx;
    struct arena *a = r->all->arena;
    struct str text = arena_str(a, store_object_json(o));
    const struct val *v = text.at ? json_parse(a, text, NULL) : NULL;
    struct policy **at = list_of(r->all, r->kind);
    if (!v)
        return true;
    if (r->kind % 2 == 0) {
        struct policy *p = policy_compile(a, v, r->kind >= 2);
        while (p && *at)
            at = &(*at)->next;
        if (p)
            *at = p;
        return true;
    }
    while (*at && !str_eq((*at)->name, json_str(v, "spec.policyName")))
        at = &(*at)->next;
    struct binding *b = *at ? arena_alloc(a, sizeof *b) : NULL;
    if (b) {
        *b = (struct binding){ .name = json_str(v, "metadata.name"), .spec = json_get(v, STR("spec")) };
        struct binding **end = &(*at)->bindings;
        while (*end)
            end = &(*end)->next;
        *end = b;
    }
    return true;
}

void policies_read(struct policies *x)
{
    x->stale = false;
    x->validating = x->mutating = NULL;
    x->arena = arena_free(x->arena);
    x->arena = arena_new(COMPILED_BYTES);
    for (unsigned i = 0; x->arena && i < POLICY_KINDS; i++) {
        struct store_range all = { .resource = str_of(resources[i]), .head = true };
        struct reading r = { x, i };
        store_list(x->api->store, &all, read_one, &r);
    }
}

/* --- status: what type checking says --- */

static void set_status(struct policies *x, struct store_object *o)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *v = a ? json_parse(a, store_object_json(o), NULL) : NULL;
    int64_t generation = json_int(v, "metadata.generation", 0);
    if (!v || json_int(v, "status.observedGeneration", -1) == generation)
        return;
    struct val *status = json_obj(a, v, STR("status"));
    json_set_int(a, status, STR("observedGeneration"), generation);
    json_set(a, status, STR("typeChecking"), policy_type_warnings(a, v));
    struct api_op op = { .api = x->api, .arena = a, .user = &server, .kind = schema_resource_by_name(str_of(resources[0])), .subresource = "status",
                         .name = store_object_name(o) };
    if (api_op_update(&op, v) < 0 && op.err.code != KL_CONFLICT && op.err.code != KL_NOT_FOUND)
        log_warn("api", "policy '" STR_FMT "': %s", STR_ARG(op.name), op.err.message);
}

static bool begin(struct policies *x, unsigned i, struct kl_err *err);

static void on_wake(void *ctx)
{
    struct policies *x = ctx;
    struct store_event e;
    struct kl_err err;
    kl_err_init(&err);
    x->stale = true;
    for (unsigned i = 0; i < POLICY_KINDS; i++) {
        bool expired = false;
        while (x->watch[i] && store_watch_next(x->watch[i], &e, &expired))
            if (i == 0 && e.type != STORE_DELETED)
                set_status(x, e.object);
        if (!expired)
            continue;
        store_watch_free(x->watch[i]);
        x->watch[i] = NULL;
        if (!begin(x, i, &err))
            log_error("api", "policies: %s", err.msg);
    }
}

static bool begin(struct policies *x, unsigned i, struct kl_err *err)
{
    return store_watch_new(x->api->store, str_of(resources[i]), STR_NONE, store_revision(x->api->store), on_wake, x, &x->watch[i], err) == 0;
}

static bool status_listed(void *ctx, struct store_object *o)
{
    set_status(ctx, o);
    return true;
}

int api_policies_new(struct api *api, struct policies **ret, struct kl_err *err)
{
    struct policies *x = mem_alloc(sizeof *x);
    struct store_range all = { .resource = str_of(resources[0]) };
    if (!x)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    x->api = api;
    x->stale = true;
    *ret = x;
    for (unsigned i = 0; i < POLICY_KINDS; i++)
        if (!begin(x, i, err))
            return -err->code;
    store_list(api->store, &all, status_listed, x);
    return 0;
}

void api_policies_stop(struct policies *x)
{
    for (unsigned i = 0; x && i < POLICY_KINDS; i++) {
        if (x->watch[i])
            store_watch_free(x->watch[i]);
        x->watch[i] = NULL;
    }
}

void api_policies_free(struct policies *x)
{
    if (!x)
        return;
    api_policies_stop(x);
    arena_free(x->arena);
    mem_free(x);
}
