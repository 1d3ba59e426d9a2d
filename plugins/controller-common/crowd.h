/* crowd.h - what a controller keeps between runs about the pods of one key (a Service, a set): a record of each, so that a run reads only the pods
 * that have changed since. For controllers on the loop, whose map notes what changes. A run:
 *
 *   crowd_open -> whole: all pods are read, crowd_put for each of them
 *                 else: those of `changed` are read; what is none of the crowd's any more is marked as gone
 *              -> the writes -> crowd_close. A run that fails before has the next one read all.
 */
#ifndef CONTROLLER_CROWD_H
#define CONTROLLER_CROWD_H

#include "ctl.h"

struct crowd_pod {                      /* begins a controller's record */
    struct crowd_pod *next;             /* in changed */
    struct str name;
    uint32_t round;
    bool changed, gone;
};

struct crowd {
    struct map pods;                    /* by name */
    struct crowd_pod *changed;
    uint32_t n_changed, round;
    bool whole;                         /* what is kept may be wrong */
    bool known;                         /* a run has ended well before */
    bool open;
    size_t record;                      /* bytes of each */
    uint64_t version;                   /* of the owner, as it was read; digest */
    int64_t ran_ns;                     /* monotonic */
    void *more;                         /* the controller's own, one block of mem_alloc; NULL at first */
    struct str key;
};

/* version: whatever of the owner makes its pods other ones when it changes. NULL: out of memory. */
struct crowd *crowd_open(struct ctl_run *r, struct str ns, struct str name, struct str version, size_t record);
void crowd_close(struct crowd *c);
/* The record of that pod, made (zeroes) when there is none. NULL: out of memory. */
void *crowd_put(struct crowd *c, struct str pod);
void *crowd_get(const struct crowd *c, struct str pod);         /* NULL: there is none */
/* In a run that has read what it has to: is it one of them? */
static inline bool crowd_has(const struct crowd *c, const struct crowd_pod *p)
{
    return !p->gone && (!c->whole || p->round == c->round);
}
/* From now on it counts as changed; of what has no record yet too. */
void crowd_touch(struct crowd *c, struct str pod);
struct crowd *crowd_of(const struct ctl *x, struct str key);    /* "ns/name"; NULL: nothing is kept */
void crowd_forget(struct ctl *x, struct str ns, struct str name);
void crowd_forget_all(struct ctl *x);
void crowd_doubt_all(struct ctl *x);                            /* changes were missed */
/* In a map, at its end: the pod concerns those keys. Of large crowds that were looked at just now, the key waits for more changes (and leaves keys). */
void crowd_note(struct ctl_run *r, struct str pod, struct buf *keys);

#endif
