/* containers.c - real containers by crun and conmon: their life, what they see, and that nothing is left of them. */
#include "harness.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/env.h"
#include "image/fs.h"
#include "image/image.h"

static struct harness h;

static void setup(void)
{
    const char *why = harness_missing();
    if (why)
        cr_skip_test("%s", why);
    harness_open(&h, true);
}

static void finish(const char *sandbox)
{
    struct kl_call *c = harness_call(&h);
    cr_assert_eq(h.rt->sandbox_stop(h.self, c, sandbox), 0, "%s", c->err.msg);
    cr_assert_eq(h.rt->sandbox_remove(h.self, c, sandbox), 0, "%s", c->err.msg);
    cr_assert_eq(h.rt->sandbox_remove(h.self, c, sandbox), 0, "removing twice is fine");
    cr_assert_null(harness_find(&h, sandbox));
    harness_done(&h);
}

static void clean(void)
{
    harness_abandon(&h);
}
#define TEST(name) Test(containers, name, .fini = clean, .timeout = 120)

static const char *keep(const char *id)
{
    static char copies[8][40];
    static int n;
    char *at = copies[n++ % 8];
    snprintf(at, sizeof copies[0], "%s", id);
    return at;
}

TEST(runs_to_its_end)
{
    setup();
    const char *s = keep(harness_sandbox(&h, "uid-1", NULL));
    cr_assert_str_eq(harness_sandbox(&h, "uid-1", NULL), s, "the same pod and attempt is the same sandbox");
    const char *id = keep(harness_container(&h, s, "main",
        "echo $FROM_IMAGE $BOTH $OWN $HOSTNAME $(hostname); echo err >&2; printf part; ls /proc/self/fd | wc -l; pwd; exit 7",
        ",\"workingDir\":\"/tmp\",\"envs\":[{\"key\":\"BOTH\",\"value\":\"pod\"},{\"key\":\"OWN\",\"value\":\"a b\"}]"));
    cr_assert_str_eq(harness_container(&h, s, "main", "true", NULL), id, "the same name and attempt is the same container");
    cr_assert(str_is(json_str(harness_find(&h, id), "state"), "CONTAINER_CREATED"));
    harness_start(&h, id);
    struct val *v = harness_until(&h, id, "CONTAINER_EXITED");
    cr_assert_eq(json_int(v, "exitCode", -1), 7);
    cr_assert(str_is(json_str(v, "reason"), "Error"));
    cr_assert(str_is(json_str(v, "metadata.name"), "main"));
    cr_assert(str_is(json_str(v, "podSandboxId"), s));
    cr_assert_gt(json_int(v, "finishedAt", 0), json_int(v, "startedAt", 0));
    char *log = harness_log(&h, "main");
    cr_assert(strstr(log, "stdout F yes pod a b box box\n"), "%s", log);
    cr_assert(strstr(log, "stderr F err\n"), "%s", log);
    /* conmon reads both writes at once or one by one. */
    bool whole = strstr(log, "stdout F part4\n"), parts = strstr(log, "stdout P part\n") && strstr(log, "stdout F 4\n");
    cr_assert(whole || parts, "no descriptor leaks in (0, 1, 2 and ls's own): %s", log);
    cr_assert(strstr(log, "stdout F /tmp\n"), "%s", log);
    finish(s);
}

TEST(exec_and_stats)
{
    setup();
    char out[4096];
    const char *s = keep(harness_sandbox(&h, "uid-2", NULL));
    const char *id = keep(harness_container(&h, s, "main", "sleep 1000", NULL));
    harness_start(&h, id);
    cr_assert_eq(harness_exec(&h, id, "echo hello; id -u; exit 3", out, sizeof out), 3);
    cr_assert_str_eq(out, "hello\n0\n");
    cr_assert_eq(harness_exec(&h, id, "kill -9 $$", out, sizeof out), 137);
    struct kl_bytes text;
    struct kl_call *c = harness_call(&h);
    cr_assert_eq(h.rt->stats(h.self, c, "uid-2", &text), 0);
    struct val *v = json_parse(h.arena, str_n(text.at, text.len), NULL);
    cr_assert_gt(json_int(json_get(v, STR("containers"))->first, "memoryBytes", 0), 0);
    cr_assert_gt(json_int(json_get(v, STR("containers"))->first, "pids", 0), 0);
    finish(s);
}

TEST(exec_is_killed_at_its_deadline)
{
    setup();
    char out[4096];
    int32_t code;
    const char *s = keep(harness_sandbox(&h, "uid-3", NULL));
    const char *id = keep(harness_container(&h, s, "main", "sleep 1000", NULL));
    harness_start(&h, id);
    const char *const argv[] = { "/bin/sleep", "777", NULL };
    struct kl_runtime_io io = { .size = sizeof io, .in = -1, .out = -1, .err = -1, .resize = -1 };
    struct kl_call *c = harness_call(&h);
    c->deadline_ns = env_mono_ns() + 300 * NS_PER_MS;
    cr_assert_eq(h.rt->exec(h.self, c, id, argv, &io, &code), -KL_TIMEOUT);
    cr_assert_eq(harness_exec(&h, id, "! ps | grep -v grep | grep 'sleep 777'", out, sizeof out), 0, "%s", out);
    finish(s);
}

TEST(exec_with_a_terminal)
{
    setup();
    char out[4096] = "";
    int32_t code = -1;
    int from[2], size[2];
    const char *s = keep(harness_sandbox(&h, "uid-4", NULL));
    const char *id = keep(harness_container(&h, s, "main", "sleep 1000", NULL));
    harness_start(&h, id);
    cr_assert_eq(pipe2(from, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(size, O_CLOEXEC), 0);
    cr_assert_eq(write(size[1], "77 33\n", 6), 6);
    const char *const argv[] = { "/bin/sh", "-c", "sleep 1; tty; stty size; exit 5", NULL };
    struct kl_runtime_io io = { .size = sizeof io, .in = -1, .out = from[1], .err = -1, .resize = size[0], .tty = 1 };
    struct kl_call *c = harness_call(&h);
    cr_assert_eq(h.rt->exec(h.self, c, id, argv, &io, &code), 0, "%s", c->err.msg);
    cr_assert_eq(code, 5);
    cr_assert_gt(read(from[0], out, sizeof out - 1), 0);
    cr_assert(strstr(out, "/dev/pts/0"), "%s", out);
    cr_assert(strstr(out, "33 77"), "%s", out);
    finish(s);
}

TEST(stop_gives_grace_then_kills)
{
    setup();
    const char *s = keep(harness_sandbox(&h, "uid-5", NULL));
    const char *polite = keep(harness_container(&h, s, "polite", "trap 'exit 42' TERM; while :; do sleep 0.1; done", NULL));
    const char *deaf = keep(harness_container(&h, s, "deaf", "trap '' TERM; while :; do sleep 0.1; done", NULL));
    harness_start(&h, polite);
    harness_start(&h, deaf);
    char out[64];
    harness_exec(&h, polite, "sleep 0.3", out, sizeof out);      /* until the traps are set */
    struct kl_call *c = harness_call(&h);
    cr_assert_eq(h.rt->container_stop(h.self, c, polite, 20 * NS_PER_S), 0, "%s", c->err.msg);
    cr_assert_eq(json_int(harness_find(&h, polite), "exitCode", -1), 42);
    cr_assert_eq(h.rt->container_stop(h.self, c, deaf, 200 * NS_PER_MS), 0, "%s", c->err.msg);
    cr_assert_eq(json_int(harness_find(&h, deaf), "exitCode", -1), 137);
    cr_assert_eq(h.rt->container_stop(h.self, c, deaf, 0), 0, "stopping twice is fine");
    finish(s);
}

TEST(survives_the_daemon_and_is_adopted)
{
    setup();
    char ids[3][40] = { "" };
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();                 /* a daemon that is killed */
    if (pid == 0) {
        snprintf(ids[0], sizeof ids[0], "%s", harness_sandbox(&h, "uid-6", NULL));
        snprintf(ids[1], sizeof ids[1], "%s", harness_container(&h, ids[0], "stays", "sleep 1000", NULL));
        snprintf(ids[2], sizeof ids[2], "%s", harness_container(&h, ids[0], "ends", "sleep 0.5; exit 9", NULL));
        harness_start(&h, ids[1]);
        harness_start(&h, ids[2]);
        if (write(ends[1], ids, sizeof ids) == (ssize_t)sizeof ids)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    cr_assert_eq(read(ends[0], ids, sizeof ids), (ssize_t)sizeof ids);
    waitpid(pid, NULL, 0);
    sleep(1);                           /* one container ends while nobody looks */
    harness_open(&h, false);
    struct val *v = harness_find(&h, ids[1]);
    cr_assert(str_is(json_str(v, "state"), "CONTAINER_RUNNING"));
    cr_assert_eq(kill((pid_t)json_int(v, "pid", -1), 0), 0);
    v = harness_until(&h, ids[2], "CONTAINER_EXITED");
    cr_assert_eq(json_int(v, "exitCode", -1), 9);
    cr_assert(str_is(json_str(harness_find(&h, ids[0]), "state"), "SANDBOX_READY"));
    char out[64];
    cr_assert_eq(harness_exec(&h, ids[1], "echo adopted", out, sizeof out), 0);
    cr_assert_str_eq(out, "adopted\n");
    finish(ids[0]);
}

TEST(memory_limit_kills_and_says_so)
{
    setup();
    const char *s = keep(harness_sandbox(&h, "uid-7", NULL));
    const char *id = keep(harness_container(&h, s, "main", "x=a; while :; do x=$x$x; done",
                                            ",\"linux\":{\"resources\":{\"memoryLimitInBytes\":33554432}}"));
    harness_start(&h, id);
    struct val *v = harness_until(&h, id, "CONTAINER_EXITED");
    cr_assert(str_is(json_str(v, "reason"), "OOMKilled"), STR_FMT, STR_ARG(json_str(v, "reason")));
    cr_assert_eq(json_int(v, "exitCode", 0), 137);
    finish(s);
}

TEST(share_what_a_pod_shares)
{
    setup();
    char out[256];
    const char *s = keep(harness_sandbox(&h, "uid-8", ",\"sysctls\":{\"kernel.shm_rmid_forced\":\"1\"},"
                                         "\"securityContext\":{\"namespaceOptions\":{\"pid\":\"POD\"}}"));
    const char *a = keep(harness_container(&h, s, "a", "echo shared > /dev/shm/x; sleep 1000", NULL));
    const char *b = keep(harness_container(&h, s, "b", "sleep 2000", NULL));
    harness_start(&h, a);
    harness_start(&h, b);
    cr_assert_eq(harness_exec(&h, b, "for i in 1 2 3 4 5; do test -s /dev/shm/x && break; sleep 1; done; cat /dev/shm/x; "
                              "ps | grep -c 'sleep [12]000$'; cat /proc/sys/kernel/shm_rmid_forced", out, sizeof out), 0, "%s", out);
    cr_assert_str_eq(out, "shared\n2\n1\n");
    finish(s);
}

TEST(rights_users_and_mounts)
{
    setup();
    char more[1024], dir[128];
    snprintf(dir, sizeof dir, "%s/volume", h.dir);
    cr_assert_eq(disk_mkdirs(dir, 0755, NULL), 0);
    snprintf(more, sizeof more, ",\"mounts\":[{\"containerPath\":\"/data\",\"hostPath\":\"%s\",\"readonly\":true}],\"linux\":{\"securityContext\":"
             "{\"runAsUser\":{\"value\":1000},\"runAsGroup\":{\"value\":2000},\"supplementalGroups\":[3000],\"readonlyRootfs\":true,"
             "\"noNewPrivs\":true,\"capabilities\":{\"dropCapabilities\":[\"ALL\"]}}}", dir);
    const char *s = keep(harness_sandbox(&h, "uid-9", NULL));
    const char *id = keep(harness_container(&h, s, "main",
        "id -u; id -g; id -G; touch /data/x || echo ro; touch /x 2>/dev/null || echo ro; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; "
        "cat /proc/kcore | wc -c; ls -ld /dev/null", more));
    harness_start(&h, id);
    harness_until(&h, id, "CONTAINER_EXITED");
    char *log = harness_log(&h, "main");
    static const char *const expected[] = { "F 1000\n", "F 2000\n", "F 2000 3000\n", "F ro\n", "CapBnd:\t0000000000000000\n",
                                            "NoNewPrivs:\t1\n", "F 0\n", "crw" };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect(strstr(log, expected[i]), "'%s' in %s", expected[i], log);
    finish(s);
}

TEST(attach_carries_both_ways)
{
    setup();
    int in[2], out[2];
    char text[256] = "";
    const char *s = keep(harness_sandbox(&h, "uid-10", NULL));
    const char *id = keep(harness_container(&h, s, "main", "while read x; do echo got $x; test $x = end && exit 0; done", ",\"stdin\":true"));
    harness_start(&h, id);
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(write(in[1], "one\nend\n", 8), 8);
    struct kl_runtime_io io = { .size = sizeof io, .in = in[0], .out = out[1], .err = -1, .resize = -1 };
    struct kl_call *c = harness_call(&h);
    c->deadline_ns = env_mono_ns() + 20 * NS_PER_S;
    cr_assert_eq(h.rt->attach(h.self, c, id, &io), 0, "%s", c->err.msg);
    cr_assert_gt(read(out[0], text, sizeof text - 1), 0);
    cr_assert_str_eq(text, "got one\ngot end\n");
    harness_until(&h, id, "CONTAINER_EXITED");
    finish(s);
}

/* Who reads once ends with the first client's input; else the input stays open for the next one, and who has said all leaves. */
TEST(attach_ends_input_that_is_read_once)
{
    setup();
    static const char *const more[] = { ",\"stdin\":true,\"stdinOnce\":true", ",\"stdin\":true" };
    for (int i = 0; i < 2; i++) {
        int in[2];
        const char *s = keep(harness_sandbox(&h, i ? "uid-15" : "uid-14", NULL));
        const char *id = keep(harness_container(&h, s, i ? "open" : "once", "cat; echo the end", more[i]));
        harness_start(&h, id);
        cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
        cr_assert_eq(write(in[1], "words\n", 6), 6);
        close(in[1]);
        struct kl_runtime_io io = { .size = sizeof io, .in = in[0], .out = -1, .err = -1, .resize = -1 };
        struct kl_call *c = harness_call(&h);
        c->deadline_ns = env_mono_ns() + 20 * NS_PER_S;
        int rc = h.rt->attach(h.self, c, id, &io);
        cr_expect_eq(rc, 0, "%d: %s", rc, c->err.msg);
        for (int64_t until = env_mono_ns() + 20 * NS_PER_S; i && !*harness_log(&h, "open") && env_mono_ns() < until;)
            poll(NULL, 0, 10);
        if (i)
            cr_expect_str_eq(harness_log(&h, "open"), "stdout F words\n");
        else
            harness_until(&h, id, "CONTAINER_EXITED");
        close(in[0]);
        c = harness_call(&h);
        cr_assert_eq(h.rt->sandbox_stop(h.self, c, s), 0, "%s", c->err.msg);
        cr_assert_eq(h.rt->sandbox_remove(h.self, c, s), 0, "%s", c->err.msg);
    }
    harness_done(&h);
}

/* As kubectl does it: one larger, then the true one, at once. */
TEST(attach_takes_the_last_of_many_sizes)
{
    setup();
    int in[2], out[2], size[2];
    char text[4096] = "";
    const char *s = keep(harness_sandbox(&h, "uid-16", NULL));
    const char *id = keep(harness_container(&h, s, "main", "read x; stty size", ",\"stdin\":true,\"tty\":true"));
    harness_start(&h, id);
    cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(size, O_CLOEXEC) == 0);
    cr_assert_eq(write(size[1], "82 26\n83 27\n81 25\n", 18), 18);
    pid_t typist = fork();
    if (typist == 0) {
        sleep(1);
        _exit(write(in[1], "\n", 1) != 1);
    }
    struct kl_runtime_io io = { .size = sizeof io, .in = in[0], .out = out[1], .err = -1, .resize = size[0], .tty = 1 };
    struct kl_call *c = harness_call(&h);
    c->deadline_ns = env_mono_ns() + 20 * NS_PER_S;
    cr_assert_eq(h.rt->attach(h.self, c, id, &io), 0, "%s", c->err.msg);
    cr_assert_gt(read(out[0], text, sizeof text - 1), 0);
    cr_expect(strstr(text, "25 81"), "%s", text);
    finish(s);
}

static int64_t cancel_ns;

static bool cancelled(const struct kl_call *c)
{
    (void)c;
    return env_mono_ns() > cancel_ns;
}

/* Whose input nobody takes must still be able to leave. */
TEST(attach_and_exec_are_cancelled_while_input_is_stuck)
{
    setup();
    const char *s = keep(harness_sandbox(&h, "uid-17", NULL));
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    static const char *const more[] = { ",\"stdin\":true", ",\"stdin\":true,\"tty\":true" };
    const char *const argv[] = { "sleep", "1000", NULL };
    for (int i = 0; i < 2; i++) {
        const char *id = keep(harness_container(&h, s, i ? "tty" : "pipe", "sleep 1000", more[i]));
        int32_t code;
        harness_start(&h, id);
        struct kl_runtime_io io = { .size = sizeof io, .in = zero, .out = null, .err = null, .resize = -1, .tty = (uint32_t)i };
        struct kl_call *c = harness_call(&h);
        c->cancelled = cancelled;
        cancel_ns = env_mono_ns() + NS_PER_S;
        cr_expect_eq(h.rt->attach(h.self, c, id, &io), -KL_CANCELLED, "%d: %s", i, c->err.msg);
        cancel_ns = env_mono_ns() + NS_PER_S;
        cr_expect_eq(h.rt->exec(h.self, c, id, argv, &io, &code), -KL_CANCELLED, "%d: %s", i, c->err.msg);
    }
    close(zero);
    close(null);
    finish(s);
}

TEST(log_is_opened_anew)
{
    setup();
    char from[160], to[160], out[16];
    const char *s = keep(harness_sandbox(&h, "uid-11", NULL));
    const char *id = keep(harness_container(&h, s, "main", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done", NULL));
    harness_start(&h, id);
    harness_exec(&h, id, "sleep 0.3", out, sizeof out);
    snprintf(from, sizeof from, "%s/log/main/0.log", h.dir);
    snprintf(to, sizeof to, "%s/log/main/0.log.1", h.dir);
    cr_assert_eq(rename(from, to), 0);
    struct kl_call *c = harness_call(&h);
    cr_assert_eq(h.rt->reopen_log(h.self, c, id), 0, "%s", c->err.msg);
    harness_exec(&h, id, "sleep 0.5", out, sizeof out);
    cr_assert(strstr(harness_log(&h, "main"), "stdout F line "));
    finish(s);
}

/* What a client may get wrong, and what is said about it. */
TEST(refuses_with_a_reason)
{
    static const struct {
        const char *more, *message;
    } rows[] = {
        { "\"image\":{\"image\":\"none:1\"}", "image 'none:1' is not in the image store" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"logPath\":\"../../x\"", "logPath" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"workingDir\":\"x\"", "workingDir" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"envs\":[{\"key\":\"A=B\",\"value\":\"\"}]", "envs" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"mounts\":[{\"containerPath\":\"/a/../b\",\"hostPath\":\"/tmp\"}]", "containerPath" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"mounts\":[{\"containerPath\":\"/a\",\"hostPath\":\"/none-such\"}]", "/none-such" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"linux\":{\"securityContext\":{\"runAsUser\":{\"value\":4294967296}}}", "runAsUser" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"linux\":{\"securityContext\":{\"capabilities\":{\"addCapabilities\":[\"X\"]}}}", "'X'" },
        { "\"image\":{\"image\":\"localhost/box:1\"},\"command\":[\"/no/such\"]", "/no/such" },
    };
    setup();
    const char *s = keep(harness_sandbox(&h, "uid-12", NULL)), *id;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024];
        snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"c%zu\"},%s}", i, rows[i].more);
        struct kl_call *c = harness_call(&h);
        cr_expect_lt(h.rt->container_create(h.self, c, s, (struct kl_bytes){ text, strlen(text) }, &id), 0, "%s", text);
        cr_expect(strstr(c->err.msg, rows[i].message), "'%s' for %s", c->err.msg, text);
    }
    finish(s);
}

TEST(hostile_roots_are_refused)
{
    static const struct {
        const char *make, *message;
    } rows[] = {
        { "ln -s /etc dev", "/dev" },
        { "ln -s /tmp proc", "/proc" },
        { "touch sys", "/sys" },
        { "ln -s /etc etc", "/etc" },
        { "mkdir etc; ln -s ../../../../../etc/passwd etc/passwd", "/etc/passwd" },
        { "mkdir etc; mkfifo etc/hosts", "/etc/hosts" },
    };
    setup();
    const char *s = keep(harness_sandbox(&h, "uid-13", NULL)), *id;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char command[512], path[128], tag[32], digest[DIGEST_TEXT], text[256];
        struct image_store *store;
        struct kl_call *c = harness_call(&h);
        snprintf(path, sizeof path, "%s/root%zu", h.dir, i);
        snprintf(command, sizeof command, "mkdir -p %s/bin && cp /bin/busybox %s/bin/sh && cd %s && %s", path, path, path, rows[i].make);
        cr_assert_eq(system(command), 0);
        snprintf(tag, sizeof tag, "bad:%zu", i);
        snprintf(text, sizeof text, "%s/images", h.dir);
        cr_assert_eq(image_store_open(text, &store, &c->err), 0);
        struct image_build b = { .tag = tag, .rootfs = path };
        cr_assert_eq(image_build(store, &b, digest, &c->err), 0, "%s", c->err.msg);
        image_store_close(store);
        snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"c%zu\"},\"image\":{\"image\":\"%s\"},\"command\":[\"/bin/sh\"]}", i, tag);
        cr_expect_lt(h.rt->container_create(h.self, c, s, (struct kl_bytes){ text, strlen(text) }, &id), 0, "%s", rows[i].make);
        cr_expect(strstr(c->err.msg, rows[i].message) && strstr(c->err.msg, "refused"), "'%s' for %s", c->err.msg, rows[i].make);
    }
    finish(s);
}
