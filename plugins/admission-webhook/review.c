/* review.c - keelson.admission/0, twice: mutating hooks one after the other, each shown what the former made of the object; validating hooks all
 * at once. What has no answer yet is pending; the request comes again, and meets in memory.c what was answered meanwhile. */
#include "webhook.h"

#include "base/hash.h"
#include "base/http_words.h"

static int no_memory(struct kl_call *c)
{
    return kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int open_as(int kind, const struct kl_host *h, void **self, struct kl_call *c)
{
    struct webhooks *x = mem_alloc(sizeof *x);
    if (!x)
        return no_memory(c);
    x->host = h;
    x->kind = kind;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->http = h->service(h, KL_HOST_HTTP_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    x->cel = h->service(h, KL_HOST_CEL_0);
    x->versions = h->service(h, KL_HOST_VERSIONS_0);
    x->env->random(h, x->key, sizeof x->key);
    memory_init(&x->memory);
    *self = x;
    return 0;
}

static int open_mutating(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)conf;
    return open_as(MUTATING, h, self, c);
}

static int open_validating(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)conf;
    return open_as(VALIDATING, h, self, c);
}

static void close_it(void *self)
{
    struct webhooks *x = self;
    memory_free(&x->memory, x->host, x->http);
    mem_free(x);
}

/* --- is any hook concerned? --- */

static const char *namespace_of(const struct kl_request *r, const struct val *object)
{
    if (r->group[0] || strcmp(r->resource, "namespaces") != 0)
        return r->ns;
    struct str name = json_str(object, "metadata.name");
    return r->name[0] || !name.len ? r->name : name.at;
}

static bool may_concern(const struct hook *h, const char *operation, const struct kl_request *r, const char *ns)
{
    const struct val *rules = json_get(h->v, STR("rules"));
    return match_rules(rules, operation, r, ns) || (!h->exact && match_any_name(rules, operation, r, ns));
}

static int wants(void *self, struct kl_call *c, const struct kl_request *r, const struct kl_user *user)
{
    struct webhooks *x = self;
    (void)user;
    if (!x->configs && !(x->configs = webhook_configs(x->host, c))) {
        kl_err_init(&c->err);
        return 0;
    }
    if (!x->configs->n[x->kind] || !c->request || match_exempt(r))
        return 0;                       /* request 0: the server's own housekeeping, which cannot wait */
    const char *operation = match_operation(r->verb);
    list_each(l, &x->configs->at[x->kind]) {
        const struct config *k = list_item(l, struct config, link);
        for (unsigned i = 0; i < k->n; i++)
            if (may_concern(&k->hooks[i], operation, r, namespace_of(r, NULL)))
                return 1;
    }
    return 0;
}

static const struct val *namespace_labels(struct inquiry *q)
{
    struct subject *s = &q->subject;
    struct kl_object_key k = { sizeof k, "/namespaces", "", s->ns, NULL };
    struct kl_bytes text;
    if (s->ns_known)
        return s->ns_labels;
    s->ns_known = true;
    bool itself = !s->r->group[0] && strcmp(s->r->resource, "namespaces") == 0;
    struct val *v = itself ? (s->object ? s->object : s->old) : NULL;
    if (!v && q->x->objects->get(q->x->host, q->call, &k, &text) == 0)
        v = json_parse(q->arena, str_n(text.at, text.len), NULL);
    kl_err_init(&q->call->err);
    return s->ns_labels = json_path(v, "metadata.labels");
}

static int meets_conditions(struct inquiry *q, const struct hook *h)
{
    const struct kl_admission_review *r = q->subject.review;
    const char *why = NULL;
    if (!q->request.at) {
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
        exchange_request(&b, &q->subject, q->call->flags & KL_CALL_DRY_RUN);
        q->request = b.failed ? STR_NONE : arena_str(q->arena, buf_str(&b));
        if (!q->request.at)
            return no_memory(q->call);
    }
    const struct subject *s = &q->subject;
    int rc = q->x->cel->match(q->x->host, q->call, h->conditions, r->user, (struct kl_bytes){ q->request.at, q->request.len }, s->as ? s->object_as : r->object,
                              s->as ? s->old_as : r->old_object, &why);
    if (rc != -KL_INVALID)
        return rc;
    kl_log(q->x->host, KL_WARN, "failed evaluating match conditions of " STR_FMT ", failing %s: %s", STR_ARG(h->name), h->ignore ? "open" : "closed", why);
    kl_err_init(&q->call->err);
    if (h->ignore)
        return 0;
    q->ret->refusal = why;
    return kl_fail(q->call, KL_FORBIDDEN, "%.200s", why);
}

/* 1: it is to be asked; 0: it is not; < 0: that could not be told. */
static int concerns(struct inquiry *q, const struct hook *h)
{
    struct subject *s = &q->subject;
    const struct val *rules = json_get(h->v, STR("rules"));
    const char *const *name = NULL;
    if (!match_rules(rules, s->operation, s->r, s->ns)) {
        if (h->exact || !match_any_name(rules, s->operation, s->r, s->ns))
            return 0;
        if (!s->others)
            s->others = view_others(q);
        if (!(name = match_others(rules, s->operation, s->r, s->ns, s->others)))
            return 0;
    }
    if (s->ns[0] && !match_labels(json_get(h->v, STR("namespaceSelector")), namespace_labels(q)))
        return 0;
    if (!match_object(json_get(h->v, STR("objectSelector")), s->object, s->old))
        return 0;
    int rc = view_as(q, name);
    return rc < 0 ? rc : h->conditions ? meets_conditions(q, h) : 1;
}

/* --- one hook --- */

static int hand_out_status(struct inquiry *q, const struct val *status, int code)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    json_write(&b, status);
    char *text = b.failed || arena_exhausted(q->arena) ? NULL : kl_dup(q->call, b.at, b.len);
    struct str message = json_str(status, "message");
    if (!text)
        return no_memory(q->call);
    q->ret->status = (struct kl_bytes){ text, b.len };
    return kl_fail(q->call, code, STR_FMT, STR_ARG(message));
}

/* --- for the audit trail --- */

static void note(struct inquiry *q, const char *key, struct str value)
{
    const char **at = (const char **)q->ret->annotations;
    unsigned n = q->n_notes;
    if (!(q->call->flags & KL_CALL_AUDITED) || !key)
        return;
    if (n + 3 > q->cap_notes) {
        unsigned cap = q->cap_notes ? 2 * q->cap_notes : 16;
        const char **more = kl_alloc(q->call, cap * sizeof *more);
        if (!more)
            return;
        if (n)
            memcpy(more, at, n * sizeof *more);
        q->ret->annotations = at = more;
        q->cap_notes = cap;
    }
    const char *k = kl_dup(q->call, key, strlen(key)), *v = kl_dup(q->call, value.at ? value.at : "", value.len);
    if (!k || !v)
        return;
    at[n] = k;
    at[n + 1] = v;
    at[n + 2] = NULL;
    q->n_notes = n + 2;
}

/* A patch as Go writes one: without spaces, members by name. */
static struct str compact(struct arena *a, struct str patch)
{
    struct val *list = json_parse(a, patch, NULL);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    for (struct val *op = val_is(list, VAL_ARR) ? list->first : NULL; op; op = op->next)
        if (val_is(op, VAL_OBJ))
            json_sort(a, op);
    json_write(&b, list);
    return list && !b.failed ? arena_str(a, buf_str(&b)) : STR_NONE;
}

/* What a mutating hook did: mutated or not; with patch: what. */
static void note_hook(struct inquiry *q, const struct hook *h, unsigned index, bool mutated, struct str patch)
{
    int round = q->call->flags & KL_CALL_REINVOKED ? 1 : 0;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    if (!h || !(q->call->flags & (patch.len ? KL_CALL_AUDITED_OBJECTS : KL_CALL_AUDITED)))
        return;
    buf_lit(&b, "{\"configuration\":");
    json_write_str(&b, h->config->name);
    buf_lit(&b, ",\"webhook\":");
    json_write_str(&b, h->name);
    if (patch.len)
        buf_printf(&b, ",\"patch\":" STR_FMT ",\"patchType\":\"JSONPatch\"}", STR_ARG(patch));
    else
        buf_add_z(&b, mutated ? ",\"mutated\":true}" : ",\"mutated\":false}");
    if (!b.failed)
        note(q, arena_printf(q->arena, "%s.webhook.admission.k8s.io/round_%d_index_%u", patch.len ? "patch" : "mutation", round, index), buf_str(&b));
}

static void note_failed_open(struct inquiry *q, const struct hook *h)
{
    bool mutating = q->x->kind == MUTATING;
    note(q, arena_printf(q->arena, "failed-open.%s.webhook.admission.k8s.io/round_%d_index_%u", mutating ? "mutation" : "validating",
                         q->call->flags & KL_CALL_REINVOKED ? 1 : 0, q->index), h->name);
}

static void note_answer(struct inquiry *q, const struct hook *h, const struct answer *a)
{
    if (val_is(a->annotations, VAL_OBJ))
        val_each(v, a->annotations)
            note(q, arena_printf(q->arena, STR_FMT "/" STR_FMT, STR_ARG(h->name), STR_ARG(val_key(v))), val_str(v));
}

/* An internal error as upstream has it: the cause is the reason alone. */
static int internal(struct inquiry *q, const char *why)
{
    struct arena *a = q->arena;
    struct val *v = val_new(a, VAL_OBJ), *cause = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), STR("Status"));
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    json_obj(a, v, STR("metadata"));
    json_set_str(a, v, STR("status"), STR("Failure"));
    char *message = why ? arena_printf(a, "Internal error occurred: %s", why) : NULL;
    json_set_str(a, v, STR("message"), str_of(message ? message : ""));
    json_set_str(a, v, STR("reason"), STR("InternalError"));
    json_set_str(a, cause, STR("message"), str_of(why ? why : ""));
    val_push(json_arr(a, json_obj(a, v, STR("details")), STR("causes")), cause);
    json_set_int(a, v, STR("code"), 500);
    return hand_out_status(q, v, KL_INTERNAL);
}

/* A hook that could not be asked: failurePolicy says what that means. */
static int failed(struct inquiry *q, const struct hook *h, const char *why)
{
    char *text = arena_printf(q->arena, "failed calling webhook \"" STR_FMT "\": %s", STR_ARG(h->name), why ? why : "out of memory");
    kl_log(q->x->host, KL_WARN, "%s, failing %s", text ? text : "a webhook", h->ignore ? "open" : "closed");
    kl_err_init(&q->call->err);
    if (!h->ignore)
        return internal(q, text);
    note_failed_open(q, h);
    return 0;
}

static void digest(const struct webhooks *x, struct str s, uint64_t ret[2])
{
    ret[0] = hash_sip(x->key, s.at, s.len);
    ret[1] = hash_sip(x->key + 2, s.at, s.len);
}

static void new_uid(const struct webhooks *x, char ret[37])
{
    unsigned char r[16];
    x->env->random(x->host, r, sizeof r);
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8],
             r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

/* rest: the review behind its uid. */
static int start(struct inquiry *q, const struct hook *h, struct question *k, struct str rest)
{
    static const char *const headers[] = { "content-type", "application/json", "accept", "application/json, */*", "user-agent",
                                           "kube-apiserver-admission", NULL };
    struct webhooks *x = q->x;
    struct target t;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    new_uid(x, k->uid);
    int rc = target_of(x->host, x->objects, q->call, q->asked->arena, h, &t);
    k->shown = t.shown ? t.shown : "";
    if (rc == 0) {
        buf_add_z(&b, REVIEW_HEAD);
        buf_add_z(&b, k->uid);
        buf_add_str(&b, rest);
        struct kl_http_request r = { .size = sizeof r, .method = "POST", .path = t.path, .headers = headers, .body = { b.at, b.len },
                                     .timeout_ns = h->timeout_s * 1000000000 };
        if (b.failed)
            return no_memory(q->call);
        k->ticket = x->http->start(x->host, q->call, &t.http, &r);
    }
    if (!k->ticket)
        k->failure = arena_dup(q->asked->arena, str_of(q->call->err.msg));
    return 0;
}

static void add_warnings(struct inquiry *q, const struct answer *a)
{
    unsigned n = q->n_warnings, more = val_is(a->warnings, VAL_ARR) ? a->warnings->n : 0;
    const char **all = more ? kl_alloc(q->call, ((size_t)n + more + 1) * sizeof *all) : NULL;
    if (!all)
        return;
    if (n)
        memcpy(all, q->ret->warnings, n * sizeof *all);
    val_each(w, a->warnings) {
        struct str s = val_str(w);
        if (s.len && (all[n] = kl_dup(q->call, s.at, s.len)))
            n++;
    }
    q->n_warnings = n;
    q->ret->warnings = all;
}

static int refusal_code(int64_t http)
{
    return http == 409 ? KL_CONFLICT : http == 422 ? KL_INVALID : http == 429 ? KL_TOO_MANY_REQUESTS : http >= 500 ? KL_INTERNAL : KL_FORBIDDEN;
}

static int judge(struct inquiry *q, const struct hook *h, const struct question *k, struct answer *ret)
{
    struct arena *a = q->arena;
    struct kl_http_answer got = { .size = sizeof got };
    int rc = k->ticket ? q->x->http->result(q->x->host, q->call, k->ticket, &got) : -KL_UNAVAILABLE;
    if (rc == -KL_PENDING) {
        q->x->http->wait(q->x->host, k->ticket, q->call->request);
        return rc;
    }
    const char *why = rc == -KL_TIMEOUT ? "context deadline exceeded" : !k->ticket ? k->failure : q->call->err.msg;
    if (rc < 0)
        return failed(q, h, arena_printf(a, "failed to call webhook: Post \"%s\": %s", k->shown, why ? http_dial_words(a, why) : ""));
    struct str body = str_n(got.body.at, got.body.len);
    if ((why = http_words(a, got.status, body)))
        return failed(q, h, arena_printf(a, "failed to call webhook: %s", why));
    if ((why = exchange_read(a, body, k->uid, q->x->kind == MUTATING, ret))) {
        ret->patch = STR_NONE;
        return failed(q, h, why);
    }
    add_warnings(q, ret);
    note_answer(q, h, ret);
    if (ret->allowed)
        return 0;
    struct val *status = exchange_status(a, ret->status, h->name);
    return hand_out_status(q, status, refusal_code(json_int(status, "code", 400)));
}

/* 0 allowed, < 0 refused or pending. */
static int decide(struct inquiry *q, const struct hook *h, struct answer *ret)
{
    bool dry_run = q->call->flags & KL_CALL_DRY_RUN;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    uint64_t which[2];
    *ret = (struct answer){ 0 };
    if (dry_run && !h->dry_run)
        return kl_fail(q->call, KL_BAD_REQUEST, "admission webhook \"" STR_FMT "\" does not support dry run", STR_ARG(h->name));
    exchange_write(&b, "", &q->subject, dry_run);
    struct str rest = str_skip(buf_str(&b), sizeof REVIEW_HEAD - 1);
    buf_add_z(&b, h->id);
    if (b.failed)
        return no_memory(q->call);
    rest.at = b.at + sizeof REVIEW_HEAD - 1;
    digest(q->x, str_skip(buf_str(&b), sizeof REVIEW_HEAD - 1), which);
    struct question *k = memory_question(q->asked, which);
    if (!k) {
        if (!(k = memory_ask(q->asked, which)))
            return no_memory(q->call);
        int rc = start(q, h, k, rest);
        if (rc < 0)
            return rc;
    }
    return judge(q, h, k, ret);
}

/* --- all hooks --- */

static const struct hook *hook_at(const struct webhooks *x, unsigned i)
{
    list_each(l, &x->configs->at[x->kind]) {
        const struct config *k = list_item(l, struct config, link);
        if (i < k->n)
            return &k->hooks[i];
        i -= k->n;
    }
    return NULL;
}

static void make_due(struct asked *k)
{
    for (unsigned i = 0; i < k->n; i++) {
        k->due[i] |= k->invoked[i];
        k->invoked[i] = false;
    }
}

/* Where the walk goes on, and what reinvocation must know of what happened since. */
static void take_up(struct inquiry *q, const uint64_t object[2])
{
    struct asked *k = q->asked;
    bool second = q->call->flags & KL_CALL_REINVOKED, changed = memcmp(object, k->last, sizeof k->last) != 0;
    if (k->going_on) {
        if (changed) {
            make_due(k);
            q->ret->flags |= KL_VERDICT_REINVOKE;
        }
        const struct hook *h = hook_at(q->x, k->next - 1);
        k->invoked[k->next - 1] = h && h->reinvoke;
        note_hook(q, h, k->next - 1, changed, STR_NONE);
        if (k->patch.len)
            note_hook(q, h, k->next - 1, true, k->patch);
    } else if (second) {
        k->next = 0;
        if (changed)
            make_due(k);
    } else {
        k->next = 0;
        memset(k->invoked, 0, k->n * sizeof *k->invoked);
        memset(k->due, 0, k->n * sizeof *k->due);
    }
    k->going_on = false;
}

/* Is what the hook said a patch at all, and is there an object for it? One without operations is none. */
static int judge_patch(struct inquiry *q, const struct hook *h, struct answer *ret)
{
    struct kl_err err;
    kl_err_init(&err);
    const struct val *list = ret->patch.len ? json_parse(q->arena, ret->patch, &err) : NULL;
    if (ret->patch.len && !val_is(list, VAL_ARR) && !val_is(list, VAL_NULL)) {
        ret->patch = STR_NONE;
        return failed(q, h, arena_printf(q->arena, "received undecodable patch in webhook response: %s%s%s", err.code ? err.msg : "json: cannot unmarshal ",
                                         err.code ? "" : val_is(list, VAL_OBJ) ? "object" : "value", err.code ? "" : " into Go value of type jsonpatch.Patch"));
    }
    if (!list || !list->n)
        ret->patch = STR_NONE;
    if (!ret->patch.len || q->subject.object)
        return 0;
    return internal(q, arena_printf(q->arena, "admission webhook \"" STR_FMT "\" attempted to modify the object, which is not supported for this operation",
                                    STR_ARG(h->name)));
}

static int mutate(struct inquiry *q)
{
    struct asked *k = q->asked;
    const struct kl_bytes *object = &q->subject.review->object;
    uint64_t now[2];
    digest(q->x, str_n(object->at, object->len), now);
    take_up(q, now);
    for (unsigned i = k->next; i < q->x->configs->n[MUTATING]; i++) {
        const struct hook *h = hook_at(q->x, i);
        struct answer answer;
        if (q->call->flags & KL_CALL_REINVOKED && !k->due[i])
            continue;
        int rc = concerns(q, h);
        if (rc == 0)
            continue;
        if (rc < 0)
            return rc;
        q->index = i;
        rc = decide(q, h, &answer);
        rc = rc == 0 ? judge_patch(q, h, &answer) : rc;
        if (rc != -KL_PENDING && (rc < 0 || !answer.patch.len))
            note_hook(q, h, i, false, STR_NONE);
        if (rc < 0)
            return rc;
        if (!answer.patch.len) {
            k->invoked[i] = h->reinvoke;
            continue;
        }
        if ((rc = view_patch(q, answer.patch, &q->ret->patch)) < 0)
            return rc;
        q->ret->flags |= KL_VERDICT_AGAIN;
        note_hook(q, h, i, false, STR_NONE);    /* which stays where the patch cannot be applied */
        k->patch = q->call->flags & KL_CALL_AUDITED_OBJECTS ? compact(k->arena, answer.patch) : STR_NONE;
        memcpy(k->last, now, sizeof now);
        k->next = i + 1;
        k->going_on = true;
        return 0;
    }
    memcpy(k->last, now, sizeof now);
    return 0;
}

/* All are asked before the first answer counts. */
static int validate(struct inquiry *q)
{
    struct kl_admission_verdict first = { .size = sizeof first };
    struct kl_err why;
    int refused = 0;
    bool pending = false;
    for (unsigned i = 0; i < q->x->configs->n[VALIDATING]; i++) {
        const struct hook *h = hook_at(q->x, i);
        struct answer answer;
        int rc = concerns(q, h);
        q->index = i;
        rc = rc > 0 ? decide(q, h, &answer) : rc;
        pending |= rc == -KL_PENDING;
        if (rc < 0 && rc != -KL_PENDING && !refused) {
            refused = rc;
            first = *q->ret;
            why = q->call->err;
        }
    }
    if (pending)
        return -KL_PENDING;
    if (!refused)
        return 0;
    q->ret->status = first.status;
    q->ret->refusal = first.refusal;
    q->call->err = why;
    return refused;
}

static struct val *tree(struct arena *a, struct kl_bytes text)
{
    return text.len ? json_parse(a, str_n(text.at, text.len), NULL) : NULL;
}

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    struct webhooks *x = self;
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct inquiry q = { .x = x, .call = c, .arena = a, .ret = ret };
    q.asked = a ? memory_of(&x->memory, c->request, x->configs->n[x->kind]) : NULL;
    if (!q.asked)
        return no_memory(c);
    q.subject = (struct subject){ .r = r->request, .review = r, .operation = match_operation(r->request->verb), .object = tree(a, r->object),
                                  .old = tree(a, r->old_object) };
    struct str ns = str_of(namespace_of(r->request, NULL)), name = json_str(q.subject.object, "metadata.name");
    bool itself = !r->request->group[0] && strcmp(r->request->resource, "namespaces") == 0;
    q.subject.ns = arena_dup(a, itself && !ns.len && name.len ? name : ns);
    if (arena_exhausted(a))
        return no_memory(c);
    return x->kind == MUTATING ? mutate(&q) : validate(&q);
}

static void over(void *self, uint64_t request)
{
    struct webhooks *x = self;
    struct asked *k = memory_find(&x->memory, request);
    if (k)
        memory_drop(k, x->host, x->http);
}

static const char *const everything[] = { "*", NULL };

const struct kl_admission mutating_webhook = { .size = sizeof mutating_webhook, .life = { .open = open_mutating, .close = close_it },
                                               .resources = everything, .operations = "CREATE,UPDATE,DELETE,CONNECT", .mutates = 1,
                                               .review = review, .over = over, .wants = wants };
const struct kl_admission validating_webhook = { .size = sizeof validating_webhook, .life = { .open = open_validating, .close = close_it },
                                                 .resources = everything, .operations = "CREATE,UPDATE,DELETE,CONNECT", .review = review,
                                                 .over = over, .wants = wants };
