/* store.h - all objects of the cluster in memory, ordered, with revisions; commits made durable by a provider of keelson.store/0.
 *
 * [loop] except where said. An object is its bytes: immutable, counted, shared by the index, the history and whoever sends it.
 * Readers and watchers see a commit once it is durable; the write path sees it at once (store_head), so that commits are checked
 * against what will be. store_commit answers when the batch it went into lasts.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <keelson/iface/store.h>

#include "base/str.h"
#include "loop/loop.h"

struct store;
struct store_object;                    /* counted */

/* --- objects; [any] for ref, unref and the getters --- */
struct store_object *store_object_ref(struct store_object *o);
void store_object_unref(struct store_object *o);                        /* NULL is fine */
void store_object_release(void *o);                                     /* unref, as an http_slice release */
struct str store_object_json(const struct store_object *o);
struct str store_object_line(const struct store_object *o);            /* the same and a newline behind it */
uint64_t store_object_revision(const struct store_object *o);
struct str store_object_ns(const struct store_object *o);
struct str store_object_name(const struct store_object *o);
struct str store_object_uid(const struct store_object *o);
/* Where members begin; store_object_from is the text from such a place to the end, for json_scan_next, _item and _member, which stop where the value ends.
 * STR_NONE with 0: the member is not there. */
const struct kl_places *store_object_places(const struct store_object *o);
struct str store_object_from(const struct store_object *o, uint32_t place);
/* Another form of the same bytes, made once and kept (protobuf): at NULL until set. set takes bytes from mem_* (and frees them when
 * it cannot keep them: ask again). [loop] */
struct str store_object_form(const struct store_object *o, unsigned form);
void store_object_set_form(struct store_object *o, unsigned form, char *at, size_t len);
#define STORE_FORM_PROTOBUF 0

/* --- life --- */
/* What objects look like to a provider whose files others may read. */
struct arena;
struct store_cipher {
    void *ctx;
    /* How objects of that resource are written from now on: 0 as they are, else at most 31: a number that seal knows as long as the process runs. */
    unsigned (*current)(void *ctx, struct str resource);
    /* [any] key: "group/plural/ns/name". *ret in the arena. */
    int (*seal)(void *ctx, unsigned how, struct arena *a, struct str key, struct str plain, struct str *ret, struct kl_err *err);
    /* At the start, each record, sealed or not. *ret may be stored itself. An error names the object and what is missing, and ends the start. */
    int (*open)(void *ctx, struct arena *a, struct str key, struct str resource, struct str stored, struct str *ret, unsigned *ret_how, struct kl_err *err);
};
struct store_conf {
    /* NULL: nothing lasts. What is committed is shown at the end of the turn, revisions begin at 1. (A node's mirror of the API.) */
    const struct kl_store *provider;
    void *self;                         /* an open instance */
    unsigned history;                   /* events kept for watches, 0: 100,000 */
    size_t history_bytes;               /* 0: 64 MiB */
    const struct store_cipher *cipher;  /* NULL: none */
    struct store_heritage *heritage;    /* what was and happened, as another process knew it; used, and used up, within store_open. NULL: nothing is known */
};
int store_open(struct loop *l, const struct store_conf *c, struct store **ret, struct kl_err *err);
/* Waits for what was committed, then frees. Of watches only store_watch_free may be called after it. */
void store_close(struct store *s);
uint64_t store_revision(const struct store *s);                         /* newest durable */
uint64_t store_oldest(const struct store *s);                           /* watches may start at this revision or later */
const struct kl_store *store_provider(const struct store *s, void **self);
/* NULL while writes work; else the reason (disk full, failed log): reads go on. */
const char *store_trouble(const struct store *s);

/* --- reading --- */
/* Borrowed until the loop's next turn. NULL: not there. ns empty for cluster scope. */
struct store_object *store_get(struct store *s, struct str resource, struct str ns, struct str name);
/* The same including commits that are not durable yet: only for the write path. */
struct store_object *store_head(struct store *s, struct str resource, struct str ns, struct str name);
/* In key order (ns, name). ns.at NULL: all. Starts behind (after_ns, after_name) when after_name.at is set. each returns false to stop. Head view when head. */
struct store_range {
    struct str resource, ns;
    struct str after_ns, after_name;
    bool head;
};
void store_list(struct store *s, const struct store_range *r, bool (*each)(void *ctx, struct store_object *o), void *ctx);
/* The same as it was at that revision. KL_EXPIRED: the history does not reach back that far. KL_NO_MEMORY: before or within the list. */
int store_list_at(struct store *s, const struct store_range *r, uint64_t revision, bool (*each)(void *ctx, struct store_object *o), void *ctx);
/* Written otherwise than it would be now: a write that changes nothing is worth it. */
bool store_stale(struct store *s, struct str resource, const struct store_object *o);
size_t store_count(struct store *s, struct str resource);
/* Objects of any resource whose ownerReferences name that uid (head view). resource: as committed. */
void store_owned(struct store *s, struct str uid, bool (*each)(void *ctx, struct str resource, struct store_object *o), void *ctx);
/* By metadata.uid (head view), any resource; NULL: none. */
struct store_object *store_by_uid(struct store *s, struct str uid, struct str *ret_resource);

/* --- writing --- */
enum store_op_type { STORE_CREATE = 1, STORE_UPDATE, STORE_DELETE };
struct store_op {
    enum store_op_type type;
    struct str resource, ns, name;
    struct str json;                    /* copied. DELETE: the last state, with the revision of the deletion */
    uint64_t expected;                  /* revision that head must have (UPDATE, DELETE); 0: any */
};
/* The revision that the next store_commit will get: put it into the bytes, then commit in the same turn. */
uint64_t store_next_revision(const struct store *s);
/* All or nothing. 0: accepted, and done(ctx, 0, NULL) follows once it lasts (or done(ctx, -code, err)); done may be NULL.
 * KL_CONFLICT, KL_NOT_FOUND, KL_ALREADY_EXISTS at once against head; KL_STORAGE_FULL / KL_UNAVAILABLE while the log is in trouble.
 * ret (may be NULL; one per op): the new objects, borrowed until the loop's next turn. */
int store_commit(struct store *s, const struct store_op *ops, unsigned n,
                 void (*done)(void *ctx, int rc, const struct kl_err *err), void *ctx, struct store_object **ret,
                 struct kl_err *err);

/* --- watching --- */
enum store_event_type { STORE_ADDED = 1, STORE_MODIFIED, STORE_DELETED };
struct store_event {
    enum store_event_type type;
    struct store_object *object;        /* DELETED: the last state, revision of the deletion */
    struct store_object *old;           /* NULL for ADDED */
    uint64_t revision;
};
struct store_watch;
/* Events of resource (ns.at NULL: all) after `revision`. wake(ctx) says that store_watch_next has something (at most once until it is
 * called and drained). KL_EXPIRED: the history does not reach back that far. */
int store_watch_new(struct store *s, struct str resource, struct str ns, uint64_t revision, loop_fn wake, void *ctx,
                    struct store_watch **ret, struct kl_err *err);
/* The next event, borrowed until the next call on this watch. false: none now. *expired: the watcher was too slow, close it with 410. */
bool store_watch_next(struct store_watch *w, struct store_event *ret, bool *expired);
/* What watches are sent of the event just returned, shared by all that ask with the same kind and form (numbers of the caller's). at NULL: nobody has made
 * it yet, or it is no longer kept. *ret_owner is counted: release it with store_frame_release, on any thread. */
struct str store_watch_frame(struct store_watch *w, const void *kind, uint32_t form, void **ret_owner);
/* Keeps one for the others. Takes at (of mem.h). at NULL: out of memory. */
struct str store_watch_keep_frame(struct store_watch *w, const void *kind, uint32_t form, char *at, size_t len, void **ret_owner);
void store_frame_release(void *owner);
/* Everything up to here has been returned (for bookmarks). */
uint64_t store_watch_revision(const struct store_watch *w);
void store_watch_free(struct store_watch *w);

/* --- handing over to another process (handover.c) --- */
/* The events that watches may still ask for, behind that revision; 0: all, and all objects. With references of its own: written by another thread if need
 * be. */
struct store_parcel;
struct store_parcel *store_parcel_new(struct store *s, uint64_t after);  /* NULL: out of memory */
size_t store_parcel_events(const struct store_parcel *p);               /* how much it tells */
uint64_t store_parcel_revision(const struct store_parcel *p);           /* up to there */
int store_parcel_write(const struct store_parcel *p, int fd);           /* [any] 0 or -errno */
void store_parcel_free(struct store_parcel *p);
/* Parcels on the other side, each behind the one before. fd: a pipe, or a file at its beginning. */
struct store_heritage;
struct store_heritage *store_heritage_new(void);
int store_heritage_read(struct store_heritage *x, int fd, struct kl_err *err);
void store_heritage_free(struct store_heritage *x);
/* What was accepted is made durable; from here on commits are refused with KL_UNAVAILABLE and the provider is not used: it may be closed. Reads
 * and watches go on. */
void store_freeze(struct store *s);
/* Of a frozen store without watches: the memory of what happened goes. */
void store_forget_events(struct store *s);
/* The provider is open again and nobody has written meanwhile. */
void store_thaw(struct store *s, const struct kl_store *provider, void *self);

#endif
