/* cost.c - what one call costs at each level of isolation: score with a pod and a node of 1 KiB each. "none" is the call alone: the host's gate and a function that does nothing; the
 * others are scheduler-binpack's: "bare" without the gate, "gate", "process", "sandbox". Prints, judges nothing: a line "LEVEL best median" in ns for each. Best: the tenth percentile,
 * both sides awake; median: as this machine's load has it. usage: isolate_cost [CALLS] */
#include <keelson/iface/scheduler.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "isolate/isolate.h"
#include "isolate/tables.h"
#include "plugin/gate.h"
#include "plugin/signature.h"

static void host_log(const struct kl_host *h, int32_t l, const char *line)
{
    (void)h;
    (void)l;
    (void)line;
}

static const void *no_service(const struct kl_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

static const struct kl_host host = { .size = sizeof host, .abi_major = 1, .name = "keelson", .version = "0", .instance = "cost", .log = host_log, .service = no_service };

static void *alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static char text[1025];

struct cost {
    double best, median;
};

/* ns of one call, over parts of 100 calls. */
static struct cost measure(const struct kl_scheduler *t, void *self, unsigned n)
{
    struct kl_pod_view pod = { .size = sizeof pod, .pod = { text, 1024 }, .mcpu = 100 };
    struct kl_node_view node = { .size = sizeof node, .name = "n1", .node = { text, 1024 }, .mcpu = 4000 };
    _cleanup_arena_ struct arena *a = arena_new(0);
    int64_t *parts = mem_alloc((n / 100 + 1) * sizeof *parts);
    unsigned n_parts = 0, wrong = 0;
    for (unsigned i = 0; parts && i < n; i += 100) {
        int64_t began = env_mono_ns();
        struct kl_call c = { .size = sizeof c, .arena = a, .alloc = alloc };
        for (unsigned k = 0; k < 100; k++) {
            kl_err_init(&c.err);
            wrong += t->score(self, &c, NULL, &pod, &node) < 0;
        }
        parts[n_parts++] = env_mono_ns() - began;
        arena_reset(a);
    }
    if (wrong)
        fprintf(stderr, "%u of %u calls are answered wrongly\n", wrong, n);
    qsort(parts, n_parts, sizeof *parts, by_value);
    struct cost ret = { (double)parts[n_parts / 10] / 100, (double)parts[n_parts / 2] / 100 };
    mem_free(parts);
    return ret;
}

static const struct kl_provider *provider(const struct kl_plugin *p, unsigned *at)
{
    for (*at = 0; *at < p->providers.n; ++*at)
        if (strcmp(p->providers.at[*at].iface, KL_SCHEDULER_0) == 0)
            return &p->providers.at[*at];
    exit(1);
}

static struct cost isolated(enum isolate_level level, struct loop *loop, unsigned n)
{
    struct cell_conf conf = { .file = PLUGIN, .copy = -1, .name = "cost", .level = level, .loop = loop, .signature = signature_find };
    struct cell *cell;
    const struct kl_plugin *p;
    struct kl_call c = { .size = sizeof c };
    struct kl_err err;
    void *self;
    unsigned at;
    kl_err_init(&err);
    kl_err_init(&c.err);
    if (cell_new(&conf, &cell, &err) < 0 || cell_describe(cell, &p, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    const struct kl_provider *v = provider(p, &at);
    if (cell_open(cell, at, &host, "", &self, &c) < 0)
        exit(1);
    measure(v->table, self, n / 10);
    struct cost ret = measure(v->table, self, n);
    cell_free(cell);
    return ret;
}

static int nothing(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)self;
    (void)c;
    (void)cycle;
    (void)pod;
    (void)node;
    return 0;
}

static const struct kl_scheduler idle = { .size = sizeof idle, .score = nothing };
static const struct kl_provider idler = { KL_SCHEDULER_0, "idle", 0, &idle };

/* As the host calls it. */
static struct cost gated(const struct kl_provider *v, struct loop *loop, unsigned n)
{
    struct gate_target t = { .table = v->table };
    struct gate *g = gate_new(v->iface, "cost", 0, loop);
    if (!g)
        exit(1);
    gate_set(g, &t, 0);
    struct cost ret = measure(gate_provider(g)->table, g, n);
    gate_free(g);
    return ret;
}

static void show(const char *level, struct cost c)
{
    printf("%s %.1f %.1f\n", level, c.best, c.median);
}

int main(int argc, char **argv)
{
    int64_t calls = 100000;
    unsigned at;
    if (argc > 1 && strcmp(argv[1], "plugin-cell") == 0)
        return isolate_child(argc - 1, argv + 1, signature_find, NULL);
    if (argc > 1)
        str_int(str_of(argv[1]), &calls);
    memset(text, 'x', sizeof text - 1);
    struct loop *loop = loop_new();
    void *so = dlopen(PLUGIN, RTLD_NOW);
    const struct kl_plugin *p = so ? dlsym(so, "kl_plugin") : NULL;
    if (!p || !loop)
        return 1;
    const struct kl_provider *v = provider(p, &at);
    measure(v->table, NULL, (unsigned)calls);
    show("bare", measure(v->table, NULL, (unsigned)calls * 10));
    show("gate", gated(v, loop, (unsigned)calls * 10));
    show("none", gated(&idler, loop, (unsigned)calls * 10));
    show("process", isolated(ISOLATE_PROCESS, loop, (unsigned)calls));
    if (geteuid() == 0)
        show("sandbox", isolated(ISOLATE_SANDBOX, loop, (unsigned)calls));
    loop_free(loop);
    return 0;
}
