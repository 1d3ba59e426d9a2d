/* hook.c - a question is known by its digest: who asks the same waits for the same answer. */
#include "hook.h"

#include <gnutls/crypto.h>

#include "base/cleanup.h"
#include "base/http_words.h"
#include "base/kubeconfig.h"

#define S 1000000000LL
#define DIGEST 32u
#define ANSWER_MOST (1u << 20)

struct entry {
    struct list by_age;
    char key[DIGEST];
    uint64_t ticket;                    /* 0: answered */
    char *answer;                       /* its text; NULL: there is none, see why */
    size_t len;
    int64_t until_ns;                   /* monotonic */
    char why[160];
};

static int read_target(struct hook *h, const char *kubeconfig, struct kl_err *err)
{
    struct kubeconfig k;
    int rc = kubeconfig_read(h->arena, kubeconfig, KUBECONFIG_SERVER, &k, err);
    if (rc < 0)
        return rc;
    h->to = (struct kl_http_target){ .size = sizeof h->to, .url = k.server, .server_name = k.server_name, .insecure = k.insecure,
                                     .ca = { k.ca.at, k.ca.len }, .cert = { k.cert.at, k.cert.len }, .key = { k.key.at, k.key.len } };
    /* It is told how long it is waited for, as Go writes that. */
    long long s = h->timeout_ns / S, minutes = s / 60 % 60, hours = s / 3600;
    const char *mark = strchr(k.path, '?') ? "&" : "?";
    h->path = hours ? arena_printf(h->arena, "%s%stimeout=%lldh%lldm%llds", k.path, mark, hours, minutes, s % 60) :
              minutes ? arena_printf(h->arena, "%s%stimeout=%lldm%llds", k.path, mark, minutes, s % 60) :
                        arena_printf(h->arena, "%s%stimeout=%llds", k.path, mark, s);
    h->bearer = k.token ? arena_printf(h->arena, "Bearer %s", k.token) : NULL;
    return h->path && (!k.token || h->bearer) ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

int hook_open(struct hook *h, const struct kl_host *host, const char *kubeconfig, int64_t timeout_ns, struct kl_err *err)
{
    *h = (struct hook){ .host = host, .http = host->service(host, KL_HOST_HTTP_0), .env = host->service(host, KL_HOST_ENV_0), .timeout_ns = timeout_ns,
                        .arena = arena_new(4 << 20) };
    list_init(&h->by_age);
    return h->arena ? read_target(h, kubeconfig, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static void forget(struct hook *h, struct entry *e)
{
    if (e->ticket)
        h->http->drop(h->host, e->ticket);
    map_del(&h->entries, str_n(e->key, DIGEST));
    list_remove(&e->by_age);
    h->n--;
    mem_free(e->answer);
    mem_free(e);
}

void hook_close(struct hook *h)
{
    if (!h->arena)
        return;
    while (!list_empty(&h->by_age))
        forget(h, list_item(h->by_age.next, struct entry, by_age));
    map_free(&h->entries);
    arena_free(h->arena);
}

/* Room for one more: what is oldest and over goes. */
static bool make_room(struct hook *h)
{
    if (h->n < ENTRIES_MOST)
        return true;
    list_each(l, &h->by_age) {
        struct entry *e = list_item(l, struct entry, by_age);
        if (!e->ticket) {
            forget(h, e);
            return true;
        }
    }
    return false;
}

static struct entry *begin(struct hook *h, struct kl_call *c, const char *key, struct str body)
{
    const char *const headers[] = { "content-type", "application/json", "accept", "application/json, */*", h->bearer ? "authorization" : NULL, h->bearer, NULL };
    struct kl_http_request r = { .size = sizeof r, .method = "POST", .path = h->path, .headers = headers, .body = { body.at, body.len },
                                 .timeout_ns = h->timeout_ns, .body_most = ANSWER_MOST };
    struct entry *e = make_room(h) ? mem_alloc(sizeof *e) : NULL;
    if (!e) {
        kl_fail(c, KL_TOO_MANY_REQUESTS, "too many questions are under way");
        return NULL;
    }
    memcpy(e->key, key, DIGEST);
    e->ticket = map_put(&h->entries, str_n(e->key, DIGEST), e) ? h->http->start(h->host, c, &h->to, &r) : 0;
    list_push(&h->by_age, &e->by_age);
    h->n++;
    if (e->ticket)
        return e;
    forget(h, e);
    return NULL;
}

/* Takes over what has come. */
static void finish(struct hook *h, struct kl_call *c, struct entry *e, int64_t now, hook_ttl ttl, const void *ctx)
{
    struct kl_http_answer answer = { .size = sizeof answer };
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    int rc = h->http->result(h->host, c, e->ticket, &answer);
    if (rc == -KL_PENDING)
        return;
    bool good = rc == 0 && answer.status >= 200 && answer.status <= 206 && a;
    const struct val *v = good ? json_parse(a, str_n(answer.body.at, answer.body.len), NULL) : NULL;
    int64_t lasts = v ? ttl(ctx, v) : -1;
    if (lasts >= 0 && (e->answer = mem_dup(answer.body.at, answer.body.len)))
        e->len = answer.body.len;
    else if (rc < 0)
        snprintf(e->why, sizeof e->why, "%.150s", c->err.msg);
    else if (good)
        snprintf(e->why, sizeof e->why, "the webhook's answer makes no sense");
    else
        snprintf(e->why, sizeof e->why, "%s", a ? http_words(a, answer.status, str_n(answer.body.at, answer.body.len)) : "out of memory");
    e->until_ns = now + (lasts > S ? lasts : S);
    h->http->drop(h->host, e->ticket);
    e->ticket = 0;
}

int hook_ask(struct hook *h, struct kl_call *c, struct arena *a, struct str body, hook_ttl ttl, const void *ctx, struct val **ret)
{
    char key[DIGEST];
    int64_t now = h->env->mono_ns(h->host);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, body.at, body.len, key) < 0)
        return kl_fail(c, KL_INTERNAL, "no digest");
    struct entry *e = map_get(&h->entries, str_n(key, DIGEST));
    if (e && !e->ticket && e->until_ns <= now) {
        forget(h, e);
        e = NULL;
    }
    if (!e && !(e = begin(h, c, key, body)))
        return -c->err.code;
    if (e->ticket)
        finish(h, c, e, now, ttl, ctx);
    if (e->ticket && c->request) {
        h->http->wait(h->host, e->ticket, c->request);
        return kl_fail(c, KL_PENDING, "the webhook is asked");
    }
    if (!e->answer)
        return kl_fail(c, KL_UNAVAILABLE, "%s", e->ticket ? "the webhook has not answered yet" : e->why);
    *ret = json_parse(a, str_n(e->answer, e->len), NULL);
    return *ret ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}
