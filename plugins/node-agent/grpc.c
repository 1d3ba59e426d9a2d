/* grpc.c - the gRPC health check: one request over HTTP/2, of which only the frames' borders and the answer's message are looked at. */
#include "probes.h"

#define ANSWER_MOST 65536
#define FRAME_HEAD  9

enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_RST = 3, FRAME_SETTINGS = 4, FRAME_GOAWAY = 7 };
enum { FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

static void frame(struct buf *b, unsigned type, unsigned flags, unsigned stream, struct str body)
{
    const unsigned char head[FRAME_HEAD] = { (unsigned char)(body.len >> 16), (unsigned char)(body.len >> 8), (unsigned char)body.len,
                                             (unsigned char)type, (unsigned char)flags, 0, 0, 0, (unsigned char)stream };
    buf_add(b, head, sizeof head);
    buf_add_str(b, body);
}

/* Literals without indexing and without Huffman codes: names and values here are shorter than 127 bytes, but the host. */
static void literal(struct buf *b, const char *name, struct str value)
{
    size_t n = strlen(name), len = value.len < 127 ? value.len : 126;
    buf_add_c(b, 0);
    buf_add_c(b, (char)n);
    buf_add(b, name, n);
    buf_add_c(b, (char)len);
    buf_add(b, value.at, len);
}

static void request(struct buf *b, const char *host, int64_t port, struct str service)
{
    _cleanup_buf_ struct buf h = BUF_INIT(4096), m = BUF_INIT(4096);
    char authority[300];
    snprintf(authority, sizeof authority, "%s:%lld", host, (long long)port);
    literal(&h, ":method", STR("POST"));
    literal(&h, ":scheme", STR("http"));
    literal(&h, ":path", STR("/grpc.health.v1.Health/Check"));
    literal(&h, ":authority", str_of(authority));
    literal(&h, "content-type", STR("application/grpc"));
    literal(&h, "te", STR("trailers"));
    literal(&h, "user-agent", STR("kube-probe/1.36"));
    size_t len = service.len < 127 ? service.len : 126, body = len ? len + 2 : 0;
    const char head[] = { 0, 0, 0, 0, (char)body };
    buf_add(&m, head, sizeof head);
    if (len) {                              /* field 1: service */
        buf_add_c(&m, 0x0a);
        buf_add_c(&m, (char)len);
        buf_add(&m, service.at, len);
    }
    buf_lit(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(b, FRAME_SETTINGS, 0, 0, STR(""));
    frame(b, FRAME_HEADERS, FLAG_END_HEADERS, 1, buf_str(&h));
    frame(b, FRAME_DATA, FLAG_END_STREAM, 1, buf_str(&m));
}

static int verdict(struct str data, struct kl_err *err)
{
    static const char *const words[] = { "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN" };
    /* compressed flag, length, then field 1 (varint): status; an empty message is status 0 */
    unsigned status = data.len >= 7 && data.at[0] == 0 && data.at[5] == 0x08 ? (unsigned char)data.at[6] : 0;
    if (status == 1)
        return 0;
    kl_err_set(err, KL_UNAVAILABLE, "service unhealthy (responded with \"%s\")", words[status < 4 ? status : 0]);
    return 1;
}

int grpc_answer(struct str s, struct kl_err *err)
{
    while (s.len >= FRAME_HEAD) {
        const unsigned char *h = (const unsigned char *)s.at;
        size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        unsigned type = h[3], flags = h[4];
        if (s.len < FRAME_HEAD + len)
            return -1;
        struct str body = str_n(s.at + FRAME_HEAD, len);
        if (type == FRAME_DATA && len) {
            size_t pad = flags & FLAG_PADDED ? (size_t)(unsigned char)body.at[0] + 1 : 0;
            body = flags & FLAG_PADDED && pad <= body.len ? str_n(body.at + 1, body.len - pad) : body;
            return verdict(body, err);
        }
        if (type == FRAME_RST || type == FRAME_GOAWAY || (type == FRAME_HEADERS && flags & FLAG_END_STREAM)) {
            kl_err_set(err, KL_UNAVAILABLE, "this server does not implement the grpc health protocol (grpc.health.v1.Health), or knows no such service");
            return 1;
        }
        s = str_skip(s, FRAME_HEAD + len);
    }
    return -1;
}

int grpc_check(struct agent *a, const char *host, int64_t port, struct str service, int64_t by_ns, struct kl_err *err)
{
    struct conn n;
    _cleanup_buf_ struct buf out = BUF_INIT(16384), in = BUF_INIT(ANSWER_MOST);
    int rc = conn_open(&n, a, host, port, by_ns, err), is = -1;
    if (rc < 0)
        return kl_err_wrap(err, "failed to connect service \"%s:%lld\"", host, (long long)port);
    request(&out, host, port, service);
    rc = conn_write(&n, out.at, out.len, err);
    while (rc == 0 && is < 0) {
        char *at = buf_room(&in, 1024);
        long got = at ? conn_read(&n, at, 1024, err) : 0;
        if (got > 0) {
            in.len += (size_t)got;
            is = grpc_answer(buf_str(&in), err);
            continue;
        }
        rc = got < 0 ? (int)got : kl_err_set(err, KL_UNAVAILABLE, "the connection ended without an answer");
    }
    conn_close(&n);
    return rc < 0 ? kl_err_wrap(err, "service \"%s:%lld\"", host, (long long)port) : is;
}
