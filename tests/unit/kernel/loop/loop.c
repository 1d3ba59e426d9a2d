/* The loop, real and simulated: one order of timers, posts and hooks; descriptors, workers, signals. */
#include "loop/loop.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/env.h"

#define MOST 400

struct script {
    struct loop *loop;
    struct loop_timer timers[MOST];
    unsigned order[MOST * 2], n, left;
};

struct fired {
    struct script *s;
    unsigned id;
};

static struct fired ids[MOST];

static void note(void *ctx)
{
    struct fired *f = ctx;
    f->s->order[f->s->n++] = f->id;
    if (--f->s->left == 0)
        loop_stop(f->s->loop);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/* 300 timers of few different delays; some are moved, some stopped. */
static void start_all(void *ctx)
{
    struct script *s = ctx;
    uint32_t state = 7;
    s->left = 0;
    for (unsigned i = 0; i < 300; i++) {
        ids[i] = (struct fired){ s, i };
        loop_timer_start(s->loop, &s->timers[i], (int64_t)(next_random(&state) % 8) * NS_PER_MS, note, &ids[i]);
        s->left++;
    }
    for (unsigned i = 0; i < 300; i += 7)
        loop_timer_start(s->loop, &s->timers[i], (int64_t)(next_random(&state) % 8) * NS_PER_MS, note, &ids[i]);
    for (unsigned i = 3; i < 300; i += 11) {
        loop_timer_stop(&s->timers[i]);
        loop_timer_stop(&s->timers[i]);
        s->left--;
    }
}

Test(loop, timers_have_one_order_real_and_simulated)
{
    static struct script real, sim;
    real.loop = loop_new();
    sim.loop = loop_new_sim(1000, 2000);
    for (int i = 0; i < 2; i++) {
        struct script *s = i ? &sim : &real;
        loop_post(s->loop, start_all, s);
        loop_run(s->loop);
        loop_free(s->loop);
    }
    cr_assert_eq(real.n, sim.n);
    cr_assert_eq(real.n, 300 - 27);
    for (unsigned i = 0; i < real.n; i++)
        cr_assert_eq(real.order[i], sim.order[i], "place %u: %u in the real loop, %u in the simulated", i, real.order[i], sim.order[i]);
}

/* --- simulated time --- */

struct trace {
    struct loop *loop;
    char text[256];
    struct loop_timer a, b;
    struct loop_hook hook;
    int hooks;
};

static void add(struct trace *t, char c)
{
    size_t n = strlen(t->text);
    t->text[n] = c;
    t->text[n + 1] = '\0';
}

static void on_p(void *ctx)
{
    add(ctx, 'p');
}

static void on_b(void *ctx)
{
    add(ctx, 'b');
}

static void on_a(void *ctx)
{
    struct trace *t = ctx;
    add(t, 'a');
    loop_post(t->loop, on_p, t);
    loop_timer_start(t->loop, &t->b, 0, on_b, t);
}

static void on_hook(void *ctx)
{
    ((struct trace *)ctx)->hooks++;
}

Test(loop, simulated_clock_jumps_and_stands)
{
    struct trace t = { .loop = loop_new_sim(5 * NS_PER_S, 100 * NS_PER_S) };
    const struct env_ops *env = loop_sim_env(t.loop);
    cr_expect_eq(env->mono_ns(env->ctx), 5 * NS_PER_S);
    cr_expect_eq(env->wall_ns(env->ctx), 100 * NS_PER_S);
    loop_hook_add(t.loop, &t.hook, on_hook, &t);
    loop_timer_start(t.loop, &t.a, 10 * NS_PER_S, on_a, &t);
    loop_run_until(t.loop, 14 * NS_PER_S);
    cr_expect_str_eq(t.text, "");
    cr_expect_eq(loop_now(t.loop), 14 * NS_PER_S);
    loop_run_until(t.loop, 15 * NS_PER_S);
    cr_expect_str_eq(t.text, "apb", "a timer that one of this turn starts waits for the next, behind what was posted: %s", t.text);
    cr_expect_eq(loop_now(t.loop), 15 * NS_PER_S);
    cr_expect_gt(t.hooks, 1);
    loop_timer_start(t.loop, &t.a, NS_PER_S, on_b, &t);
    loop_timer_stop(&t.a);
    loop_run(t.loop);
    cr_expect_str_eq(t.text, "apb", "a stopped timer does not fire: %s", t.text);
    loop_free(t.loop);
}

static void run_inline(void *ctx)
{
    add(ctx, 'w');
}

Test(loop, simulated_work_runs_inline)
{
    struct trace t = { .loop = loop_new_sim(0, 0) };
    loop_work(t.loop, run_inline, on_p, &t);
    cr_expect_str_eq(t.text, "w");
    loop_run(t.loop);
    cr_expect_str_eq(t.text, "wp");
    cr_expect(loop_here(t.loop));
    loop_free(t.loop);
}

/* --- real --- */

struct real {
    struct loop *loop;
    struct loop_fd *fd;
    int pipe[2], seen;
    bool on_loop, off_loop;
    int64_t before_ns, now_ns;
    pthread_t thread;
};

static void on_readable(void *ctx, int events)
{
    struct real *r = ctx;
    char c;
    cr_expect(events & LOOP_READ);
    cr_expect_eq(read(r->pipe[0], &c, 1), 1);
    if (++r->seen == 2) {
        loop_fd_free(r->fd);            /* allowed within ready */
        loop_stop(r->loop);
    }
}

Test(loop, descriptors_are_level_triggered)
{
    struct real r = { .loop = loop_new() };
    cr_assert_eq(pipe(r.pipe), 0);
    r.fd = loop_fd_new(r.loop, r.pipe[0], on_readable, &r);
    loop_fd_set(r.fd, LOOP_READ);
    cr_assert_eq(write(r.pipe[1], "ab", 2), 2);
    loop_run(r.loop);
    cr_expect_eq(r.seen, 2);
    loop_free(r.loop);
    close(r.pipe[0]);
    close(r.pipe[1]);
}

static void work_run(void *ctx)
{
    struct real *r = ctx;
    r->off_loop = !loop_here(r->loop);
}

static void work_done(void *ctx)
{
    struct real *r = ctx;
    r->on_loop = loop_here(r->loop);
    loop_stop(r->loop);
}

Test(loop, workers_run_elsewhere_and_end_here)
{
    struct real r = { .loop = loop_new() };
    loop_work(r.loop, work_run, work_done, &r);
    loop_run(r.loop);
    cr_expect(r.off_loop);
    cr_expect(r.on_loop);
    loop_free(r.loop);
}

static void called(void *ctx)
{
    struct real *r = ctx;
    r->on_loop = loop_here(r->loop);
    r->seen++;
}

static void *calls(void *ctx)
{
    struct real *r = ctx;
    for (int i = 0; i < 1000; i++)
        loop_call(r->loop, called, r);
    cr_expect_eq(r->seen, 1000);
    loop_stop(r->loop);
    return NULL;
}

Test(loop, calls_from_another_thread_wait_until_they_have_run)
{
    struct real r = { .loop = loop_new() };
    pthread_create(&r.thread, NULL, calls, &r);
    loop_run(r.loop);
    pthread_join(r.thread, NULL);
    cr_expect_eq(r.seen, 1000);
    cr_expect(r.on_loop);
    loop_free(r.loop);
}

/* A timer that a signal's function starts counts from the signal, however long the loop was idle before. */
static void on_signal(void *ctx)
{
    struct real *r = ctx;
    r->now_ns = loop_now(r->loop);
    loop_stop(r->loop);
}

static void *send_signal(void *ctx)
{
    struct real *r = ctx;
    usleep(30000);
    r->before_ns = env_mono_ns();
    kill(getpid(), SIGUSR1);
    return NULL;
}

Test(loop, signals_see_the_present_time)
{
    struct real r = { .loop = loop_new() };
    cr_assert_eq(loop_signal(r.loop, SIGUSR1, on_signal, &r), 0);
    pthread_create(&r.thread, NULL, send_signal, &r);
    loop_run(r.loop);
    pthread_join(r.thread, NULL);
    cr_expect_geq(r.now_ns, r.before_ns);
    cr_expect_lt(loop_signal(r.loop, 99, on_signal, &r), 0);
    loop_free(r.loop);
}
