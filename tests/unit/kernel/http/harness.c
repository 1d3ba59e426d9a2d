#include "harness.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* --- calls --- */

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    struct call_result *r = ctx;
    r->status = status;
    r->n_headers = (int)n;
    r->heads++;
    for (unsigned i = 0; i < n; i++)
        if (str_is(h[i].name, "content-type"))
            buf_add_str(&r->type, h[i].value);
}

static void on_data(void *ctx, struct str bytes)
{
    struct call_result *r = ctx;
    r->bytes += bytes.len;
    if (r->body.len < 1 << 16)
        buf_add_str(&r->body, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct call_result *r = ctx;
    r->ends++;
    r->call = NULL;
    r->failed = err != NULL;
    if (err)
        r->err = *err;
    if (r->awaited && --*r->awaited == 0)
        loop_stop(r->loop);
}

const struct http_result_events test_events = { on_head, on_data, on_end };

struct http_call *test_call(struct http_client *c, const char *method, const char *path, struct str body, struct call_result *r)
{
    r->call = http_call_new(c, method, path, NULL, 0, body, 0, &test_events, r);
    cr_assert(r->call);
    return r->call;
}

void test_await(struct loop *l, int *awaited)
{
    while (*awaited > 0)
        loop_run(l);
}

void test_get(struct loop *l, struct http_client *c, const char *path, struct call_result *ret)
{
    int awaited = 1;
    *ret = (struct call_result){ .loop = l, .awaited = &awaited };
    test_call(c, "GET", path, STR(""), ret);
    test_await(l, &awaited);
    ret->awaited = NULL;
    cr_assert_eq(ret->ends, 1);
}

void result_free(struct call_result *r)
{
    buf_free(&r->body);
    buf_free(&r->type);
}

static void too_long(int sig)
{
    static const char text[] = "a test waited for 20 s\n";
    (void)sig;
    if (write(2, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

struct loop *test_loop(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, too_long);
    alarm(20);
    struct loop *l = loop_new();
    cr_assert(l);
    return l;
}

/* --- keys --- */

static char pki_dir[64];

const char *test_file(const char *name)
{
    static char paths[8][256];
    static unsigned at;
    char *p = paths[at++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", pki_dir, name);
    return p;
}

static void remove_pki(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", pki_dir);
    if (pki_dir[0] && system(command) != 0)
        perror(command);
}

const char *test_pki(void)
{
    static const char script[] =
        "cd %s && exec >/dev/null 2>&1; new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \"$@\"; };"
        "new -keyout ca.key -out ca.crt -subj /CN=test-ca && new -keyout other-ca.key -out other-ca.crt -subj /CN=other-ca &&"
        "new -keyout server.key -out server.crt -CA ca.crt -CAkey ca.key -subj /CN=server -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
        "-addext basicConstraints=critical,CA:FALSE &&"
        "new -keyout client.key -out client.crt -CA ca.crt -CAkey ca.key -subj /O=crew/CN=alice -addext basicConstraints=critical,CA:FALSE";
    char command[1024];
    if (pki_dir[0])
        return pki_dir;
    snprintf(pki_dir, sizeof pki_dir, "/tmp/keelson-http-XXXXXX");
    cr_assert(mkdtemp(pki_dir));
    atexit(remove_pki);
    snprintf(command, sizeof command, script, pki_dir);
    cr_assert_eq(system(command), 0, "openssl made no keys");
    return pki_dir;
}

/* --- our server --- */

size_t test_most_queued;
int test_requests;

struct stream {
    struct http_req *req;
    int64_t left;
};

static void stream_more(void *ctx)
{
    static const char block[4096] = "0123456789";
    struct stream *s = ctx;
    while (s->left > 0 && http_stream_queued(s->req) < 256u << 10) {
        size_t n = s->left < (int64_t)sizeof block ? (size_t)s->left : sizeof block;
        http_stream_write(s->req, (struct http_slice){ .data = str_n(block, n) });
        s->left -= (int64_t)n;
        if (http_stream_queued(s->req) > test_most_queued)
            test_most_queued = http_stream_queued(s->req);
    }
    if (s->left == 0) {
        s->left = -1;
        http_stream_end(s->req);
    }
}

static void handle(void *ctx, struct http_req *r)
{
    struct http_header h[] = { { STR("content-type"), STR("text/plain") } };
    struct str path = http_path(r);
    (void)ctx;
    test_requests++;
    if (str_is(path, "/hello")) {
        http_reply(r, 200, h, 1, (struct http_slice){ .data = STR("hello\n") });
    } else if (str_is(path, "/echo")) {
        http_reply(r, 201, h, 1, (struct http_slice){ .data = http_body(r) });
    } else if (str_is(path, "/who")) {
        http_reply(r, 200, h, 1, (struct http_slice){ .data = http_peer(r)->cert_cn });
    } else if (str_is(path, "/hang")) {
        http_stream_begin(r, 200, h, 1);
    } else if (str_starts(path, STR("/size/"))) {
        struct stream *s = arena_alloc(http_arena(r), sizeof *s);
        s->req = r;
        str_int(str_skip(path, 6), &s->left);
        http_stream_begin(r, 200, h, 1);
        http_stream_on_drain(r, stream_more, s);
        stream_more(s);
    } else if (!str_is(path, "/never")) {
        http_reply(r, 404, h, 1, (struct http_slice){ .data = path });
    }
}

struct http_server *test_server(struct loop *l, bool tls, const char *unix_path, uint16_t *ret_port)
{
    struct http_server *s = NULL;
    struct kl_err err;
    kl_err_init(&err);
    struct http_conf c = { .address = unix_path ? unix_path : "127.0.0.1" };
    if (tls) {
        test_pki();
        c.cert_file = test_file("server.crt");
        c.key_file = test_file("server.key");
        c.client_ca_file = test_file("ca.crt");
    }
    cr_assert_eq(http_server_new(l, &c, handle, NULL, &s, &err), 0, "%s", err.msg);
    *ret_port = http_server_port(s);
    return s;
}

struct http_client *test_client(struct loop *l, const struct http_client_conf *conf)
{
    struct http_client *c = NULL;
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(http_client_new(l, conf, &c, &err), 0, "%s", err.msg);
    return c;
}

/* --- others --- */

uint16_t test_free_port(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(fd, (struct sockaddr *)&in, sizeof in) == 0 && getsockname(fd, (struct sockaddr *)&in, &n) == 0);
    close(fd);
    return ntohs(in.sin_port);
}

static bool answers(uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&in, sizeof in) == 0;
    close(fd);
    return ok;
}

int test_spawn(char *const argv[], uint16_t port)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "r", stdin) || chdir(pki_dir) < 0)
            _exit(126);
        execvp(argv[0], argv);
        _exit(127);
    }
    for (int i = 0; i < 100; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return 0;
        if (answers(port))
            return pid;
        usleep(100000);
    }
    test_kill(pid);
    return 0;
}

void test_kill(int pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

struct raw_server {
    int fd;
    struct str answer;
    unsigned piece;
};

static void *raw_main(void *ctx)
{
    struct raw_server *s = ctx;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0; close(fd)) {
        char room[65536];
        size_t n = 0;
        ssize_t got;
        while (n < sizeof room - 1 && !memmem(room, n, "\r\n\r\n", 4) && (got = read(fd, room + n, sizeof room - 1 - n)) > 0)
            n += (size_t)got;
        for (size_t at = 0; at < s->answer.len; at += s->piece) {
            size_t part = s->answer.len - at < s->piece ? s->answer.len - at : s->piece;
            if (write(fd, s->answer.at + at, part) != (ssize_t)part)
                break;
            if (s->piece < s->answer.len)
                usleep(200);
        }
        shutdown(fd, SHUT_WR);
        while (read(fd, room, sizeof room) > 0)
            ;
    }
    return NULL;
}

uint16_t test_raw_server(struct str answer, unsigned piece)
{
    static struct raw_server all[256];
    static unsigned used;
    struct raw_server *s = &all[used++ % 256];
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;
    pthread_t t;
    *s = (struct raw_server){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .piece = piece,
                              .answer = str_n(mem_dup(answer.at, answer.len), answer.len) };        /* its thread outlives the test's texts */
    cr_assert(bind(s->fd, (struct sockaddr *)&in, sizeof in) == 0 && listen(s->fd, 16) == 0 && getsockname(s->fd, (struct sockaddr *)&in, &n) == 0);
    cr_assert_eq(pthread_create(&t, NULL, raw_main, s), 0);
    pthread_detach(t);
    return ntohs(in.sin_port);
}
