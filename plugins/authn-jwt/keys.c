/* keys.c - discovery document, then key set; both over HTTPS, both by tickets of the host. */
#include "keys.h"

#include "base/cleanup.h"

#define S                1000000000LL
#define TIMEOUT_NS       (10 * S)
#define AGAIN_NS         (2 * S)        /* after an attempt: whoever sends bad tokens makes us ask no more often */
#define OLD_NS           (600 * S)      /* keys are looked after, though still good: an issuer may have taken some back */
#define DOCUMENT_MOST    (1u << 20)

static int begin(struct keys *k, struct kl_call *c, const char *url, int step)
{
    const char *const headers[] = { "accept", "application/json", NULL };
    const char *slash = strchr(url + strlen("https://"), '/');
    size_t n = slash ? (size_t)(slash - url) : strlen(url);
    char base[600];
    snprintf(base, sizeof base, "%.*s", (int)n, url);
    struct kl_http_target to = { .size = sizeof to, .url = base, .ca = k->by->ca };
    struct kl_http_request r = { .size = sizeof r, .method = "GET", .path = slash ? slash : "/", .headers = headers, .timeout_ns = TIMEOUT_NS,
                                 .body_most = DOCUMENT_MOST };
    k->ticket = n < sizeof base ? k->http->start(k->host, c, &to, &r) : 0;
    k->step = k->ticket ? step : KEYS_IDLE;
    if (!k->ticket)
        snprintf(k->why, sizeof k->why, "%.190s", n < sizeof base ? c->err.msg : "the address is too long");
    return k->ticket ? 0 : -KL_UNAVAILABLE;
}

static void take_discovery(struct keys *k, struct kl_call *c, const struct val *v)
{
    struct str issuer = json_str(v, "issuer"), url = json_str(v, "jwks_uri");
    if (!str_is(issuer, k->by->url))
        snprintf(k->why, sizeof k->why, "the discovery document is of issuer \"%.80s\"", issuer.len && issuer.len < 80 ? issuer.at : "");
    else if (!str_starts(url, STR("https://")) || url.len >= sizeof k->set_url)
        snprintf(k->why, sizeof k->why, "the discovery document names no key set over https");
    else {
        snprintf(k->set_url, sizeof k->set_url, STR_FMT, STR_ARG(url));
        begin(k, c, k->set_url, KEYS_SET);
    }
}

static void take_set(struct keys *k, const struct val *v, int64_t now)
{
    struct jwk got[KEYS_MOST];
    struct kl_err err;
    kl_err_init(&err);
    int n = jwk_read(v, got, KEYS_MOST, &err);
    if (n <= 0) {
        snprintf(k->why, sizeof k->why, "%.190s", n < 0 ? err.msg : "the key set holds no key that can be used");
        return;
    }
    jwk_free(k->at, k->n);
    memcpy(k->at, got, (size_t)n * sizeof *got);
    k->n = (unsigned)n;
    k->got_ns = now;
}

/* Goes on with what has come. */
static void poll(struct keys *k, struct kl_call *c, int64_t now)
{
    while (k->step != KEYS_IDLE) {
        struct kl_http_answer answer = { .size = sizeof answer };
        struct kl_err err;
        int step = (int)k->step, rc = k->http->result(k->host, c, k->ticket, &answer);
        uint64_t ticket = k->ticket;
        if (rc == -KL_PENDING)
            return;
        k->step = KEYS_IDLE;
        k->tried_ns = now;
        k->why[0] = '\0';
        kl_err_init(&err);
        _cleanup_arena_ struct arena *a = arena_new(8 << 20);
        const struct val *v = rc == 0 && answer.status == 200 && a ? json_parse(a, str_n(answer.body.at, answer.body.len), &err) : NULL;
        if (!v)
            snprintf(k->why, sizeof k->why, "%s: %.150s", step == KEYS_DISCOVERY ? "discovery" : "key set",
                     rc < 0 ? c->err.msg : answer.status != 200 ? "its server does not give it" : err.msg);
        else if (step == KEYS_DISCOVERY)
            take_discovery(k, c, v);
        else
            take_set(k, v, now);
        k->http->drop(k->host, ticket);
    }
}

static bool verified(const struct keys *k, const struct jwt *t)
{
    for (unsigned i = 0; i < k->n; i++)
        if ((!t->kid.len || str_is(t->kid, k->at[i].kid)) && jwt_signed_by(t, &k->at[i]))
            return true;
    return false;
}

int keys_verify(struct keys *k, struct kl_call *c, const struct jwt *t, int64_t now)
{
    poll(k, c, now);
    bool good = verified(k, t), may_ask = k->step == KEYS_IDLE && (!k->tried_ns || now - k->tried_ns >= AGAIN_NS);
    if (may_ask && (!good || now - k->got_ns >= OLD_NS)) {
        k->tried_ns = now;
        begin(k, c, k->set_url[0] && k->n && !good ? k->set_url : k->by->discovery_url, k->set_url[0] && k->n && !good ? KEYS_SET : KEYS_DISCOVERY);
    }
    if (good) {
        kl_err_init(&c->err);
        return 1;
    }
    if (k->step != KEYS_IDLE && c->request) {
        k->http->wait(k->host, k->ticket, c->request);
        return kl_fail(c, KL_PENDING, "the keys of '%s' are being fetched", k->by->url);
    }
    if (!k->n)
        kl_fail(c, KL_UNAUTHORIZED, "oidc: there are no keys of '%s': %s", k->by->url, k->why[0] ? k->why : "they have not come yet");
    else
        kl_fail(c, KL_UNAUTHORIZED, "oidc: verify token: failed to verify signature: failed to verify id token signature");
    return 0;
}

void keys_free(struct keys *k)
{
    if (k->step != KEYS_IDLE)
        k->http->drop(k->host, k->ticket);
    jwk_free(k->at, k->n);
}
