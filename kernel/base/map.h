/* map.h - text to pointer, open addressing, keyed SipHash: clients cannot choose collisions. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot {
    const char *key;
    void *value;
    uint32_t key_len, hash;             /* key NULL: empty */
};

struct map {
    struct map_slot *slots;
    size_t n, cap;
};

/* Once per process, before the first map (a fixed key in simulations). */
void map_seed(const uint64_t key[2]);

/* Keys are borrowed: they must live as long as their entry. */
void *map_get(const struct map *m, struct str key);
/* Replaces. False: out of memory. value must not be NULL. */
bool map_put(struct map *m, struct str key, void *value);
/* The value that was there, or NULL. */
void *map_del(struct map *m, struct str key);
void map_free(struct map *m);
/* Iteration in no order: *at starts at 0; false at the end. The map must not change meanwhile. */
bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value);

#endif
