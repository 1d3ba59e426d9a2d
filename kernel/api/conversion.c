/* conversion.c - what is asked of conversion webhooks and what they answered. An answer belongs to exactly the text that was sent and the version
 * that was wanted. It is kept while a request that waited for it is under way, and a moment longer: watchers and lists of the same objects share
 * a call. Failures are kept only for those who waited. */
#include "conversion.h"
#include "crd.h"

#include "base/env.h"
#include "base/hash.h"
#include "base/http_words.h"
#include "base/log.h"
#include "http/pool.h"

#define BUCKETS    64u
#define KEPT_NS    (1 * NS_PER_S)
#define KEPT_MOST  (64u << 20)          /* bytes of answers that nobody waits for */
#define TIMEOUT_NS (30 * NS_PER_S)
#define ANSWER_MOST (64u << 20)

struct question;

struct known {
    struct list link;                   /* of all: those that are answered last behind */
    uint64_t key[2];                    /* of text and version */
    struct question *asked;             /* NULL: over */
    struct str text;                    /* the object, or why there is none */
    bool failed;
    unsigned pins;                      /* by requests that waited for it */
    int64_t over_ns;
};

/* One ConversionReview. */
struct question {
    struct list link;
    struct conversions *of;
    const struct schema_kind *to;
    struct arena *arena;                /* the texts, and the array of them */
    struct str *objects;
    struct known **answers;             /* of each object */
    unsigned n, cap;
    size_t bytes;
    uint64_t *waiting;                  /* requests */
    unsigned n_waiting, cap_waiting;
    struct conversion_target target;
    char uid[37];
    struct http_fetch *fetch;           /* NULL: not sent yet */
    enum conversion_outcome outcome;
    int64_t sent_ns;
};

struct holder {                         /* a request that waited */
    struct list link;
    uint64_t request;
    struct known **at;
    unsigned n, cap;
};

struct conversions {
    struct api *api;
    struct http_pool *pool;
    struct conversion_metrics *metrics;
    uint64_t key[4];
    struct map by_key;
    struct list known, questions, holders[BUCKETS];
    struct question *gathered;          /* is being filled */
    bool gathering;
    size_t kept;                        /* bytes of texts */
    bool sweeping;
    struct loop_timer sweep;
};

struct conversions *conversions_new(struct api *api)
{
    struct conversions *x = mem_alloc(sizeof *x);
    if (!x || !(x->pool = http_pool_new(api->loop)) || !(x->metrics = conversion_metrics_new())) {
        if (x)
            http_pool_free(x->pool);
        mem_free(x);
        return NULL;
    }
    x->api = api;
    env_random(x->key, sizeof x->key);
    list_init(&x->known);
    list_init(&x->questions);
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&x->holders[i]);
    return x;
}

/* --- what is known --- */

static struct str key_of(const struct known *k)
{
    return str_n((const char *)k->key, sizeof k->key);
}

static void forget(struct conversions *x, struct known *k)
{
    list_remove(&k->link);
    map_del(&x->by_key, key_of(k));
    x->kept -= k->text.len;
    mem_free((char *)(uintptr_t)k->text.at);
    mem_free(k);
}

/* Nobody waited for it, and it is too old to be told to anybody else. */
static bool is_stale(const struct conversions *x, const struct known *k)
{
    return !k->asked && !k->pins && k->over_ns <= loop_now(x->api->loop) - KEPT_NS;
}

static void sweep(void *ctx)
{
    struct conversions *x = ctx;
    list_each(l, &x->known) {
        struct known *k = list_item(l, struct known, link);
        if (is_stale(x, k))
            forget(x, k);
    }
    x->sweeping = !list_empty(&x->known);
    if (x->sweeping)
        loop_timer_start(x->api->loop, &x->sweep, KEPT_NS, sweep, x);
}

static void unpin(struct conversions *x, struct known *k)
{
    if (--k->pins == 0 && !k->asked && (k->failed || x->kept > KEPT_MOST))
        forget(x, k);
}

static struct holder *holder_of(struct conversions *x, uint64_t request)
{
    list_each(l, &x->holders[request % BUCKETS])
        if (list_item(l, struct holder, link)->request == request)
            return list_item(l, struct holder, link);
    return NULL;
}

void conversions_over(struct api *api, uint64_t request)
{
    struct conversions *x = api->conversions;
    struct holder *h = x ? holder_of(x, request) : NULL;
    if (!h)
        return;
    for (unsigned i = 0; i < h->n; i++)
        unpin(x, h->at[i]);
    list_remove(&h->link);
    mem_free(h->at);
    mem_free(h);
}

static bool pin(struct conversions *x, uint64_t request, struct known *k)
{
    struct holder *h = holder_of(x, request);
    if (!h && (h = mem_alloc(sizeof *h))) {
        h->request = request;
        list_push(&x->holders[request % BUCKETS], &h->link);
    }
    if (h && h->n == h->cap) {
        unsigned cap = h->cap ? h->cap * 2 : 4;
        struct known **at = mem_resize(h->at, cap * sizeof *at);
        if (!at)
            return false;
        h->at = at;
        h->cap = cap;
    }
    if (!h)
        return false;
    h->at[h->n++] = k;
    k->pins++;
    return true;
}

/* --- a question --- */

static void question_free(struct question *q)
{
    list_remove(&q->link);
    if (q->fetch)
        http_fetch_cancel(q->fetch);
    arena_free(q->arena);
    mem_free(q->objects);
    mem_free(q->answers);
    mem_free(q->waiting);
    mem_free(q);
}

static void count(const struct question *q, bool converted)
{
    struct conversions *x = q->of;
    const struct val *first = json_parse(q->arena, q->objects[0], NULL);
    struct str version = json_str(first, "apiVersion");
    const char *slash = memchr(version.at ? version.at : "", '/', version.len);
    struct str from = slash ? str_n(slash + 1, (size_t)(version.at + version.len - slash - 1)) : version;
    enum conversion_outcome how = converted ? CONVERTED : q->outcome == CONVERTED ? CONVERSION_CALL_FAILED : q->outcome;
    conversion_metrics_count(x->metrics, arena_printf(q->arena, "%s.%s", q->to->plural, q->to->group), from, q->to->version, how, q->sent_ns ? loop_now(x->api->loop) - q->sent_ns : 0);
}

/* texts NULL: they failed, all for one reason. */
static void settle(struct question *q, const struct str *texts, const char *why)
{
    struct conversions *x = q->of;
    count(q, texts != NULL);
    for (unsigned i = 0; i < q->n; i++) {
        struct known *k = q->answers[i];
        struct str text = texts ? texts[i] : str_of(why);
        k->text = str_n(mem_dup(text.at, text.len), text.len);
        k->failed = !texts || !k->text.at;
        if (!k->text.at)
            k->text = STR_NONE;
        x->kept += k->text.len;
        k->asked = NULL;
        k->over_ns = loop_now(x->api->loop);
        list_remove(&k->link);
        list_push(&x->known, &k->link);
        if (k->failed && !k->pins)
            forget(x, k);
    }
    for (unsigned i = 0; i < q->n_waiting; i++)
        api_wake(x->api, q->waiting[i]);
    if (!texts)
        log_warn("api", "%s", why);
    question_free(q);
    if (!x->sweeping)
        loop_timer_start(x->api->loop, &x->sweep, KEPT_NS, sweep, x);
    x->sweeping = true;
}

static struct conversion_asked asked_of(const struct question *q, const char *desired)
{
    const struct crd_webhook *w = q->to->definition->webhook;
    return (struct conversion_asked){ .review = w->review ? w->review : "v1", .uid = q->uid, .desired = desired, .objects = q->objects, .n = q->n };
}

static void fail(struct question *q, const struct conversion_asked *asked, const char *why)
{
    settle(q, NULL, conversion_failed(q->arena, asked, why ? why : "failed: out of memory"));
}

static void answered(void *ctx, const struct http_answer *answer, const struct kl_err *err)
{
    struct question *q = ctx;
    struct arena *a = q->arena;
    struct conversion_asked asked = asked_of(q, api_group_version(a, q->to));
    const char *why = answer ? http_words(a, (uint32_t)answer->status, answer->body) : NULL;
    q->fetch = NULL;
    if (!answer) {
        fail(q, &asked, arena_printf(a, "failed: Post \"%s\": %s", q->target.shown, err->code == KL_TIMEOUT ? "context deadline exceeded" : http_dial_words(a, err->msg)));
        return;
    }
    if (why) {
        fail(q, &asked, arena_printf(a, "failed: %s", why));
        return;
    }
    struct str *texts = arena_alloc(a, (q->n + 1) * sizeof *texts);
    asked.outcome = &q->outcome;
    why = texts ? conversion_read(a, &asked, answer->body, texts) : "out of memory";
    settle(q, why ? NULL : texts, why);
}

static void send(struct question *q)
{
    static const struct http_header headers[] = { { STR("content-type"), STR("application/json") }, { STR("accept"), STR("application/json, */*") },
                                                  { STR("user-agent"), STR("kube-apiserver-admission") } };
    const struct crd_webhook *w = q->to->definition->webhook;
    struct arena *a = q->arena;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    api_new_uid(q->uid);
    q->sent_ns = loop_now(q->of->api->loop);
    struct conversion_asked asked = asked_of(q, api_group_version(a, q->to));
    const char *why = conversion_target(q->of->api, a, w, &q->target);
    if (!w->review) {
        settle(q, NULL, "no supported conversion review versions");
        return;
    }
    if (!why) {
        conversion_write(&b, &asked);
        struct http_ask ask = { .method = "POST", .path = q->target.path, .headers = headers, .n_headers = sizeof headers / sizeof *headers,
                                .body = buf_str(&b), .timeout_ns = TIMEOUT_NS, .body_most = ANSWER_MOST };
        q->fetch = b.failed ? NULL : http_fetch_new(q->of->pool, &q->target.client, &ask, answered, q, &err);
        why = q->fetch ? NULL : b.failed ? "out of memory" : arena_dup(a, str_of(err.msg));
    }
    if (why)
        fail(q, &asked, arena_printf(a, "failed: Post \"%s\": %s", q->target.shown, why));
}

static struct question *question_new(struct conversions *x, const struct schema_kind *to)
{
    struct question *q = mem_alloc(sizeof *q);
    if (!q || !(q->arena = arena_new(0))) {
        mem_free(q);
        return NULL;
    }
    q->of = x;
    q->to = to;
    list_push(&x->questions, &q->link);
    return q;
}

static bool add(struct question *q, struct known *k, struct str text)
{
    if (q->n == q->cap) {
        unsigned cap = q->cap ? q->cap * 2 : 1;
        struct str *objects = mem_resize(q->objects, cap * sizeof *objects);
        q->objects = objects ? objects : q->objects;
        struct known **answers = objects ? mem_resize(q->answers, cap * sizeof *answers) : NULL;
        if (!answers)
            return false;
        q->answers = answers;
        q->cap = cap;
    }
    struct str copy = arena_str(q->arena, text);
    if (!copy.at)
        return false;
    q->objects[q->n] = copy;
    q->answers[q->n++] = k;
    q->bytes += text.len;
    k->asked = q;
    return true;
}

static bool await(struct question *q, uint64_t request)
{
    if (q->n_waiting && q->waiting[q->n_waiting - 1] == request)
        return true;
    if (q->n_waiting == q->cap_waiting) {
        unsigned cap = q->cap_waiting ? q->cap_waiting * 2 : 2;
        uint64_t *at = mem_resize(q->waiting, cap * sizeof *at);
        if (!at)
            return false;
        q->waiting = at;
        q->cap_waiting = cap;
    }
    q->waiting[q->n_waiting++] = request;
    return true;
}

void conversions_gather(struct api *api)
{
    api->conversions->gathering = true;
}

static void send_gathered(struct conversions *x)
{
    struct question *q = x->gathered;
    x->gathered = NULL;
    if (q && q->n)
        send(q);
    else if (q)
        question_free(q);
}

void conversions_send(struct api *api)
{
    api->conversions->gathering = false;
    send_gathered(api->conversions);
}

/* --- one object --- */

static struct known *known_new(struct conversions *x, const uint64_t key[2])
{
    struct known *k = mem_alloc(sizeof *k);
    if (!k)
        return NULL;
    memcpy(k->key, key, sizeof k->key);
    if (!map_put(&x->by_key, key_of(k), k)) {
        mem_free(k);
        return NULL;
    }
    list_push(&x->known, &k->link);
    return k;
}

/* Puts the object into the question that is being gathered, or into one of its own. */
static struct known *ask(struct conversions *x, const uint64_t key[2], uint64_t request, const struct schema_kind *to, struct str object)
{
    struct question *q = x->gathered;
    if (q && (q->to != to || q->bytes + object.len > CONVERSION_MOST)) {
        send_gathered(x);
        q = NULL;
    }
    struct known *k = known_new(x, key);
    if (k && !q)
        q = x->gathered = question_new(x, to);
    if (!k || !q || !add(q, k, object) || !await(q, request)) {
        if (k && !k->asked)
            forget(x, k);
        return NULL;
    }
    return k;
}

static int no_memory(const struct api_asker *q)
{
    return api_fail(q->err, q->arena, KL_NO_MEMORY, "out of memory");
}

static int answer_of(const struct api_asker *q, const struct known *k, struct str *ret)
{
    struct str text = arena_str(q->arena, k->text);
    if (!text.at)
        return no_memory(q);
    if (k->failed) {
        api_fail(q->err, q->arena, KL_INTERNAL, STR_FMT, STR_ARG(text));
        q->err->reason = NULL;          /* upstream's 500 has none */
        return -KL_INTERNAL;
    }
    *ret = text;
    return 0;
}

int conversion_get(const struct api_asker *q, const struct schema_kind *to, struct str object, struct str *ret)
{
    struct conversions *x = q->api->conversions;
    uint64_t key[2], salt[4];
    for (unsigned i = 0; i < 4; i++)
        salt[i] = x->key[i] ^ (uint64_t)(uintptr_t)to;
    key[0] = hash_sip(salt, object.at, object.len);
    key[1] = hash_sip(salt + 2, object.at, object.len);
    struct known *k = map_get(&x->by_key, str_n((const char *)key, sizeof key));
    if (k && is_stale(x, k)) {
        forget(x, k);
        k = NULL;
    }
    if (k && !k->asked)
        return answer_of(q, k, ret);
    if (!q->request)
        return api_fail(q->err, q->arena, KL_UNAVAILABLE, "nobody may wait here for a conversion webhook");
    bool fresh = !k;
    if (fresh && !(k = ask(x, key, q->request, to, object)))
        return no_memory(q);
    if (!pin(x, q->request, k) || (!fresh && !await(k->asked, q->request)))
        return no_memory(q);
    if (!x->gathering)
        send_gathered(x);
    return api_fail(q->err, q->arena, KL_PENDING, "a conversion is pending");
}

/* --- life --- */

void conversions_metrics(const struct conversions *x, struct prom *p)
{
    conversion_metrics_write(x->metrics, p);
}

void conversions_free(struct conversions *x)
{
    if (!x)
        return;
    loop_timer_stop(&x->sweep);
    list_each(l, &x->questions)
        question_free(list_item(l, struct question, link));
    for (unsigned i = 0; i < BUCKETS; i++)
        list_each(l, &x->holders[i])
            conversions_over(x->api, list_item(l, struct holder, link)->request);
    list_each(l, &x->known)
        forget(x, list_item(l, struct known, link));
    http_pool_free(x->pool);
    conversion_metrics_free(x->metrics);
    map_free(&x->by_key);
    mem_free(x);
}
