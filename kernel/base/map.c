/* map.c - linear probing with backward-shift deletion, at most 3/4 full. */
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

void *map_get(const struct map *m, struct str key)
{
    return m->n ? find(m, key, hash_of(key))->value : NULL;
}

static bool grow(struct map *m)
{
    struct map next = { .cap = m->cap ? m->cap * 2 : 16, .n = m->n };
    next.slots = mem_alloc(next.cap * sizeof *next.slots);
    if (!next.slots)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key) {
            size_t j = m->slots[i].hash & (next.cap - 1);
            while (next.slots[j].key)
                j = (j + 1) & (next.cap - 1);
            next.slots[j] = m->slots[i];
        }
    mem_free(m->slots);
    *m = next;
    return true;
}

bool map_put(struct map *m, struct str key, void *value)
{
    if ((m->n + 1) * 4 > m->cap * 3 && !grow(m))
        return false;
    uint32_t hash = hash_of(key);
    struct map_slot *s = find(m, key, hash);
    m->n += s->key == NULL;
    *s = (struct map_slot){ key.at ? key.at : "", value, (uint32_t)key.len, hash };
    return true;
}

void *map_del(struct map *m, struct str key)
{
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
