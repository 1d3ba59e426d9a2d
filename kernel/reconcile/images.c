/* images.c - see images.h. */
#include "reconcile/images.h"

#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "reconcile/ledger.h"

struct images {
    struct map by_name;
};

struct images *images_new(void)
{
    return mem_alloc(sizeof(struct images));
}

void images_free(struct images *x)
{
    if (x)
        map_free(&x->by_name);
    mem_free(x);
}

static struct image *named(struct images *x, struct str name, int64_t bytes)
{
    struct image *i = map_get(&x->by_name, name);
    if (i || !name.len || !(i = mem_alloc(sizeof *i + name.len + 1)))
        return i;
    i->bytes = bytes;                   /* as the first node says */
    i->len = (uint32_t)name.len;
    str_copy(i->name, name.at, name.len);
    if (map_put(&x->by_name, str_n(i->name, name.len), i))
        return i;
    mem_free(i);
    return NULL;
}

static void drop(struct images *x, struct image *i)
{
    if (i->nodes.used)
        return;
    map_del(&x->by_name, str_n(i->name, i->len));
    tally_free(&i->nodes);
    mem_free(i);
}

/* What the node's list is made of already is kept: heartbeats bring the same again. */
static bool unchanged(const struct ledger_node *n, const struct val *list)
{
    unsigned at = 0;
    if (val_is(list, VAL_ARR))
        val_each(v, list) {
            const struct val *names = json_get(v, STR("names"));
            if (val_is(names, VAL_ARR))
                val_each(name, names) {
                    if (at == n->n_images || !str_eq(val_str(name), str_n(n->images[at]->name, n->images[at]->len)))
                        return false;
                    at++;
                }
        }
    return at == n->n_images;
}

static void add(struct images *x, struct ledger_node *n, struct str name, int64_t bytes)
{
    struct image *i = named(x, name, bytes);
    if (!i)
        return;
    struct image **more = tally_get(&i->nodes, n) ? NULL : mem_resize(n->images, (n->n_images + 1) * sizeof(struct image *));
    if (more) {
        n->images = more;
        if (tally_add(&i->nodes, n, 1))
            n->images[n->n_images++] = i;
    }
    drop(x, i);
}

void images_of_node(struct images *x, struct ledger_node *n)
{
    const struct val *list = json_path(n->tree, "status.images");
    if (unchanged(n, list))
        return;
    images_forget(x, n);
    if (!val_is(list, VAL_ARR))
        return;
    val_each(v, list) {
        const struct val *names = json_get(v, STR("names"));
        if (val_is(names, VAL_ARR))
            val_each(name, names) add(x, n, val_str(name), json_int(v, "sizeBytes", 0));
    }
}

void images_forget(struct images *x, struct ledger_node *n)
{
    for (unsigned i = 0; i < n->n_images; i++) {
        tally_add(&n->images[i]->nodes, n, -1);
        drop(x, n->images[i]);
    }
    mem_free(n->images);
    n->images = NULL;
    n->n_images = 0;
}

const struct image *images_find(const struct images *x, struct str name)
{
    char text[1024];
    size_t slash = 0, colon = 0;
    if (!x->by_name.n)
        return NULL;
    for (size_t i = 0; i < name.len; i++) {
        slash = name.at[i] == '/' ? i + 1 : slash;
        colon = name.at[i] == ':' ? i + 1 : colon;
    }
    if (colon > slash)
        return map_get(&x->by_name, name);
    int n = snprintf(text, sizeof text, STR_FMT ":latest", STR_ARG(name));
    return n > 0 && (size_t)n < sizeof text ? map_get(&x->by_name, str_n(text, (size_t)n)) : NULL;
}
