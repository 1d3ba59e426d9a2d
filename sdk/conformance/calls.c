/* calls.c - what the harness must know of single calls: those it leaves out, those that need not answer the same twice, which thread they run on. */
#include <keelson/iface/audit.h>
#include <keelson/iface/controller.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/store.h>
#include <keelson/iface/volume.h>

#include "bench.h"

static const struct {
    const char *iface, *call;           /* call NULL: all */
    bool left_out;
    int again;                          /* 1: success stays success, 0: not even that */
} rows[] = {
    { KL_RUNTIME_0, "sandbox_run", true, 0 },           /* would start processes of a real container */
    { KL_RUNTIME_0, "container_create", false, 1 },
    { KL_RUNTIME_0, "wait", false, 0 },
    { KL_RUNTIME_0, NULL, false, 1 },
    { KL_STORE_0, "examine", true, 0 },                 /* of what is closed: see particular.c */
    { KL_STORE_0, NULL, false, 0 },                     /* an engine moves on with each call */
    { KL_CONTROLLER_0, "reconcile", false, 1 },         /* what failed is tried again */
    { KL_PROXY_0, "update", false, 0 },
    { KL_NODE_0, "stats", false, 1 },
    { KL_NETWORK_0, "teardown", false, 1 },
    { KL_VOLUME_0, "create", false, 1 },                /* its answer: see particular_volume.c */
};

static int row_of(const struct bench *b, uint32_t i)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (strcmp(rows[k].iface, b->sig->id) == 0 && (!rows[k].call || strcmp(rows[k].call, b->sig->calls[i].name) == 0))
            return (int)k;
    return -1;
}

bool bench_may(const struct bench *b, uint32_t i)
{
    int row = row_of(b, i);
    if (b->keyless && strcmp(b->sig->calls[i].name, "reconcile") == 0)
        return false;
    return (row < 0 || !rows[row].left_out) && invoke_has(&b->sig->calls[i], b->table);
}

int bench_again(const struct bench *b, uint32_t i)
{
    int row = row_of(b, i);
    return row < 0 ? 2 : rows[row].again;
}

bool bench_loop(const struct bench *b, uint32_t i)
{
    uint32_t thread = b->sig->calls[i].thread;
    if (thread == KL_SIG_EITHER)
        return !(((const struct kl_controller *)(const void *)b->table)->flags & KL_CONTROLLER_BLOCKING);
    return thread == KL_SIG_LOOP;
}
