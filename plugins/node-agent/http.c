/* http.c - GET for probes and hooks. Only the head of the answer is read. */
#include "probes.h"

#define HEAD_MOST      16384
#define REDIRECTS_MOST 10

int http_status(struct str head)
{
    struct str line = str_cut(&head, '\n'), version = str_cut(&line, ' ');
    int64_t n;
    if (!str_starts(version, STR("HTTP/1.")) || !line.at)
        return -1;
    struct str code = str_trim(line);
    code = str_cut(&code, ' ');
    return code.len == 3 && str_int(code, &n) && n >= 100 ? (int)n : -1;
}

static struct str header(struct str head, struct str name)
{
    str_cut(&head, '\n');
    while (head.at) {
        struct str value = str_trim(str_cut(&head, '\n')), key = str_cut(&value, ':');
        if (value.at && str_eq_nocase(key, name))
            return str_trim(value);
    }
    return STR_NONE;
}

int http_redirect(struct arena *ar, struct str to, const struct http_get *g, struct str *ret_path)
{
    struct str scheme = g->tls ? STR("https://") : STR("http://");
    bool usual = g->port == (g->tls ? 443 : 80);
    char *with = arena_printf(ar, "%s:%lld", g->host, (long long)g->port);
    if (to.len && to.at[0] == '/' && !str_starts(to, STR("//"))) {
        *ret_path = to;
        return 1;
    }
    if (!str_starts(to, scheme) || !with)
        return 0;
    to = str_skip(to, scheme.len);
    long slash = str_find(to, '/');
    struct str where = slash < 0 ? to : str_n(to.at, (size_t)slash);
    *ret_path = slash < 0 ? STR("/") : str_skip(to, (size_t)slash);
    return str_is(where, with) || (usual && str_is(where, g->host));
}

static bool has_header(const struct http_get *g, const char *name)
{
    if (val_is(g->headers, VAL_ARR))
        val_each(h, g->headers)
            if (str_eq_nocase(json_str(h, "name"), str_of(name)))
                return true;
    return false;
}

static void request(struct buf *b, const struct http_get *g, struct str path)
{
    bool v6 = strchr(g->host, ':') != NULL;
    buf_printf(b, "GET %s" STR_FMT " HTTP/1.1\r\n", path.len && path.at[0] == '/' ? "" : "/", STR_ARG(path));
    if (!has_header(g, "Host"))
        buf_printf(b, "Host: %s%s%s:%lld\r\n", v6 ? "[" : "", g->host, v6 ? "]" : "", (long long)g->port);
    if (!has_header(g, "User-Agent"))
        buf_lit(b, "User-Agent: kube-probe/1.36\r\n");
    if (!has_header(g, "Accept"))
        buf_lit(b, "Accept: */*\r\n");
    if (val_is(g->headers, VAL_ARR))
        val_each(h, g->headers)
            if (str_find(json_str(h, "value"), '\n') < 0)
                buf_printf(b, STR_FMT ": " STR_FMT "\r\n", STR_ARG(json_str(h, "name")), STR_ARG(json_str(h, "value")));
    buf_lit(b, "Connection: close\r\n\r\n");
}

static int exchange(struct conn *n, const struct http_get *g, struct str path, struct buf *head, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    int rc = g->tls ? conn_tls(n, g->host, err) : 0;
    request(&b, g, path);
    if (b.failed)
        return kl_err_set(err, KL_TOO_LARGE, "the request is too long");
    if (rc == 0)
        rc = conn_write(n, b.at, b.len, err);
    while (rc == 0 && head->len < HEAD_MOST && !(head->len > 3 && memmem(head->at, head->len, "\r\n\r\n", 4))) {
        char *at = buf_room(head, 2048);
        long got = at ? conn_read(n, at, 2048, err) : 0;
        if (got <= 0) {
            rc = got < 0 ? (int)got : 0;
            break;
        }
        head->len += (size_t)got;
    }
    /* An answer's first line is enough, however the rest of it came to an end. */
    return head->len && memchr(head->at, '\n', head->len) ? 0 : rc < 0 ? rc : kl_err_set(err, KL_UNAVAILABLE, "EOF");
}

static int one(struct agent *a, struct arena *ar, const struct http_get *g, struct str path, struct str *ret_head, struct kl_err *err)
{
    struct conn n;
    _cleanup_buf_ struct buf head = BUF_INIT(HEAD_MOST + 4096);
    int rc = conn_open(&n, a, g->host, g->port, g->by_ns, err);
    if (rc < 0)
        return rc;
    rc = exchange(&n, g, path, &head, err);
    conn_close(&n);
    *ret_head = arena_str(ar, buf_str(&head));
    return rc;
}

/* What came with the headers: all of a short one. */
static struct str body_of(struct str head)
{
    const char *end = memmem(head.at, head.len, "\r\n\r\n", 4);
    return end ? str_skip(head, (size_t)(end - head.at) + 4) : STR("");
}

/* Redirects are followed on the same host; one that leads away counts as an answer. */
int http_get(struct agent *a, struct arena *ar, const struct http_get *g, int *ret_status, struct str *ret_body, struct kl_err *err)
{
    struct str path = g->path, head;
    for (int i = 0; i < REDIRECTS_MOST; i++) {
        int rc = one(a, ar, g, path, &head, err);
        if (rc == -KL_TIMEOUT)
            return kl_err_set(err, KL_TIMEOUT, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
        if (rc < 0)
            return rc;
        *ret_status = http_status(head);
        if (*ret_status < 0)
            return kl_err_set(err, KL_UNAVAILABLE, "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
        *ret_body = body_of(head);
        struct str to = header(head, STR("location"));
        if (*ret_status < 301 || *ret_status > 308 || !to.len || !http_redirect(ar, to, g, &path))
            return 0;
    }
    return kl_err_set(err, KL_UNAVAILABLE, "stopped after 10 redirects");
}
