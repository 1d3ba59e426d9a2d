/* fake.h - a host, a runtime and a network in memory, with a clock that stands still until a test moves it. */
#ifndef FAKE_H
#define FAKE_H

#include <criterion/criterion.h>

#include "evict.h"
#include "probes.h"
#include "sample.h"
#include "status.h"

struct world {
    struct agent agent;
    struct agent_conf conf;
    struct kl_host host;
    struct arena *arena;                    /* all that a test makes */
    struct own_call own;
    struct val *objects;                    /* "resource ns/name": object */
    struct val *sandboxes, *containers;     /* the runtime's records */
    struct val *images;                     /* what image_list says; NULL: two that have no id */
    struct observed seen[SIGNALS];          /* by the agent, instead of the machine, once observe_fake is set */
    struct val *figures;                    /* what the runtime's stats says */
    struct val *keys;                       /* queue: {key: delay} */
    struct val *events;                     /* "REASON message" */
    struct buf trace;                       /* calls of the runtime and network, one word and a name a line */
    int64_t mono_ns, wall_ns;
    int writes;                             /* of objects */
    int exec_code;                          /* what exec answers; < 0: fails to run */
    const char *exec_output;
    const char *unwell;                     /* what the runtime and the network answer when they are asked how they are; NULL: well */
    bool forbidden;                         /* the API gives no pod by its name, as when the authorizer has not heard of it yet */
    bool no_image, no_network, no_update, ignores_term, no_stop;
    char dir[64];                           /* state and logs */
};

void observe_fake(struct agent *a, struct observed *ret);
struct world *world_new(void);
void world_free(struct world *w);
/* Puts the pod (YAML would be nicer: JSON with ' for ") and synchronises it. */
struct val *world_parse(struct world *w, const char *text);
void world_put(struct world *w, const char *resource, const char *text);
struct val *world_get(struct world *w, const char *resource, const char *ns_name);
int world_sync(struct world *w, const char *key, int64_t *again_ns);
/* A container of the pod ends. */
void world_end(struct world *w, const char *container, int code, const char *reason);
struct val *world_container(struct world *w, const char *name);        /* the newest of that name */
void world_pass(struct world *w, int64_t seconds);
/* Text at a path of an object: "status.phase"; a number in it is an index. */
struct str world_text(struct world *w, const struct val *v, const char *path);
bool world_told(struct world *w, const char *event);
const char *world_trace(const struct world *w);         /* of the last synchronisation and what came after it */
/* All memory of pods is lost, as by a restart. */
void world_restart(struct world *w);

#define eq_text(is, want) \
    do { \
        struct str is_ = (is); \
        cr_assert(str_is(is_, (want)), "is '%.*s', want '%s'", STR_ARG(is_), (want)); \
    } while (0)

#endif
