/* objects-internal.h - a call of keelson.host.objects/0 on its way, shared by objects.c (who waits) and calls.c (what is sent). */
#ifndef MIRROR_OBJECTS_INTERNAL_H
#define MIRROR_OBJECTS_INTERNAL_H

#include "mirror-internal.h"
#include "reconcile/event.h"

#define NOTES_MOST 1000                 /* Events that wait to be written */

struct mirror_objects {
    struct objects pub;                 /* first */
    struct mirror *mirror;
    struct event_recorder *recorder;
    struct list notes, writing;         /* struct note: waiting; with the worker */
    unsigned n_notes;
    bool busy;
    loop_fn gone;
    void *gone_ctx;
};

enum ask_what { ASK_GET, ASK_LIST, ASK_CREATE, ASK_UPDATE, ASK_PATCH, ASK_REMOVE };

/* Lives on the caller's stack, who waits. */
struct ask {
    struct list link;                   /* mirror->asking */
    struct mirror *mirror;
    const char *who;
    struct kl_call *call;
    enum ask_what what;
    const struct schema_kind *kind;
    const struct kl_object_key *key;
    const struct kl_list_options *list;
    const struct kl_delete_options *del;
    int32_t patch_type;
    struct kl_bytes body;
    struct kl_bytes *ret;
    struct kl_object_list *ret_list;
    int rc;
    /* a direct call */
    struct http_call *http;
    int status;
    struct buf answer;
    struct kl_bytes *items;             /* of the pages so far; texts in the call's memory */
    uint32_t n_items, cap_items;
    char next[1024];
    /* the wait */
    struct loop_promise over;
};

struct str key_ns(const struct ask *q);          /* "" for cluster scope */
/* 0: under way, ends with ask_finish; < 0: q->rc says why not. [loop] */
int ask_start(struct ask *q);
void ask_cancel(struct ask *q);
void ask_finish(struct ask *q);

#endif
