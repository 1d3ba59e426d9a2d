/* mirror-internal.h - what the files of kernel/mirror share. */
#ifndef MIRROR_INTERNAL_H
#define MIRROR_INTERNAL_H

#include "base/cleanup.h"
#include "base/list.h"
#include "base/map.h"
#include "mirror/mirror.h"
#include "object/object.h"

#define FRAME_MOST    (8u << 20)        /* one event of a watch */
#define ANSWER_MOST   (256u << 20)      /* one answer to a direct call */
#define PAGE          500               /* objects per page of a list */
#define CALL_NS       (30LL * 1000000000)
#define BACKOFF_FIRST_NS (200LL * 1000000)
#define BACKOFF_MOST_NS  (30LL * 1000000000)
#define REFUSED_NS    (300LL * 1000000000)      /* what is forbidden is asked for again after that time */
#define ONES_MOST     1000              /* objects that are held by name */

enum reflector_state { REFLECTOR_WAITING = 0, REFLECTOR_LISTING, REFLECTOR_WATCHING, REFLECTOR_REFUSED };

/* One held resource; or, where all of it is forbidden, one object of it that was asked for. */
struct reflector {
    struct list link;
    struct mirror *mirror;
    const struct schema_kind *kind;
    char *ns, *name;                    /* of the one object; NULL: the resource */
    char *selector_text;                /* NULL: all */
    struct selector *selector;
    struct arena *arena;                /* of the selector */
    enum reflector_state state;
    uint64_t revision;                  /* everything up to here is in the store */
    bool synced, settled;               /* read once; or known not to be readable */
    bool no_stream;                     /* the server does not stream initial events */
    bool unreached;                     /* it waits because the server does not answer */
    bool anew;                          /* whatever is listed counts: the server's revisions went back */
    struct http_call *call;
    int status;
    struct buf line;                    /* a frame or page that is not whole yet */
    char next[1024];                    /* continue token of the next page */
    struct arena *seen_arena;           /* of a listing: keys that are there */
    struct map seen;
    bool seen_lost;                     /* out of memory: nothing is swept this time */
    struct map tombs;                   /* key -> uid of what we have deleted and the watch has not told yet */
    struct loop_timer timer;
    unsigned failures;
    int64_t began_ns;
    uint64_t n_lists, n_watches, n_failures;
    char last_error[256];
};

struct mirror {
    struct mirror_conf conf;
    struct store *store;
    struct list reflectors;
    struct list asking;                 /* struct ask: direct calls under way */
    unsigned n_ones;
    bool away;                          /* the server does not answer */
    struct mirror_objects *objects;
    loop_fn synced;
    void *synced_ctx;
    volatile bool stopping;             /* read by threads: a late sight of it costs one more call */
};

/* mirror.c */
struct reflector *mirror_find(struct mirror *m, const struct schema_kind *k);
/* The reflector that knows that object; NULL: none that has read it. */
struct reflector *mirror_find_for(struct mirror *m, const struct schema_kind *k, struct str ns, struct str name);
/* One object of a resource that is refused as a whole: held by name from now on, until that is refused too. */
void mirror_hold_one(struct mirror *m, const struct schema_kind *k, struct str ns, struct str name);
void mirror_drop_ones(struct mirror *m, const struct schema_kind *k);
void mirror_settled(struct mirror *m);

/* reflector.c */
void reflector_start(struct reflector *r);
void reflector_free(struct reflector *r);
const char *reflector_state_text(const struct reflector *r);

/* apply.c: changes to the store. Texts of objects are JSON with apiVersion and kind. */
uint64_t apply_revision(struct str object);             /* metadata.resourceVersion; 0: none */
int apply_put(struct reflector *r, struct str object);
int apply_delete(struct reflector *r, struct str object);
void apply_list_begin(struct reflector *r);
/* What was not seen since list_begin, and is not newer, is gone. */
void apply_list_end(struct reflector *r, uint64_t revision);
/* Our own writes, before the watch tells them. */
void apply_written(struct reflector *r, struct str object);
void apply_deleted(struct reflector *r, struct str ns, struct str name);
void apply_forget(struct reflector *r);                 /* its one object is not held any more */

/* path.c */
/* "/api/v1/namespaces/NS/pods/NAME/SUB"; ns and name may be empty. */
void path_of(struct buf *b, const struct schema_kind *k, struct str ns, struct str name, const char *sub);
void path_query(struct buf *b, char before, const char *key, struct str value);         /* "?key=value", escaped */
/* `{"kind":...,"apiVersion":...` in front of a list's item that lacks them. */
void path_add_type(struct buf *b, const struct schema_kind *k, struct str object);

/* status.c: a failure as the API tells it, as an error. Returns -code. */
int status_error(int http, struct str body, struct kl_err *err);

/* objects.c */
int mirror_objects_new(struct mirror *m, struct mirror_objects **ret, struct kl_err *err);
void mirror_objects_stop(struct mirror *m, loop_fn gone, void *ctx);
void mirror_objects_free(struct mirror_objects *o);
struct objects *mirror_objects_public(struct mirror_objects *o);

#endif
