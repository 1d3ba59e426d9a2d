/* harness.h - a store-wal on a simulated disk, and a model of what it must hold. */
#ifndef WAL_HARNESS_H
#define WAL_HARNESS_H

#include <criterion/criterion.h>

#include "../../../tests/sim/disk.h"
#include "../wal.h"

extern const struct kl_plugin KL_PLUGIN_SYMBOL;

#define DIR    "/store"
#define KEYS   40
#define STATES 400

/* What each key holds after each commit: a number, 0 not there. */
struct model {
    uint32_t at[STATES][KEYS];
    unsigned n;                         /* commits */
};

struct rig {
    struct disk *disk;
    struct env_ops env;
    struct wal_conf conf;
    const struct kl_store *t;
    void *self;
    struct arena *arena;
    struct kl_call call;
    unsigned padding;                   /* values are as many times longer; 0: once */
    unsigned revision;                  /* of the newest commit that was given in; the model's index */
    struct model model;
};

void rig_begin(struct rig *r, uint64_t seed);
void rig_end(struct rig *r);
int rig_open(struct rig *r);            /* rc; r->call.err */
void rig_close(struct rig *r);
/* A batch of n commits: one key each, deletions in between. 0: acknowledged. */
int rig_append(struct rig *r, unsigned n);
/* Only deletions (vital) of that key. */
int rig_delete(struct rig *r, unsigned key);
int rig_checkpoint(struct rig *r);
/* The state that the store has now as a commit of the model, or -1; not before `from`. */
int rig_state(struct rig *r, int from);
int rig_examine(struct rig *r, bool repair, char *ret, size_t room);
const char *rig_path(const char *kind, uint64_t base);

#endif
