/* scenarios.c - what is done to any provider of any interface, by its signatures: each in a process of its own. */
#include "bench.h"

#include <keelson/iface/auth.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "heap.h"
#include "process.h"

#define TRIES_MOST 48u                  /* failing allocations and calls to the host that are tried of one call */
#define THREADS    4
#define ROUNDS     20

static bool opened(struct bench *b)
{
    char why[REPORT_TEXT];
    return bench_open(b, why) >= 0;
}

static void every_call(struct bench *b, const struct asking *how)
{
    for (uint32_t i = 0; i < b->sig->n_calls; i++)
        bench_call(b, i, how, NULL);
}

/* --- the usual life, with guarded arguments --- */

static void run_plain(struct bench *b)
{
    char why[REPORT_TEXT];
    struct bench other;
    b->strict = true;
    bench_now(b, P_SURVIVE, P_SURVIVE, "open", 0);
    report_asked(b->report, P_SURVIVE);
    report_asked(b->report, P_BORROWED);
    report_asked(b->report, P_KEPT);
    int rc = bench_open(b, why);
    report_check(b->report, P_OPEN, "open", rc >= 0, "it fails: %s", why);
    if (rc < 0)
        return;
    bench_probe(b);
    for (int v = 0; v < ARGS_VARIANTS; v++)
        every_call(b, &(struct asking){ .variant = (enum args_variant)v });
    bench_reconfigure(b);
    every_call(b, &(struct asking){ .variant = ARGS_USUAL });
    bench_close(b);

    /* Two at once, the first closed first. A store's folder is one instance's. */
    if (!bench_init(&other, b->plugin, b->provider, b->settings, b->report) || !opened(b))
        return;
    b->report->now = P_OPEN;
    if (bench_open(&other, NULL) >= 0) {
        report_check(b->report, P_OPEN, "open", !b->self || other.self != b->self,
                     "two instances are given the same self");
        every_call(&other, &(struct asking){ .variant = ARGS_USUAL });
        bench_close(b);
        every_call(&other, &(struct asking){ .variant = ARGS_LEAST });
        bench_close(&other);
    } else {
        bench_close(b);
    }
    bench_done(&other);
}

/* --- the same again; longer structs --- */

static void compare(struct bench *b, uint32_t i, const struct answer *x, const struct answer *y, enum policy p, const char *when)
{
    int again = bench_again(b, i);
    const char *name = b->sig->calls[i].name;
    if (!x->ran || !y->ran || !again)
        return;
    report_check(b->report, p, name, (x->rc < 0) == (y->rc < 0) || (again == 1 && x->rc < 0), "%s it %s%s where it %s%s", when, y->rc < 0 ? "fails: " : "succeeds", y->rc < 0 ? y->message : "",
                 x->rc < 0 ? "failed: " : "succeeded", x->rc < 0 ? x->message : "");
    if (again == 2 && x->rc >= 0 && y->rc >= 0)
        report_check(b->report, p, name, str_eq(buf_str(&x->text), buf_str(&y->text)), "%s the answer is %.120s, it was %.120s", when,
                     y->text.at ? y->text.at : "", x->text.at ? x->text.at : "");
}

static void run_again(struct bench *b)
{
    const struct asking how = { .variant = ARGS_USUAL };
    struct answer *first = mem_alloc(b->sig->n_calls * sizeof *first), second;
    if (!first || !opened(b)) {
        mem_free(first);
        return;
    }
    bench_now(b, P_AGAIN, P_AGAIN, "", 0);
    for (uint32_t i = 0; i < b->sig->n_calls; i++) {
        bench_call(b, i, &how, &first[i]);
        bench_call(b, i, &how, &second);
        compare(b, i, &first[i], &second, P_AGAIN, "the second time");
        buf_free(&second.text);
    }
    bench_close(b);
    bench_now(b, P_LONGER, P_LONGER, "", 0);
    b->more = 64;
    test_host_done(&b->host);
    if (test_host_init(&b->host, b->plugin, b->provider->name, b->report) && opened(b)) {
        for (uint32_t i = 0; i < b->sig->n_calls; i++) {
            bench_call(b, i, &how, &second);
            compare(b, i, &first[i], &second, P_LONGER, "with longer structs");
            buf_free(&second.text);
        }
        bench_close(b);
    }
    for (uint32_t i = 0; i < b->sig->n_calls; i++)
        buf_free(&first[i].text);
    mem_free(first);
}

/* --- cancelled, late --- */

static void run_in_time(struct bench *b)
{
    if (!opened(b))
        return;
    for (uint32_t i = 0; i < b->sig->n_calls; i++) {
        const struct kl_sig_call *call = &b->sig->calls[i];
        if (!call->n || call->arguments[0].kind != KL_SIG_CALL || !bench_may(b, i))
            continue;
        report_asked(b->report, P_CANCEL);
        bench_now(b, P_CANCEL, P_CANCEL, call->name, 0);
        bench_call(b, i, &(struct asking){ .cancelled = true, .late = P_CANCEL, .for_ns = 3600 * 1000000000LL }, NULL);
        report_asked(b->report, P_DEADLINE);
        bench_now(b, P_DEADLINE, P_DEADLINE, call->name, 0);
        bench_call(b, i, &(struct asking){ .late = P_DEADLINE, .for_ns = 20000000 }, NULL);
    }
    bench_close(b);
}

static void run_loop(struct bench *b)
{
    if (!opened(b))
        return;
    bench_now(b, P_SURVIVE, P_LOOP, "", 0);
    for (uint32_t i = 0; i < b->sig->n_calls; i++) {
        if (!bench_loop(b, i) || !bench_may(b, i))
            continue;
        /* A sleep is a switch of one's own will, each time; the machine's load is not. */
        unsigned slept = 0;
        for (int k = 0; k < 5; k++) {
            struct rusage before, after;
            getrusage(RUSAGE_THREAD, &before);
            bench_call(b, i, &(struct asking){ .late = P_LOOP }, NULL);
            getrusage(RUSAGE_THREAD, &after);
            slept += after.ru_nvcsw > before.ru_nvcsw;
        }
        report_check(b->report, P_LOOP, b->sig->calls[i].name, slept < 5, "it waits for something each time that it is called");
    }
    bench_close(b);
}

/* --- many at once --- */

struct crowd {
    struct bench *b;
    uint32_t call;
    pthread_barrier_t *start;
    struct answer alone;
    bool differs;
};

static void *crowd_run(void *arg)
{
    struct crowd *w = arg;
    pthread_barrier_wait(w->start);
    for (int k = 0; k < ROUNDS; k++) {
        struct answer now;
        bench_call(w->b, w->call, &(struct asking){ .late = P_THREADS }, &now);
        int again = now.ran ? bench_again(w->b, w->call) : 0;
        if (again && w->alone.rc >= 0 && now.rc < 0)
            w->differs = true;
        if (again == 2 && now.rc >= 0 && !str_eq(buf_str(&now.text), buf_str(&w->alone.text)))
            w->differs = true;
        buf_free(&now.text);
    }
    return NULL;
}

static void crowd(struct bench *b, uint32_t i)
{
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    struct crowd all[THREADS];
    struct answer alone;
    const char *name = b->sig->calls[i].name;
    bench_call(b, i, &(struct asking){ .late = P_SURVIVE }, &alone);
    bench_now(b, P_THREADS, P_THREADS, name, 0);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int t = 0; t < THREADS; t++) {
        all[t] = (struct crowd){ .b = b, .call = i, .start = &start, .alone = alone };
        if (pthread_create(&threads[t], NULL, crowd_run, &all[t]) != 0)
            _exit(1);
    }
    bool differs = false;
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        differs |= all[t].differs;
    }
    pthread_barrier_destroy(&start);
    report_check(b->report, P_THREADS, name, !differs, "from %d threads at once it answers otherwise than alone", THREADS);
    bench_now(b, P_SURVIVE, P_SURVIVE, name, 0);
    buf_free(&alone.text);
}

static void run_threads(struct bench *b)
{
    if (!opened(b))
        return;
    for (uint32_t i = 0; i < b->sig->n_calls; i++) {
        const struct kl_sig_call *call = &b->sig->calls[i];
        bool many = call->thread == KL_SIG_ANY || (call->flags & KL_SIG_MANY && !bench_loop(b, i));
        if (many && !(call->flags & KL_SIG_STREAMING) && bench_may(b, i))
            crowd(b, i);
    }
    bench_close(b);
}

/* --- what fails around it --- */

static bool leaks_anyway;                /* then it is no matter of failures */

static void lost(struct bench *b, enum policy p, const char *what, size_t live, unsigned long mark, const char *when)
{
    size_t bytes = 0;
    const char *call = what;
    if (!leaks_anyway && heap_live() > live && heap_survivor(mark, &bytes, &call))
        report_fail(b->report, p, what, "%s, %zu bytes that it allocated in %s are never freed", when, bytes, call);
}

/* Each allocation of open, one after the other. */
static void fail_open(struct bench *b)
{
    bool enough = false;
    for (unsigned n = 1; n <= TRIES_MOST && !enough; n++) {
        size_t live = heap_live();
        unsigned long mark = heap_mark();
        report_asked(b->report, P_MEMORY_OUT);
        b->fail_alloc = n;
        int rc = bench_open(b, NULL);
        enough = heap_counted() < n;
        b->fail_alloc = 0;
        heap_fail_at(0);
        if (rc >= 0)
            bench_close(b);
        lost(b, P_MEMORY_OUT, "open", live, mark, "when an allocation fails");
    }
}

static void fail_calls(struct bench *b, bool memory)
{
    enum policy p = memory ? P_MEMORY_OUT : P_HOST_FAILS;
    for (uint32_t i = 0; i < b->sig->n_calls; i++) {
        bool enough = false;
        if (!bench_may(b, i))
            continue;
        report_asked(b->report, p);
        for (unsigned n = 1; n <= TRIES_MOST && !enough; n++) {
            b->fail_alloc = memory ? n : 0;
            b->host.calls = 0;
            b->host.fail_at = memory ? 0 : n;
            bench_call(b, i, &(struct asking){ .late = p }, NULL);
            enough = memory ? heap_counted() < n : b->host.calls < n;
            b->fail_alloc = 0;
            b->host.fail_at = 0;
            heap_fail_at(0);
        }
    }
}

static void run_memory(struct bench *b)
{
    if (!opened(b))                     /* once for all that is allocated once */
        return;
    every_call(b, &(struct asking){ .variant = ARGS_USUAL });
    bench_close(b);
    size_t live = heap_live();
    if (!opened(b))
        return;
    every_call(b, &(struct asking){ .variant = ARGS_USUAL });
    bench_close(b);
    leaks_anyway = heap_live() > live;
    bench_now(b, P_MEMORY_OUT, P_MEMORY_OUT, "open", 0);
    fail_open(b);
    live = heap_live();
    unsigned long mark = heap_mark();
    if (!opened(b))
        return;
    fail_calls(b, true);
    bench_close(b);
    lost(b, P_MEMORY_OUT, "close", live, mark, "after calls in which an allocation failed");
}

static void run_host_fails(struct bench *b)
{
    bench_now(b, P_HOST_FAILS, P_HOST_FAILS, "open", 0);
    if (!b->plugin->needs.n)
        return;
    bool enough = false;
    for (unsigned n = 1; n <= TRIES_MOST && !enough; n++) {
        report_asked(b->report, P_HOST_FAILS);
        b->host.calls = 0;
        b->host.fail_at = n;
        int rc = bench_open(b, NULL);
        enough = b->host.calls < n;
        b->host.fail_at = 0;
        if (rc >= 0)
            bench_close(b);
    }
    if (!opened(b))
        return;
    fail_calls(b, false);
    bench_close(b);
}

/* --- what is left --- */

#define WARM   3
#define FEW    6                        /* lives that all grow are a reason to look on: freed pieces that libc keeps by the thread grow for a while too */
#define MANY   40

static bool one_life(struct bench *b)
{
    if (!opened(b))
        return false;
    for (int v = 0; v < ARGS_VARIANTS; v++)
        every_call(b, &(struct asking){ .variant = (enum args_variant)v });
    bench_close(b);
    test_host_done(&b->host);
    return test_host_init(&b->host, b->plugin, b->provider->name, b->report);
}

static void run_leak(struct bench *b)
{
    struct process_state before, after;
    unsigned grew = 0;
    size_t bytes = 0;
    if (!one_life(b))
        return;
    process_read(&before);
    for (int i = 1; i < WARM; i++)
        one_life(b);
    unsigned long mark = heap_mark();
    size_t last = heap_bytes_of_process(), first = last;
    unsigned lives = 0;
    for (; lives < FEW || (lives < MANY && grew == lives); lives++, last = bytes) {
        one_life(b);
        bytes = heap_bytes_of_process();
        grew += bytes > last;
    }
    size_t one = 0;
    const char *call = NULL;
    if (grew == MANY && !heap_survivor(mark, &one, &call))
        call = "a library that it uses";
    report_check(b->report, P_LEAK, call ? call : "close", grew < MANY, "each life from open to close leaves %zu bytes more; allocated in %s",
                 bytes > first ? (bytes - first) / lives : 0, call ? call : "?");
    char what[REPORT_TEXT] = "";
    report_check(b->report, P_LEFT, "close", process_same(&before, &after, what), "%s", what);
}

static void run_process(struct bench *b)
{
    struct process_state before;
    char what[REPORT_TEXT] = "";
    process_read(&before);
    if (!opened(b))
        return;
    for (int v = 0; v < ARGS_VARIANTS; v++)
        every_call(b, &(struct asking){ .variant = (enum args_variant)v });
    report_check(b->report, P_PROCESS, "any call", process_untouched(&before, what), "%s", what);
    bench_close(b);
}

static void run_lean(struct bench *b)
{
    bool any = false;
    for (uint32_t i = 0; i < b->plugin->needs.n; i++)
        any |= KL_AT(struct kl_need, b->plugin->needs, i)->optional != 0;
    if (!any)
        return;
    report_asked(b->report, P_NEEDS);
    bench_now(b, P_NEEDS, P_NEEDS, "open", 0);
    b->host.lean = true;
    if (!opened(b))
        return;
    every_call(b, &(struct asking){ .variant = ARGS_USUAL });
    bench_close(b);
}

const struct scenario scenarios[] = {
    { "plain", run_plain, false },     { "again", run_again, false },   { "in time", run_in_time, false },       { "loop", run_loop, false },
    { "threads", run_threads, false }, { "memory", run_memory, false }, { "host fails", run_host_fails, false }, { "leak", run_leak, false },
    { "process", run_process, true },  { "lean", run_lean, false },     { "particular", particular_run, false },
};
const unsigned n_scenarios = sizeof scenarios / sizeof *scenarios;
