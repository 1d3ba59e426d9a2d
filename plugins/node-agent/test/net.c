/* net.c - probes over real sockets: plain HTTP, HTTPS with a certificate nobody signed, gRPC answered by nghttp2, refusals, silence. */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "fake.h"

/* --- a server that answers one connection after the other --- */

struct server {
    int fd;
    int64_t port;
    pthread_t thread;
    void (*talk)(int fd, const char *arg);
    const char *arg;
    char seen[4096];                        /* the last request */
};
static struct server srv;

static void *serve(void *ctx)
{
    struct server *s = ctx;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0; close(fd))
        s->talk(fd, s->arg);
    return NULL;
}

static void serve_begin(void (*talk)(int fd, const char *arg), const char *arg)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    srv = (struct server){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .talk = talk, .arg = arg };
    cr_assert(bind(srv.fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(srv.fd, 8) == 0);
    getsockname(srv.fd, (struct sockaddr *)&at, &len);
    srv.port = ntohs(at.sin_port);
    pthread_create(&srv.thread, NULL, serve, &srv);
}

static void serve_end(void)
{
    shutdown(srv.fd, SHUT_RDWR);
    pthread_join(srv.thread, NULL);
    close(srv.fd);
}

/* --- asking --- */

static struct world *w;

static int64_t real_mono(const struct kl_host *h)
{
    (void)h;
    return env_mono_ns();
}
static const struct kl_host_env real_env = { .size = sizeof real_env, .mono_ns = real_mono, .wall_ns = real_mono };

static void begin(void)
{
    w = world_new();
    w->agent.env = &real_env;
}
static void finish(void)
{
    w->agent.env = NULL;
    world_free(w);
}
TestSuite(net, .init = begin, .fini = finish);

/* One handler, PORT in it replaced, of a container whose pod is 127.0.0.1. */
static int ask(const char *handler, int64_t within_ns)
{
    char text[512];
    struct pod_view v;
    snprintf(text, sizeof text, "{'metadata':{'namespace':'d','name':'p','uid':'u1'},'spec':{'containers':[{'name':'c','image':'i','ports':[{'name':"
             "'web','containerPort':%lld}]}]}}", (long long)srv.port);
    struct val *pod = world_parse(w, text);
    struct pod_mem *m = mem_make(&w->agent, pod);
    snprintf(m->ips[0], sizeof m->ips[0], "127.0.0.1");
    cr_assert(view_make(&v, w->arena, pod, NULL, m));
    const char *port = strstr(handler, "PORT");
    snprintf(text, sizeof text, "%.*s%lld%s", port ? (int)(port - handler) : 0, handler, (long long)srv.port, port ? port + 4 : "");
    struct kl_call c = call_within(&w->agent, &w->own.call, within_ns);
    int rc = handler_run(&w->agent, &c, &v, &v.ctrs[0], world_parse(w, port ? text : handler), false);
    w->own.call.err = c.err;
    mem_put(&w->agent, m);
    return rc;
}
#define told(text) cr_assert(strstr(w->own.call.err.msg, (text)), "%s", w->own.call.err.msg)

/* --- HTTP --- */

static void take_request(int fd)
{
    size_t n = 0;
    for (ssize_t got; n < sizeof srv.seen - 1 && (got = read(fd, srv.seen + n, sizeof srv.seen - 1 - n)) > 0;) {
        n += (size_t)got;
        srv.seen[n] = '\0';
        if (strstr(srv.seen, "\r\n\r\n"))
            break;
    }
}

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        return;
}

static void http_talk(int fd, const char *arg)
{
    take_request(fd);
    say(fd, strstr(srv.seen, "GET /moved ") ? "HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n"
            : strstr(srv.seen, "GET /away ") ? "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\n\r\ngo away"
            : strstr(srv.seen, "GET /loop ") ? "HTTP/1.1 301 Moved\r\nLocation: /loop\r\n\r\n"
            : strstr(srv.seen, "GET /bad ")  ? "HTTP/1.1 503 Sorry\r\nContent-Length: 2\r\n\r\nno"
            : strstr(srv.seen, "GET /junk ") ? "what?\n"
                                             : arg);
}

Test(net, http)
{
    serve_begin(http_talk, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nmore follows, or not");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/x?y=1'}}", NS_PER_S), 0, "%s", w->own.call.err.msg);
    cr_assert(strstr(srv.seen, "GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:") && strstr(srv.seen, "User-Agent: kube-probe/1.36\r\n"), "%s", srv.seen);
    cr_assert_eq(ask("{'httpGet':{'port':'web','path':'there','httpHeaders':[{'name':'Host','value':'me'},{'name':'X-A','value':'b'}]}}", NS_PER_S), 0);
    cr_assert(strstr(srv.seen, "GET /there ") && strstr(srv.seen, "Host: me\r\nX-A: b\r\n") && !strstr(srv.seen, "Host: 127"), "%s", srv.seen);
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/moved'}}", NS_PER_S), 0);
    cr_assert(strstr(srv.seen, "GET /there "));
    cr_assert_str_eq(w->own.call.err.msg, "");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/away'}}", NS_PER_S), 0);
    told("Probe terminated redirects, Response body: go away");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/loop'}}", NS_PER_S), 1);
    told("stopped after 10 redirects");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/bad'}}", NS_PER_S), 1);
    told("HTTP probe failed with statuscode: 503");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/junk'}}", NS_PER_S), 1);
    told("malformed HTTP response");
    cr_assert_eq(ask("{'tcpSocket':{'port':PORT}}", NS_PER_S), 0);
    serve_end();
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/'}}", NS_PER_S), 1);
    told("connect: connection refused");
    cr_assert_eq(ask("{'tcpSocket':{'port':PORT}}", NS_PER_S), 1);
    told("dial tcp 127.0.0.1:");
    cr_assert_lt(ask("{'tcpSocket':{'port':'nosuch'}}", NS_PER_S), 0);
}

static void silent_talk(int fd, const char *arg)
{
    (void)arg;
    char c;
    while (read(fd, &c, 1) > 0)
        ;
}

Test(net, silence_is_a_failure)
{
    serve_begin(silent_talk, NULL);
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/'}}", 100 * NS_PER_MS), 1);
    told("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/','scheme':'HTTPS'}}", 100 * NS_PER_MS), 1);
    cr_assert_eq(ask("{'grpc':{'port':PORT}}", 100 * NS_PER_MS), 1);
    serve_end();
}

/* --- HTTPS --- */

static gnutls_certificate_credentials_t cred;

static void make_certificate(void)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\1", 1);
    gnutls_x509_crt_set_activation_time(crt, 1);
    gnutls_x509_crt_set_expiration_time(crt, 2);        /* long ago: nobody looks */
    gnutls_x509_crt_set_key(crt, key);
    cr_assert_eq(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    gnutls_certificate_allocate_credentials(&cred);
    cr_assert_eq(gnutls_certificate_set_x509_key(cred, &crt, 1, key), 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void https_talk(int fd, const char *arg)
{
    gnutls_session_t s;
    gnutls_init(&s, GNUTLS_SERVER);
    gnutls_set_default_priority(s);
    gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred);
    gnutls_transport_set_int(s, fd);
    if (gnutls_handshake(s) == 0 && gnutls_record_recv(s, srv.seen, sizeof srv.seen - 1) > 0)
        gnutls_record_send(s, arg, strlen(arg));
    gnutls_deinit(s);
}

Test(net, https)
{
    make_certificate();
    serve_begin(https_talk, "HTTP/1.1 204 No Content\r\n\r\n");
    cr_assert_eq(ask("{'httpGet':{'port':PORT,'path':'/','scheme':'HTTPS'}}", 5 * NS_PER_S), 0, "%s", w->own.call.err.msg);
    serve_end();
    gnutls_certificate_free_credentials(cred);
}

/* --- gRPC --- */

static ssize_t grpc_body(nghttp2_session *s, int32_t stream, uint8_t *at, size_t most, uint32_t *flags, nghttp2_data_source *src, void *ctx)
{
    const char *answer = ctx;
    const nghttp2_nv trailer = { (uint8_t *)"grpc-status", (uint8_t *)"0", 11, 1, NGHTTP2_NV_FLAG_NONE };
    (void)src;
    cr_assert_geq(most, 7);
    memcpy(at, "\0\0\0\0\2\x08", 6);
    at[6] = (uint8_t)(*answer - '0');
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(s, stream, &trailer, 1);
    return 7;
}

static int grpc_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    const nghttp2_nv head[] = { { (uint8_t *)":status", (uint8_t *)"200", 7, 3, 0 },
                                { (uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16, 0 } };
    nghttp2_data_provider body = { .read_callback = grpc_body };
    (void)ctx;
    if (f->hd.flags & NGHTTP2_FLAG_END_STREAM && f->hd.type == NGHTTP2_DATA)
        nghttp2_submit_response(s, f->hd.stream_id, head, 2, &body);
    return 0;
}

static int grpc_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t n, const uint8_t *value, size_t len, uint8_t flags,
                       void *ctx)
{
    size_t at = strlen(srv.seen);
    (void)s, (void)f, (void)flags, (void)ctx;
    snprintf(srv.seen + at, sizeof srv.seen - at, "%.*s=%.*s;", (int)n, (const char *)name, (int)len, (const char *)value);
    return 0;
}

static int grpc_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *at, size_t len, void *ctx)
{
    size_t n = strlen(srv.seen);
    (void)s, (void)flags, (void)stream, (void)ctx;
    if (len > 7)
        snprintf(srv.seen + n, sizeof srv.seen - n, "service=%.*s;", (int)(len - 7), (const char *)at + 7);
    return 0;
}

static void grpc_talk(int fd, const char *arg)
{
    nghttp2_session_callbacks *cb;
    nghttp2_session *s;
    uint8_t in[4096];
    const uint8_t *out;
    srv.seen[0] = '\0';
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, grpc_frame);
    nghttp2_session_callbacks_set_on_header_callback(cb, grpc_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, grpc_data);
    nghttp2_session_server_new(&s, cb, (void *)arg);
    nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, NULL, 0);
    for (ssize_t got; (got = read(fd, in, sizeof in)) > 0 && nghttp2_session_mem_recv(s, in, (size_t)got) >= 0;)
        for (ssize_t n; (n = nghttp2_session_mem_send(s, &out)) > 0;)
            if (write(fd, out, (size_t)n) < 0)
                break;
    nghttp2_session_del(s);
    nghttp2_session_callbacks_del(cb);
}

Test(net, grpc)
{
    serve_begin(grpc_talk, "1");
    cr_assert_eq(ask("{'grpc':{'port':PORT,'service':'my.Service'}}", 5 * NS_PER_S), 0, "%s", w->own.call.err.msg);
    cr_assert(strstr(srv.seen, ":path=/grpc.health.v1.Health/Check;") && strstr(srv.seen, "te=trailers;") && strstr(srv.seen, "service=my.Service;"), "%s",
              srv.seen);
    serve_end();
    serve_begin(grpc_talk, "2");
    cr_assert_eq(ask("{'grpc':{'port':PORT}}", 5 * NS_PER_S), 1);
    told("NOT_SERVING");
    serve_end();
    serve_begin(http_talk, "HTTP/1.1 400 Bad Request\r\n\r\n");
    cr_assert_eq(ask("{'grpc':{'port':PORT}}", NS_PER_S), 1);
    serve_end();
}
