/* logs.c - log files read with every option, through rotations and against traps; what is said when there is none; following to the end. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fake.h"
#include "serve.h"

static char dir[64], path[96], aside[96];

static void begin(void)
{
    snprintf(dir, sizeof dir, "/tmp/agent-logs-XXXXXX");
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/0.log", dir);
    snprintf(aside, sizeof aside, "%s/0.log.1", dir);
    signal(SIGPIPE, SIG_IGN);
}

static void finish(void)
{
    unlink(path);
    unlink(aside);
    rmdir(dir);
}
TestSuite(logs, .init = begin, .fini = finish);

static void append(const char *to, const char *text)
{
    FILE *f = fopen(to, "a");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* What came through the pipe so far. */
static const char *got(int fd)
{
    static char text[65536];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define LINE(n, stream, tag, text) "2026-01-0" n "T00:00:00.5+00:00 " stream " " tag " " text "\n"
#define DAY(n) (1767225600000000000LL + ((n) - 1) * 86400LL * 1000000000LL)
static const char file[] = LINE("1", "stdout", "F", "one") LINE("2", "stderr", "F", "two") LINE("3", "stdout", "P", "thr") LINE("4", "stdout", "F", "ee")
    "damaged\n" LINE("5", "stdout", "F", "") LINE("6", "stdout", "F:x", "six  blanks ");

Test(logs, options)
{
    static const struct {
        struct kl_log_options o;
        const char *want;
    } rows[] = {
#define O(tail, limit, ...) { .size = sizeof(struct kl_log_options), .tail_lines = tail, .limit_bytes = limit, __VA_ARGS__ }
        { O(-1, -1, ), "one\ntwo\nthree\n\nsix  blanks \n" },
        { { .size = offsetof(struct kl_log_options, streams), .tail_lines = -1, .limit_bytes = -1, .streams = 2 }, "one\ntwo\nthree\n\nsix  blanks \n" },
        { O(-1, -1, .streams = 1), "one\nthree\n\nsix  blanks \n" },
        { O(-1, -1, .streams = 2), "two\n" },
        { O(0, -1, ), "" },
        { O(1, -1, ), "six  blanks \n" },
        { O(2, -1, ), "\nsix  blanks \n" },
        { O(100, -1, ), "one\ntwo\nthree\n\nsix  blanks \n" },
        { O(-1, 5, ), "one\nt" },
        { O(-1, 4, ), "one\n" },
        { O(-1, 1000, ), "one\ntwo\nthree\n\nsix  blanks \n" },
        { O(-1, -1, .since_wall_ns = DAY(4)), "ee\n\nsix  blanks \n" },
        { O(-1, -1, .since_wall_ns = DAY(7)), "" },
        { O(6, -1, .timestamps = 1), "2026-01-02T00:00:00.500000000Z two\n2026-01-03T00:00:00.500000000Z three\n"
          "2026-01-05T00:00:00.500000000Z \n2026-01-06T00:00:00.500000000Z six  blanks \n" },
    };
    append(path, file);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct log_reader r;
        struct kl_err err;
        int ends[2];
        cr_assert(pipe2(ends, O_CLOEXEC) == 0 && log_open(&r, path, &rows[i].o, ends[1], &err) == 0, "%s", err.msg);
        log_read(&r);
        log_close(&r);
        cr_expect_str_eq(got(ends[0]), rows[i].want, "row %zu", i);
        close(ends[0]);
        close(ends[1]);
    }
}

/* A tail that begins many blocks before the end. */
Test(logs, long_tail)
{
    struct kl_log_options o = { .size = sizeof o, .tail_lines = 3, .limit_bytes = -1 };
    struct log_reader r;
    struct kl_err err;
    int ends[2];
    char *long_text = malloc(20001), *want = malloc(70000);
    memset(long_text, 'x', 20000);
    long_text[20000] = '\0';
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 5; i++)
        fprintf(f, "2026-01-01T00:00:00Z stdout F %d%s\n", i, long_text);
    fclose(f);
    cr_assert(pipe2(ends, O_CLOEXEC) == 0 && log_open(&r, path, &o, ends[1], &err) == 0);
    log_read(&r);
    log_close(&r);
    snprintf(want, 70000, "2%s\n3%s\n4%s\n", long_text, long_text, long_text);
    cr_expect_str_eq(got(ends[0]), want);
    free(long_text);
    free(want);
    close(ends[0]);
    close(ends[1]);
}

Test(logs, goes_on_behind_a_rotation)
{
    struct kl_log_options o = { .size = sizeof o, .tail_lines = -1, .limit_bytes = -1 };
    struct log_reader r;
    struct kl_err err;
    int ends[2];
    append(path, LINE("1", "stdout", "F", "one") "2026-01-02T00:00:00Z stdout F tw");
    cr_assert(pipe2(ends, O_CLOEXEC) == 0 && log_open(&r, path, &o, ends[1], &err) == 0);
    cr_expect(log_read(&r));
    cr_expect_str_eq(got(ends[0]), "one\n", "half a record waits");
    append(path, "o\n");
    cr_assert_eq(rename(path, aside), 0);
    cr_expect(log_read(&r));            /* no new file yet */
    cr_expect_str_eq(got(ends[0]), "two\n");
    append(aside, LINE("3", "stdout", "F", "three"));
    append(path, LINE("4", "stdout", "F", "four"));
    cr_expect(log_read(&r));
    append(path, LINE("5", "stdout", "F", "five"));
    cr_expect(log_read(&r));
    cr_expect_str_eq(got(ends[0]), "three\nfour\nfive\n");
    close(ends[0]);
    append(path, LINE("6", "stdout", "F", "six"));
    cr_expect_not(log_read(&r), "nobody reads any more");
    log_close(&r);
    close(ends[1]);
}

/* What a pod could put in the place of its log must not be read, nor wait. */
Test(logs, traps)
{
    struct kl_log_options o = { .size = sizeof o, .tail_lines = -1, .limit_bytes = -1 };
    struct log_reader r;
    struct kl_err err;
    append(aside, file);
    cr_assert_eq(symlink(aside, path), 0);
    cr_expect_lt(log_open(&r, path, &o, -1, &err), 0, "a link");
    unlink(path);
    cr_assert_eq(link(aside, path), 0);
    cr_expect_lt(log_open(&r, path, &o, -1, &err), 0, "a second name");
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_lt(log_open(&r, path, &o, -1, &err), 0, "a fifo");
    unlink(path);
    cr_expect_eq(log_open(&r, path, &o, -1, &err), -KL_NOT_FOUND);
}

#define POD "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'p','uid':'u1','generation':1},'spec':{'nodeName':'n1'," \
            "'restartPolicy':'Always','containers':[{'name':'c','image':'i'}]}}"

static void expect_log(struct world *w, bool previous, int code, const char *text)
{
    struct kl_log_options o = { .size = sizeof o, .tail_lines = -1, .limit_bytes = -1, .previous = previous };
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    kl_err_init(&w->own.call.err);
    cr_expect_eq(node_logs(&w->agent, &w->own.call, "d", "p", "c", &o, ends[1]), -code, "%s", w->own.call.err.msg);
    cr_expect_str_eq(code ? w->own.call.err.msg : got(ends[0]), text);
    close(ends[0]);
    close(ends[1]);
}

static void set_log(struct world *w, const char *to)
{
    json_set_str(w->arena, world_container(w, "c"), STR("logPath"), str_of(to));
}

Test(logs, which_container)
{
    struct world *w = world_new();
    w->no_image = true;
    world_put(w, "/pods", POD);
    world_sync(w, "d/p", NULL);
    expect_log(w, false, KL_BAD_REQUEST, "container \"c\" in pod \"p\" is waiting to start: image can't be pulled");
    w->no_image = false;
    world_pass(w, 100);
    world_sync(w, "d/p", NULL);
    set_log(w, path);
    append(path, LINE("1", "stdout", "F", "first life"));
    expect_log(w, false, 0, "first life\n");
    expect_log(w, true, KL_BAD_REQUEST, "previous terminated container \"c\" in pod \"p\" not found");
    world_end(w, "c", 1, "Error");
    expect_log(w, false, 0, "first life\n");
    world_pass(w, 100);
    world_sync(w, "d/p", NULL);
    set_log(w, aside);
    append(aside, LINE("2", "stdout", "F", "second life"));
    expect_log(w, false, 0, "second life\n");
    expect_log(w, true, 0, "first life\n");
    kl_err_init(&w->own.call.err);
    cr_expect_eq(node_logs(&w->agent, &w->own.call, "d", "gone", "c", &(struct kl_log_options){ .size = sizeof(struct kl_log_options) }, -1), -KL_NOT_FOUND);
    world_free(w);
}

struct following {
    struct world *w;
    int fd, rc;
};

static void *follow(void *ctx)
{
    struct following *f = ctx;
    struct kl_log_options o = { .size = sizeof o, .tail_lines = 0, .limit_bytes = -1, .follow = 1 };
    struct kl_call c = f->w->own.call;
    f->rc = node_logs(&f->w->agent, &c, "d", "p", "c", &o, f->fd);
    close(f->fd);
    return NULL;
}

static bool next(int fd, const char *want)
{
    char text[64] = "";
    size_t n = strlen(want);
    for (size_t at = 0; at < n;) {
        ssize_t m = read(fd, text + at, n - at);
        if (m <= 0)
            return false;
        at += (size_t)m;
    }
    return strcmp(text, want) == 0;
}

/* Lines as they come, over a rotation, until the process has gone and the runtime says so. */
Test(logs, followed_to_the_end, .timeout = 60)
{
    struct world *w = world_new();
    struct following f = { .w = w };
    pthread_t t;
    int ends[2];
    pid_t process = fork();
    if (process == 0) {
        for (;;)
            pause();
    }
    world_put(w, "/pods", POD);
    world_sync(w, "d/p", NULL);
    set_log(w, path);
    json_set_int(w->arena, world_container(w, "c"), STR("pid"), process);
    append(path, LINE("1", "stdout", "F", "before"));
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    f.fd = ends[1];
    cr_assert_eq(pthread_create(&t, NULL, follow, &f), 0);
    usleep(100000);
    append(path, LINE("2", "stdout", "F", "one"));
    cr_expect(next(ends[0], "one\n"));
    cr_assert_eq(rename(path, aside), 0);
    append(path, LINE("3", "stdout", "F", "two"));
    cr_expect(next(ends[0], "two\n"));
    json_set_str(w->arena, world_container(w, "c"), STR("state"), STR("CONTAINER_EXITED"));
    append(path, LINE("4", "stdout", "F", "last"));
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
    cr_expect(next(ends[0], "last\n"));
    char byte;
    cr_expect_eq(read(ends[0], &byte, 1), 0, "the end");
    pthread_join(t, NULL);
    cr_expect_eq(f.rc, 0);
    close(ends[0]);
    world_free(w);
}

/* Who follows a silent container and leaves is noticed. */
Test(logs, followed_by_one_who_leaves, .timeout = 60)
{
    struct world *w = world_new();
    struct following f = { .w = w };
    pthread_t t;
    int ends[2];
    world_put(w, "/pods", POD);
    world_sync(w, "d/p", NULL);
    set_log(w, path);
    append(path, LINE("1", "stdout", "F", "before"));
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    f.fd = ends[1];
    cr_assert_eq(pthread_create(&t, NULL, follow, &f), 0);
    usleep(50000);
    close(ends[0]);
    pthread_join(t, NULL);
    cr_expect_eq(f.rc, 0);
    world_free(w);
}
