/* frames.c - what watches are sent of an event, made once for all that are sent the same. Only the newest few MiB are kept: a watch that lags
 * behind makes its own again. */
#include "store-internal.h"

#define FRAMES_MOST ((size_t)4 << 20)

struct frame {
    struct frame *next;                 /* of the same event */
    struct list link;                   /* store->frames */
    struct resource *resource;          /* whose event it is */
    uint64_t seq;
    const void *kind;
    uint32_t form;
    uint32_t refs;                      /* atomic */
    size_t len;
    char *at;
};

static void unref(struct frame *f)
{
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
        return;
    mem_free(f->at);
    mem_free(f);
}

void store_frame_release(void *owner)
{
    unref(owner);
}

static struct str hold(struct frame *f, void **ret_owner)
{
    __atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
    *ret_owner = f;
    return str_n(f->at, f->len);
}

/* From the store's list; its event's is the caller's. */
static void drop(struct store *s, struct frame *f)
{
    list_remove(&f->link);
    s->frame_bytes -= f->len;
    unref(f);
}

void frames_forget(struct store *s, struct event *e)
{
    for (struct frame *f; (f = e->frames);) {
        e->frames = f->next;
        drop(s, f);
    }
}

static void forget_oldest(struct store *s)
{
    struct frame *f = list_item(s->frames.next, struct frame, link), **at = &history_at(f->resource, f->seq)->frames;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    drop(s, f);
}

struct str store_watch_frame(struct store_watch *w, const void *kind, uint32_t form, void **ret_owner)
{
    const struct event *e = history_at(w->resource, w->shown);
    for (struct frame *f = e ? e->frames : NULL; f; f = f->next)
        if (f->form == form && f->kind == kind)
            return hold(f, ret_owner);
    return STR_NONE;
}

struct str store_watch_keep_frame(struct store_watch *w, const void *kind, uint32_t form, char *at, size_t len, void **ret_owner)
{
    struct store *s = w->store;
    struct event *e = history_at(w->resource, w->shown);
    struct frame *f = mem_alloc(sizeof *f);
    if (!f) {
        mem_free(at);
        return STR_NONE;
    }
    *f = (struct frame){ .resource = w->resource, .seq = w->shown, .kind = kind, .form = form, .refs = 1, .len = len, .at = at };
    list_init(&f->link);
    if (!e || len > FRAMES_MOST) {      /* for this one watch */
        *ret_owner = f;
        return str_n(at, len);
    }
    f->next = e->frames;
    e->frames = f;
    list_push(&s->frames, &f->link);
    s->frame_bytes += len;
    struct str frame = hold(f, ret_owner);
    while (s->frame_bytes > FRAMES_MOST)
        forget_oldest(s);
    return frame;
}
