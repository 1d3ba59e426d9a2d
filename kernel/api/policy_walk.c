/* policy_walk.c - the walk over the policies for one request, and how a refusal is told. */
#include "policy.h"

/* Policies do not judge policies, nor webhooks: a mistake in them must be repairable. */
static bool exempt(const struct api_op *op)
{
    if (api_is_review(op->kind))        /* a cluster where nobody may ask could not be helped */
        return true;
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

/* The trail says what failed, and what was done about it. */
static void note_failure(struct walk_policies *w, const struct policy *p, const struct binding *b, unsigned index, const char *message)
{
    struct arena *a = w->arena;
    if (w->noted)
        return;                         /* the first one stays, as upstream keeps it */
    w->noted = true;
    struct val *list = val_new(a, VAL_ARR), *v = val_push(list, val_new(a, VAL_OBJ));
    _cleanup_buf_ struct buf text = BUF_INIT(64 << 10);
    json_set_str(a, v, STR("message"), str_of(message));
    json_set_str(a, v, STR("policy"), p->name);
    json_set_str(a, v, STR("binding"), b->name);
    json_set_int(a, v, STR("expressionIndex"), index);
    json_set(a, v, STR("validationActions"), val_copy(a, json_get(b->spec, STR("validationActions"))));
    json_write(&text, list);
    if (text.len && !text.failed && !arena_exhausted(a))
        w->op->note(w->op->note_ctx, "validation.policy.admission.k8s.io/validation_failure", arena_dup(a, buf_str(&text)));
}

/* What a binding does with a refusal by the expression of that index. */
static void act(struct walk_policies *w, const struct policy *p, const struct binding *b, unsigned index, const char *message, struct str reason,
                struct outcome *out)
{
    const struct val *actions = json_get(b->spec, STR("validationActions"));
    struct api_op *op = w->op;
    if (!val_is(actions, VAL_ARR))
        return;
    val_each(x, actions) {
        if (str_is(val_str(x), "Audit") && op->note)
            note_failure(w, p, b, index, message);
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

/* --- audit annotations: of all bindings of a policy together --- */

struct annotation {
    struct annotation *next;
    const struct policy *policy;
    struct str key, value;
};

#define ANNOTATION_MOST (10u << 10)

static void refuse(struct walk_policies *w, const struct policy *p, const struct binding *b, const char *message, struct outcome *out)
{
    if (p->ignores || out->message)
        return;
    out->message = arena_printf(w->arena, "ValidatingAdmissionPolicy '" STR_FMT "' with binding '" STR_FMT "' denied request: %s", STR_ARG(p->name),
                                STR_ARG(b->name), message);
    out->reason = STR("Invalid");
}

static void annotate(struct policy_run *r, const struct binding *b, const struct expression *e, struct outcome *out)
{
    struct walk_policies *w = r->w;
    struct cel_val v = policy_value(r, e, e->program);
    struct str text = v.kind == CEL_STRING ? str_trim(v.s) : STR("");
    if (v.kind == CEL_ERROR)
        refuse(w, r->policy, b, arena_dup(w->arena, v.s), out);
    else if (v.kind != CEL_STRING && v.kind != CEL_NULL)
        refuse(w, r->policy, b, arena_printf(w->arena, "valueExpression '" STR_FMT "' resulted in unsupported return type: %s. Return type must be either "
                                             "string or null.", STR_ARG(e->text), cel_type_text(w->arena, cel_type(v.kind))), out);
    struct annotation **at = &w->annotations, *x;
    if (!text.len || !w->op->note)
        return;
    text.len = text.len > ANNOTATION_MOST ? ANNOTATION_MOST : text.len;
    for (; *at; at = &(*at)->next)
        if ((*at)->policy == r->policy && str_eq((*at)->key, e->name) && str_eq((*at)->value, text))
            return;
    if ((x = arena_alloc(w->arena, sizeof *x))) {
        *x = (struct annotation){ NULL, r->policy, e->name, text };
        *at = x;
    }
}

static void publish(struct walk_policies *w)
{
    for (struct annotation *x = w->annotations; x; x = x->next) {
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
        if (!x->key.at)
            continue;                   /* told with an earlier one */
        char *key = arena_printf(w->arena, STR_FMT "/" STR_FMT, STR_ARG(x->policy->name), STR_ARG(x->key));
        struct str same = x->key;
        for (struct annotation *y = x; y; y = y->next)
            if (y->policy == x->policy && str_eq(y->key, same)) {
                buf_add_z(&b, b.len ? ", " : "");
                buf_add_str(&b, y->value);
                y->key = STR_NONE;
            }
        char *value = arena_dup(w->arena, buf_str(&b));
        if (key && value)
            w->op->note(w->op->note_ctx, key, value);
    }
}

static void validate_one(struct walk_policies *w, const struct policy *p, const struct binding *b, const struct val *params, struct outcome *out)
{
    struct policy_run r;
    const char *why = NULL;
    policy_begin(&r, w, p, params);
    int rc = policy_conditions(&r, &why);
    if (rc < 0 && !p->ignores)
        act(w, p, b, 0, why, STR("Invalid"), out);
    for (unsigned i = 0; rc > 0 && i < p->n_rules; i++) {
        const struct expression *e = &p->rules[i];
        struct cel_val v = policy_value(&r, e, e->program);
        if (v.kind == CEL_BOOL && v.b)
            continue;
        if (v.kind == CEL_BOOL)
            act(w, p, b, i, message_of(&r, e), json_str(e->source, "reason"), out);
        else if (!p->ignores)
            act(w, p, b, i, v.kind == CEL_ERROR ? arena_dup(w->arena, v.s) : "the expression is no bool", STR("Invalid"), out);
    }
    for (unsigned i = 0; rc > 0 && i < p->n_notes; i++)
        annotate(&r, b, &p->notes[i], out);
}

/* A binding that cannot be followed: refused in its own name, whatever it would have done. */
static void misconfigured(struct walk_policies *w, const struct policy *p, const struct binding *b, const char *kind, const char *why, struct outcome *out)
{
    if (!p->ignores && !out->message && json_get(p->spec, STR("paramKind")) && !policy_param_kind(p))
        out->message = arena_printf(w->arena, "%s '" STR_FMT "' denied request: failed to configure policy: %s", kind, STR_ARG(p->name), why);
    else if (!p->ignores && !out->message)
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
    struct api_op *op = w->op;
    struct arena *a = w->arena;
    struct val *r = val_new(a, VAL_OBJ), *user = json_obj(a, r, STR("userInfo"));
    put_kind(a, r, "kind", policy_kind(w), false);
    put_kind(a, r, "resource", w->view, true);
    put_kind(a, r, "requestKind", w->kind, false);
    put_kind(a, r, "requestResource", op->kind, true);
    put_text(a, r, "subResource", str_of(op->subresource));
    put_text(a, r, "requestSubResource", str_of(op->subresource));
    put_text(a, r, "name", api_asked_name(op));
    put_text(a, r, "namespace", op->ns);
    json_set_str(a, r, STR("operation"), str_of(policy_operation(w->verb)));
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

static int conclude(struct walk_policies *w, const struct val *v, const struct outcome *out)
{
    if (w->pending)
        return api_fail(&w->op->err, w->arena, KL_PENDING, "a decision about the request is pending");
    return out->message ? deny(w->op, v, out->message, out->reason) : 0;
}

/* What a policy sees under that name, and its parameters. */
static int look(struct walk_policies *w, const struct schema_kind *k, const struct policy *p, const struct binding *b, const struct val ***ret_params,
                const char **ret_why)
{
    if (!policy_view(w, k, ret_why))
        return w->pending ? 0 : -1;
    if (!w->request)
        make_request(w);
    return policy_params(w, p, b, ret_params, ret_why);
}

/* One policy under the name of its resource that its rules have. */
static void validate_by(struct walk_policies *w, const struct policy *p, struct outcome *ret)
{
    const struct val **params;
    const char *why;
    const struct schema_kind *k = p->bindings ? policy_matches(w, json_get(p->spec, STR("matchConstraints"))) : NULL;
    for (const struct binding *b = k ? p->bindings : NULL; b; b = b->next) {
        if (!policy_matches(w, json_get(b->spec, STR("matchResources"))))
            continue;
        int n = look(w, k, p, b, &params, &why);
        if (n < 0)
            misconfigured(w, p, b, "ValidatingAdmissionPolicy", why, ret);
        for (int i = 0; i < n; i++)
            validate_one(w, p, b, params[i], ret);
    }
}

static int validate(struct walk_policies *w, const struct val *v)
{
    struct outcome out = { NULL, STR("Invalid") };
    for (const struct policy *p = w->all->validating; p; p = p->next)
        validate_by(w, p, &out);
    if (w->annotations)
        publish(w);
    return conclude(w, v, &out);
}

/* --- mutations, and who of them is asked again --- */

/* One that was evaluated: a policy by a binding with a parameter. */
struct invoked {
    struct invoked *next;
    const struct binding *binding;
    struct str ns, name;                /* of the parameter */
    bool before, due;                   /* it may be asked again; something changed behind it */
};

static struct invoked *invoked(struct walk_policies *w, const struct binding *b, const struct val *params)
{
    struct str ns = json_str(params, "metadata.namespace"), name = json_str(params, "metadata.name");
    struct invoked *x = w->invoked;
    while (x && !(x->binding == b && str_eq(x->ns, ns) && str_eq(x->name, name)))
        x = x->next;
    if (!x && (x = arena_alloc(w->arena, sizeof *x))) {
        *x = (struct invoked){ .next = w->invoked, .binding = b, .ns = ns, .name = name };
        w->invoked = x;
    }
    return x;
}

static void make_due(struct walk_policies *w)
{
    for (struct invoked *x = w->invoked; x; x = x->next) {
        x->due |= x->before;
        x->before = false;
    }
}

/* One policy with one parameter. */
static void mutate_with(struct walk_policies *w, const struct policy *p, const struct binding *b, const struct val *params, struct val **v,
                        struct outcome *out)
{
    struct policy_run r;
    const char *why = NULL;
    struct invoked *x = invoked(w, b, params);
    if (w->again && !(x && x->due))
        return;
    policy_begin(&r, w, p, params);
    int rc = policy_conditions(&r, &why);
    struct val *before = *v, *now = rc > 0 ? policy_mutate(&r, (struct val *)w->shown, &why) : NULL;
    now = now ? policy_unview(w, now, &why) : NULL;
    if (w->pending)
        return;
    if (!now && rc && !p->ignores)
        out->message = arena_printf(w->arena, "policy '" STR_FMT "' with binding '" STR_FMT "' denied request: %s", STR_ARG(p->name), STR_ARG(b->name), why);
    if (!now)
        return;
    w->object = *v = now;
    w->dirty |= rc > 0;
    if (!val_equal(before, now)) {
        w->changed = true;
        make_due(w);
    }
    if (x)
        x->before = p->reinvokes;
}

static void mutate_one(struct walk_policies *w, const struct policy *p, struct val **v, struct outcome *out)
{
    const struct val **params;
    const char *why;
    const struct schema_kind *k = p->bindings ? policy_matches(w, json_get(p->spec, STR("matchConstraints"))) : NULL;
    for (const struct binding *b = k ? p->bindings : NULL; b && !out->message && !w->pending; b = b->next) {
        if (!policy_matches(w, json_get(b->spec, STR("matchResources"))))
            continue;
        int n = look(w, k, p, b, &params, &why);
        if (n < 0)
            misconfigured(w, p, b, "policy", why, out);
        for (int i = 0; i < n && !out->message && policy_view(w, k, &why); i++)
            mutate_with(w, p, b, params[i], v, out);
    }
}

/* All in order. The second time, only those that want to see what changed behind them: other policies, or plugins in between. */
static int mutate(struct walk_policies *w, struct val **v)
{
    struct outcome out = { NULL, STR("Invalid") };
    w->changed = w->dirty = false;
    w->object = *v;
    if (w->again && w->last && !val_equal(w->last, *v))
        make_due(w);
    for (const struct policy *p = w->all->mutating; p && !out.message; p = p->next)
        mutate_one(w, p, v, &out);
    if (w->dirty) {                     /* whoever changed it last may be asked again, too */
        make_due(w);
        w->changed = true;
    }
    int rc = conclude(w, *v, &out);
    if (rc == 0 && !w->again && w->invoked)
        w->last = val_copy(w->arena, *v);       /* plugins change the tree in place */
    return rc < 0 ? rc : w->changed;
}

/* --- the stage --- */

static int run(struct api_stage *s, struct val **v, bool again)
{
    struct walk_policies *w = (struct walk_policies *)s;
    w->again = again;
    if (w->mutating)
        return *v ? mutate(w, v) : 0;
    w->object = *v;
    return validate(w, *v);
}

struct api_stage *api_policies(struct api_op *op, bool mutating, const char *verb, const struct schema_kind *shown, struct str old)
{
    struct policies *x = op->api->policies;
    if (!x || exempt(op))
        return NULL;
    if (x->stale)
        policies_read(x);
    struct walk_policies *w = (mutating ? x->mutating : x->validating) ? arena_alloc(op->arena, sizeof *w) : NULL;
    if (!w)
        return NULL;
    *w = (struct walk_policies){ .stage = { run }, .all = x, .op = op, .arena = op->arena, .verb = verb, .kind = shown, .mutating = mutating,
                                 .old = old.len ? json_parse(op->arena, old, NULL) : NULL };
    return &w->stage;
}
