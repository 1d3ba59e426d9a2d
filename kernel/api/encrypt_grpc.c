/* encrypt_grpc.c - a gRPC call with one message each way over a unix socket: a connection, a stream, the end. Blocks; for workers and for the start. */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "encrypt-internal.h"

#define ANSWER_MOST (4u << 20)

struct grpc {
    int fd;
    int64_t until_ns;
    struct str message;                 /* framed */
    size_t sent;
    struct buf answer;
    int http, status;                   /* -1: not said */
    char text[160];
    bool over;
};

static ssize_t give(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct grpc *g = ctx;
    size_t n = g->message.len - g->sent < room ? g->message.len - g->sent : room;
    (void)s;
    (void)id;
    (void)source;
    memcpy(to, g->message.at + g->sent, n);
    g->sent += n;
    if (g->sent == g->message.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *ctx)
{
    struct grpc *g = ctx;
    struct str key = str_n((const char *)name, name_len), text = str_n((const char *)value, len);
    int64_t n;
    (void)s;
    (void)f;
    (void)flags;
    if (str_is(key, ":status") && str_int(text, &n))
        g->http = (int)n;
    else if (str_is(key, "grpc-status") && str_int(text, &n))
        g->status = (int)n;
    else if (str_is(key, "grpc-message"))
        snprintf(g->text, sizeof g->text, STR_FMT, STR_ARG(text));
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *ctx)
{
    (void)s;
    (void)flags;
    (void)id;
    buf_add(&((struct grpc *)ctx)->answer, data, len);
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    (void)s;
    (void)id;
    (void)code;
    ((struct grpc *)ctx)->over = true;
    return 0;
}

/* --- the socket --- */

static bool wait_for(struct grpc *g, short events)
{
    struct pollfd p = { .fd = g->fd, .events = events };
    int64_t left = g->until_ns - env_mono_ns();
    return left > 0 && poll(&p, 1, (int)(left / 1000000) + 1) > 0;
}

static bool flush(struct grpc *g, nghttp2_session *s)
{
    const uint8_t *at;
    for (ssize_t n; (n = nghttp2_session_mem_send(s, &at)) > 0;)
        for (ssize_t done = 0; done < n;) {
            ssize_t k = send(g->fd, at + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (k > 0)
                done += k;
            else if (k == 0 || (errno != EAGAIN && errno != EINTR) || !wait_for(g, POLLOUT))
                return false;
        }
    return true;
}

static bool run(struct grpc *g, nghttp2_session *s)
{
    uint8_t in[16384];
    while (!g->over) {
        if (!flush(g, s))
            return false;
        if (!wait_for(g, POLLIN))
            return false;
        ssize_t n = recv(g->fd, in, sizeof in, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0 || nghttp2_session_mem_recv(s, in, (size_t)n) < 0 || g->answer.failed)
            return false;
    }
    return true;
}

static int dial(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    int fd = n < sizeof to.sun_path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0)
        return -1;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')                 /* of the abstract name space */
        to.sun_path[0] = '\0';
    if (connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] != '@'))) == 0)
        return fd;
    close(fd);
    return -1;
}

#define NV(n, v) { (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0 }

static bool talk(struct grpc *g, const char *path)
{
    const nghttp2_nv h[] = { NV(":method", "POST"), NV(":scheme", "http"), NV(":path", path), NV(":authority", "localhost"),
                             NV("content-type", "application/grpc"), NV("te", "trailers"), NV("user-agent", "keelson") };
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_session *s = NULL;
    nghttp2_data_provider give_from = { .read_callback = give };
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return false;
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    bool well = nghttp2_session_client_new(&s, cb, g) == 0 && nghttp2_submit_settings(s, 0, NULL, 0) == 0 &&
                nghttp2_submit_request(s, NULL, h, sizeof h / sizeof *h, &give_from, NULL) > 0 && run(g, s);
    nghttp2_session_del(s);
    nghttp2_session_callbacks_del(cb);
    return well;
}

/* One message behind its five bytes. */
static int take_message(struct grpc *g, struct buf *ret, struct kl_err *err)
{
    const unsigned char *h = (const unsigned char *)g->answer.at;
    size_t n = g->answer.len >= 5 ? (size_t)h[1] << 24 | (size_t)h[2] << 16 | (size_t)h[3] << 8 | h[4] : 0;
    if (g->answer.len < 5 || h[0] || g->answer.len != n + 5)
        return kl_err_set(err, KL_UNAVAILABLE, "the answer is no gRPC message");
    buf_add(ret, g->answer.at + 5, n);
    return ret->failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}

int grpc_unary(const char *socket_path, const char *path, struct str message, int64_t timeout_ns, struct buf *ret, struct kl_err *err)
{
    const unsigned char head[5] = { 0, (unsigned char)(message.len >> 24), (unsigned char)(message.len >> 16), (unsigned char)(message.len >> 8),
                                    (unsigned char)message.len };
    _cleanup_buf_ struct buf framed = BUF_INIT(0);
    struct grpc g = { .fd = dial(socket_path), .until_ns = env_mono_ns() + timeout_ns, .answer = BUF_INIT(ANSWER_MOST), .http = -1, .status = -1 };
    buf_add(&framed, head, sizeof head);
    buf_add_str(&framed, message);
    g.message = buf_str(&framed);
    int rc;
    if (g.fd < 0)
        rc = kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be connected to: %s", socket_path, strerror(errno));
    else if (framed.failed)
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    else if (!talk(&g, path))
        rc = kl_err_set(err, KL_UNAVAILABLE, "'%s' does not answer%s", socket_path, env_mono_ns() >= g.until_ns ? " in time" : "");
    else if (g.http != 200 || g.status != 0)
        rc = kl_err_set(err, KL_UNAVAILABLE, "%s: status %d%s%s", path, g.status < 0 ? g.http : g.status, g.text[0] ? ": " : "", g.text);
    else
        rc = take_message(&g, ret, err);
    if (g.fd >= 0)
        close(g.fd);
    buf_free(&g.answer);
    return rc;
}
