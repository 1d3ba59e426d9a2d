/* reflector.c - one held resource: list, watch, and what goes wrong on the way. */
#include <stdlib.h>

#include "base/env.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "mirror-internal.h"

#define HEALTHY_NS (5 * NS_PER_S)       /* a watch that lasted so long was no failure of the server */

static void begin(void *ctx);

const char *reflector_state_text(const struct reflector *r)
{
    static const char *const texts[] = { "waiting", "listing", "watching", "refused" };
    return texts[r->state];
}

static void settle(struct reflector *r)
{
    if (r->settled)
        return;
    r->settled = true;
    mirror_settled(r->mirror);
}

/* --- when something went wrong --- */

/* Doubling from 200 ms to 30 s, each half of it by chance, so that a thousand nodes do not come back at once. */
static int64_t backoff(struct reflector *r)
{
    int64_t ns = BACKOFF_FIRST_NS;
    uint32_t chance;
    for (unsigned i = 0; i < r->failures && ns < BACKOFF_MOST_NS; i++)
        ns *= 2;
    if (ns > BACKOFF_MOST_NS)
        ns = BACKOFF_MOST_NS;
    env_random(&chance, sizeof chance);
    return ns / 2 + (int64_t)((double)chance / UINT32_MAX * (double)(ns / 2));
}

static void again(struct reflector *r, int64_t ns)
{
    if (!r->mirror->stopping)
        loop_timer_start(r->mirror->conf.loop, &r->timer, ns, begin, r);
}

static void wait(struct reflector *r, const char *why)
{
    r->n_failures++;
    snprintf(r->last_error, sizeof r->last_error, "%s", why);
    r->state = REFLECTOR_WAITING;
    again(r, backoff(r));
    if (r->failures < 32)
        r->failures++;
}

static void failed(struct reflector *r, const char *why)
{
    if (r->failures == 0 || strcmp(why, r->last_error) != 0)
        log_warn("mirror", "%s: %s; tried again", r->kind->resource, why);
    r->unreached = false;
    wait(r, why);
}

static void unreached(struct reflector *r, const char *why)
{
    if (!r->mirror->away)
        log_warn("mirror", "the server does not answer: %s; what was read stays", why);
    r->mirror->away = true;
    r->unreached = true;
    wait(r, why);
}

/* One has got through: the others need not wait for their own time. */
static void reached(struct mirror *m)
{
    if (!m->away)
        return;
    m->away = false;
    log_info("mirror", "the server answers again");
    list_each(node, &m->reflectors)
    {
        struct reflector *r = list_item(node, struct reflector, link);
        if (r->unreached && r->state == REFLECTOR_WAITING && !r->call)
            again(r, 0);
        r->unreached = false;
    }
}

static void list_anew(struct reflector *r)
{
    r->revision = 0;
    again(r, 0);
}

static void drop(void *ctx)
{
    struct reflector *r = ctx;
    apply_forget(r);
    reflector_free(r);
}

/* The server does not let us, or does not have it: it is asked for directly, and then the server says so to whoever asks. */
static void refused(struct reflector *r, const char *why)
{
    if (r->name) {                      /* it is not ours any more */
        r->synced = false;
        loop_timer_start(r->mirror->conf.loop, &r->timer, 0, drop, r);
        return;
    }
    if (r->state != REFLECTOR_REFUSED && !r->n_failures)
        log_info("mirror", "%s is not held: %s", r->kind->resource, why);
    r->n_failures++;
    snprintf(r->last_error, sizeof r->last_error, "%s", why);
    r->state = REFLECTOR_REFUSED;
    r->synced = false;
    again(r, REFUSED_NS);
    settle(r);
}

static void answered_badly(struct reflector *r)
{
    struct kl_err err;
    kl_err_init(&err);
    status_error(r->status, buf_str(&r->line), &err);
    bool stream = r->state == REFLECTOR_LISTING && !r->no_stream;
    if (r->status == 410) {
        list_anew(r);
    } else if (r->status == 504 && strstr(err.msg, "Too large resource version")) {
        log_warn("mirror", "%s: the server's revisions went back; everything is read again", r->kind->resource);
        r->anew = true;
        list_anew(r);
    } else if (stream && (r->status == 400 || r->status == 422)) {
        r->no_stream = true;
        again(r, 0);
    } else if (r->status == 403 || r->status == 404) {
        refused(r, err.msg);
    } else {
        failed(r, err.msg);
    }
}

/* --- what comes in --- */

static void listed(struct reflector *r, uint64_t revision)
{
    apply_list_end(r, revision);
    r->revision = revision;
    r->state = REFLECTOR_WATCHING;
    r->failures = 0;
    r->synced = true;
    settle(r);
    if (!r->name && r->mirror->n_ones)
        mirror_drop_ones(r->mirror, r->kind);
}

static void progress(struct reflector *r, uint64_t revision)
{
    if (r->state != REFLECTOR_WATCHING)
        return;
    r->failures = 0;
    if (revision > r->revision)
        r->revision = revision;
}

static void bookmark(struct reflector *r, struct str object)
{
    struct str notes = json_scan_path(object, "metadata.annotations");
    bool end = notes.at && str_is(json_scan_text(json_scan_member(notes, STR("k8s.io/initial-events-end"))), "true");
    uint64_t revision = apply_revision(object);
    if (end && r->state == REFLECTOR_LISTING)
        listed(r, revision);
    else
        progress(r, revision);
}

/* False: the watch is over. */
static bool error_event(struct reflector *r, struct str object)
{
    struct str code = json_scan_member(object, STR("code"));
    int64_t n = 0;
    struct buf text = BUF_INIT(FRAME_MOST);
    str_int(code, &n);
    http_call_cancel(r->call);
    r->call = NULL;
    r->status = n >= 400 && n < 600 ? (int)n : 500;
    buf_add_str(&text, object);         /* it may lie in `line` */
    buf_free(&r->line);
    r->line = text;
    answered_badly(r);
    return false;
}

static bool frame(struct reflector *r, struct str line)
{
    struct str type = json_scan_text(json_scan_member(line, STR("type"))), object = json_scan_member(line, STR("object"));
    int rc = 0;
    if (str_is(type, "ERROR"))
        return error_event(r, object);
    if (str_is(type, "BOOKMARK")) {
        bookmark(r, object);
        return true;
    }
    if (str_is(type, "ADDED") || str_is(type, "MODIFIED"))
        rc = apply_put(r, object);
    else if (str_is(type, "DELETED"))
        rc = apply_delete(r, object);
    else
        rc = -KL_INVALID;
    if (rc == 0) {
        progress(r, apply_revision(object));
        return true;
    }
    /* An event that is lost would be a wrong picture for ever. */
    http_call_cancel(r->call);
    r->call = NULL;
    r->revision = 0;
    failed(r, rc == -KL_INVALID ? "the server sent an event that is not understood" : "an event could not be kept");
    return false;
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    struct reflector *r = ctx;
    (void)h;
    (void)n;
    r->status = status;
    buf_clear(&r->line);
    reached(r->mirror);
}

/* Whole lines are taken where they are; what is left waits in `line`. */
static void on_watch_data(void *ctx, struct str bytes)
{
    struct reflector *r = ctx;
    if (r->status != 200) {
        buf_add_str(&r->line, bytes);
        return;
    }
    for (long n; (n = str_find(bytes, '\n')) >= 0; bytes = str_skip(bytes, (size_t)n + 1)) {
        struct str line = str_n(bytes.at, (size_t)n);
        if (r->line.len) {
            buf_add_str(&r->line, line);
            line = buf_str(&r->line);
        }
        if (line.len && !frame(r, line))
            return;
        buf_clear(&r->line);
    }
    buf_add_str(&r->line, bytes);
    if (r->line.failed) {
        buf_free(&r->line);
        http_call_cancel(r->call);
        r->call = NULL;
        failed(r, "the server sent an event larger than 8 MiB");
    }
}

static void on_watch_end(void *ctx, const struct kl_err *err)
{
    struct reflector *r = ctx;
    int64_t lasted = loop_now(r->mirror->conf.loop) - r->began_ns;
    r->call = NULL;
    if (r->status == 200 && lasted > HEALTHY_NS)
        r->failures = 0;
    if (!err && r->status != 200) {
        answered_badly(r);
    } else if (err) {
        unreached(r, err->msg);
    } else if (r->state != REFLECTOR_WATCHING) {
        failed(r, "the server ended the list early");
    } else {                            /* its time was over */
        again(r, lasted > NS_PER_S ? 0 : backoff(r));
    }
    buf_free(&r->line);
}

/* --- lists, for servers that do not stream them --- */

static int take_items(struct reflector *r, struct str body)
{
    struct str items = json_scan_member(body, STR("items")), item;
    _cleanup_buf_ struct buf b = BUF_INIT(FRAME_MOST);
    while (items.at && json_scan_item(&items, &item)) {
        buf_clear(&b);
        path_add_type(&b, r->kind, item);
        if (b.failed || apply_put(r, buf_str(&b)) < 0)
            return -KL_INVALID;
    }
    return 0;
}

static void on_list_data(void *ctx, struct str bytes)
{
    struct reflector *r = ctx;
    buf_add_str(&r->line, bytes);
}

static void on_list_end(void *ctx, const struct kl_err *err)
{
    struct reflector *r = ctx;
    struct str body = buf_str(&r->line);
    r->call = NULL;
    if (err) {
        unreached(r, err->msg);
    } else if (r->status != 200) {
        r->next[0] = '\0';              /* a token that has expired: from the start */
        answered_badly(r);
    } else if (r->line.failed || take_items(r, body) < 0) {
        failed(r, "the server's list is not understood");
    } else {
        struct str next = json_scan_text(json_scan_path(body, "metadata.continue"));
        snprintf(r->next, sizeof r->next, STR_FMT, STR_ARG(next));
        if (!next.len)
            listed(r, apply_revision(body));
        again(r, 0);
    }
    buf_free(&r->line);
    r->line.max = FRAME_MOST;
}

/* --- requests --- */

static void ask(struct reflector *r, struct buf *path, const struct http_result_events *ev, int64_t timeout_ns)
{
    struct http_header h[] = { { STR("accept"), STR("application/json") }, { STR("user-agent"), str_of(r->mirror->conf.agent) } };
    r->began_ns = loop_now(r->mirror->conf.loop);
    r->status = 0;
    buf_clear(&r->line);
    r->call = path->failed ? NULL : http_call_new(r->mirror->conf.http, "GET", path->at, h, 2, STR(""), timeout_ns, ev, r);
    if (!r->call)
        failed(r, "out of memory");
}

static void list_page(struct reflector *r, struct buf *path)
{
    static const struct http_result_events ev = { on_head, on_list_data, on_list_end };
    if (!r->next[0]) {
        apply_list_begin(r);
        r->n_lists++;
    }
    buf_printf(path, "?limit=%d", PAGE);
    if (r->selector_text)
        path_query(path, '&', "fieldSelector", str_of(r->selector_text));
    if (r->next[0])
        path_query(path, '&', "continue", str_of(r->next));
    r->line.max = ANSWER_MOST;
    ask(r, path, &ev, 2 * CALL_NS);
}

static void watch(struct reflector *r, struct buf *path)
{
    static const struct http_result_events ev = { on_head, on_watch_data, on_watch_end };
    uint32_t chance;
    env_random(&chance, sizeof chance);
    buf_printf(path, "?watch=true&allowWatchBookmarks=true&timeoutSeconds=%u", 300 + chance % 300);
    if (r->selector_text)
        path_query(path, '&', "fieldSelector", str_of(r->selector_text));
    if (r->revision) {
        buf_printf(path, "&resourceVersion=%llu", (unsigned long long)r->revision);
        r->n_watches++;
    } else {
        buf_add_z(path, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
        apply_list_begin(r);
        r->n_lists++;
    }
    r->line.max = FRAME_MOST;
    ask(r, path, &ev, 0);
}

static void begin(void *ctx)
{
    struct reflector *r = ctx;
    _cleanup_buf_ struct buf path = BUF_INIT(8192);
    if (r->call || r->mirror->stopping)
        return;
    path_of(&path, r->kind, r->ns ? str_of(r->ns) : STR(""), STR(""), NULL);
    r->state = r->revision ? REFLECTOR_WATCHING : REFLECTOR_LISTING;
    if (!r->revision && r->no_stream)
        list_page(r, &path);
    else
        watch(r, &path);
}

void reflector_start(struct reflector *r)
{
    if (r->call)
        http_call_cancel(r->call);
    r->call = NULL;
    r->next[0] = '\0';
    again(r, 0);
}

void reflector_free(struct reflector *r)
{
    if (r->call)
        http_call_cancel(r->call);
    loop_timer_stop(&r->timer);
    apply_list_begin(r);                /* forgets a listing */
    arena_free(r->seen_arena);
    size_t at = 0;
    void *v;
    while (map_next(&r->tombs, &at, NULL, &v))
        mem_free(v);
    map_free(&r->tombs);
    buf_free(&r->line);
    arena_free(r->arena);
    mem_free(r->selector_text);
    r->mirror->n_ones -= r->name != NULL;
    mem_free(r->ns);
    mem_free(r->name);
    list_remove(&r->link);
    mem_free(r);
}
