/* tally.h - how many there are of what a pointer stands for (a node, a domain): a small table of its own kind, since there are many and most hold few. Pure.
 *
 * What counts nothing takes no room. Keys are not looked into.
 */
#ifndef RECONCILE_TALLY_H
#define RECONCILE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_slot {
    const void *key;                    /* NULL: empty */
    int64_t n;
};

struct tally {
    struct tally_slot *slots;
    uint32_t cap, used;                 /* cap: a power of two, or 0 */
};

static inline uint32_t tally_place(const struct tally *t, const void *key)
{
    return (uint32_t)(((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15ULL) >> 32) & (t->cap - 1);
}

static inline int64_t tally_get(const struct tally *t, const void *key)
{
    if (!t->used)
        return 0;
    for (uint32_t i = tally_place(t, key);; i = (i + 1) & (t->cap - 1)) {
        if (t->slots[i].key == key)
            return t->slots[i].n;
        if (!t->slots[i].key)
            return 0;
    }
}

/* False: out of memory, nothing was counted. */
bool tally_add(struct tally *t, const void *key, int64_t n);
/* In no order; *at starts at 0. The table must not change meanwhile. */
bool tally_next(const struct tally *t, size_t *at, const void **ret_key, int64_t *ret_n);
void tally_free(struct tally *t);       /* empty afterwards */

#endif
