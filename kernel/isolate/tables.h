/* tables.h - for every interface and host service: a table whose functions ask the other process, and functions that answer for it. Made by the
 * signature lists, like any layer.
 *
 * `self` of an interface's proxy, and kl_host.ctx of a service's, is a struct peer.
 */
#ifndef ISOLATE_TABLES_H
#define ISOLATE_TABLES_H

#include <keelson/plugin.h>
#include <keelson/signature.h>

struct table_row;

struct peer {
    /* args[k] points to argument k. What the function returns; pointers and ints alike. */
    int64_t (*call)(struct peer *p, const struct table_row *t, uint32_t index, const void *const *args);
    /* Another table of the interface that answers for this call instead, and its self; NULL: none does. NULL itself: never. */
    const void *(*instead)(struct peer *p, const struct table_row *t, uint32_t index, const void *const *args, void **ret_self);
};

/* at: a struct wire_frame's arg. */
typedef int64_t (*answer_fn)(const void *table, void *self, void *at);

struct table_row {
    const char *id;
    const struct kl_sig_table *sig;
    const void *proxy;                  /* all functions; size is set */
    const answer_fn *answer;            /* by the call's index */
};

/* find: the signature tables by id; the same each time. */
void tables_init(const struct kl_sig_table *(*find)(const char *id));
const struct table_row *table_find(const char *id);
const struct table_row *table_at(uint32_t i);           /* NULL: there is none */
uint32_t table_index(const struct table_row *t);
/* Which functions a table has, a bit for each call. */
uint64_t table_functions(const struct table_row *t, const void *table);
/* A table lacks a function that may be NULL: what its absence means, by the interfaces' headers. */
int64_t table_absent(const char *name);
/* A copy of the proxy with those functions alone, and no data. room: sig->bytes. */
void table_proxy(const struct table_row *t, uint64_t functions, void *room);

#endif
