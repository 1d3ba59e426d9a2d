/* harness.h - the plugin as a host would load it, with a fake kl_host, in folders of the test's own. */
#ifndef TEST_HARNESS_H
#define TEST_HARNESS_H

#include <keelson/iface/runtime.h>

#include "base/cleanup.h"
#include "base/json.h"

struct harness {
    char dir[64];                       /* everything lies below; short, because sockets do */
    const struct kl_runtime *rt;
    void *self;
    struct kl_call call;
    struct arena *arena;
};

/* NULL: ready. Else why these tests cannot run here (not root, no crun, ...). */
const char *harness_missing(void);
/* fresh: a new folder with an image localhost/box:1; else the folder in h->dir is taken over. */
void harness_open(struct harness *h, bool fresh);
/* Closes the instance, as a daemon does that ends. */
void harness_close(struct harness *h);
/* Removes what every test must have removed, then says what is left: mounts, control groups, processes, files. */
void harness_done(struct harness *h);
/* After a failed test: removes what it left. */
void harness_abandon(struct harness *h);

struct kl_call *harness_call(struct harness *h);        /* a fresh call; frees the results of the last */
/* Each fails the test on an error. */
/* more: members of "linux" after the first, or NULL. */
const char *harness_sandbox(struct harness *h, const char *uid, const char *more);
const char *harness_container(struct harness *h, const char *sandbox, const char *name, const char *script, const char *more);
void harness_start(struct harness *h, const char *id);
/* Waits (as a host does, by wait and list) until the container has that state; the list's entry, in h->arena. */
struct val *harness_until(struct harness *h, const char *id, const char *state);
struct val *harness_find(struct harness *h, const char *id);
/* Text of the container's log, without time stamps. */
char *harness_log(struct harness *h, const char *name);
int harness_exec(struct harness *h, const char *id, const char *script, char *out, size_t cap);

#endif
