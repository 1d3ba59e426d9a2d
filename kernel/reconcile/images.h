/* images.h - which nodes have which images, and how large those are, as the nodes' status says. [loop] */
#ifndef RECONCILE_IMAGES_H
#define RECONCILE_IMAGES_H

#include "base/str.h"
#include "reconcile/tally.h"

struct images;
struct ledger_node;

struct image {
    int64_t bytes;
    struct tally nodes;
    uint32_t len;
    char name[];
};

struct images *images_new(void);        /* NULL: out of memory */
void images_free(struct images *x);     /* nodes are forgotten */
/* As n->tree has it. Only a preference: what there is no memory to know is not known. */
void images_of_node(struct images *x, struct ledger_node *n);
void images_forget(struct images *x, struct ledger_node *n);
/* By a container's name for it (without a tag: "latest"). NULL: no node has it. */
const struct image *images_find(const struct images *x, struct str name);

#endif
