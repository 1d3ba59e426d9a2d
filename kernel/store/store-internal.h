/* store-internal.h - what the files of kernel/store share. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/store.h"

struct owner_ref {
    uint32_t at, len;                   /* within the JSON */
};

/* One allocation: this, the owner references, ns, name, JSON. */
struct store_object {
    uint32_t refs;                      /* atomic */
    uint32_t json_len, json_at;         /* from the start of the struct */
    uint16_t ns_len, name_len, uid_len;
    uint16_t n_owners : 10, dead : 1;   /* dead: the last state of what is deleted */
    uint16_t sealed : 5;                /* how the provider has it: store_cipher */
    uint32_t uid_at;                    /* within the JSON */
    struct kl_places places;            /* too */
    uint64_t revision;
    struct form *form;                  /* other encodings; set on the loop, read there */
    struct owner_ref owners[];
};

struct form {
    uint32_t len;
    char *at;
};

struct store_object *object_new(const struct store_op *op, uint64_t revision);

/* --- index.c: objects of one resource in (ns, name) order. cur: durable, head: what will be; a dead one until the deletion lasts, so that an
 * entry always has its key. head holds a reference of its own when it is not cur. --- */
struct entry {
    struct store_object *cur, *head;
};
static inline struct store_object *alive(struct store_object *o)
{
    return o && !o->dead ? o : NULL;
}
#define BLOCK 256
struct block {
    unsigned n;
    struct entry e[BLOCK];
};
struct index {
    struct block **blocks;
    unsigned n, cap;
    size_t count;                       /* objects with cur */
};
struct place {
    unsigned block, at;
};
int key_cmp(const struct store_object *o, struct str ns, struct str name);
struct store_object *entry_object(const struct entry *e);       /* any of both: for the key */
/* First entry not before the key. True: it has that key. */
bool index_find(const struct index *x, struct str ns, struct str name, struct place *ret);
struct entry *index_at(const struct index *x, struct place p);  /* NULL: behind the last */
void index_next(const struct index *x, struct place *p);
/* An empty entry there; NULL: out of memory. */
struct entry *index_insert(struct index *x, struct place p);
void index_remove(struct index *x, struct place p);
void index_free(struct index *x);

/* --- history.c --- */
struct frame;
struct event {
    struct store_object *object, *old;
    struct frame *frames;               /* of which watches were sent one lately */
    uint64_t revision;
    uint8_t type;
};
struct resource {
    char *name;
    struct index index;
    struct event *ring;                 /* events base .. base + n - 1 */
    size_t cap, n;
    uint64_t base;                      /* sequence number of the oldest kept */
    uint64_t forgotten;                 /* revision of the newest event that is not kept */
    struct list watches;
    bool touched;                       /* wake its watches after this batch */
};
struct event *history_at(const struct resource *r, uint64_t seq);
uint64_t history_after(const struct resource *r, uint64_t revision);      /* sequence number of the first event behind it */
int history_add(struct store *s, struct resource *r, const struct event *e);
void history_free(struct store *s);

/* --- frames.c --- */
void frames_forget(struct store *s, struct event *e);

struct store_watch {
    struct list link;
    struct store *store;
    struct resource *resource;
    struct str ns;                      /* its own; at NULL: all */
    uint64_t seq, revision;             /* next event; newest that was returned or skipped */
    uint64_t shown;                     /* sequence number of the event just returned */
    loop_fn wake;
    void *ctx;
    bool woken;
};
void watches_wake(struct store *s);

/* --- commit.c --- */
struct pending_op {
    struct resource *resource;
    struct store_object *object, *old;  /* object NULL: deleted, then tomb is the last state. old: head before, maybe dead */
    struct store_object *tomb;
    uint64_t expected;
};
struct commit {
    struct list link;
    uint64_t revision;
    void (*done)(void *ctx, int rc, const struct kl_err *err);
    void *ctx;
    unsigned n;
    struct pending_op ops[];
};
void commit_hook(void *store);
void commit_drain(struct store *s);

/* --- links.c: by uid and by owner, head view --- */
int links_replace(struct store *s, struct resource *r, struct store_object *old, struct store_object *now);
void links_free(struct store *s);

struct store {
    struct loop *loop;
    const struct kl_store *provider;
    void *self;
    const struct store_cipher *cipher;
    struct map resources;               /* name -> struct resource */
    struct map by_uid;                  /* uid -> struct link_target */
    struct map by_owner;                /* owner uid -> struct link_set */
    uint64_t revision, next;            /* durable; of the next commit */
    uint64_t oldest;
    struct resource **fifo;             /* whose event is the n-th oldest */
    size_t fifo_at, fifo_n, fifo_cap;
    size_t history_max, history_bytes_max, history_bytes;
    struct list frames;                 /* the oldest first */
    size_t frame_bytes;
    struct list queued, flying;         /* struct commit */
    bool busy, closing;                 /* the provider is at work; the last commits are made durable */
    bool frozen;                        /* another process has the provider */
    struct loop_hook hook;
    char trouble[256];
    int64_t trouble_ns;                 /* when it last failed */
    struct batch *batch;
    struct checkpoint *checkpoint;
};

struct resource *resource_of(struct store *s, struct str name, bool make);
void store_init(struct store *s);               /* zeroed: lists */
/* An object that is there, durable. Takes the reference. KL_CORRUPT: it is there already. */
int store_put_object(struct store *s, struct str key, struct resource *r, struct store_object *o, struct kl_err *err);

/* --- handover.c --- */
/* All objects of that revision are known, and need not be read. */
bool heritage_whole(const struct store_heritage *x, uint64_t revision);
uint64_t heritage_revision(const struct store_heritage *x);            /* 0: not all are known */
void heritage_give(struct store_heritage *x, struct store *to);        /* all of it, once */
/* Counted; NULL: it is not among what was told, as of that revision. x NULL is fine. */
struct store_object *heritage_object(const struct store_heritage *x, struct str key, uint64_t revision);
int heritage_install(struct store *s, const struct store_heritage *x);

/* --- checkpoint.c --- */
bool checkpoint_start(struct store *s);         /* one is wanted and could begin */
void checkpoint_step(struct store *s);          /* hands over the next part; on the worker */
bool checkpoint_done(struct store *s);
void checkpoint_free(struct store *s);

#endif
