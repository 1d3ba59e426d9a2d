/* rig.h - a store over a provider that the test controls, on a simulated loop. */
#ifndef STORE_RIG_H
#define STORE_RIG_H

#include <criterion/criterion.h>

#include "base/arena.h"
#include "store/store.h"

struct provider {
    int fail;                           /* code of the next appends, KL_*; 0: they work */
    unsigned appends, commits, largest;
    uint64_t revision;
    /* What it holds, for stores that are opened again. */
    struct kl_store_record *records;
    unsigned n;
    /* A checkpoint that it asked for. */
    bool wants;
    unsigned parts, in_parts, whole;
    uint64_t checkpoint_revision;
};

struct rig {
    struct loop *loop;
    struct store *store;
    struct provider provider;
    struct kl_err err;
    unsigned answered, refused;
};

extern const struct kl_store rig_table;

void rig_open(struct rig *r, struct store_conf conf);
void rig_close(struct rig *r);
/* rc. n: the object's number; expected: revision or 0. */
int rig_create(struct rig *r, const char *resource, const char *name, int n);
int rig_update(struct rig *r, const char *resource, const char *name, int n, uint64_t expected);
int rig_delete(struct rig *r, const char *resource, const char *name);
void rig_run(struct rig *r);            /* until nothing is left to do */
/* The number that is there, 0: nothing. */
int rig_number(struct rig *r, const char *resource, const char *name, bool head);

#endif
