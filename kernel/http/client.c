/* client.c - clients and their calls: what waits, which connection takes it, how it ends. */
#include <errno.h>

#include "client-internal.h"

/* --- calls --- */

void head_free(struct result_head *h)
{
    arena_free(h->arena);
    *h = (struct result_head){ 0 };
}

int head_add(struct result_head *h, struct str name, struct str value)
{
    if (!h->arena && (!(h->arena = arena_new(2 * HEADER_BYTES_MOST)) || !(h->at = arena_alloc(h->arena, HEADERS_MOST * sizeof *h->at))))
        return -KL_NO_MEMORY;
    h->bytes += name.len + value.len + 32;
    if (h->n == HEADERS_MOST || h->bytes > HEADER_BYTES_MOST)
        return -KL_TOO_LARGE;
    struct http_header *x = &h->at[h->n++];
    x->name = arena_str(h->arena, name);
    x->value = arena_str(h->arena, value);
    return x->name.at && x->value.at ? 0 : -KL_NO_MEMORY;
}

static void call_free(struct http_call *k)
{
    loop_timer_stop(&k->timer);
    list_remove(&k->link);
    head_free(&k->head);
    arena_free(k->arena);               /* k lives in it */
}

static bool after_callback(struct http_call *k)
{
    bool alive = !k->cancelled;
    if (--k->busy == 0 && !alive)
        call_free(k);
    return alive;
}

bool call_head(struct http_call *k)
{
    k->got_head = true;
    k->busy++;
    k->ev->head(k->ctx, k->head.status, k->head.at, k->head.n);
    head_free(&k->head);
    return after_callback(k);
}

bool call_data(struct http_call *k, struct str bytes)
{
    if (!bytes.len)
        return true;
    k->busy++;
    k->ev->data(k->ctx, bytes);
    return after_callback(k);
}

void call_end(struct http_call *k, const struct kl_err *err)
{
    if (k->on)
        link_leave(k->on, k, false);
    list_remove(&k->link);
    loop_timer_stop(&k->timer);
    k->busy++;
    k->ev->end(k->ctx, err);
    k->cancelled = true;
    after_callback(k);
}

bool call_idempotent(const struct http_call *k)
{
    return str_is(k->method, "GET") || str_is(k->method, "HEAD") || str_is(k->method, "OPTIONS");
}

void call_lost(struct http_call *k, bool refused, const char *why)
{
    struct http_client *c = k->client;
    struct kl_err err;
    bool reused = k->on && k->on->used;
    if (!k->got_head && k->tries == 0 && (refused || !k->written || (reused && call_idempotent(k)))) {
        if (k->on)
            link_leave(k->on, k, false);
        head_free(&k->head);
        c->n_again += !refused && k->written;
        k->tries++;
        k->written = false;
        k->body_at = 0;
        list_push_front(&c->waiting, &k->link);
        client_stir(c);
        return;
    }
    kl_err_init(&err);
    kl_err_set(&err, KL_UNAVAILABLE, "%s: %s", c->authority, why[0] ? why : "the connection was closed before the answer was over");
    call_end(k, &err);
}

static void on_timeout(void *ctx)
{
    struct http_call *k = ctx;
    struct kl_err err;
    kl_err_init(&err);
    kl_err_set(&err, KL_TIMEOUT, "%s: no %sanswer within %lld ms", k->client->authority, k->got_head ? "whole " : "",
               (long long)(k->timeout_ns / NS_PER_MS));
    call_end(k, &err);
}

static int copy_request(struct http_call *k, struct str method, struct str path, const struct http_header *h, unsigned n, struct str body)
{
    k->method = arena_str(k->arena, method);
    k->path = arena_str(k->arena, path);
    k->body = arena_str(k->arena, body.at ? body : STR(""));
    k->headers = arena_alloc(k->arena, (n + 1) * sizeof *k->headers);
    for (; k->headers && k->n_headers < n; k->n_headers++) {
        struct http_header *x = &k->headers[k->n_headers];
        x->name = arena_str(k->arena, h[k->n_headers].name);
        x->value = arena_str(k->arena, h[k->n_headers].value);
    }
    return arena_exhausted(k->arena) || !k->headers ? -KL_NO_MEMORY : 0;
}

struct http_call *call_new(struct http_client *c, struct str method, struct str path, const struct http_header *headers, unsigned n,
                           struct str body, int64_t timeout_ns, const struct http_result_events *ev, void *ctx, bool upgrade)
{
    struct arena *a = n <= HEADERS_MOST - 8 ? arena_new(0) : NULL;
    struct http_call *k = a ? arena_alloc(a, sizeof *k) : NULL;
    if (!k) {
        arena_free(a);
        return NULL;
    }
    *k = (struct http_call){ .client = c, .ev = ev, .ctx = ctx, .arena = a, .timeout_ns = timeout_ns, .upgrade = upgrade };
    list_init(&k->link);
    if (copy_request(k, method, path, headers, n, body) < 0) {
        arena_free(a);
        return NULL;
    }
    if (timeout_ns)
        loop_timer_start(c->owner.loop, &k->timer, timeout_ns, on_timeout, k);
    list_push(&c->waiting, &k->link);
    client_stir(c);
    return k;
}

struct http_call *http_call_new(struct http_client *c, const char *method, const char *path_and_query, const struct http_header *headers,
                                unsigned n, struct str body, int64_t timeout_ns, const struct http_result_events *ev, void *ctx)
{
    return call_new(c, str_of(method), str_of(path_and_query), headers, n, body, timeout_ns, ev, ctx, false);
}

void http_call_cancel(struct http_call *k)
{
    if (k->on)
        link_leave(k->on, k, false);
    list_remove(&k->link);
    loop_timer_stop(&k->timer);
    k->cancelled = true;
    if (!k->busy)
        call_free(k);
}

void http_call_pause(struct http_call *k, bool paused)
{
    struct link *l = k->on;
    if (k->paused == paused)
        return;
    k->paused = paused;
    if (!l || !l->ready)
        return;
    if (l->conn.h2) {
        client_h2_credit(l, k);
        return;
    }
    conn_raw_pause(&l->conn, paused);
    if (!paused)
        client_h1_resume(l);
}

/* --- which connection takes what waits --- */

void client_stir(struct http_client *c)
{
    c->stir = true;
    /* Hooks may have run already in this turn: there is to be another. */
    if (!c->kick.heap_at)
        loop_timer_start(c->owner.loop, &c->kick, 0, c->kick.fn, c);
}

void call_on(struct http_call *k, struct link *l)
{
    list_remove(&k->link);
    list_push(&l->calls, &k->link);
    l->n_calls++;
    k->on = l;
    if (!l->ready)
        return;                         /* link.c sends it when it is */
    if ((l->conn.h2 ? client_h2_send(l, k) : client_h1_send(l, k)) < 0)
        call_lost(k, true, "the request cannot be sent");
    conn_dirty(&l->conn);
}

static struct link *find_link(struct http_client *c, const struct http_call *k)
{
    list_each(node, &c->owner.conns)
    {
        struct link *l = (struct link *)(void *)list_item(node, struct conn, link);
        if (link_takes(l, k))
            return l;
    }
    return NULL;
}

/* At the limit, a connection that nobody uses and that this call may not be given makes room. */
static bool make_room(struct http_client *c)
{
    if (c->owner.n_conns < LINKS_MOST)
        return true;
    list_each(node, &c->owner.conns)
    {
        struct link *l = (struct link *)(void *)list_item(node, struct conn, link);
        if (l->ready && !l->n_calls && l->conn.state == CONN_OPEN) {
            conn_kill(&l->conn);
            return false;               /* it is gone in a moment, and then all this is looked at again */
        }
    }
    return false;
}

static bool one_link_will_do(const struct http_client *c)
{
    return c->speaks == SPEAKS_H2 || c->prior_h2 || (c->speaks == SPEAKS_UNKNOWN && c->tls && !c->http1);
}

static void fail_all(struct list *calls, const struct http_client *c)
{
    struct kl_err err;
    kl_err_init(&err);
    kl_err_set(&err, KL_UNAVAILABLE, "%s: %s", c->authority, c->why);
    while (!list_empty(calls))
        call_end(list_item(calls->next, struct http_call, link), &err);
}

static void move_all(struct list *from, struct list *to)
{
    for (struct list *n; (n = list_pop(from));)
        list_push(to, n);
}

void client_fail_waiting(struct http_client *c)
{
    struct list all = LIST_INIT(all);
    move_all(&c->waiting, &all);
    fail_all(&all, c);
}

/* Callers' code may run within and add, cancel or end calls: only the first of a list is ever looked at. */
static void dispatch(struct http_client *c)
{
    struct list todo = LIST_INIT(todo), rest = LIST_INIT(rest);
    unsigned n = 0;
    if (list_empty(&c->waiting) || !client_resolved(c))
        return;
    move_all(&c->waiting, &todo);
    while (!list_empty(&todo)) {
        struct http_call *k = list_item(todo.next, struct http_call, link);
        struct link *l = k->upgrade ? client_dial(c, true) : find_link(c, k);
        if (l) {
            call_on(k, l);
            continue;
        }
        list_remove(&k->link);
        list_push(&rest, &k->link);
        n++;
    }
    unsigned most = one_link_will_do(c) && n ? 1 : n;
    bool dialled = true;
    while (c->n_dialing < most && dialled && make_room(c))
        dialled = client_dial(c, false) != NULL;
    if (!dialled)
        fail_all(&rest, c);
    move_all(&c->waiting, &rest);       /* came meanwhile: behind the others */
    move_all(&rest, &c->waiting);
}

static void on_turn(void *ctx)
{
    struct http_client *c = ctx;
    for (int rounds = 0; rounds < 8 && (c->stir || !list_empty(&c->owner.dirty)); rounds++) {
        if (c->stir) {
            c->stir = false;
            dispatch(c);
        }
        conns_flush(&c->owner);
    }
    if (c->stir)
        client_stir(c);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* --- clients --- */

/* "https://host:port", "http://[::1]:80", "unix:/path" */
static int read_url(struct http_client *c, const char *url, bool *ret_tls, struct kl_err *err)
{
    struct str s = str_of(url);
    *ret_tls = str_starts(s, STR("https://"));
    if (str_starts(s, STR("unix:/"))) {
        c->unix_path = mem_dup(url + 5, s.len - 5);
        c->authority = mem_dup("localhost", 9);
        c->host = mem_dup("localhost", 9);
        c->port = mem_dup("", 0);
        return c->unix_path && c->authority && c->host && c->port ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    if (!*ret_tls && !str_starts(s, STR("http://")))
        return kl_err_set(err, KL_INVALID, "'%s' is no URL with https://, http:// or unix:", url);
    s = str_skip(s, *ret_tls ? 8 : 7);
    if (s.len && s.at[s.len - 1] == '/')
        s.len--;
    c->authority = mem_dup(s.at, s.len);
    struct str host = s, port = STR_NONE;
    if (s.len && s.at[0] == '[') {
        host = str_skip(s, 1);
        port = host;
        host = str_cut(&port, ']');
        if (!port.at || (port.len && port.at[0] != ':'))
            host = STR_NONE;
        else
            port = port.len ? str_skip(port, 1) : STR_NONE;
    } else {
        port = s;
        host = str_cut(&port, ':');
    }
    int64_t number = 0;
    if (!host.len || memchr(s.at, '/', s.len) || memchr(s.at, '@', s.len) || (port.at && (!str_int(port, &number) || number < 1 || number > 65535)))
        return kl_err_set(err, KL_INVALID, "'%s' is not understood: scheme, host and port are wanted, no path", url);
    c->host = mem_dup(host.at, host.len);
    c->port = port.at ? mem_dup(port.at, port.len) : mem_dup(*ret_tls ? "443" : "80", *ret_tls ? 3 : 2);
    return c->authority && c->host && c->port ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

int http_client_new(struct loop *l, const struct http_client_conf *conf, struct http_client **ret, struct kl_err *err)
{
    struct http_client *c = mem_alloc(sizeof *c);
    bool tls = false;
    if (!c)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    owner_init(&c->owner, l, &link_protocol);
    list_init(&c->waiting);
    c->kick.fn = nothing;
    c->http1 = conf->http1;
    c->prior_h2 = conf->prior_h2 && !conf->http1;
    int rc = read_url(c, conf->url, &tls, err);
    if (rc == 0 && tls)
        rc = tls_client_new(conf, c->host, &c->tls, err);
    if (rc < 0) {
        http_client_free(c);
        return rc;
    }
    c->prior_h2 = c->prior_h2 && !tls;
    loop_hook_add(l, &c->owner.hook, on_turn, c);
    *ret = c;
    return 0;
}

int http_client_renew(struct http_client *c, const struct http_client_conf *conf, struct kl_err *err)
{
    struct tls_client *fresh = NULL;
    int rc = c->tls ? tls_client_new(conf, c->host, &fresh, err) : kl_err_set(err, KL_INVALID, "%s: there is no TLS to renew", c->authority);
    if (rc < 0)
        return rc;
    tls_client_free(c->tls);
    c->tls = fresh;
    list_each(node, &c->owner.conns)
    {
        struct link *l = (struct link *)(void *)list_item(node, struct conn, link);
        l->leaving = true;
        if (l->ready && !l->n_calls && l->conn.state == CONN_OPEN)
            conn_kill(&l->conn);
    }
    client_stir(c);
    return 0;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    while (!list_empty(&c->waiting))
        http_call_cancel(list_item(c->waiting.next, struct http_call, link));
    while (!list_empty(&c->owner.conns)) {
        struct link *l = (struct link *)(void *)list_item(c->owner.conns.next, struct conn, link);
        while (!list_empty(&l->calls))
            http_call_cancel(list_item(l->calls.next, struct http_call, link));
        l->given_up = true;
        conn_free(&l->conn);
    }
    resolve_abandon(c);
    owner_end(&c->owner);
    loop_timer_stop(&c->kick);
    tls_client_free(c->tls);
    mem_free(c->host);
    mem_free(c->port);
    mem_free(c->authority);
    mem_free(c->unix_path);
    mem_free(c);
}

bool http_client_idle(const struct http_client *c)
{
    if (!list_empty(&c->waiting) || c->resolving)
        return false;
    list_each(n, &c->owner.conns)
    {
        const struct link *l = (const struct link *)(const void *)list_item(n, struct conn, link);
        if (!list_empty(&l->calls) || l->conn.state == CONN_RAW)
            return false;
    }
    return true;
}

struct str http_client_authority(const struct http_client *c)
{
    return str_of(c->authority);
}
