/* map.c - linear probing with backward-shift deletion, at most 3/4 full. Up to SMALL entries lie one behind the other and are compared: hashing
 * a key costs more than that. */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

static uint64_t seed[2] = { 0x9e3779b97f4a7c15ULL, 0xbf58476d1ce4e5b9ULL };

void map_seed(const uint64_t key[2])
{
    seed[0] = key[0];
    seed[1] = key[1];
}

static struct map_slot *find(const struct map *m, struct str key, uint32_t hash)
{
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (!s->key || (s->hash == hash && s->key_len == key.len && memcmp(s->key, key.at, key.len) == 0))
            return s;
    }
}

static uint32_t hash_of(struct str key)
{
    return (uint32_t)hash_sip(seed, key.at, key.len);
}

#define SMALL 8u

static struct map_slot *find_small(const struct map *m, struct str key)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->slots[i].key_len == key.len && str_same(m->slots[i].key, key.at, key.len))
            return &m->slots[i];
    return NULL;
}

void *map_get(const struct map *m, struct str key)
{
    if (m->cap > SMALL)
        return m->n ? find(m, key, hash_of(key))->value : NULL;
    struct map_slot *s = find_small(m, key);
    return s ? s->value : NULL;
}

static bool grow(struct map *m)
{
    struct map next = { .cap = m->cap ? m->cap * 2 : SMALL, .n = m->n };
    next.slots = mem_alloc(next.cap * sizeof *next.slots);
    if (!next.slots)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key) {
            struct map_slot one = m->slots[i];
            if (m->cap == SMALL)
                one.hash = hash_of(str_n(one.key, one.key_len));
            size_t j = one.hash & (next.cap - 1);
            while (next.slots[j].key)
                j = (j + 1) & (next.cap - 1);
            next.slots[j] = one;
        }
    mem_free(m->slots);
    *m = next;
    return true;
}

static bool is_full(const struct map *m)
{
    return m->cap > SMALL ? (m->n + 1) * 4 > m->cap * 3 : m->n == m->cap;
}

bool map_put(struct map *m, struct str key, void *value)
{
    struct map_slot *s = m->cap > SMALL ? NULL : find_small(m, key);
    if (!s && is_full(m) && !grow(m))
        return false;
    uint32_t hash = 0;
    if (m->cap > SMALL)
        s = find(m, key, hash = hash_of(key));
    else if (!s)
        s = &m->slots[m->n];
    m->n += s->key == NULL;
    *s = (struct map_slot){ key.at ? key.at : "", value, (uint32_t)key.len, hash };
    return true;
}

static void *del_small(struct map *m, struct str key)
{
    struct map_slot *s = find_small(m, key);
    if (!s)
        return NULL;
    void *value = s->value;
    *s = m->slots[--m->n];
    m->slots[m->n] = (struct map_slot){ 0 };
    return value;
}

void *map_del(struct map *m, struct str key)
{
    if (m->cap <= SMALL)
        return del_small(m, key);
    if (!m->n)
        return NULL;
    struct map_slot *s = find(m, key, hash_of(key));
    void *value = s->value;
    if (!s->key)
        return NULL;
    size_t mask = m->cap - 1, hole = (size_t)(s - m->slots);
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){ 0 };
    m->n--;
    return value;
}

void map_free(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){ 0 };
}

bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value)
{
    for (; *at < m->cap; ++*at) {
        struct map_slot *s = &m->slots[*at];
        if (!s->key)
            continue;
        ++*at;
        if (ret_key)
            *ret_key = str_n(s->key, s->key_len);
        if (ret_value)
            *ret_value = s->value;
        return true;
    }
    return false;
}
