/* policy.c - policies compiled and kept in step with what is stored; the walk over them for one request, and how a refusal is told. */
#include "policy.h"

#include "base/log.h"

static const char *const resources[] = { POLICY_GROUP "/validatingadmissionpolicies", POLICY_GROUP "/validatingadmissionpolicybindings",
                                         POLICY_GROUP "/mutatingadmissionpolicies", POLICY_GROUP "/mutatingadmissionpolicybindings" };
#define KINDS 4
#define COMPILED_BYTES (256u << 20)

struct policies {
    struct api *api;
    struct store_watch *watch[KINDS];
    struct arena *arena;                /* of all below */
    struct policy *validating, *mutating;
    bool stale;
};

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

static void mutations(struct arena *a, struct policy *p, const struct cel_var *vars)
{
    const struct val *list = json_get(p->spec, STR("mutations"));
    p->rules = val_is(list, VAL_ARR) ? arena_alloc(a, (list->n + 1) * sizeof *p->rules) : NULL;
    for (const struct val *v = p->rules ? list->first : NULL; v; v = v->next) {
        struct expression *e = &p->rules[p->n_rules++];
        bool patch = str_is(json_str(v, "patchType"), "JSONPatch");
        e->source = v;
        e->text = json_str(v, patch ? "jsonPatch.expression" : "applyConfiguration.expression");
        e->program = cel_admission_compile(a, e->text, vars, CEL_PATCH, patch ? CEL_LIST : CEL_MAP, &e->why);
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
    cel_admission_vars(vars, with | CEL_WITH_AUTHORIZER, type);
    cel_admission_vars(messages, with, type);
    if (mutating) {
        mutations(a, p, vars);
        return p;
    }
    p->rules = expressions(a, json_get(p->spec, STR("validations")), NULL, "expression", vars, 0, CEL_BOOL, &p->n_rules);
    p->notes = expressions(a, json_get(p->spec, STR("auditAnnotations")), "key", "valueExpression", vars, 0, CEL_STRING, &p->n_notes);
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

static void read_all(struct policies *x)
{
    x->stale = false;
    x->validating = x->mutating = NULL;
    x->arena = arena_free(x->arena);
    x->arena = arena_new(COMPILED_BYTES);
    for (unsigned i = 0; x->arena && i < KINDS; i++) {
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
    for (unsigned i = 0; i < KINDS; i++) {
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
    for (unsigned i = 0; i < KINDS; i++)
        if (!begin(x, i, err))
            return -err->code;
    store_list(api->store, &all, status_listed, x);
    return 0;
}

void api_policies_stop(struct policies *x)
{
    for (unsigned i = 0; x && i < KINDS; i++) {
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

/* --- one request --- */

/* Policies do not judge policies, nor webhooks: a mistake in them must be repairable. */
static bool exempt(const struct api_op *op)
{
    return strcmp(op->kind->group, POLICY_GROUP) == 0 && (strstr(op->kind->plural, "admissionpolic") || strstr(op->kind->plural, "webhookconfigurations"));
}

/* Mutating policies speak for themselves; for the others the object's name stands in front. */
static int deny(struct api_op *op, const struct val *v, const char *message, struct str reason)
{
    static const struct {
        const char *reason;
        int http;
    } rows[] = { { "Unauthorized", 401 },  { "Forbidden", 403 }, { "NotFound", 404 },  { "Conflict", 409 },
                 { "AlreadyExists", 409 }, { "Gone", 410 },      { "Invalid", 422 },   { "RequestEntityTooLarge", 413 },
                 { "BadRequest", 400 },    { "Timeout", 504 },   { "TooManyRequests", 429 } };
    struct object_cause *cause = arena_alloc(op->arena, sizeof *cause);
    struct str name = api_shown_name(op, v);
    api_fail(&op->err, op->arena, KL_INVALID, "refused");
    const char *text = strncmp(message, "policy ", 7) == 0 ? message : arena_printf(op->arena, "%s \"" STR_FMT "\" is forbidden: %s",
                                                                                   api_resource_text(op->arena, op->kind), STR_ARG(name), message);
    op->err.message = text ? text : op->err.message;
    op->err.reason = reason.len ? arena_dup(op->arena, reason) : "Invalid";
    op->err.http = 422;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(reason, rows[i].reason))
            op->err.http = rows[i].http;
    op->err.name = arena_dup(op->arena, name);
    op->err.group = op->kind->group;
    op->err.kind = op->kind->plural;
    if (cause) {
        *cause = (struct object_cause){ "", "", message };
        op->err.causes = cause;
        op->err.n_causes = 1;
    }
    return -op->err.code;
}

struct outcome {
    const char *message;                /* of the first refusal; NULL: none */
    struct str reason;
};

static const char *message_of(struct policy_run *r, const struct expression *e)
{
    struct str given = json_str(e->source, "message");
    if (e->message) {
        struct cel_val v = policy_value(r, e, e->message);
        struct str s = v.kind == CEL_STRING ? str_trim(v.s) : STR("");
        if (s.len && s.len <= 5120 && !memchr(s.at, '\n', s.len))
            return arena_dup(r->w->arena, s);
    }
    return given.len && str_trim(given).len ? arena_dup(r->w->arena, str_trim(given)) :
                                              arena_printf(r->w->arena, "failed expression: " STR_FMT, STR_ARG(str_trim(e->text)));
}

/* What a binding does with a refusal. */
static void act(struct walk_policies *w, const struct policy *p, const struct binding *b, const char *message, struct str reason, struct outcome *out)
{
    const struct val *actions = json_get(b->spec, STR("validationActions"));
    struct api_op *op = w->op;
    if (!val_is(actions, VAL_ARR))
        return;
    val_each(x, actions) {
        if (str_is(val_str(x), "Warn") && op->warn)
            op->warn(op->warn_ctx, arena_printf(w->arena, "Validation failed for ValidatingAdmissionPolicy '" STR_FMT "' with binding '" STR_FMT "': %s",
                                                STR_ARG(p->name), STR_ARG(b->name), message));
        if (str_is(val_str(x), "Deny") && !out->message) {
            out->message = arena_printf(w->arena, "ValidatingAdmissionPolicy '" STR_FMT "' with binding '" STR_FMT "' denied request: %s",
                                        STR_ARG(p->name), STR_ARG(b->name), message);
            out->reason = reason;
        }
    }
}

static void validate_one(struct walk_policies *w, const struct policy *p, const struct binding *b, const struct val *params, struct outcome *out)
{
    struct policy_run r;
    const char *why = NULL;
    policy_begin(&r, w, p, params);
    int rc = policy_conditions(&r, &why);
    if (rc < 0 && !p->ignores)
        act(w, p, b, why, STR("Invalid"), out);
    for (unsigned i = 0; rc > 0 && i < p->n_rules; i++) {
        const struct expression *e = &p->rules[i];
        struct cel_val v = policy_value(&r, e, e->program);
        if (v.kind == CEL_BOOL && v.b)
            continue;
        if (v.kind == CEL_BOOL)
            act(w, p, b, message_of(&r, e), json_str(e->source, "reason"), out);
        else if (!p->ignores)
            act(w, p, b, v.kind == CEL_ERROR ? arena_dup(w->arena, v.s) : "the expression is no bool", STR("Invalid"), out);
    }
}

/* A binding that cannot be followed: refused in its own name, whatever it would have done. */
static void misconfigured(struct walk_policies *w, const struct policy *p, const struct binding *b, const char *kind, const char *why, struct outcome *out)
{
    if (!p->ignores && !out->message)
        out->message = arena_printf(w->arena, "%s '" STR_FMT "' with binding '" STR_FMT "' denied request: failed to configure binding: %s", kind,
                                    STR_ARG(p->name), STR_ARG(b->name), why);
}

static void put_kind(struct arena *a, struct val *request, const char *member, const struct schema_kind *k, bool resource)
{
    struct val *v = json_obj(a, request, str_of(member));
    json_set_str(a, v, STR("group"), str_of(k->group));
    json_set_str(a, v, STR("version"), str_of(k->version));
    json_set_str(a, v, resource ? STR("resource") : STR("kind"), str_of(resource ? k->plural : k->kind));
}

static void put_text(struct arena *a, struct val *v, const char *member, struct str s)
{
    if (s.len)
        json_set_str(a, v, str_of(member), s);
}

/* The members of an AdmissionRequest that expressions see; what is empty is not there. */
static void make_request(struct walk_policies *w)
{
    static const char *const words[] = { "create", "CREATE", "update", "UPDATE", "delete", "DELETE" };
    struct api_op *op = w->op;
    struct arena *a = w->arena;
    struct val *r = val_new(a, VAL_OBJ), *user = json_obj(a, r, STR("userInfo"));
    put_kind(a, r, "kind", op->kind, false);
    put_kind(a, r, "resource", op->kind, true);
    put_kind(a, r, "requestKind", op->kind, false);
    put_kind(a, r, "requestResource", op->kind, true);
    put_text(a, r, "subResource", str_of(op->subresource));
    put_text(a, r, "requestSubResource", str_of(op->subresource));
    put_text(a, r, "name", op->name);
    put_text(a, r, "namespace", op->ns);
    for (int i = 0; i < 6; i += 2)
        if (strcmp(w->verb, words[i]) == 0)
            json_set_str(a, r, STR("operation"), str_of(words[i + 1]));
    json_set_bool(a, r, STR("dryRun"), op->dry_run);
    struct kl_bytes options = api_op_options(op, w->verb);
    json_set(a, r, STR("options"), options.len ? json_parse(a, str_n(options.at, options.len), NULL) : val_new(a, VAL_OBJ));
    put_text(a, user, "username", str_of(op->user ? op->user->name : ""));
    put_text(a, user, "uid", str_of(op->user ? op->user->uid : ""));
    for (const char *const *g = op->user ? op->user->groups : NULL; g && *g; g++)
        val_push(json_arr(a, user, STR("groups")), val_of_str(a, str_of(*g)));
    for (const char *const *x = op->user && KL_HAS(op->user, extra) ? op->user->extra : NULL; x && x[0] && x[1]; x += 2)
        val_push(json_arr(a, json_obj(a, user, STR("extra")), str_of(x[0])), val_of_str(a, str_of(x[1])));
    w->request = r;
}

static bool setup(struct walk_policies *w, struct api_op *op, const char *verb, const struct val *v, struct store_object *old)
{
    *w = (struct walk_policies){ .op = op, .arena = op->arena, .verb = verb, .object = v };
    if (old)
        w->old = api_tree(op->arena, old, &op->err);
    if (w->old && api_converts(op->kind))
        w->old = api_convert(op->arena, op->kind->storage, op->kind, (struct val *)w->old);
    return !old || w->old;
}

static int conclude(struct walk_policies *w, const struct val *v, const struct outcome *out)
{
    if (w->pending)
        return api_fail(&w->op->err, w->arena, KL_PENDING, "a decision about the request is pending");
    return out->message ? deny(w->op, v, out->message, out->reason) : 0;
}

static int validate(struct policies *x, struct api_op *op, const char *verb, const struct val *v, struct store_object *old)
{
    struct walk_policies w;
    struct outcome out = { NULL, STR("Invalid") };
    const struct val **params;
    const char *why;
    if (!setup(&w, op, verb, v, old))
        return -op->err.code;
    for (const struct policy *p = x->validating; p; p = p->next) {
        if (!p->bindings || !policy_matches(&w, json_get(p->spec, STR("matchConstraints"))))
            continue;
        for (const struct binding *b = p->bindings; b; b = b->next) {
            if (!policy_matches(&w, json_get(b->spec, STR("matchResources"))))
                continue;
            if (!w.request)
                make_request(&w);
            int n = policy_params(&w, p, b, &params, &why);
            if (n < 0)
                misconfigured(&w, p, b, "ValidatingAdmissionPolicy", why, &out);
            for (int i = 0; i < n; i++)
                validate_one(&w, p, b, params[i], &out);
        }
    }
    return conclude(&w, v, &out);
}

/* One policy with one parameter; true: the object is another now. */
static bool mutate_with(struct walk_policies *w, const struct policy *p, const struct binding *b, const struct val *params, struct val **v,
                        struct outcome *out)
{
    struct policy_run r;
    const char *why = NULL;
    policy_begin(&r, w, p, params);
    int rc = policy_conditions(&r, &why);
    struct val *before = *v, *now = rc > 0 ? policy_mutate(&r, *v, &why) : NULL;
    if (!now && rc && !p->ignores)
        out->message = arena_printf(w->arena, "policy '" STR_FMT "' with binding '" STR_FMT "' denied request: %s", STR_ARG(p->name), STR_ARG(b->name), why);
    if (!now)
        return false;
    w->object = *v = now;
    return !val_equal(before, now);
}

static bool mutate_one(struct walk_policies *w, const struct policy *p, struct val **v, struct outcome *out)
{
    const struct val **params;
    const char *why;
    bool changed = false;
    if (!p->bindings || !policy_matches(w, json_get(p->spec, STR("matchConstraints"))))
        return false;
    for (const struct binding *b = p->bindings; b && !out->message; b = b->next) {
        if (!policy_matches(w, json_get(b->spec, STR("matchResources"))))
            continue;
        if (!w->request)
            make_request(w);
        int n = policy_params(w, p, b, &params, &why);
        if (n < 0)
            misconfigured(w, p, b, "policy", why, out);
        for (int i = 0; i < n && !out->message; i++)
            changed |= mutate_with(w, p, b, params[i], v, out);
    }
    return changed;
}

/* All in order; then those that want to see what later ones changed, once more. */
static int mutate(struct policies *x, struct api_op *op, const char *verb, struct val **v, struct store_object *old)
{
    struct walk_policies w;
    struct outcome out = { NULL, STR("Invalid") };
    const struct policy *last = NULL;
    if (!setup(&w, op, verb, *v, old))
        return -op->err.code;
    for (const struct policy *p = x->mutating; p && !out.message; p = p->next)
        if (mutate_one(&w, p, v, &out))
            last = p;
    for (const struct policy *p = x->mutating; last && p && p != last && !out.message; p = p->next)
        if (p->reinvokes)
            mutate_one(&w, p, v, &out);
    return conclude(&w, *v, &out);
}

int api_policies(struct api_op *op, bool mutating, const char *verb, struct val **v, struct store_object *old)
{
    struct policies *x = op->api->policies;
    if (!x || exempt(op))
        return 0;
    if (x->stale)
        read_all(x);
    if (mutating)
        return x->mutating && *v ? mutate(x, op, verb, v, old) : 0;
    return x->validating ? validate(x, op, verb, *v, old) : 0;
}
