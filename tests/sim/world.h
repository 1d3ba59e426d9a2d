/* world.h - one simulated server: the store over store-wal on a simulated disk, the API's operations, the scheduler host and a controller,
 * on the simulated loop. Everything follows from the seed. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "api/api.h"
#include "api/objects.h"
#include "disk.h"
#include "reconcile/runner.h"
#include "reconcile/schedule.h"

struct world {
    uint64_t seed, random, hash;
    struct env_ops env;
    struct disk *disk;
    int64_t now_ns;                     /* between lives */
    unsigned lives;
    const char *broken;                 /* the first invariant that did not hold */
    char broken_room[300];
    /* of one life */
    struct loop *loop;
    void *wal;
    struct store *store;
    struct api *api;
    struct objects *objects;
    struct schedule *schedule;
    struct runner *runner;
};

void world_begin(struct world *w, uint64_t seed);
/* False: it cannot start, because the disk is down again. */
bool world_start(struct world *w, const struct kl_controller *controller, void *self);
void world_stop(struct world *w);
void world_end(struct world *w);

uint64_t world_roll(struct world *w);           /* any 64 bits */
unsigned world_dice(struct world *w, unsigned n);       /* 0..n-1 */
void world_note(struct world *w, const char *what, uint64_t a, uint64_t b);     /* into the trace's hash */
__attribute__((format(printf, 2, 3))) void world_broken(struct world *w, const char *fmt, ...);

/* Allocations fail now and then while on. */
void world_starve(struct world *w, bool on);
unsigned world_starved(void);                   /* how often one failed */

#endif
