/* node_ask.c - who bears a token and who may what, asked of the API with the node's own certificate (system:node allows it both questions). What was answered is kept
 * for a while, under a digest of the question: no token stays in memory. [loop] */
#include <gnutls/crypto.h>

#include "api-internal.h"
#include "api/node_gate.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#define KEPT_MOST  1024u                /* answers */
#define ASKED_MOST 100u                 /* questions under way; beyond, nobody knows */
#define TOKEN_NS   (120 * NS_PER_S)
#define YES_NS     (300 * NS_PER_S)
#define NO_NS      (30 * NS_PER_S)
#define CALL_NS    (10 * NS_PER_S)
#define BODY_MOST  (1u << 20)
#define DIGEST     32

struct kept {
    struct list link;                   /* oldest first */
    char digest[DIGEST];
    int64_t until_ns;                   /* mono */
    bool yes;
    char *user;                         /* JSON of a token's; NULL: none */
};

struct node_ask {
    struct http_client *http;
    struct map kept;                    /* digest -> struct kept */
    struct list order;
    unsigned n_kept, n_asked;
};

struct asking {
    struct node_ask *ask;
    struct node_question *q;
    struct http_call *call;
    struct buf body;
    int status;
    char digest[DIGEST];
};

/* --- what is kept --- */

static void forget(struct node_ask *a, struct kept *k)
{
    map_del(&a->kept, str_n(k->digest, DIGEST));
    list_remove(&k->link);
    a->n_kept--;
    mem_free(k->user);
    mem_free(k);
}

static struct kept *find(struct node_ask *a, const char *digest)
{
    struct kept *k = map_get(&a->kept, str_n(digest, DIGEST));
    if (k && k->until_ns > env_mono_ns())
        return k;
    if (k)
        forget(a, k);
    return NULL;
}

static void keep(struct node_ask *a, const char *digest, bool yes, struct str user, int64_t for_ns)
{
    struct kept *k = find(a, digest);
    if (k)
        forget(a, k);
    while (a->n_kept >= KEPT_MOST)
        forget(a, list_item(a->order.next, struct kept, link));
    k = mem_alloc(sizeof *k);
    if (!k)
        return;
    memcpy(k->digest, digest, DIGEST);
    k->yes = yes;
    k->until_ns = env_mono_ns() + for_ns;
    k->user = user.at ? mem_dup(user.at, user.len) : NULL;
    if ((user.at && !k->user) || !map_put(&a->kept, str_n(k->digest, DIGEST), k)) {
        mem_free(k->user);
        mem_free(k);
        return;
    }
    list_push(&a->order, &k->link);
    a->n_kept++;
}

/* --- the two questions as objects --- */

static void add_texts(struct arena *a, struct val *to, const char *name, const char *const *texts)
{
    for (; texts && *texts; texts++)
        val_push(json_arr(a, to, str_of(name)), val_of_str(a, str_of(*texts)));
}

static struct val *question(const struct node_question *q)
{
    struct arena *a = q->arena;
    struct val *v = val_new(a, VAL_OBJ), *spec;
    json_set_str(a, v, STR("apiVersion"), q->token ? STR("authentication.k8s.io/v1") : STR("authorization.k8s.io/v1"));
    json_set_str(a, v, STR("kind"), q->token ? STR("TokenReview") : STR("SubjectAccessReview"));
    spec = json_obj(a, v, STR("spec"));
    if (q->token) {
        json_set_str(a, spec, STR("token"), str_of(q->token));
        return v;
    }
    struct val *what = json_obj(a, spec, STR("resourceAttributes"));
    const char *const rows[][2] = { { "verb", q->verb }, { "version", "v1" }, { "resource", "nodes" }, { "subresource", q->subresource }, { "name", q->node } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_set_str(a, what, str_of(rows[i][0]), str_of(rows[i][1]));
    json_set_str(a, spec, STR("user"), str_of(q->user.name));
    if (q->user.uid && q->user.uid[0])
        json_set_str(a, spec, STR("uid"), str_of(q->user.uid));
    add_texts(a, spec, "groups", q->user.groups);
    for (const char *const *x = q->user.extra; x && x[0] && x[1]; x += 2)
        val_push(json_arr(a, json_obj(a, spec, STR("extra")), str_of(x[0])), val_of_str(a, str_of(x[1])));
    return v;
}

static bool read_user(struct node_question *q, const struct val *v)
{
    struct arena *a = q->arena;
    q->user = (struct kl_user){ .size = sizeof q->user, .name = arena_dup(a, json_str(v, "username")), .uid = arena_dup(a, json_str(v, "uid")),
                                .groups = api_text_list(a, json_get(v, STR("groups"))), .extra = api_extra_list(a, json_get(v, STR("extra"))) };
    return q->user.name && q->user.name[0] && !arena_exhausted(a);
}

/* --- asking --- */

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct asking *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct asking *)ctx)->body, bytes);
}

/* 1, 0, or < 0: the answer is none. */
static int judge(struct asking *g, const struct val *v)
{
    struct node_question *q = g->q;
    const struct val *status = json_get(v, STR("status")), *user = json_get(status, STR("user"));
    _cleanup_buf_ struct buf text = BUF_INIT(BODY_MOST);
    if (g->status != 201 || !status)
        return -KL_UNAVAILABLE;
    bool yes = json_bool(status, q->token ? "authenticated" : "allowed", false);
    if (!q->token) {
        keep(g->ask, g->digest, yes, STR_NONE, yes ? YES_NS : NO_NS);
        return yes;
    }
    if (yes && !read_user(q, user))
        return -KL_UNAVAILABLE;
    if (yes)
        json_write(&text, user);
    if (!text.failed)
        keep(g->ask, g->digest, yes, yes ? buf_str(&text) : STR_NONE, TOKEN_NS);
    return yes;
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct asking *g = ctx;
    g->call = NULL;
    g->ask->n_asked--;
    const struct val *v = !err && !g->body.failed ? json_parse(g->q->arena, arena_str(g->q->arena, buf_str(&g->body)), NULL) : NULL;
    int rc = v ? judge(g, v) : -KL_UNAVAILABLE;
    buf_free(&g->body);
    g->q->told(g->q, rc);
}

static bool digest_of(struct str text, char ret[DIGEST])
{
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, text.at, text.len, ret) >= 0;
}

static bool begin(struct node_ask *a, struct node_question *q, struct str text, const char *digest)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    static const struct http_header h[] = { { { "accept", 6 }, { "application/json", 16 } }, { { "content-type", 12 }, { "application/json", 16 } } };
    struct asking *g = a->n_asked < ASKED_MOST ? arena_alloc(q->arena, sizeof *g) : NULL;
    if (!g)
        return false;
    *g = (struct asking){ .ask = a, .q = q, .body = BUF_INIT(BODY_MOST) };
    memcpy(g->digest, digest, DIGEST);
    g->call = http_call_new(a->http, "POST", q->token ? "/apis/authentication.k8s.io/v1/tokenreviews" : "/apis/authorization.k8s.io/v1/subjectaccessreviews", h, 2, text,
                            CALL_NS, &ev, g);
    if (!g->call)
        return false;
    q->asker = g;
    a->n_asked++;
    return true;
}

static void ask(void *ctx, struct node_question *q)
{
    struct node_ask *a = ctx;
    _cleanup_buf_ struct buf b = BUF_INIT(BODY_MOST);
    char digest[DIGEST];
    struct val *v = question(q);
    q->asker = NULL;
    if (v && !arena_exhausted(q->arena))
        json_write(&b, v);
    if (!b.len || b.failed || !digest_of(buf_str(&b), digest)) {
        q->told(q, -KL_NO_MEMORY);
        return;
    }
    const struct kept *k = find(a, digest);
    if (k && k->yes && k->user && !read_user(q, json_parse(q->arena, arena_str(q->arena, str_of(k->user)), NULL)))
        q->told(q, -KL_NO_MEMORY);
    else if (k)
        q->told(q, k->yes);
    else if (!begin(a, q, buf_str(&b), digest))
        q->told(q, -KL_UNAVAILABLE);
}

static void drop(void *ctx, struct node_question *q)
{
    struct asking *g = q->asker;
    (void)ctx;
    if (!g || !g->call)
        return;
    http_call_cancel(g->call);
    g->call = NULL;
    g->ask->n_asked--;
    buf_free(&g->body);
}

/* --- life --- */

struct node_ask *node_ask_new(struct http_client *http)
{
    struct node_ask *a = mem_alloc(sizeof *a);
    if (!a)
        return NULL;
    a->http = http;
    list_init(&a->order);
    return a;
}

void node_ask_reviews(struct node_ask *a, struct node_reviews *ret)
{
    *ret = (struct node_reviews){ a, ask, drop };
}

void node_ask_free(struct node_ask *a)
{
    if (!a)
        return;
    while (!list_empty(&a->order))
        forget(a, list_item(a->order.next, struct kept, link));
    map_free(&a->kept);
    mem_free(a);
}
