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

static int exec(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const char *const *argv, const struct kl_runtime_io *io,
                int32_t *ret_code)
{
    char text[256];
    (void)self;
    (void)c;
    int n = snprintf(text, sizeof text, "%s|%s|%s|%s|%s\n", ns, pod, container, argv[0], argv[1] ? argv[1] : "");
    *ret_code = strcmp(argv[0], "false") == 0;
    return write(*ret_code ? io->err : io->out, text, (size_t)n) == n ? 0 : -KL_UNAVAILABLE;
}

static const struct kl_node table = { .size = sizeof table, .logs = logs, .exec = exec, .stats = stats, .page = page };
static bool ready = true;

static const struct kl_node *node(void *ctx, void **ret_self)
{
    *ret_self = ctx;
    return ready ? &table : NULL;
}

static void pods(void *ctx, struct buf *b)
{
    (void)ctx;
    buf_add_z(b, "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"pod\",\"namespace\":\"ns\",\"uid\":\"u1\"}}]}");
}

static struct val *debug(void *ctx, struct arena *a, struct str what)
{
    (void)ctx;
    return str_is(what, "it") ? val_new(a, VAL_OBJ) : NULL;
}

/* --- an API that knows tokens "is-USER", and that each user may what its name says: "VERB.SUBRESOURCE" --- */

static unsigned token_reviews, access_reviews;
static bool api_is_away;

static void review(void *ctx, struct http_req *r)
{
    struct arena *a = http_arena(r);
    const struct val *v = json_parse(a, http_body(r), NULL);
    struct str token = json_str(v, "spec.token"), user = json_str(v, "spec.user");
    bool is_token = str_is(http_path(r), "/apis/authentication.k8s.io/v1/tokenreviews");
    const char *text = "{}", *may = arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(json_str(v, "spec.resourceAttributes.verb")),
                                                 STR_ARG(json_str(v, "spec.resourceAttributes.subresource")));
    (void)ctx;
    token_reviews += is_token;
    access_reviews += !is_token;
    if (is_token)
        text = str_starts(token, STR("is-"))
                   ? arena_printf(a, "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"" STR_FMT "\",\"groups\":[\"g\"],\"extra\":{\"k\":[\"v\"]}}}}",
                                  STR_ARG(str_skip(token, 3)))
                   : "{\"status\":{\"user\":{},\"error\":\"invalid bearer token\"}}";
    else
        text = arena_printf(a, "{\"status\":{\"allowed\":%s}}",
                            str_is(json_str(v, "spec.resourceAttributes.name"), "n1") && str_is(json_str(v, "spec.resourceAttributes.resource"), "nodes") &&
                                    (str_is(user, may) || json_lists(json_path(v, "spec.groups"), STR("system:masters")))
                                ? "true"
                                : "false");
    http_reply(r, api_is_away ? 503 : 201, NULL, 0, (struct http_slice){ .data = str_of(text) });
}

/* --- its port, and clients with any credentials --- */

static struct {
    struct loop *loop;
    struct arena *arena;
    struct node_port *port;
    struct http_server *api;
    struct http_client *to_api;
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
    struct http_conf api = { .address = "127.0.0.1" };
    cr_assert_eq(http_server_new(t.loop, &api, review, NULL, &t.api, &err), 0, "%s", err.msg);
    struct http_client_conf to_api = { .url = arena_printf(t.arena, "http://127.0.0.1:%d", http_server_port(t.api)) };
    cr_assert_eq(http_client_new(t.loop, &to_api, &t.to_api, &err), 0, "%s", err.msg);
    struct node_port_conf c = { .address = "127.0.0.1", .cert = t.node.cert, .key = t.node.key, .client_ca = t.node.ca,
                                .client_name = PKI_TOWARDS_NODES, .name = "n1", .api = t.to_api, .node = node, .pods = pods, .debug = debug, .logs = file("log") };
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
    http_client_free(t.to_api);
    over = false;
    http_server_close(t.api, 0, end, t.loop);
    while (!over)
        loop_run(t.loop);
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
static int ask_as(const char *name, const char *token, const char *expected, const char *method, const char *path, char *ret_body, size_t size)
{
    struct http_header h[] = { { STR("authorization"), str_of(arena_printf(t.arena, "Bearer %s", token ? token : "")) } };
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct http_client *c = NULL;
    struct answer x = { 0 };
    kl_err_init(&x.err);
    struct http_client_conf hc = { .url = t.url, .server_name = expected, .ca_file = file("ca.crt"),
                                   .cert_file = name ? arena_printf(t.arena, "%s/%s.crt", t.dir, name) : NULL,
                                   .key_file = name ? arena_printf(t.arena, "%s/%s.key", t.dir, name) : NULL };
    cr_assert_eq(http_client_new(t.loop, &hc, &c, &x.err), 0, "%s", x.err.msg);
    cr_assert(http_call_new(c, method, path, h, token != NULL, STR(""), 0, &ev, &x));
    while (!x.over)
        loop_run(t.loop);
    snprintf(ret_body, size, "%.*s", (int)(x.err.code ? strlen(x.err.msg) : x.body.len), x.err.code ? x.err.msg : x.body.at ? x.body.at : "");
    buf_free(&x.body);
    http_client_free(c);
    return x.err.code ? -x.err.code : x.status;
}

static int get_as(const char *name, const char *expected, const char *path, char *ret_body, size_t size)
{
    return ask_as(name, NULL, expected, "GET", path, ret_body, size);
}

static int get(const char *path, char *ret_body, size_t size)
{
    return get_as("apiserver-kubelet-client", "n1", path, ret_body, size);
}

TestSuite(node_port, .init = setup, .fini = teardown);

Test(node_port, nobody_without_a_name_gets_an_answer)
{
    char body[512];
    cr_assert_eq(get("/healthz", body, sizeof body), 200, "%s", body);
    cr_assert_str_eq(body, "ok");
    cr_assert_eq(get_as(NULL, "n1", "/healthz", body, sizeof body), 401);
    cr_assert_str_eq(body, "Unauthorized");
    cr_assert_eq(get_as(NULL, "n1", "/nothing/%2e%2e/pods", body, sizeof body), 401);
    cr_assert_eq(ask_as(NULL, ".", "n1", "GET", "/healthz", body, sizeof body), 401, "%s", body);
    cr_assert_eq(ask_as(NULL, "bad", "n1", "GET", "/healthz", body, sizeof body), 401);
    cr_assert_eq(token_reviews, 2);
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
    cr_assert(str_starts(str_of(body), STR("{\"kind\":\"PodList\"")), "%s", body);
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

/* Who may what: the subresource that upstream's kubelet asks about, and `create` for all that runs something, however it is asked for. */
Test(node_port, each_path_has_its_permission)
{
    static const struct {
        const char *method, *path, *may;
        int status;
    } rows[] = {
        { "GET", "/metrics", "get.metrics", 200 },          { "GET", "/metrics/resource", "get.metrics", 200 },  { "GET", "/metrics", "get.proxy", 403 },
        { "GET", "/metricsx", "get.metrics", 403 },         { "GET", "/metrics/../pods", "get.metrics", 403 },   { "GET", "/metrics/%2e%2e/pods", "get.metrics", 403 },
        { "GET", "/metrics%2f..%2fpods", "get.metrics", 403 }, { "GET", "//metrics", "get.metrics", 403 },       { "GET", "/%6detrics", "get.metrics", 200 },
        { "GET", "/stats/summary", "get.stats", 200 },      { "GET", "/stats/summary", "get.proxy", 403 },       { "GET", "/stats/other", "get.stats", 404 },
        { "GET", "/healthz", "get.healthz", 200 },          { "GET", "/healthz/ping", "get.healthz", 200 },      { "GET", "/healthz/other", "get.healthz", 404 },
        { "GET", "/healthz", "get.proxy", 200 },            { "GET", "/healthz", "get.pods", 403 },              { "GET", "/pods", "get.pods", 200 },
        { "GET", "/pods/", "get.proxy", 200 },              { "GET", "/pods", "get.metrics", 403 },              { "GET", "/runningpods/", "get.pods", 404 },
        { "GET", "/configz", "get.configz", 404 },          { "GET", "/configz", "get.metrics", 403 },           { "POST", "/pods", "get.pods", 403 },
        { "POST", "/pods", "create.pods", 405 },            { "GET", "/logs/", "get.proxy", 403 },               { "GET", "/nothing", "get.proxy", 404 },
        { "GET", "/nothing", "get.metrics", 403 },          { "GET", "/containerLogs/ns/pod/c", "get.proxy", 200 }, { "GET", "/containerLogs/ns/pod/c", "get.log", 403 },
        { "GET", "/exec/ns/pod/c?command=ls", "get.proxy", 403 },   { "GET", "/exec/ns/pod/c?command=ls", "create.proxy", 400 },
        { "POST", "/exec/ns/pod/c?command=ls", "get.proxy", 403 },  { "GET", "/attach/ns/pod/c", "get.proxy", 403 },
        { "GET", "/portForward/ns/pod", "get.proxy", 403 },         { "GET", "/%65xec/ns/pod/c?command=ls", "get.proxy", 403 },
        { "POST", "/run/ns/pod/c?cmd=ls", "get.proxy", 403 },       { "POST", "/run/ns/pod/c?cmd=ls", "create.proxy", 200 },
        { "GET", "/run/ns/pod/c?cmd=ls", "create.proxy", 405 },     { "POST", "/checkpoint/ns/pod/c", "create.proxy", 403 },
        { "POST", "/checkpoint/ns/pod/c", "create.checkpoint", 404 }, { "POST", "/keelson/call", "create.proxy", 403 },
        { "HEAD", "/pods", "get.pods", 403 },               { "OPTIONS", "/metrics", "get.metrics", 403 },       { "DELETE", "/pods", "get.pods", 403 },
    };
    char body[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_eq(ask_as(NULL, arena_printf(t.arena, "is-%s", rows[i].may), "n1", rows[i].method, rows[i].path, body, sizeof body), rows[i].status, "%s %s by %s: %s",
                     rows[i].method, rows[i].path, rows[i].may, body);
    cr_assert_eq(get_as("admin", "n1", "/exec/ns/pod/c?command=ls", body, sizeof body), 400, "a certificate's groups count: %s", body);
    cr_assert_eq(ask_as("admin", NULL, "n1", "POST", "/keelson/call", body, sizeof body), 403, "%s", body);
    cr_assert_eq(ask_as(NULL, "is-get.metrics", "n1", "GET", "/pods", body, sizeof body), 403);
    cr_assert_str_eq(body, "Forbidden (user=get.metrics, verb=get, resource=nodes, subresource(s)=[pods proxy])\n");
}

Test(node_port, answers_of_the_api_are_kept)
{
    char body[512];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ask_as(NULL, "is-get.metrics", "n1", "GET", "/metrics", body, sizeof body), 200);
        cr_assert_eq(ask_as(NULL, "is-get.metrics", "n1", "GET", "/logs/", body, sizeof body), 403);
        cr_assert_eq(ask_as(NULL, "other", "n1", "GET", "/metrics", body, sizeof body), 401);
    }
    cr_assert_eq(token_reviews, 2);
    cr_assert_eq(access_reviews, 2);
    cr_assert_eq(get("/metrics", body, sizeof body), 200);
    cr_assert_eq(token_reviews + access_reviews, 4, "nobody is asked about the server");
    api_is_away = true;
    cr_assert_eq(ask_as(NULL, "is-get.metrics", "n1", "GET", "/metrics", body, sizeof body), 200, "what is known stays known");
    cr_assert_eq(ask_as(NULL, "is-get.stats", "n1", "GET", "/stats/summary", body, sizeof body), 401, "no answer is no yes");
    cr_assert_eq(get_as("admin", "n1", "/pods", body, sizeof body), 500);
    cr_assert_str_eq(body, "Authorization error (user=kubernetes-admin, verb=get, resource=nodes, subresource=pods)");
    api_is_away = false;
    cr_assert_eq(get_as("admin", "n1", "/pods", body, sizeof body), 200, "and is asked for again");
}

Test(node_port, run)
{
    char body[512];
    cr_assert_eq(ask_as("admin", NULL, "n1", "POST", "/run/ns/pod/c?cmd=echo%20x", body, sizeof body), 200, "%s", body);
    cr_assert_str_eq(body, "ns|pod|c|echo|x\n");
    cr_assert_eq(ask_as("admin", NULL, "n1", "POST", "/run/ns/pod/c?cmd=false", body, sizeof body), 500);
    cr_assert_str_eq(body, "command 'false' exited with 1: ns|pod|c|false|\n");
    cr_assert_eq(ask_as("admin", NULL, "n1", "POST", "/run/ns/pod/c", body, sizeof body), 400);
    cr_assert_eq(ask_as("admin", NULL, "n1", "POST", "/run/ns/pod/other-uid/c?cmd=echo", body, sizeof body), 404, "%s", body);
    cr_assert_eq(ask_as("admin", NULL, "n1", "POST", "/run/ns/pod/u1/c?cmd=echo", body, sizeof body), 200, "%s", body);
}

/* Files below one folder, whatever links and names say. */
Test(node_port, files)
{
    static const char *const inside[] = { "/logs/a.log", "/logs/to-a", "/logs/sub/b" };
    static const char *const outside[] = { "/logs/out", "/logs/up", "/logs/absolute", "/logs/sub/dots", "/logs/..%2fsecret", "/logs/../secret", "/logs/%2e%2e/secret", "/logs/pipe",
                                           "/logs/none", "/logs//a.log", "/logs/out/secret" };
    char body[1024];
    snprintf(body, sizeof body, "cd %s && echo secret >secret && mkdir -p log/sub && cd log && echo text >a.log && ln -s a.log to-a && ln -s ../secret up && ln -s ../.. out && "
             "ln -s %s/secret absolute && ln -s ../../secret sub/dots && echo b >sub/b && mkfifo pipe && touch '<&>'", t.dir, t.dir);
    cr_assert_eq(system(body), 0);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        cr_assert_eq(get(inside[i], body, sizeof body), 200, "%s: %s", inside[i], body);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        cr_assert_eq(get(outside[i], body, sizeof body), 404, "%s: %s", outside[i], body);
    cr_assert_eq(get("/logs/sub", body, sizeof body), 301);
    cr_assert_eq(get("/logs/", body, sizeof body), 200);
    cr_assert(strstr(body, "<a href=\"a.log\">a.log</a>\n") && strstr(body, "<a href=\"sub/\">sub/</a>\n"), "%s", body);
    cr_assert(strstr(body, "<a href=\"%3C%26%3E\">&lt;&amp;&gt;</a>\n"), "%s", body);
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
