/* watch.c - watches: each commit once, in order, from any revision that is kept; what is too old is told. */
#include "base/mem.h"
#include "rig.h"

#define PODS "/pods"

struct seen {
    struct store_watch *w;
    unsigned wakes, n;
    uint64_t revisions[2000];
    int types[2000];
};

static void wake(void *ctx)
{
    ((struct seen *)ctx)->wakes++;
}

/* False: the watch has expired. */
static bool drain(struct seen *s)
{
    struct store_event e;
    bool expired = false;
    while (store_watch_next(s->w, &e, &expired)) {
        s->revisions[s->n] = e.revision;
        s->types[s->n++] = e.type;
    }
    return !expired;
}

static int watch(struct rig *r, struct seen *s, const char *ns, uint64_t revision)
{
    return store_watch_new(r->store, STR(PODS), ns ? str_of(ns) : STR_NONE, revision, wake, s, &s->w, &r->err);
}

Test(watch, each_commit_once_in_order)
{
    struct rig r = { 0 };
    static struct seen s;
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(watch(&r, &s, NULL, 0), 0);
    rig_create(&r, PODS, "a", 1);
    rig_create(&r, "/services", "a", 1);
    rig_update(&r, PODS, "a", 2, 0);
    rig_delete(&r, PODS, "a");
    cr_assert_eq(s.wakes, 0);           /* not before it lasts */
    rig_run(&r);
    cr_assert_eq(s.wakes, 1);
    cr_assert(drain(&s));
    cr_assert_eq(s.n, 3);
    cr_assert(s.types[0] == STORE_ADDED && s.types[1] == STORE_MODIFIED && s.types[2] == STORE_DELETED);
    cr_assert(s.revisions[0] == 1 && s.revisions[1] == 3 && s.revisions[2] == 4);
    cr_assert_eq(store_watch_revision(s.w), 4);
    rig_create(&r, PODS, "b", 1);
    rig_run(&r);
    cr_assert_eq(s.wakes, 2);
    cr_assert(drain(&s) && s.n == 4);
    store_watch_free(s.w);
    rig_close(&r);
}

Test(watch, resumes_anywhere)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    rig_create(&r, PODS, "a", 1);
    for (int i = 0; i < 50; i++)
        rig_update(&r, PODS, "a", i, 0);
    rig_run(&r);
    for (uint64_t from = 0; from <= 51; from++) {
        static struct seen s;
        s = (struct seen){ 0 };
        cr_assert_eq(watch(&r, &s, NULL, from), 0);
        cr_assert(drain(&s));
        cr_assert_eq(s.n, 51 - from);
        for (unsigned i = 0; i < s.n; i++)
            cr_assert_eq(s.revisions[i], from + 1 + i);
        store_watch_free(s.w);
    }
    rig_close(&r);
}

Test(watch, one_namespace)
{
    struct rig r = { 0 };
    static struct seen s, other;
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(watch(&r, &s, "ns", 0), 0);
    cr_assert_eq(watch(&r, &other, "elsewhere", 0), 0);
    rig_create(&r, PODS, "a", 1);
    rig_run(&r);
    cr_assert(drain(&s) && drain(&other));
    cr_assert(s.n == 1 && other.n == 0);
    /* It has seen everything up to here all the same: bookmarks go on. */
    cr_assert_eq(store_watch_revision(other.w), 1);
    store_watch_free(s.w);
    store_watch_free(other.w);
    rig_close(&r);
}

Test(watch, too_old_is_410)
{
    struct rig r = { 0 };
    static struct seen slow, late;
    rig_open(&r, (struct store_conf){ .history = 10 });
    cr_assert_eq(watch(&r, &slow, NULL, 0), 0);
    rig_create(&r, PODS, "a", 1);
    for (int i = 0; i < 30; i++)
        rig_update(&r, PODS, "a", i, 0);
    rig_run(&r);
    cr_assert_not(drain(&slow));
    cr_assert_eq(slow.n, 0);            /* never a part with a hole in it */
    cr_assert_eq(watch(&r, &late, NULL, 5), -KL_EXPIRED);
    cr_assert(strstr(r.err.msg, "too old resource version"));
    cr_assert_eq(store_oldest(r.store), 21);
    cr_assert_eq(watch(&r, &late, NULL, 21), 0);
    cr_assert(drain(&late) && late.n == 10);
    store_watch_free(slow.w);
    store_watch_free(late.w);
    rig_close(&r);
}

Test(watch, history_is_bounded_in_bytes)
{
    struct rig r = { 0 };
    static struct seen s;
    rig_open(&r, (struct store_conf){ .history_bytes = 2000 });
    rig_create(&r, PODS, "a", 1);
    for (int i = 0; i < 100; i++)
        rig_update(&r, PODS, "a", i, 0);
    rig_run(&r);
    cr_assert_gt(store_oldest(r.store), 70);
    cr_assert_eq(watch(&r, &s, NULL, store_oldest(r.store)), 0);
    store_watch_free(s.w);
    rig_close(&r);
}

/* A resource that was quiet keeps its watches although others were busy. */
Test(watch, quiet_resource_stays_watchable)
{
    struct rig r = { 0 };
    static struct seen s;
    rig_open(&r, (struct store_conf){ .history = 10 });
    rig_create(&r, PODS, "a", 1);
    rig_run(&r);
    cr_assert_eq(watch(&r, &s, NULL, 1), 0);
    rig_create(&r, "/events", "e", 1);
    for (int i = 0; i < 50; i++)
        rig_update(&r, "/events", "e", i, 0);
    rig_run(&r);
    cr_assert(drain(&s));
    rig_update(&r, PODS, "a", 2, 0);
    rig_run(&r);
    cr_assert(drain(&s) && s.n == 1);
    store_watch_free(s.w);
    rig_close(&r);
}

Test(watch, what_was_rolled_back_is_never_seen)
{
    struct rig r = { 0 };
    static struct seen s;
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(watch(&r, &s, NULL, 0), 0);
    r.provider.fail = KL_UNAVAILABLE;
    rig_create(&r, PODS, "a", 1);
    rig_run(&r);
    cr_assert(drain(&s) && s.n == 0);
    store_watch_free(s.w);
    rig_close(&r);
}

Test(watch, may_be_freed_after_the_store)
{
    struct rig r = { 0 };
    static struct seen s;
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(watch(&r, &s, "ns", 0), 0);
    rig_close(&r);
    store_watch_free(s.w);
}

/* A frame of len bytes that begins with text. */
static struct str keep(struct store_watch *w, const void *kind, uint32_t form, const char *text, size_t len, void **owner)
{
    char *at = mem_resize(NULL, len);
    memset(at, '.', len);
    memcpy(at, text, strlen(text));
    return store_watch_keep_frame(w, kind, form, at, len, owner);
}

Test(watch, frames_are_shared)
{
    struct rig r = { 0 };
    static struct seen a, b;
    struct store_event e;
    bool expired;
    void *one, *two, *other;
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert(watch(&r, &a, NULL, 0) == 0 && watch(&r, &b, NULL, 0) == 0);
    rig_create(&r, PODS, "a", 1);
    rig_run(&r);
    cr_assert(store_watch_next(a.w, &e, &expired) && store_watch_next(b.w, &e, &expired));
    cr_assert(!store_watch_frame(a.w, &a, 1, &one).at);
    struct str x = keep(a.w, &a, 1, "frame", 5, &one), y = store_watch_frame(b.w, &a, 1, &two);
    cr_assert(x.at == y.at && one == two && str_is(x, "frame"));
    cr_assert(!store_watch_frame(b.w, &a, 2, &other).at, "of that form");
    cr_assert(!store_watch_frame(b.w, &b, 1, &other).at, "of that kind");
    struct str z = keep(b.w, &b, 1, "another", 7, &other);
    cr_assert(str_is(z, "another") && store_watch_frame(a.w, &a, 1, &two).at == x.at);
    store_frame_release(two);
    store_frame_release(other);
    store_watch_free(a.w);
    store_watch_free(b.w);
    rig_close(&r);
    cr_assert(str_is(x, "frame"));      /* it outlives the store while somebody sends it */
    store_frame_release(one);
    store_frame_release(two);
}

Test(watch, only_the_newest_frames_are_kept)
{
    struct rig r = { 0 };
    static struct seen a, b;
    struct store_event e;
    bool expired;
    void *owner, *first = NULL;
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert(watch(&r, &a, NULL, 0) == 0 && watch(&r, &b, NULL, 0) == 0);
    for (unsigned i = 0; i < 10; i++)
        rig_create(&r, PODS, (char[]){ (char)('a' + i), 0 }, 1);
    rig_run(&r);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert(store_watch_next(a.w, &e, &expired));
        struct str x = keep(a.w, &a, 1, "frame", 1 << 20, &owner);
        cr_assert_eq(x.len, 1 << 20);
        if (i == 0)
            first = owner;
        else
            store_frame_release(owner);
    }
    for (unsigned i = 0; i < 10; i++) {
        cr_assert(store_watch_next(b.w, &e, &expired));
        struct str x = store_watch_frame(b.w, &a, 1, &owner);
        cr_assert_eq(x.at != NULL, i >= 6, "event %u", i);
        if (x.at)
            store_frame_release(owner);
    }
    struct str large = keep(b.w, &b, 1, "large", 8 << 20, &owner);
    cr_assert(large.len == 8 << 20);    /* for this watch alone: it would push all others out */
    store_frame_release(owner);
    cr_assert(!store_watch_frame(b.w, &b, 1, &owner).at && store_watch_frame(b.w, &a, 1, &owner).at);
    store_frame_release(owner);
    store_frame_release(first);
    store_watch_free(a.w);
    store_watch_free(b.w);
    rig_close(&r);
}
