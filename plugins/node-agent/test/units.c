/* units.c - the pure parts: expansion, status comparison, probe counts, HTTP and gRPC answers, the atomic writer. */
#include "fake.h"

#include <sys/stat.h>

static struct world *w;

static void begin(void)
{
    w = world_new();
}
static void finish(void)
{
    world_free(w);
}
TestSuite(units, .init = begin, .fini = finish);

Test(units, expansion)
{
    static const char *const rows[][2] = { { "$(A)", "1" }, { "x$(A)y$(B)", "x1y$(B)" }, { "$$(A)", "$(A)" }, { "$$$(A)", "$1" }, { "$A", "$A" },
                                           { "$", "$" }, { "$(A", "$(A" }, { "a$(A)$(A)", "a11" }, { "$()", "$()" }, { "plain", "plain" } };
    const struct val *vars = world_parse(w, "{'A':'1'}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        eq_text(env_expand(w->arena, str_of(rows[i][0]), vars), rows[i][1]);
}

Test(units, sameness)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = { { "{}", "{}", true }, { "{'a':{}}", "{}", true }, { "{'a':[]}", "{'a':null}", true }, { "{'a':1}", "{}", false },
                 { "{}", "{'a':1}", false }, { "{'a':[1,2]}", "{'a':[2,1]}", false }, { "{'a':[{'b':{}}]}", "{'a':[{}]}", true },
                 { "{'a':'x','b':2}", "{'b':2,'a':'x'}", true }, { "{'a':[1]}", "{'a':[1,1]}", false }, { "{'a':''}", "{}", false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_eq(status_same(world_parse(w, rows[i].a), world_parse(w, rows[i].b)), rows[i].same, "row %zu", i);
}

Test(units, probe_counts)
{
    const struct val *spec = world_parse(w, "{'failureThreshold':2,'successThreshold':3}");
    struct probe_mem m = { 0 };
    cr_assert(!probe_count(&m, true, spec) && !probe_count(&m, true, spec));
    cr_assert_eq(m.result, PROBE_UNKNOWN);
    cr_assert(probe_count(&m, true, spec));
    cr_assert_eq(m.result, PROBE_OK);
    cr_assert(!probe_count(&m, false, spec) && !probe_count(&m, true, spec) && !probe_count(&m, false, spec));
    cr_assert_eq(m.result, PROBE_OK, "failures must be in a row");
    cr_assert(probe_count(&m, false, spec));
    cr_assert_eq(m.result, PROBE_BAD);
    cr_assert(!probe_count(&m, false, spec), "told once");
}

Test(units, http_answers)
{
    cr_assert_eq(http_status(STR("HTTP/1.1 200 OK\r\n")), 200);
    cr_assert_eq(http_status(STR("HTTP/1.0 503\r\n")), 503);
    cr_assert_eq(http_status(STR("HTTP/2 200\r\n")), -1);
    cr_assert_eq(http_status(STR("SSH-2.0-OpenSSH\r\n")), -1);
    cr_assert_eq(http_status(STR("")), -1);
    cr_assert_eq(http_status(STR("HTTP/1.1 20x\r\n")), -1);
}

Test(units, redirects_stay_on_the_host)
{
    struct http_get g = { .host = "10.0.0.1", .port = 8080 }, usual = { .host = "h", .port = 443, .tls = true };
    struct str to = STR("");
    cr_assert_eq(http_redirect(w->arena, STR("/x"), &g, &to), 1);
    eq_text(to, "/x");
    cr_assert_eq(http_redirect(w->arena, STR("http://10.0.0.1:8080/y?z"), &g, &to), 1);
    eq_text(to, "/y?z");
    cr_assert_eq(http_redirect(w->arena, STR("http://10.0.0.1/y"), &g, &to), 0);
    cr_assert_eq(http_redirect(w->arena, STR("https://10.0.0.1:8080/y"), &g, &to), 0);
    cr_assert_eq(http_redirect(w->arena, STR("//evil/y"), &g, &to), 0);
    cr_assert_eq(http_redirect(w->arena, STR("https://h"), &usual, &to), 1);
    eq_text(to, "/");
}

static struct str frames(const char *at, size_t n)
{
    return arena_str(w->arena, str_n(at, n));
}

Test(units, grpc_answers)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0", serving[] = "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\1", not_serving[] = "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\2";
    static const char trailers[] = "\0\0\1\1\5\0\0\0\1x";
    struct kl_err err;
    kl_err_init(&err);
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    buf_add(&b, settings, 9);
    cr_assert_eq(grpc_answer(buf_str(&b), &err), -1);
    buf_add(&b, serving, 12);
    cr_assert_eq(grpc_answer(buf_str(&b), &err), -1, "half a frame");
    buf_add(&b, serving + 12, 4);
    cr_assert_eq(grpc_answer(buf_str(&b), &err), 0);
    cr_assert_eq(grpc_answer(frames(not_serving, 16), &err), 1);
    cr_assert_str_eq(err.msg, "service unhealthy (responded with \"NOT_SERVING\")");
    cr_assert_eq(grpc_answer(frames(trailers, 10), &err), 1);
}

static int64_t again_of(const char *key)
{
    int64_t again = 0;
    kl_err_init(&w->own.call.err);
    cr_assert_eq(probes_run(&w->agent, &w->own.call, str_of(key), &again), 0);
    return again;
}

Test(units, probes_in_time)
{
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'p','uid':'u1'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i',"
                          "'livenessProbe':{'exec':{'command':['x']},'initialDelaySeconds':5,'periodSeconds':3,'failureThreshold':2},"
                          "'startupProbe':{'exec':{'command':['s']},'periodSeconds':1}}]}}");
    world_sync(w, "d/p", NULL);
    cr_assert(json_get(w->keys, STR("probe!0:c:d/p")));
    cr_assert(!json_get(w->keys, STR("probe!1:c:d/p")), "liveness waits for the start-up");
    cr_assert_eq(again_of("1:c:d/p"), 0);
    w->exec_code = 1;
    cr_assert_eq(again_of("0:c:d/p"), NS_PER_S);
    cr_assert(world_told(w, "Unhealthy Startup probe failed:"));
    w->exec_code = 0;
    world_pass(w, 1);
    again_of("0:c:d/p");
    world_sync(w, "d/p", NULL);
    cr_assert(json_get(w->keys, STR("probe!1:c:d/p")));
    eq_text(world_text(w, world_get(w, "/pods", "d/p"), "status.containerStatuses.0.started"), "true");
    cr_assert_eq(again_of("1:c:d/p"), 4 * NS_PER_S, "initialDelaySeconds counts from the container's start");
    world_pass(w, 4);
    w->exec_code = 2;
    w->exec_output = "no good\n";
    cr_assert_eq(again_of("1:c:d/p"), 3 * NS_PER_S);
    cr_assert(world_told(w, "Unhealthy Liveness probe failed: no good"));
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(world_trace(w), "");
    world_pass(w, 3);
    again_of("1:c:d/p");
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(world_trace(w), "stop c-0 30"), "%s", world_trace(w));
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(world_trace(w), "start c-1"), "%s", world_trace(w));
    cr_assert_eq(again_of("1:c:d/p"), 0, "a new life: the start-up probe first");
}

Test(units, a_probe_that_cannot_run_counts_for_nothing)
{
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'p','uid':'u1'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i',"
                          "'livenessProbe':{'exec':{'command':['x']},'failureThreshold':1}}]}}");
    world_sync(w, "d/p", NULL);
    w->exec_code = -KL_INTERNAL;
    again_of("1:c:d/p");
    cr_assert(world_told(w, "Unhealthy Liveness probe errored"));
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(world_trace(w), "");
    w->exec_code = -KL_TIMEOUT;
    world_pass(w, 10);
    again_of("1:c:d/p");
    cr_assert(world_told(w, "Unhealthy Liveness probe failed: command timed out: \"x\" timed out after 1s"));
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(world_trace(w), "stop c-0"));
}

/* --- writer --- */

static struct payload files(const char *const pairs[][2], size_t n)
{
    struct payload p = { .arena = w->arena };
    for (size_t i = 0; i < n; i++)
        cr_assert(payload_add(&p, str_of(pairs[i][0]), str_of(pairs[i][1]), 0644));
    return p;
}

static struct str text_at(const char *dir, const char *name)
{
    char path[300];
    FILE *f;
    char text[100] = "";
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!(f = fopen(path, "r")))
        return STR("(none)");
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    return arena_str(w->arena, str_n(text, n));
}

Test(units, writer)
{
    static const char *const one[][2] = { { "a", "1" }, { "d/e/f", "2" } }, *const two[][2] = { { "a", "3" }, { "b", "4" } };
    struct payload p = files(one, 2), q = files(two, 2);
    struct kl_err err;
    char dir[128];
    kl_err_init(&err);
    snprintf(dir, sizeof dir, "%s/v", w->dir);
    cr_assert_eq(disk_mkdirs(dir, 0755, &err), 0);
    cr_assert_eq(writer_write(dir, &p, &err), 1, "%s", err.msg);
    eq_text(text_at(dir, "a"), "1");
    eq_text(text_at(dir, "d/e/f"), "2");
    cr_assert_eq(writer_write(dir, &p, &err), 0, "unchanged");
    cr_assert_eq(writer_write(dir, &q, &err), 1);
    eq_text(text_at(dir, "a"), "3");
    eq_text(text_at(dir, "b"), "4");
    eq_text(text_at(dir, "d/e/f"), "(none)");
}

Test(units, writer_stays_inside)
{
    static const char *const bad[] = { "../x", "/x", "a/../b", "..x", "", "a//b", "a/." };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(!writer_path_ok(str_of(bad[i])), "'%s'", bad[i]);
    cr_assert(writer_path_ok(STR("a.b/c..d")));
}

/* --- messages --- */

Test(units, messages)
{
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'p','uid':'u1'},'spec':{'nodeName':'n1','restartPolicy':'Never','containers':[{'name':'c',"
                          "'image':'i','terminationMessagePath':'/dev/termination-log','terminationMessagePolicy':'FallbackToLogsOnError'}]}}");
    char path[128], log[128];
    world_sync(w, "d/p", NULL);
    snprintf(path, sizeof path, "%s/pods/u1/messages/c.0", w->dir);
    snprintf(log, sizeof log, "%s/log", w->dir);
    FILE *f = fopen(log, "w");
    for (int i = 0; i < 100; i++)
        fprintf(f, "2026-01-01T00:00:00.000000000Z stdout F line %d\n", i);
    fclose(f);
    set_z(w->arena, world_container(w, "c"), "logPath", log);
    world_end(w, "c", 1, "Error");
    world_sync(w, "d/p", NULL);
    const struct val *pod = world_get(w, "/pods", "d/p");
    struct str message = world_text(w, pod, "status.containerStatuses.0.state.terminated.message");
    cr_assert(str_starts(message, STR("line 20\n")) && str_ends(message, STR("line 99\n")), "%.*s", STR_ARG(message));
    f = fopen(path, "w");
    cr_assert(f);
    fputs("own words \xff", f);
    fclose(f);
    world_sync(w, "d/p", NULL);
    eq_text(world_text(w, pod, "status.containerStatuses.0.state.terminated.message"), "own words \xef\xbf\xbd");
}

Test(units, logins_are_for_a_registry)
{
    static const struct {
        const char *key, *image;
        bool match;
    } rows[] = {
        { "registry.example", "registry.example/team/app:1", true },
        { "https://registry.example/v1/", "registry.example/app", true },
        { "http://registry.example:5000", "registry.example:5000/app", true },
        { "registry.example", "registry.example:5000/app", false },
        { "registry.example/team", "registry.example/team/app", true },
        { "registry.example/team", "registry.example/other/app", false },
        { "*.example", "registry.example/app", true },
        { "*.example", "a.registry.example/app", false },
        { "reg*.example", "registry.example/app", true },
        { "example", "registry.example/app", false },
        { "https://index.docker.io/v1/", "docker.io/library/busybox", true },
        { "", "docker.io/library/busybox", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(pullsecret_matches(str_of(rows[i].key), str_of(rows[i].image)), rows[i].match, "%s of %s", rows[i].key, rows[i].image);
}
