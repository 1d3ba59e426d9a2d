/* node.c - see node.h. */
#include "node.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/env.h"

atomic_int node_calls, node_cancelled;
struct kl_log_options node_log;
bool deny_create;
struct api_hooks more_hooks;
struct api *served_api;
int64_t serve_grace_ns;
static uint16_t port;

/* --- a store that keeps nothing --- */

static uint64_t store_revision_zero(void *self)
{
    (void)self;
    return 0;
}

static int store_range_none(void *self, struct kl_call *c, struct kl_bytes after, uint32_t max, const struct kl_store_record **ret, uint32_t *n)
{
    (void)self;
    (void)c;
    (void)after;
    (void)max;
    *ret = NULL;
    *n = 0;
    return 0;
}

static int store_append_nothing(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    (void)self;
    (void)c;
    (void)commits;
    (void)n;
    return 0;
}

static const struct kl_store no_store = { .size = sizeof no_store, .revision = store_revision_zero, .range = store_range_none,
                                          .append = store_append_nothing };

/* --- the node --- */

static const char *node_name(void *self)
{
    (void)self;
    return "n1";
}

static void say(int fd, const char *text)
{
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        return;
}

static void wait_cancel(struct kl_call *c)
{
    for (int i = 0; i < 2000 && !kl_cancelled(c); i++)
        usleep(5000);
    node_cancelled += kl_cancelled(c);
}

static void copy(int from, int to)
{
    static __thread char at[65536];
    for (ssize_t n; (n = read(from, at, sizeof at)) > 0;)
        for (ssize_t done = 0, m; done < n && (m = write(to, at + done, (size_t)(n - done))) > 0;)
            done += m;
}

static int exec(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const char *const *argv,
                const struct kl_runtime_io *io, int32_t *code)
{
    char line[64];
    (void)self;
    node_calls++;
    *code = 0;
    if (strcmp(argv[0], "where") == 0) {
        snprintf(line, sizeof line, "%s %s %s", ns, pod, container);
        say(io->out, line);
    } else if (strcmp(argv[0], "both") == 0) {
        say(io->out, "out"), say(io->err, "err");
        *code = 3;
    } else if (strcmp(argv[0], "cat") == 0) {
        copy(io->in, io->out);
    } else if (strcmp(argv[0], "size") == 0) {
        ssize_t n = read(io->resize, line, sizeof line - 1);
        line[n > 0 ? n : 0] = '\0';
        say(io->out, line);
    } else if (strcmp(argv[0], "sleep") == 0) {
        wait_cancel(c);
        return kl_fail(c, KL_CANCELLED, "cancelled");
    } else {
        return kl_fail(c, KL_INTERNAL, "no such command");
    }
    return 0;
}

static int attach(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_runtime_io *io)
{
    (void)self;
    (void)c;
    (void)ns;
    (void)pod;
    (void)container;
    node_calls++;
    say(io->out, "attached");
    copy(io->in, io->out);
    return 0;
}

static int logs(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_log_options *o, int32_t fd)
{
    struct pollfd at = { .fd = fd };
    (void)self;
    (void)ns;
    node_calls++;
    node_log = *o;
    if (o->previous)
        return kl_fail(c, KL_BAD_REQUEST, "previous terminated container \"%s\" in pod \"%s\" not found", container, pod);
    if (strcmp(container, "side") == 0)
        return 0;                       /* an empty log */
    say(fd, "first\n");
    if (o->follow) {
        while (!kl_cancelled(c) && (poll(&at, 1, 5) == 0 || !(at.revents & POLLERR)))
            ;
        node_cancelled++;
    }
    return 0;
}

static void *echo(void *ctx)
{
    int fd = (int)(intptr_t)ctx;
    copy(fd, fd);
    close(fd);
    return NULL;
}

static int node_dial(void *self, struct kl_call *c, const char *ns, const char *pod, int32_t to, int32_t *ret_fd)
{
    int ends[2];
    pthread_t t;
    (void)self;
    (void)ns;
    (void)pod;
    node_calls++;
    if (to != 80)
        return kl_fail(c, KL_UNAVAILABLE, "connection refused");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || pthread_create(&t, NULL, echo, (void *)(intptr_t)ends[1]) != 0)
        return kl_fail(c, KL_UNAVAILABLE, "no pair");
    pthread_detach(t);
    *ret_fd = ends[0];
    return 0;
}

static const struct kl_node node = { .size = sizeof node, .name = node_name, .logs = logs, .exec = exec, .attach = attach, .dial = node_dial };

static const struct kl_node *find_node(void *ctx, struct str name, void **ret_self)
{
    (void)ctx;
    *ret_self = NULL;
    return str_is(name, "n1") ? &node : NULL;
}

/* --- the server --- */

static int know(void *ctx, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    static const char *const groups[] = { NULL };
    (void)ctx;
    *ret = (struct kl_user){ .size = sizeof *ret, .name = "tester", .uid = "", .groups = groups };
    if (cred->bearer && strcmp(cred->bearer, "a token?") != 0)
        return kl_fail(c, KL_UNAUTHORIZED, "not that token");
    return 1;
}

static int allow(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)ctx;
    (void)c;
    (void)user;
    return !(deny_create && strcmp(r->verb, "create") == 0);
}

struct served {
    struct loop *loop;
    struct api *api;
    void (*client)(void);
    int parts;
    struct http_server *http;
};

static void one_over(void *ctx)
{
    struct served *s = ctx;
    if (--s->parts == 0)
        loop_stop(s->loop);
}

static void end(void *ctx)
{
    struct served *s = ctx;
    s->parts = 2;
    api_stop(s->api, one_over, s);
    http_server_close(s->http, serve_grace_ns, one_over, s);
}

static const char pod_text[] =
    "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"main\",\"image\":\"i\",\"tty\":true},"
    "{\"name\":\"side\",\"image\":\"i\"}],\"initContainers\":[{\"name\":\"first\",\"image\":\"i\"}]}}";
static const char status_text[] =
    "{\"status\":{\"containerStatuses\":[{\"name\":\"main\",\"image\":\"i\",\"imageID\":\"\",\"ready\":true,\"restartCount\":0,\"state\":{\"running\":{}}},"
    "{\"name\":\"side\",\"image\":\"i\",\"imageID\":\"\",\"ready\":true,\"restartCount\":0,\"state\":{\"running\":{}}}]}}";
static const char solo_text[] = "{\"metadata\":{\"name\":\"solo\"},\"spec\":{\"nodeName\":\"far\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
static const char local_text[] = "{\"metadata\":{\"name\":\"local\"},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
static const char local_status[] = "{\"status\":{\"podIP\":\"127.0.0.1\",\"podIPs\":[{\"ip\":\"127.0.0.1\"}]}}";
static const char homeless_text[] = "{\"metadata\":{\"name\":\"homeless\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";

static void *client_main(void *ctx)
{
    struct served *s = ctx;
    static const char pods[] = "/api/v1/namespaces/default/pods";
    const char *const made[] = { pod_text, solo_text, homeless_text, local_text };
    for (int i = 0; i < 4; i++) {
        struct buf b = ask("POST", pods, made[i]);
        cr_assert(strstr(b.at, " 201 "), "%s", b.at);
        buf_free(&b);
    }
    static const char *const states[][2] = { { "/api/v1/namespaces/default/pods/p/status", status_text },
                                             { "/api/v1/namespaces/default/pods/local/status", local_status } };
    for (int i = 0; i < 2; i++) {
        struct buf b = ask("PATCH", states[i][0], states[i][1]);
        cr_assert(strstr(b.at, " 200 "), "%s", b.at);
        buf_free(&b);
    }
    s->client();
    loop_post(s->loop, end, s);
    return NULL;
}

static void too_long(int sig)
{
    (void)sig;
    say(2, "a test waited for 20 s\n");
    _exit(2);
}

/* "x-port: node": as though it came to the port of the node. */
static void handle(void *ctx, struct http_req *r)
{
    (http_header(r, STR("x-port")).len ? api_node_handle : api_handle)(ctx, r);
}

void serve(void (*client)(void))
{
    struct served s = { .loop = loop_new(), .client = client };
    struct store *store = NULL;
    pthread_t t;
    struct kl_err err;
    kl_err_init(&err);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, too_long);
    alarm(20);
    struct store_conf sc = { .provider = &no_store };
    struct api_conf ac = { .version = "v1.36.0", .service_cidr = "10.96.0.0/24", .node_port_first = 30000, .node_port_last = 30010,
                           .cluster_dns_domain = "cluster.local", .node_name = "n1", .node_client_name = "server" };
    struct api_hooks hooks = { .authenticate = know, .authorize = more_hooks.authorize ? more_hooks.authorize : allow, .node = find_node,
                               .admit = more_hooks.admit, .over = more_hooks.over };
    cr_assert_eq(store_open(s.loop, &sc, &store, &err), 0, "%s", err.msg);
    cr_assert_eq(api_new(s.loop, store, &ac, &hooks, &s.api, &err), 0, "%s", err.msg);
    served_api = s.api;
    cr_assert_eq(api_bootstrap(s.api, &err), 0, "%s", err.msg);
    struct http_conf hc = { .address = "127.0.0.1" };
    cr_assert_eq(http_server_new(s.loop, &hc, handle, s.api, &s.http, &err), 0, "%s", err.msg);
    port = http_server_port(s.http);
    cr_assert_eq(pthread_create(&t, NULL, client_main, &s), 0);
    loop_run(s.loop);
    pthread_join(t, NULL);
    store_close(store);
    api_free(s.api);
    loop_free(s.loop);
    alarm(0);
}

/* --- clients --- */

int dial(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

void put(int fd, struct str s)
{
    while (s.len) {
        ssize_t n = write(fd, s.at, s.len);
        cr_assert_gt(n, 0);
        s = str_skip(s, (size_t)n);
    }
}

bool take(int fd, void *at, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t m = read(fd, (char *)at + got, n - got);
        if (m <= 0)
            return false;
        got += (size_t)m;
    }
    return true;
}

struct buf ask(const char *method, const char *path, const char *body)
{
    struct buf b = BUF_INIT(0);
    int fd = dial();
    buf_printf(&b, "%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: %s\r\ncontent-length: %zu\r\n\r\n%s", method, path,
               strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : "application/json", strlen(body), body);
    put(fd, buf_str(&b));
    buf_clear(&b);
    for (ssize_t n = 1; n > 0;) {
        char *room = buf_room(&b, 4096);
        n = read(fd, room, 4095);
        b.len += n > 0 ? (size_t)n : 0;
    }
    b.at[b.len] = '\0';
    close(fd);
    return b;
}

int upgrade(const char *method, const char *path, const char *extra, struct buf *ret)
{
    struct buf b = BUF_INIT(0);
    int fd = dial();
    buf_printf(&b, "%s %s HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\n%s\r\n", method, path, extra);
    put(fd, buf_str(&b));
    buf_free(&b);
    buf_clear(ret);
    char c;
    while (take(fd, &c, 1)) {
        buf_add_c(ret, c);
        if (ret->len >= 4 && memcmp(ret->at + ret->len - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    return fd;
}

int ws_open(const char *path, const char *protocol)
{
    struct buf head = BUF_INIT(0);
    char extra[300];
    snprintf(extra, sizeof extra, "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "sec-websocket-protocol: %s\r\n", protocol);
    int fd = upgrade("GET", path, extra, &head);
    cr_assert(strstr(head.at, " 101 ") && strstr(head.at, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "%s", head.at);
    const char *last = strrchr(protocol, ' ');
    cr_assert(strstr(head.at, last ? last + 1 : protocol) && !strstr(head.at, "bearer"), "%s", head.at);
    buf_free(&head);
    return fd;
}

void ws_send(int fd, unsigned char head, struct str s)
{
    struct buf b = BUF_INIT(0);
    buf_add_c(&b, (char)head);
    if (s.len < 126) {
        buf_add_c(&b, (char)(0x80 | s.len));
    } else {
        buf_add_c(&b, (char)(0x80 | 127));
        for (int i = 7; i >= 0; i--)
            buf_add_c(&b, (char)(s.len >> (8 * i)));
    }
    buf_add(&b, "\0\0\0\0", 4);
    buf_add_str(&b, s);
    put(fd, buf_str(&b));
    buf_free(&b);
}

int ws_take(int fd, struct buf *ret)
{
    unsigned char h[2], more[8];
    buf_clear(ret);
    if (!take(fd, h, 2))
        return -1;
    size_t n = h[1], wide = n == 126 ? 2 : n == 127 ? 8 : 0;
    if (wide && !take(fd, more, wide))
        return -1;
    if (wide)
        n = 0;
    for (size_t i = 0; i < wide; i++)
        n = n << 8 | more[i];
    char *at = buf_room(ret, n);
    if (!at || !take(fd, at, n))
        return -1;
    ret->len = n;
    ret->at[n] = '\0';
    return h[0] & 15;
}

unsigned ws_channel(int fd, struct buf *ret)
{
    for (int op; (op = ws_take(fd, ret)) >= 0 && op != 8;)
        if ((op == 1 || op == 2) && ret->len > 1)
            return (unsigned char)ret->at[0];
    return 0xff;
}
