/* tally.c - see tally.h. */
#include "reconcile/tally.h"

#include "base/mem.h"

static struct tally_slot *find(const struct tally *t, const void *key)
{
    uint32_t i = tally_place(t, key);
    while (t->slots[i].key && t->slots[i].key != key)
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

/* At most three of four slots are in use, so that a search ends. */
static bool make_room(struct tally *t)
{
    if ((t->used + 1) * 4 <= t->cap * 3)
        return true;
    struct tally more = { .cap = t->cap ? t->cap * 2 : 4, .used = t->used };
    if (!(more.slots = mem_alloc(more.cap * sizeof *more.slots)))
        return false;
    for (uint32_t i = 0; i < t->cap; i++)
        if (t->slots[i].key)
            *find(&more, t->slots[i].key) = t->slots[i];
    mem_free(t->slots);
    *t = more;
    return true;
}

/* Those behind it that stand here only because it was in their way move up. */
static void take_out(struct tally *t, struct tally_slot *s)
{
    uint32_t mask = t->cap - 1, hole = (uint32_t)(s - t->slots);
    for (uint32_t i = (hole + 1) & mask; t->slots[i].key; i = (i + 1) & mask) {
        uint32_t home = tally_place(t, t->slots[i].key);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        t->slots[hole] = t->slots[i];
        hole = i;
    }
    t->slots[hole] = (struct tally_slot){ 0 };
    t->used--;
}

bool tally_add(struct tally *t, const void *key, int64_t n)
{
    struct tally_slot *s = t->cap ? find(t, key) : NULL;
    if (!n)
        return true;
    if (s && s->key) {
        if (!(s->n += n))
            take_out(t, s);
        return true;
    }
    if (!make_room(t))
        return false;
    s = find(t, key);
    *s = (struct tally_slot){ key, n };
    t->used++;
    return true;
}

bool tally_next(const struct tally *t, size_t *at, const void **ret_key, int64_t *ret_n)
{
    for (; *at < t->cap; (*at)++)
        if (t->slots[*at].key) {
            *ret_key = t->slots[*at].key;
            *ret_n = t->slots[(*at)++].n;
            return true;
        }
    return false;
}

void tally_free(struct tally *t)
{
    mem_free(t->slots);
    *t = (struct tally){ 0 };
}
