/* op.c - what create, update, patch and delete share before their commit (commit.c): decoding, admission, validation. */
#include "api-internal.h"
#include "object/custom.h"

#include "base/env.h"
#include "base/json_scan.h"
#include "base/yaml.h"

struct val *api_tree(struct arena *a, struct store_object *o, struct api_error *e)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, store_object_json(o), &err);
    if (!v)
        api_fail(e, a, KL_CORRUPT, "the stored bytes of '" STR_FMT "' are damaged: %s", STR_ARG(store_object_name(o)), err.msg);
    return v;
}

const char *api_strict_text(struct arena *a, const struct object_strict *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 10);
    for (unsigned i = 0; i < s->n; i++) {
        buf_add_z(&b, i ? ", " : "");
        buf_add_z(&b, s->at[i]);
    }
    return b.failed ? "too many strict decoding errors" : arena_dup(a, buf_str(&b));
}

/* The package name of the kind's internal type, as upstream's conversions name it. */
static const char *package(struct arena *a, const struct schema_kind *k)
{
    struct str g = str_of(k->group[0] ? k->group : "core");
    return arena_dup(a, str_cut(&g, '.'));
}

static int wrong_kind(struct api_op *op, struct str kind, struct str gv, const struct schema_type *t)
{
    struct str version = gv, group = STR("");
    if (str_find(gv, '/') >= 0)
        group = str_cut(&version, '/');
    const struct schema_kind *other = schema_kind_find(group, version, kind);
    const char *head = arena_printf(op->arena, STR_FMT " in version \"" STR_FMT "\" cannot be handled as a %s", STR_ARG(kind), STR_ARG(version), t->go);
    if (!other)
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "%s: no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
                        "\" in scheme \"pkg/runtime/scheme.go:111\"", head, STR_ARG(kind), STR_ARG(gv));
    return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "%s: converting (%s.%s) to (%s.%s): unknown conversion", head, other->version, other->kind,
                    package(op->arena, op->kind), t->go);
}

static void set_type(struct api_op *op, struct val *v, const char *gv, const char *kind)
{
    struct val *gvv = val_of_str(op->arena, str_of(gv)), *kv = val_of_str(op->arena, str_of(kind));
    json_del(v, STR("kind"));
    json_del(v, STR("apiVersion"));
    if (!gvv || !kv)
        return;
    gvv->key = "apiVersion";
    gvv->key_len = 10;
    kv->key = "kind";
    kv->key_len = 4;
    val_unshift(v, gvv);
    val_unshift(v, kv);
}

/* What the object says it is must be what the path says; where it says nothing the path counts. */
/* set: what is not said is filled in. */
static int check_type(struct api_op *op, const struct schema_type *t, struct val *v, bool set)
{
    struct str kind = json_str(v, "kind"), gv = json_str(v, "apiVersion");
    const char *want = api_group_version(op->arena, op->kind);
    const char *want_kind = t == op->kind->type ? op->kind->kind : t->go;
    bool custom = t == op->kind->type && op->kind->flags & K_CUSTOM;    /* a map to upstream: its kind is judged with the rest of it */
    if (kind.len && !str_is(kind, want_kind) && !custom)
        return wrong_kind(op, kind, gv.len ? gv : str_of(want), t);
    if (t == op->kind->type && (gv.len || custom) && !str_is(gv, want))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST,
                        "the API version in the data (" STR_FMT ") does not match the expected API version (%s)", STR_ARG(gv), want);
    if (t->has_typemeta && t == op->kind->type && set && !custom)
        set_type(op, v, want, op->kind->kind);
    return arena_exhausted(op->arena) ? api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory") : 0;
}

/* The beginning of a body that could not be read. */
static const char *summary(struct arena *a, struct str body)
{
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    size_t n = body.len > 30 ? 30 : body.len;
    if (!body.len)
        return "<empty>";
    for (size_t i = 0; i < n; i++)
        if (body.at[0] == '{')
            buf_add_c(&b, body.at[i]);
        else
            buf_printf(&b, "%02x", (unsigned char)body.at[i]);
    return arena_printf(a, STR_FMT "%s", STR_ARG(buf_str(&b)), body.len > n ? " ..." : "");
}

static int cannot_be(struct api_op *op, const struct schema_type *t, struct str version, struct str kind, const char *why)
{
    struct str last = version;
    if (str_find(last, '/') >= 0)
        str_cut(&last, '/');
    bool short_of = strcmp(why, "proto: unexpected EOF") == 0;
    return api_fail(&op->err, op->arena, KL_BAD_REQUEST, STR_FMT " in version \"" STR_FMT "\" cannot be handled as a %s: %s", STR_ARG(kind.len ? kind : str_of(t->go)),
                    STR_ARG(last.len ? last : str_of(op->kind->version)), t->go, why + (short_of ? 7 : 0));
}

/* A body in protobuf is read as what its envelope says that it is, which may be another kind than is wanted, or none. */
static int other_message(struct api_op *op, const struct schema_type *t, struct str body)
{
    struct kl_err err;
    struct str version, kind, group;
    kl_err_init(&err);
    const char *fault = api_envelope(op->arena, body, &version, &kind);
    if (fault)
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the object provided is unrecognized (must be of type %s): %s (%s)", t->go, fault, summary(op->arena, body));
    if (!kind.len || !version.len || !t->has_typemeta)
        return 0;
    struct str rest = version;
    group = str_find(rest, '/') < 0 ? STR("") : str_cut(&rest, '/');
    const struct schema_type *other = schema_type_find(group, rest, kind);
    if (!other)
        return cannot_be(op, t, version, kind, api_not_registered(op->arena, version, kind));
    if (other == t)
        return 0;
    return object_decode_protobuf(op->arena, other, body, NULL, &err) ? wrong_kind(op, kind, version, t) : cannot_be(op, t, version, kind, err.msg);
}

static int bad_body(struct api_op *op, const struct schema_type *t, struct str body, const struct val *raw, const struct kl_err *err)
{
    struct str kind = json_str(raw, "kind"), version = json_str(raw, "apiVersion");
    if (err->code == KL_NO_MEMORY || err->code == KL_TOO_LARGE)
        return api_fail_err(&op->err, op->arena, err);
    if (str_find(version, '/') >= 0)
        str_cut(&version, '/');
    if (raw && (raw->type == VAL_OBJ || raw->type == VAL_NULL))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, STR_FMT " in version \"" STR_FMT "\" cannot be handled as a %s: %s",
                        STR_ARG(kind.len ? kind : str_of(t->go)), STR_ARG(version.len ? version : str_of(op->kind->version)), t->go, err->msg);
    if (strncmp(err->msg, "proto: ", 7) == 0 && !api_envelope(op->arena, body, &version, &kind))
        return cannot_be(op, t, version, kind, err->msg);
    bool enveloped = strncmp(err->msg, "proto: provided data", 20) != 0;    /* what is no protobuf has no version to be looked for */
    return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the object provided is unrecognized (must be of type %s): %s (%s)", t->go,
                    enveloped ? api_json_fault(op->arena, raw, err) : err->msg + 7, summary(op->arena, body));
}

static void came_again(void *ctx, const char *text)
{
    buf_printf(ctx, "\n  %s", text);
}

struct val *api_read_yaml(struct api_op *op, struct str text, const char **ret_twice, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    struct val *v = yaml_read_twice(op->arena, text, came_again, &b, err);
    *ret_twice = !v || !b.len ? NULL : arena_printf(op->arena, "yaml: unmarshal errors:" STR_FMT, STR_ARG(buf_str(&b)));
    return v;
}

void api_warn_twice(struct api_op *op, const char *twice)
{
    struct str rest = twice && op->field_validation == VALIDATE_WARN && op->warn ? str_of(twice) : STR_NONE;
    for (str_cut(&rest, '\n'); rest.at;)
        op->warn(op->warn_ctx, arena_dup(op->arena, str_trim(str_cut(&rest, '\n'))));
}

static int no_kind(struct api_op *op, const struct schema_type *t, struct str body, const struct val *raw)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, raw);
    return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the object provided is unrecognized (must be of type %s): Object 'Kind' is missing in '" STR_FMT "' (%s)", t->go,
                    STR_ARG(buf_str(&b)), summary(op->arena, body));
}

int api_op_decode(struct api_op *op, const struct schema_type *t, enum api_media media, struct str body, struct val **ret)
{
    struct kl_err err;
    kl_err_init(&err);
    struct object_strict strict = { .arena = op->arena };
    struct val *v = NULL, *raw = NULL;
    const char *twice = NULL;
    if (media == MEDIA_PROTOBUF && other_message(op, t, body) < 0)
        return -op->err.code;
    if (media == MEDIA_PROTOBUF)
        v = object_decode_protobuf(op->arena, t, body, NULL, &err);
    else if ((raw = media == MEDIA_YAML ? api_read_yaml(op, body, &twice, &err) : json_parse(op->arena, body, &err))) {
        struct str kind = json_str(raw, "kind");
        if (t->has_typemeta && kind.len && check_type(op, t, raw, false) < 0)
            return -op->err.code;
        if (!kind.len && raw->type == VAL_OBJ && t == op->kind->type && op->kind->flags & K_CUSTOM)
            return no_kind(op, t, body, raw);
        v = object_conform(op->arena, t, raw, &strict, &err) < 0 ? NULL : raw;
    }
    if (!v)
        return bad_body(op, t, body, raw, &err);
    if (t->custom)
        custom_strict_order(&strict);
    if ((strict.n || twice) && op->field_validation == VALIDATE_STRICT)
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s%s%s",
                        t->go, op->kind->version, t->go, twice ? twice : "", twice && strict.n ? ", " : "", strict.n ? api_strict_text(op->arena, &strict) : "");
    api_warn_twice(op, twice);
    for (unsigned i = 0; i < strict.n && op->field_validation == VALIDATE_WARN && op->warn; i++)
        op->warn(op->warn_ctx, strict.at[i]);
    if (check_type(op, t, v, true) < 0)
        return -op->err.code;
    *ret = v;
    return 0;
}

/* Who deletes many names none. */
struct str api_asked_name(const struct api_op *op)
{
    return op->of_many ? STR("") : op->name;
}

struct str api_shown_name(const struct api_op *op, const struct val *v)
{
    return op->name.len || !v ? op->name : json_str(v, "metadata.generateName");
}

int64_t api_op_now(struct api_op *op)
{
    if (!op->kept)
        return env_wall_ns();
    if (!op->kept->wall_ns)
        op->kept->wall_ns = env_wall_ns();
    return op->kept->wall_ns;
}

/* A refusal as upstream words it: a reason gets the object's name in front, faults in fields are told one by one. */
static int refused(struct api_op *op, const struct val *v, const struct kl_call *c, const struct kl_admission_verdict *verdict)
{
    const char *why = verdict->refusal ? verdict->refusal : c->err.msg;
    struct object_causes causes = { .arena = op->arena };
    if (verdict->status.len) {
        struct val *status = json_parse(op->arena, str_n(verdict->status.at, verdict->status.len), NULL);
        struct str message = json_str(status, "message");
        api_fail(&op->err, op->arena, c->err.code ? c->err.code : KL_INTERNAL, STR_FMT, STR_ARG(message));
        op->err.status = status;
        op->err.http = (int)json_int(status, "code", 500);
        op->err.retry_after = (int)json_int(status, "details.retryAfterSeconds", 0);
        return -op->err.code;
    }
    if (c->err.code == KL_INVALID && verdict->causes) {
        for (const char *const *x = verdict->causes; x[0] && x[1] && x[2]; x += 3)
            object_cause_add(&causes, x[0], x[1], "%s", x[2]);
        return api_fail_invalid(&op->err, op->arena, op->kind, api_shown_name(op, v), &causes);
    }
    if (c->err.code != KL_FORBIDDEN)
        return api_fail(&op->err, op->arena, c->err.code ? c->err.code : KL_INTERNAL, "%s", why);
    api_fail(&op->err, op->arena, KL_FORBIDDEN, "forbidden");
    const char *text = arena_printf(op->arena, "%s \"" STR_FMT "\" is forbidden: %s", api_resource_text(op->arena, op->kind), STR_ARG(api_shown_name(op, v)), why);
    op->err.message = text ? text : op->err.message;
    op->err.name = arena_dup(op->arena, api_shown_name(op, v));
    op->err.group = op->kind->group;
    op->err.kind = op->kind->plural;
    return -KL_FORBIDDEN;
}

static void add_text(struct buf *b, const char *name, struct str s)
{
    if (!s.len)
        return;
    buf_printf(b, ",\"%s\":", name);
    json_write_str(b, s);
}

/* As metav1 has them, of what the request said. */
struct kl_bytes api_op_options(struct api_op *op, const char *verb)
{
    if (op->options.len)
        return op->options;
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    const char *kind = strcmp(verb, "create") == 0 ? "Create" : strcmp(verb, "delete") == 0 ? "Delete" : "Update";      /* a patch is an update, too */
    buf_lit(&b, "{\"kind\":\"");
    buf_add_z(&b, kind);
    buf_lit(&b, "Options\",\"apiVersion\":\"meta.k8s.io/v1\"");
    if (kind[0] == 'D' && op->grace_s >= 0)
        buf_printf(&b, ",\"gracePeriodSeconds\":%lld", (long long)op->grace_s);
    if (kind[0] == 'D' && (op->want_uid.len || op->want_version.len)) {
        struct buf one = BUF_INIT(4096);
        add_text(&one, "uid", op->want_uid);
        add_text(&one, "resourceVersion", op->want_version);
        buf_printf(&b, ",\"preconditions\":{" STR_FMT "}", STR_ARG(str_skip(buf_str(&one), 1)));
        buf_free(&one);
    }
    if (kind[0] == 'D')
        add_text(&b, "propagationPolicy", op->propagation);
    if (op->dry_run)
        buf_lit(&b, ",\"dryRun\":[\"All\"]");
    if (op->query && kind[0] != 'D') {
        add_text(&b, "fieldManager", op->query->field_manager);
        add_text(&b, "fieldValidation", op->query->field_validation);
    }
    buf_add_c(&b, '}');
    char *text = b.failed ? NULL : arena_dup(op->arena, buf_str(&b));
    return op->options = (struct kl_bytes){ text, text ? b.len : 0 };
}

int api_admit_as(struct api_op *op, bool mutating, const char *verb, const struct schema_kind *shown, struct val **v, struct str old)
{
    struct api *api = op->api;
    struct api_stage *policies = api_policies(op, mutating, verb, shown, old);
    if (!api->hooks.admit)
        return policies && policies->run(policies, v, false) < 0 ? -op->err.code : 0;
    struct kl_request r = { .size = sizeof r, .verb = verb, .path = "", .is_resource = 1, .group = op->kind->group,
                            .version = op->kind->version, .resource = op->kind->plural,
                            .subresource = op->subresource ? op->subresource : "", .ns = arena_dup(op->arena, op->ns),
                            .name = arena_dup(op->arena, api_asked_name(op)) };
    struct kl_admission_review review = { .size = sizeof review, .request = &r, .user = op->user, .kind = shown->kind,
                                          .old_object = { old.at, old.len }, .options = api_op_options(op, verb),
                                          .kind_group = shown->group, .kind_version = shown->version };
    struct kl_admission_verdict verdict = { .size = sizeof verdict };
    struct kl_call c;
    api_call_init(&c, op->arena, op->user ? op->user->name : NULL);
    c.request = op->request;
    if (op->dry_run)
        c.flags |= KL_CALL_DRY_RUN;
    if (op->note)
        c.flags |= op->notes_objects ? KL_CALL_AUDITED | KL_CALL_AUDITED_OBJECTS : KL_CALL_AUDITED;
    int64_t began = env_mono_ns();
    int rc = api->hooks.admit(api->hooks.ctx, &c, mutating, &review, op->arena, shown, v, policies, &verdict);
    if (rc == -KL_PENDING)
        return op->err.code ? -KL_PENDING : api_fail(&op->err, op->arena, KL_PENDING, "a decision about the request is pending");
    metrics_admission(&api->metrics, mutating, verb, rc < 0, env_mono_ns() - began);
    for (const char *const *w = verdict.warnings; w && *w && op->warn; w++)
        op->warn(op->warn_ctx, *w);
    for (const char *const *n = verdict.annotations; op->note && n && n[0] && n[1]; n += 2)
        op->note(op->note_ctx, n[0], n[1]);
    if (op->err.code)                   /* a policy, in its own words */
        return -op->err.code;
    return rc < 0 ? refused(op, *v, &c, &verdict) : 0;
}

/* The server's own housekeeping waits for no webhook, and shows what it deletes as it is stored. */
bool api_can_convert(const struct api_op *op)
{
    return api_converts(op->kind) && (op->request || !api_converts_by_webhook(op->kind));
}

int api_admit(struct api_op *op, bool mutating, const char *verb, struct val **v, struct store_object *old)
{
    if (op->admitted)
        return 0;
    struct str was = old ? store_object_json(old) : STR_NONE;
    if (old && op->api->hooks.admit && api_can_convert(op)) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        struct api_asker q = api_op_asker(op);
        struct val *tree = api_stored_tree(&q, op->kind, old);
        if (!tree)
            return -op->err.code;
        object_encode_json(&b, op->kind->type, tree);
        was = arena_str(op->arena, buf_str(&b));
    }
    return api_admit_as(op, mutating, verb, op->kind, v, was);
}

int api_validate(struct api_op *op, struct val *v, const struct val *old)
{
    struct object_causes causes = { .arena = op->arena };
    struct str said = json_str(v, "kind");
    struct schema_kind kind = *(op->kind->storage ? op->kind->storage : op->kind);
    if (op->kind->flags & K_CUSTOM && !str_is(said, kind.kind)) {       /* upstream believes it, then refuses it */
        object_cause_add(&causes, "FieldValueInvalid", "kind", "Invalid value: \"" STR_FMT "\": must be %s", STR_ARG(said), kind.kind);
        kind.kind = arena_dup(op->arena, said);
        return api_fail_invalid(&op->err, op->arena, &kind, json_str(v, "metadata.name"), &causes);
    }
    object_validate(op->kind, op->subresource, v, old, &causes);
    api_check_rules(op, v, old, &causes);
    if (op->err.code == KL_PENDING)
        return -KL_PENDING;
    if (arena_exhausted(op->arena))
        return api_fail(&op->err, op->arena, KL_TOO_LARGE, "the request needs more memory than one request may use");
    if (!causes.n && op->warn && !op->subresource)
        object_warnings(op->arena, op->kind, v, old, op->warn, op->warn_ctx);
    if (!causes.n)
        return 0;
    struct str name = json_str(v, "metadata.name");
    return api_fail_invalid(&op->err, op->arena, &kind, name.len ? name : json_str(v, "metadata.generateName"), &causes);
}
