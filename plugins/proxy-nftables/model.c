/* model.c - every element that the kernel has or should have, with a count of who wants it. A transaction is what differs. */
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/mem.h"
#include "proxy.h"

bool model_init(struct model *m)
{
    *m = (struct model){ .n_entries = 1 };
    if (getrandom(m->hash_key, sizeof m->hash_key, 0) < 0)
        return false;
    m->n_buckets = 256;
    m->buckets = mem_alloc(m->n_buckets * sizeof *m->buckets);
    return m->buckets != NULL;
}

void model_free(struct model *m)
{
    mem_free(m->entries);
    mem_free(m->buckets);
    mem_free(m->picks);
    *m = (struct model){ 0 };
}

/* --- the table --- */

static uint32_t bucket(const struct model *m, uint8_t set, const uint32_t key[4])
{
    uint32_t at[5] = { key[0], key[1], key[2], key[3], set };
    return (uint32_t)hash_sip(m->hash_key, at, sizeof at) & (m->n_buckets - 1);
}

static uint32_t find(const struct model *m, uint8_t set, const uint32_t key[4])
{
    uint32_t i = m->buckets[bucket(m, set, key)];
    while (i && (m->entries[i].e.set != set || memcmp(m->entries[i].e.key, key, sizeof m->entries[i].e.key) != 0))
        i = m->entries[i].next;
    return i;
}

const struct entry *model_find(const struct model *m, uint8_t set, const uint32_t key[4])
{
    uint32_t i = find(m, set, key);
    return i ? &m->entries[i] : NULL;
}

static bool more_buckets(struct model *m)
{
    uint32_t n = m->n_buckets * 2, *more = mem_alloc(n * sizeof *more), *old = m->buckets, n_old = m->n_buckets;
    if (!more)
        return false;
    m->buckets = more;
    m->n_buckets = n;
    for (uint32_t k = 0; k < n_old; k++)
        for (uint32_t i = old[k], next; i; i = next) {
            struct entry *t = &m->entries[i];
            uint32_t at = bucket(m, t->e.set, t->e.key);
            next = t->next;
            t->next = more[at];
            more[at] = i;
        }
    mem_free(old);
    return true;
}

static uint32_t new_entry(struct model *m, const struct elem *e)
{
    uint32_t i = m->free_head;
    if (m->live >= m->n_buckets && !more_buckets(m))
        return 0;
    if (i) {
        m->free_head = m->entries[i].next;
    } else {
        if (m->n_entries >= m->cap) {
            uint32_t cap = m->cap ? m->cap * 2 : 256;
            struct entry *more = mem_resize(m->entries, cap * sizeof *more);
            if (!more)
                return 0;
            m->entries = more;
            m->cap = cap;
        }
        i = m->n_entries++;
    }
    uint32_t *head = &m->buckets[bucket(m, e->set, e->key)];
    m->entries[i] = (struct entry){ .e = *e, .next = *head };
    *head = i;
    m->live++;
    return i;
}

static void free_entry(struct model *m, uint32_t i)
{
    struct entry *t = &m->entries[i];
    uint32_t *at = &m->buckets[bucket(m, t->e.set, t->e.key)];
    while (*at != i)
        at = &m->entries[*at].next;
    *at = t->next;
    *t = (struct entry){ .next = m->free_head };
    m->free_head = i;
    m->live--;
}

/* --- who wants what --- */

static void touch(struct model *m, uint32_t i)
{
    if (m->entries[i].dirty)
        return;
    m->entries[i].dirty = true;
    m->entries[i].next_dirty = m->dirty_head;
    m->dirty_head = i;
}

void model_claim(struct model *m, const struct elem *e)
{
    uint32_t i = find(m, e->set, e->key);
    if (!i)
        i = new_entry(m, e);
    if (!i) {
        m->lost = true;
        return;
    }
    if (m->entries[i].refs++ == 0) {
        memcpy(m->entries[i].e.data, e->data, sizeof e->data);
        touch(m, i);
    }
}

void model_release(struct model *m, const struct elem *e)
{
    uint32_t i = find(m, e->set, e->key);
    if (i && m->entries[i].refs && --m->entries[i].refs == 0)
        touch(m, i);
}

/* --- classes --- */

uint32_t model_class(struct model *m, uint32_t n, uint32_t sticky_s)
{
    uint32_t free_at = m->n_picks;
    for (uint32_t i = 0; i < m->n_picks; i++) {
        const struct pick *p = &m->picks[i];
        if (p->n == n && p->sticky_s == sticky_s)
            return CLASS_FIRST + i;
        if (!p->n)
            free_at = i;
    }
    if (free_at == m->cap_picks) {
        uint32_t cap = m->cap_picks ? m->cap_picks * 2 : 16;
        struct pick *more = mem_resize(m->picks, cap * sizeof *more);
        if (!more) {
            m->lost = true;
            return CLASS_REFUSE;
        }
        m->picks = more;
        m->cap_picks = cap;
    }
    m->picks[free_at] = (struct pick){ .n = n, .sticky_s = sticky_s };
    if (free_at == m->n_picks)
        m->n_picks++;
    return CLASS_FIRST + free_at;
}

const struct pick *model_pick(const struct model *m, uint32_t class)
{
    return class >= CLASS_FIRST && class - CLASS_FIRST < m->n_picks ? &m->picks[class - CLASS_FIRST] : NULL;
}

/* --- transactions --- */

static bool wants_out(const struct entry *t)
{
    return t->had && (!t->refs || memcmp(t->was, t->e.data, sizeof t->was) != 0);
}

static bool wants_in(const struct entry *t)
{
    return t->refs && (!t->had || memcmp(t->was, t->e.data, sizeof t->was) != 0);
}

static bool is_front(const struct entry *t)
{
    return t->e.set == SET_SERVICES || t->e.set == SET_INSIDE;
}

static void count_picks(struct model *m)
{
    for (uint32_t i = 0; i < m->n_picks; i++)
        m->picks[i].refs = 0;
    for (uint32_t i = 1; i < m->n_entries; i++) {
        const struct entry *t = &m->entries[i];
        if (t->refs && is_front(t) && t->e.data[0] >= CLASS_FIRST)
            m->picks[t->e.data[0] - CLASS_FIRST].refs++;
    }
}

/* Counts the picks that the dirty entries take and give back. */
static void recount_picks(struct model *m, int sign)
{
    for (uint32_t i = m->dirty_head; i; i = m->entries[i].next_dirty) {
        const struct entry *t = &m->entries[i];
        if (!is_front(t))
            continue;
        if (t->refs && t->e.data[0] >= CLASS_FIRST)
            m->picks[t->e.data[0] - CLASS_FIRST].refs += (uint32_t)sign;
        if (t->had && t->was[0] >= CLASS_FIRST)
            m->picks[t->was[0] - CLASS_FIRST].refs -= (uint32_t)sign;
    }
}

static void write_elem(struct batch *b, const struct elem *e, bool add, bool *open)
{
    const struct set_kind *k = &set_kinds[e->set];
    if (!*open)
        elems_begin(b, k->name, add);
    *open = true;
    elem_put(b, k->name, add, e->key, k->key_words, e->data, add ? k->data_words : 0);
}

static void write_dirty(struct model *m, struct batch *b, bool add)
{
    for (uint8_t set = 0; set < N_MODEL_SETS; set++) {
        bool open = false;
        for (uint32_t i = m->dirty_head; i; i = m->entries[i].next_dirty) {
            const struct entry *t = &m->entries[i];
            if (t->e.set == set && (add ? wants_in(t) : wants_out(t)))
                write_elem(b, &t->e, add, &open);
        }
        if (open)
            elems_end(b);
    }
}

static void write_all(struct model *m, struct batch *b)
{
    for (uint8_t set = 0; set < N_MODEL_SETS; set++) {
        bool open = false;
        for (uint32_t i = 1; i < m->n_entries; i++)
            if (m->entries[i].refs && m->entries[i].e.set == set)
                write_elem(b, &m->entries[i].e, true, &open);
        if (open)
            elems_end(b);
    }
}

static void write_picks(struct model *m, struct batch *b, bool whole)
{
    bool changed = whole;
    for (uint32_t i = 0; i < m->n_picks; i++)
        if (m->picks[i].refs && (whole || !m->picks[i].in_kernel)) {
            ruleset_add_pick(b, &m->picks[i]);
            changed = true;
        } else if (!m->picks[i].refs && !whole && m->picks[i].in_kernel) {
            changed = true;
        }
    if (changed)
        ruleset_write_dispatch(b, m->picks, m->n_picks);
    for (uint32_t i = 0; i < m->n_picks && !whole; i++)
        if (!m->picks[i].refs && m->picks[i].in_kernel)
            ruleset_drop_pick(b, &m->picks[i]);
}

void model_write(struct model *m, struct batch *b, bool whole)
{
    if (whole) {
        count_picks(m);
        write_picks(m, b, true);
        write_all(m, b);
        return;
    }
    write_dirty(m, b, false);
    recount_picks(m, 1);
    write_picks(m, b, false);
    recount_picks(m, -1);               /* until it is done (model_done) nothing has happened */
    write_dirty(m, b, true);
}

static void done(struct model *m, uint32_t i)
{
    struct entry *t = &m->entries[i];
    t->dirty = false;
    t->had = t->refs > 0;
    memcpy(t->was, t->e.data, sizeof t->was);
    if (!t->refs)
        free_entry(m, i);
}

void model_done(struct model *m, bool whole)
{
    if (!whole)
        recount_picks(m, 1);
    for (uint32_t i = m->dirty_head, next; i; i = next) {
        next = m->entries[i].next_dirty;
        done(m, i);
    }
    m->dirty_head = 0;
    for (uint32_t i = 1; whole && i < m->n_entries; i++)
        if (m->entries[i].refs)
            done(m, i);
    for (uint32_t i = 0; i < m->n_picks; i++) {
        m->picks[i].in_kernel = m->picks[i].refs > 0;
        if (!m->picks[i].refs)
            m->picks[i].n = 0;          /* its number is free */
    }
}
