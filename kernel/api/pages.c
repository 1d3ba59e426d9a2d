/* pages.c - which revision a read shows, and where a page of a list begins: all pages show what the first one did, as far as the store's
 * history reaches back. */
#include "api-internal.h"

#include <ctype.h>

#include "base/base64url.h"
#include "base/env.h"

/* --- continue tokens: base64url of {"v":"meta.k8s.io/v1","rv":N,"start":"ns/name"} --- */

const char *api_page_token(struct arena *a, int64_t rv, struct str ns, struct str name)
{
    char *json = arena_printf(a, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":\"" STR_FMT "/" STR_FMT "\"}", (long long)rv, STR_ARG(ns),
                              STR_ARG(name));
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (json)
        base64url_encode(&b, json, strlen(json));
    return json && !b.failed ? arena_dup(a, buf_str(&b)) : NULL;
}

/* Where a token is no base64: the place that upstream names. */
static size_t bad_byte(struct str token)
{
    size_t i = 0;
    while (i < token.len && (isalnum((unsigned char)token.at[i]) || token.at[i] == '-' || token.at[i] == '_'))
        i++;
    return i < token.len || !token.len ? i : token.len - 1;
}

#define MARK_NS (60 * NS_PER_S)

void api_marks_add(struct api_marks *m, int64_t now_ns, uint64_t revision)
{
    unsigned old = 0;
    while (old < m->n && m->at[old].at_ns <= now_ns - API_TOKEN_NS)
        m->expired = m->at[old++].revision;
    m->n -= old;
    memmove(m->at, m->at + old, m->n * sizeof *m->at);
    if (m->n < API_MARKS && (!m->n || now_ns - m->at[m->n - 1].at_ns >= MARK_NS)) {
        m->at[m->n].at_ns = now_ns;
        m->at[m->n++].revision = revision;
    }
}

/* --- resourceVersion rules --- */

static int too_large(struct api_rq *rq, uint64_t want)
{
    static const struct object_cause cause = { "ResourceVersionTooLarge", "", "Too large resource version" };
    api_fail(&rq->err, rq->arena, KL_TIMEOUT, "Timeout: Too large resource version: %llu, current: %llu", (unsigned long long)want,
             (unsigned long long)store_revision(rq->api->store));
    rq->err.causes = &cause;
    rq->err.n_causes = 1;
    rq->err.retry_after = 1;
    return -KL_TIMEOUT;
}

int api_check_version(struct api_rq *rq)
{
    uint64_t rv;
    if (api_parse_version(rq->arena, rq->info.q.resource_version, &rv, &rq->err) < 0)
        return api_fail_version(rq);
    return rv > store_revision(rq->api->store) ? too_large(rq, rv) : 0;
}

int api_fail_version(struct api_rq *rq)
{
    rq->err.http = 500;                 /* so says upstream, without a reason */
    rq->err.reason = NULL;
    return -rq->err.code;
}

static int bad_token(struct api_rq *rq, const char *why)
{
    return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "invalid continue token: continue key is not valid: %s", why);
}

static int unreadable_token(struct api_rq *rq, struct str json)
{
    if (!json.at)
        return bad_token(rq, arena_printf(rq->arena, "illegal base64 data at input byte %zu", bad_byte(rq->info.q.continue_token)));
    if (!json.len)
        return bad_token(rq, "unexpected end of JSON input");
    return bad_token(rq, arena_printf(rq->arena, "invalid character '%c' looking for beginning of value", isprint((unsigned char)json.at[0]) ? json.at[0] : '?'));
}

static int apply_token(struct api_rq *rq, struct store_range *range, uint64_t *ret_rv)
{
    struct str json = base64url_decode(rq->arena, rq->info.q.continue_token);
    struct val *t = json.at ? json_parse(rq->arena, json, NULL) : NULL;
    struct str start = json_str(t, "start"), version = json_str(t, "v");
    int64_t rv = json_int(t, "rv", 0);
    if (!t)
        return unreadable_token(rq, json);
    if (!str_is(version, "meta.k8s.io/v1"))
        return bad_token(rq, arena_printf(rq->arena, "server does not recognize this encoded version " STR_FMT, STR_ARG(version)));
    if (rv == 0)
        return bad_token(rq, "incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
    if (!start.len)
        return bad_token(rq, "encoded start key empty (version meta.k8s.io/v1)");
    if (str_find(start, '/') < 0 || str_starts(start, STR("..")))
        return bad_token(rq, arena_dup(rq->arena, start));
    if (rq->info.q.resource_version.len && !str_is(rq->info.q.resource_version, "0"))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "specifying resource version is not allowed when using continue");
    if (rv > 0 && (uint64_t)rv > store_revision(rq->api->store))
        return too_large(rq, (uint64_t)rv);
    range->after_ns = str_cut(&start, '/');
    range->after_name = start;
    *ret_rv = rv > 0 ? (uint64_t)rv : store_revision(rq->api->store);
    if (rv > 0 && (uint64_t)rv <= rq->api->marks.expired && (uint64_t)rv < store_revision(rq->api->store)) {
        api_page_expired(rq, range);
        return -rq->err.code;
    }
    return 0;
}

int api_list_version(struct api_rq *rq, uint64_t *ret)
{
    if (api_parse_version(rq->arena, rq->info.q.resource_version, ret, &rq->err) < 0)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "invalid resource version: %s", rq->err.message);
    return 0;
}

int api_page(struct api_rq *rq, uint64_t *ret_revision, struct store_range *range)
{
    const struct api_query *q = &rq->info.q;
    uint64_t rv;
    if (api_check_list_options(rq) < 0 || (q->continue_token.len && apply_token(rq, range, ret_revision) < 0))
        return -rq->err.code;
    if (api_list_version(rq, &rv) < 0 || api_check_version(rq) < 0)
        return -rq->err.code;
    bool exact = str_is(q->version_match, "Exact") || (rv > 0 && q->limit > 0 && !q->version_match.len);
    if (!q->continue_token.len)
        *ret_revision = exact ? rv : store_revision(rq->api->store);
    if (q->limit > 0 || q->continue_token.len)
        api_marks_add(&rq->api->marks, loop_now(rq->api->loop), store_revision(rq->api->store));
    return 0;
}

/* The history does not reach back to what was asked for. A token is replaced by one that goes on from its key as things are now. */
void api_page_expired(struct api_rq *rq, const struct store_range *range)
{
    if (!rq->info.q.continue_token.len) {
        api_fail(&rq->err, rq->arena, KL_EXPIRED, "The resourceVersion for the provided list is too old.");
        return;
    }
    api_fail(&rq->err, rq->arena, KL_EXPIRED, "The provided continue parameter is too old to display a consistent list result. "
             "You can start a new list without the continue parameter, or use the continue token in this response to "
             "retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - "
             "objects that were created, modified, or deleted between the time the first chunk was returned and now may "
             "show up in the list.");
    rq->err.continue_token = api_page_token(rq->arena, -1, range->after_ns, range->after_name);
}

/* --- a revision that this server has not seen: it may come --- */

#define AWAIT_NS (3 * NS_PER_S)
#define AWAIT_STEP_NS (50 * NS_PER_MS)

struct await {
    struct api_rq *rq;
    void (*again)(struct api_rq *rq);
    struct loop_timer timer;
    int64_t until_ns;
    uint64_t want;
};

static void on_gone(void *ctx)
{
    loop_timer_stop(&((struct await *)ctx)->timer);
}

static void look(void *ctx)
{
    struct await *w = ctx;
    struct loop *l = w->rq->api->loop;
    if (store_revision(w->rq->api->store) < w->want && loop_now(l) < w->until_ns) {
        loop_timer_start(l, &w->timer, AWAIT_STEP_NS, look, w);
        return;
    }
    http_on_close(w->rq->http, NULL, NULL);
    w->again(w->rq);
}

bool api_await_version(struct api_rq *rq, void (*again)(struct api_rq *rq))
{
    struct api_error e;
    uint64_t rv;
    if (rq->awaited || !rq->info.q.resource_version.len || api_parse_version(rq->arena, rq->info.q.resource_version, &rv, &e) < 0 ||
        rv <= store_revision(rq->api->store))
        return false;
    struct await *w = arena_alloc(rq->arena, sizeof *w);
    if (!w)
        return false;
    rq->awaited = true;
    *w = (struct await){ .rq = rq, .again = again, .until_ns = loop_now(rq->api->loop) + AWAIT_NS, .want = rv };
    http_on_close(rq->http, on_gone, w);
    loop_timer_start(rq->api->loop, &w->timer, AWAIT_STEP_NS, look, w);
    return true;
}
