/* index.c - sorted blocks of entries: 16 bytes an object, binary search, cheap insertion. */
#include "store-internal.h"

int key_cmp(const struct store_object *o, struct str ns, struct str name)
{
    int c = str_cmp(store_object_ns(o), ns);
    return c ? c : str_cmp(store_object_name(o), name);
}

struct store_object *entry_object(const struct entry *e)
{
    return e->head ? e->head : e->cur;
}

bool index_find(const struct index *x, struct str ns, struct str name, struct place *ret)
{
    unsigned low = 0, high = x->n;
    while (low < high) {                /* the last block whose first key is not after the key */
        unsigned mid = (low + high) / 2;
        if (key_cmp(entry_object(&x->blocks[mid]->e[0]), ns, name) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret = (struct place){ low ? low - 1 : 0, 0 };
    if (!low)
        return false;
    const struct block *b = x->blocks[ret->block];
    low = 0;
    high = b->n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int c = key_cmp(entry_object(&b->e[mid]), ns, name);
        if (c == 0) {
            ret->at = mid;
            return true;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    ret->at = low;
    return false;
}

struct entry *index_at(const struct index *x, struct place p)
{
    if (p.block < x->n && p.at == x->blocks[p.block]->n) {
        p.block++;
        p.at = 0;
    }
    return p.block < x->n ? &x->blocks[p.block]->e[p.at] : NULL;
}

void index_next(const struct index *x, struct place *p)
{
    if (p->block < x->n && p->at == x->blocks[p->block]->n) {
        p->block++;
        p->at = 0;
    }
    p->at++;
}

static struct block *add_block(struct index *x, unsigned at)
{
    if (x->n == x->cap) {
        unsigned cap = x->cap ? x->cap * 2 : 8;
        struct block **blocks = mem_resize(x->blocks, cap * sizeof *blocks);
        if (!blocks)
            return NULL;
        x->blocks = blocks;
        x->cap = cap;
    }
    struct block *b = mem_alloc(sizeof *b);
    if (!b)
        return NULL;
    memmove(x->blocks + at + 1, x->blocks + at, (x->n - at) * sizeof *x->blocks);
    x->blocks[at] = b;
    x->n++;
    return b;
}

struct entry *index_insert(struct index *x, struct place p)
{
    if (!x->n && !add_block(x, 0))
        return NULL;
    struct block *b = x->blocks[p.block];
    if (b->n == BLOCK) {
        struct block *more = add_block(x, p.block + 1);
        if (!more)
            return NULL;
        /* Keys mostly grow: a full last block keeps nearly all, so that it stays full. */
        unsigned keep = p.at == BLOCK ? BLOCK - 1 : BLOCK / 2;
        more->n = BLOCK - keep;
        memcpy(more->e, b->e + keep, more->n * sizeof *more->e);
        b->n = keep;
        if (p.at > keep) {
            p.at -= keep;
            b = more;
        }
    }
    memmove(b->e + p.at + 1, b->e + p.at, (b->n - p.at) * sizeof *b->e);
    b->e[p.at] = (struct entry){ NULL, NULL };
    b->n++;
    return &b->e[p.at];
}

void index_remove(struct index *x, struct place p)
{
    struct block *b = x->blocks[p.block];
    memmove(b->e + p.at, b->e + p.at + 1, (b->n - p.at - 1) * sizeof *b->e);
    if (--b->n)
        return;
    mem_free(b);
    x->n--;
    memmove(x->blocks + p.block, x->blocks + p.block + 1, (x->n - p.block) * sizeof *x->blocks);
}

void index_free(struct index *x)
{
    for (unsigned i = 0; i < x->n; i++) {
        for (unsigned k = 0; k < x->blocks[i]->n; k++) {
            struct entry *e = &x->blocks[i]->e[k];
            if (e->head != e->cur)
                store_object_unref(e->head);
            store_object_unref(e->cur);
        }
        mem_free(x->blocks[i]);
    }
    mem_free(x->blocks);
    *x = (struct index){ 0 };
}
