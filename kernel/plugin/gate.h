/* gate.h - what everybody holds of an instance: a table and a self that stay the same while what stands behind them is changed. Made from the signature
 * tables, for every interface alike.
 *
 * A call goes to the target of the moment. [loop] calls are not counted in and out: targets change on the loop, between calls. Every other call keeps
 * its target in use until it returns: a target that was left may be closed once gate_users says 0.
 *
 * Texts that a plugin gives out as literals of its own are copied into the call's arena: the file may be unloaded before whoever asked is done.
 */
#ifndef PLUGIN_GATE_H
#define PLUGIN_GATE_H

#include <keelson/plugin.h>
#include <keelson/signature.h>

#include <stdatomic.h>

#include "loop/loop.h"

struct gate;

struct code_range {                     /* where a loaded file lies */
    uintptr_t from, to;
};
#define GATE_CODES 8                    /* files behind one target: the plugin's, or its layers' */

struct gate_target {
    const void *table;
    void *self;
    struct code_range codes[GATE_CODES];
    unsigned n_codes;
    /* the gate's: */
    unsigned users, streams;            /* calls under way; of them, those that last as long as what they carry */
    atomic_bool left;                   /* what only waits there for news is to come back */
};

/* NULL: the host does not know the interface, or there is no memory. loop NULL: nothing runs on one. Nothing stands behind it yet. */
struct gate *gate_new(const char *iface, const char *name, int32_t rank, struct loop *loop);
void gate_free(struct gate *g);         /* no call is under way; NULL is fine */
bool gate_knows(const char *iface);
const char *gate_name(const struct gate *g);
const char *gate_iface(const struct gate *g);
/* What stands for the instance: iface, name and the table whose self is the gate. */
const struct kl_provider *gate_provider(const struct gate *g);

/* [loop] Calls go to t from now on; NULL: they fail (KL_UNAVAILABLE). Returns the one before. rank: of the provider now. */
struct gate_target *gate_set(struct gate *g, struct gate_target *t, int32_t rank);
struct gate_target *gate_now(const struct gate *g);                             /* [loop] */
/* [loop] Calls that may wait do so until gate_set, or until it is held no more. Those on the loop fail meanwhile. */
void gate_hold(struct gate *g, bool held);
void gate_forget(struct gate *g);       /* of a held one: its target is closed, nobody stands behind it */
/* Calls under way in t, which is no gate's any more, or whose gate is held: they get fewer. */
unsigned gate_users(struct gate *g, const struct gate_target *t);
unsigned gate_streams(struct gate *g, const struct gate_target *t);          /* those of them that may take for ever */
/* Calls so far, and those that failed (to say no, or not yet, is no failure). [loop] */
void gate_counts(struct gate *g, uint64_t *calls, uint64_t *errors);

#endif
