/* host.h - a host for plugins under test: every service, over objects in memory, a clock, other instances that answer nothing. It counts, fails on
 * demand, and notes what a plugin must not do. Services are [any]; what host.h tags [loop] is checked. */
#ifndef CONFORMANCE_HOST_H
#define CONFORMANCE_HOST_H

#include <keelson/plugin.h>
#include <pthread.h>

#include "base/json.h"
#include "report.h"

struct host_object {
    const char *resource;
    struct val *v;                      /* NULL: gone */
};

struct test_host {
    struct kl_host host;                /* first */
    const struct kl_plugin *plugin;
    struct report *report;
    pthread_mutex_t lock;
    struct arena *arena;                /* of the objects */
    struct host_object *at;
    unsigned n, cap, writes, calls, fail_at;    /* fail_at: that call fails, counted from 1; 0: none */
    uint64_t revision;
    bool lean;                          /* optional needs are not there */
};

/* name: of the instance. False: out of memory. Holds the objects of samples.c. */
bool test_host_init(struct test_host *h, const struct kl_plugin *p, const char *name, struct report *r);
void test_host_done(struct test_host *h);
/* The thread that calls this plays the loop (or a worker) from now on; threads that never call are the plugin's own. */
enum test_role { TEST_NOBODY, TEST_LOOP, TEST_WORKER };
void test_host_be(enum test_role role);

/* mock.c: a table of that interface whose functions all fail with KL_UNAVAILABLE; NULL: not known. */
const void *mock_table(const char *iface);

/* samples.c: objects of a small cluster, NULL at the end. */
struct sample_object {
    const char *resource, *json;
};
extern const struct sample_object sample_objects[];

#endif
