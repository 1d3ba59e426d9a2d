/* node_port.c - the keys of a cluster, a node's kubeconfig made of them, and the node's own port with both: who gets an answer, and to what. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/node_port.h"
#include "base/cleanup.h"
#include "base/kubeconfig.h"
#include "cli/cli.h"
#include "http/client.h"

/* --- the node --- */

static struct kl_log_options asked;

static int logs(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_log_options *o, int32_t fd)
{
    char text[256];
    (void)self;
    asked = *o;
    if (strcmp(pod, "gone") == 0)
        return kl_fail(c, KL_NOT_FOUND, "pod \"%s\" not found", pod);
    int n = snprintf(text, sizeof text, "%s|%s|%s\n", ns, pod, container);
    return write(fd, text, (size_t)n) == n ? 0 : -KL_UNAVAILABLE;
}

static int stats(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    (void)self;
    ret->at = kl_dup(c, "{\"node\":1}", 10);
    ret->len = 10;
    return 0;
}

static int page(void *self, struct kl_call *c, const char *path, struct kl_bytes *ret)
{
    (void)self;
    if (strcmp(path, "metrics") != 0 && strcmp(path, "metrics/resource") != 0)
        return kl_fail(c, KL_NOT_FOUND, "404 page not found");
    *ret = (struct kl_bytes){ path, strlen(path) };
    return 0;
}

static const struct kl_node table = { .size = sizeof table, .logs = logs, .stats = stats, .page = page };
static bool ready = true;

static const struct kl_node *node(void *ctx, void **ret_self)
{
    *ret_self = ctx;
    return ready ? &table : NULL;
}

static void pods(void *ctx, struct buf *b)
{
    (void)ctx;
    buf_add_z(b, "{\"kind\":\"PodList\"}");
}

static struct val *debug(void *ctx, struct arena *a, struct str what)
{
    (void)ctx;
    return str_is(what, "it") ? val_new(a, VAL_OBJ) : NULL;
}

/* --- its port, and clients with any credentials --- */

static struct {
    struct loop *loop;
    struct arena *arena;
    struct node_port *port;
    char dir[64], url[64];
    struct kubeconfig node;
} t;

static const char *file(const char *name)
{
    return arena_printf(t.arena, "%s/%s", t.dir, name);
}

static void too_long(int sig)
{
    (void)sig;
    _exit(2);
}

static void setup(void)
{
    struct kl_err err;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    kl_err_init(&err);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, too_long);
    alarm(30);
    snprintf(t.dir, sizeof t.dir, "/tmp/keelson-port-XXXXXX");
    cr_assert(mkdtemp(t.dir));
    t.loop = loop_new();
    t.arena = arena_new(0);
    cr_assert_eq(pki_ensure(t.dir, "127.0.0.1", "10.96.0.1", &err), 0, "%s", err.msg);
    cr_assert_eq(pki_node_kubeconfig(t.dir, "n1", "https://127.0.0.1:6443", &b, &err), 0, "%s", err.msg);
    FILE *f = fopen(file("n1.kc"), "w");
    fwrite(b.at, 1, b.len, f);
    fclose(f);
    cr_assert_eq(kubeconfig_read(t.arena, file("n1.kc"), KUBECONFIG_CERTIFICATE, &t.node, &err), 0, "%s", err.msg);
    struct node_port_conf c = { .address = "127.0.0.1", .cert = t.node.cert, .key = t.node.key, .client_ca = t.node.ca,
                                .client_name = PKI_TOWARDS_NODES, .node = node, .pods = pods, .debug = debug };
    cr_assert_eq(node_port_new(t.loop, &c, &t.port, &err), 0, "%s", err.msg);
    snprintf(t.url, sizeof t.url, "https://127.0.0.1:%d", node_port_number(t.port));
}

static bool over;

static void end(void *ctx)
{
    over = true;
    loop_stop(ctx);
}

static void teardown(void)
{
    over = false;
    node_port_stop(t.port, 0, end, t.loop);
    while (!over)
        loop_run(t.loop);
    node_port_free(t.port);
    loop_free(t.loop);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", t.dir);
    cr_assert_eq(system(command), 0);
    arena_free(t.arena);
}

struct answer {
    int status;
    struct buf body;
    struct kl_err err;
    bool over;
};

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct answer *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct answer *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct answer *x = ctx;
    x->over = true;
    if (err)
        x->err = *err;
    loop_stop(t.loop);
}

/* name: of the certificate's files; NULL: none. expected: of the node's certificate. */
static int get_as(const char *name, const char *expected, const char *path, char *ret_body, size_t size)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct http_client *c = NULL;
    struct answer x = { 0 };
    kl_err_init(&x.err);
    struct http_client_conf hc = { .url = t.url, .server_name = expected, .ca_file = file("ca.crt"),
                                   .cert_file = name ? arena_printf(t.arena, "%s/%s.crt", t.dir, name) : NULL,
                                   .key_file = name ? arena_printf(t.arena, "%s/%s.key", t.dir, name) : NULL };
    cr_assert_eq(http_client_new(t.loop, &hc, &c, &x.err), 0, "%s", x.err.msg);
    cr_assert(http_call_new(c, "GET", path, NULL, 0, STR(""), 0, &ev, &x));
    while (!x.over)
        loop_run(t.loop);
    snprintf(ret_body, size, "%.*s", (int)(x.err.code ? strlen(x.err.msg) : x.body.len), x.err.code ? x.err.msg : x.body.at ? x.body.at : "");
    buf_free(&x.body);
    http_client_free(c);
    return x.err.code ? -x.err.code : x.status;
}

static int get(const char *path, char *ret_body, size_t size)
{
    return get_as("apiserver-kubelet-client", "n1", path, ret_body, size);
}

TestSuite(node_port, .init = setup, .fini = teardown);

Test(node_port, only_the_server_gets_an_answer)
{
    char body[512];
    cr_assert_eq(get("/healthz", body, sizeof body), 200, "%s", body);
    cr_assert_str_eq(body, "ok");
    cr_assert_eq(get_as(NULL, "n1", "/healthz", body, sizeof body), 401);
    cr_assert_eq(get_as("admin", "n1", "/healthz", body, sizeof body), 403);
    cr_assert(strstr(body, "kubernetes-admin"), "%s", body);
    cr_assert_eq(get_as("server", "n1", "/pods", body, sizeof body), 401, "a certificate that was not made for clients");
}

Test(node_port, the_server_expects_that_node)
{
    char body[512];
    cr_assert_eq(get_as("apiserver-kubelet-client", "n2", "/healthz", body, sizeof body), -KL_UNAVAILABLE, "%s", body);
    cr_assert(strstr(body, "does not match"), "%s", body);
}

Test(node_port, documents)
{
    char body[512];
    cr_assert_eq(get("/pods", body, sizeof body), 200);
    cr_assert_str_eq(body, "{\"kind\":\"PodList\"}");
    cr_assert_eq(get("/stats/summary", body, sizeof body), 200);
    cr_assert_str_eq(body, "{\"node\":1}");
    cr_assert_eq(get("/debug/it", body, sizeof body), 200);
    cr_assert_eq(get("/debug/other", body, sizeof body), 404);
    cr_assert_eq(get("/metrics", body, sizeof body), 200);
    cr_assert_str_eq(body, "metrics");
    cr_assert_eq(get("/metrics/resource", body, sizeof body), 200);
    cr_assert_str_eq(body, "metrics/resource");
    cr_assert_eq(get("/metrics/none", body, sizeof body), 404);
}

Test(node_port, logs)
{
    char body[512];
    cr_assert_eq(get("/containerLogs/ns/pod/c%2Dx?tailLines=5&follow=true&limitBytes=9&sinceTime=2026-01-02T03:04:05Z", body, sizeof body), 200, "%s", body);
    cr_assert_str_eq(body, "ns|pod|c-x\n");
    cr_assert(asked.tail_lines == 5 && asked.follow && asked.limit_bytes == 9 && !asked.timestamps && asked.since_wall_ns == 1767323045000000000LL);
    cr_assert_eq(get("/containerLogs/ns/gone/c", body, sizeof body), 404);
    cr_assert(strstr(body, "\"message\":\"pod \\\"gone\\\" not found\"") && strstr(body, "\"reason\":\"NotFound\""), "%s", body);
    ready = false;
    cr_assert_eq(get("/containerLogs/ns/pod/c", body, sizeof body), 503);
}

Test(node_port, odd_requests)
{
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        { "/", 404 }, { "/nothing", 404 }, { "/containerLogs/ns/pod", 404 }, { "/containerLogs/ns/pod/c/d", 404 }, { "/containerLogs//pod/c", 404 },
        { "/containerLogs/ns/..%2Fpod/c", 404 }, { "/containerLogs/ns/a%00b/c", 404 }, { "/containerLogs/ns/%zz/c", 404 },
        { "/containerLogs/ns/pod/c?tailLines=x", 400 }, { "/containerLogs/ns/pod/c?sinceTime=yesterday", 400 },
        { "/exec/ns/pod/c?command=ls", 400 }, { "/attach/ns/pod/c", 400 }, { "/portForward/ns/pod?port=80", 400 }, { "/a/b/c/d/e/f", 404 },
    };
    char body[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_eq(get(rows[i].path, body, sizeof body), rows[i].status, "%s: %s", rows[i].path, body);
}

/* --- keys --- */

Test(node_port, whose_a_certificate_is)
{
    struct kl_err err;
    char name[64];
    struct kubeconfig k;
    struct stat st;
    kl_err_init(&err);
    cr_assert_eq(pki_node_name(t.node.cert, name, sizeof name, &err), 0);
    cr_assert_str_eq(name, "n1");
    cr_assert_eq(pki_kubeconfig(t.dir, "127.0.0.1", 6443, file("admin.kc"), &err), 0);
    cr_assert(stat(file("admin.kc"), &st) == 0 && (st.st_mode & 0777) == 0600);
    cr_assert_eq(kubeconfig_read(t.arena, file("admin.kc"), KUBECONFIG_CERTIFICATE, &k, &err), 0);
    cr_assert_eq(pki_node_name(k.cert, name, sizeof name, &err), -KL_INVALID);
    cr_assert_eq(pki_node_name(STR("nonsense"), name, sizeof name, &err), -KL_INVALID);
}
