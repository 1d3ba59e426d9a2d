/* reflector.c - a held resource through everything that a server and a network do to it. */
#include <criterion/criterion.h>

#include "fake.h"

static struct fake *holding(void)
{
    struct fake *f = fake_open();
    struct kl_err err;
    kl_err_init(&err);
    fake_put(f, "a", "1");
    fake_put(f, "b", "1");
    cr_assert_eq(mirror_hold(f->mirror, "/configmaps", NULL, &err), 0);
    return f;
}

static bool sees_both(struct fake *f)
{
    return fake_synced(f) && fake_held(f) == 2;
}

static bool sees_change(struct fake *f)
{
    return strcmp(fake_see(f, "a"), "2") == 0 && fake_see(f, "b")[0] == '\0' && strcmp(fake_see(f, "c"), "1") == 0;
}

static void change(struct fake *f)
{
    fake_put(f, "a", "2");
    fake_delete(f, "b");
    fake_put(f, "c", "1");
}

/* What a source of a controller would be told. */
struct watcher {
    struct store_watch *watch;
    unsigned added, modified, deleted;
};

static void wake(void *ctx)
{
    struct watcher *w = ctx;
    struct store_event e;
    bool expired;
    while (store_watch_next(w->watch, &e, &expired)) {
        w->added += e.type == STORE_ADDED;
        w->modified += e.type == STORE_MODIFIED;
        w->deleted += e.type == STORE_DELETED;
    }
}

static void watch_store(struct fake *f, struct watcher *w)
{
    struct kl_err err;
    kl_err_init(&err);
    struct store *s = mirror_store(f->mirror);
    cr_assert_eq(store_watch_new(s, STR("/configmaps"), STR_NONE, store_revision(s), wake, w, &w->watch, &err), 0);
}

Test(reflector, reads_as_a_stream_then_watches)
{
    struct fake *f = holding();
    struct watcher w = { 0 };
    watch_store(f, &w);
    fake_until(f, sees_both);
    cr_assert(f->streams == 1 && f->lists == 0);
    cr_assert(strstr(f->last_watch, "allowWatchBookmarks=true") && strstr(f->last_watch, "timeoutSeconds="));
    change(f);
    fake_until(f, sees_change);
    cr_assert(w.added == 3 && w.modified == 1 && w.deleted == 1, "%u %u %u", w.added, w.modified, w.deleted);
    store_watch_free(w.watch);
    fake_close(f);
}

Test(reflector, reads_page_by_page_where_nothing_is_streamed)
{
    struct fake *f = fake_open();
    struct kl_err err;
    kl_err_init(&err);
    char name[16];
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fake_put(f, name, "1");
    }
    f->no_stream = true;
    f->page = 10;
    mirror_hold(f->mirror, "/configmaps", NULL, &err);
    fake_until(f, fake_synced);
    cr_assert_eq(fake_held(f), 25);
    cr_assert(f->lists == 1 && f->streams == 0);
    struct store_object *o = store_get(mirror_store(f->mirror), STR("/configmaps"), STR("default"), STR("n7"));
    cr_assert(str_starts(store_object_json(o), STR("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",")));
    fake_put(f, "a", "2");
    fake_put(f, "c", "1");
    fake_until(f, sees_change);
    fake_close(f);
}

static bool watches_again(struct fake *f)
{
    return f->watches == 1 && fake_synced(f);
}

static void goes_on(bool clean)
{
    struct fake *f = holding();
    char want[64];
    fake_until(f, sees_both);
    fake_put(f, "a", "1b");
    snprintf(want, sizeof want, "resourceVersion=%llu", (unsigned long long)f->revision);
    while (strcmp(fake_see(f, "a"), "1b") != 0)
        fake_until(f, fake_synced), loop_post(f->loop, (loop_fn)loop_stop, f->loop), loop_run(f->loop);
    fake_end_watches(f, clean);
    change(f);                          /* told by the next watch */
    fake_until(f, watches_again);
    cr_assert(strstr(f->last_watch, want), "%s has no %s", f->last_watch, want);
    fake_until(f, sees_change);
    cr_assert_eq(f->streams, 1, "it was listed again");
    fake_close(f);
}

Test(reflector, goes_on_when_a_watch_ends)
{
    goes_on(true);
}

Test(reflector, goes_on_when_a_watch_breaks)
{
    goes_on(false);
}

static void forgotten(bool by_event)
{
    struct fake *f = holding();
    struct watcher w = { 0 };
    fake_put(f, "same", "1");
    watch_store(f, &w);
    fake_until(f, fake_synced);
    w.added = 0;
    if (!by_event)
        fake_end_watches(f, true);
    f->mute = true;
    change(f);
    fake_forget(f);
    f->mute = false;
    f->n_events = 0;
    if (by_event)
        fake_error(f, 410);
    fake_until(f, sees_change);
    cr_assert_eq(f->streams, 2);
    cr_assert(w.added == 1 && w.modified == 1 && w.deleted == 1, "what is the same became a change: %u %u %u", w.added, w.modified, w.deleted);
    store_watch_free(w.watch);
    fake_close(f);
}

Test(reflector, reads_again_what_the_server_forgot)
{
    forgotten(false);
}

Test(reflector, reads_again_when_a_watch_says_so)
{
    forgotten(true);
}

Test(reflector, a_server_that_is_away_is_found_again)
{
    struct fake *f = holding();
    fake_until(f, sees_both);
    fake_away(f);
    f->n_watchers = 0;
    cr_assert_eq(fake_held(f), 2, "what was read stays readable");
    struct fake_call c = { .verb = "get", .name = "a" };
    fake_call(f, &c);
    cr_assert_eq(c.rc, 0);
    struct fake_call u = { .verb = "update", .name = "a", .body = "{\"data\":{\"k\":\"9\"}}" };
    fake_call(f, &u);
    cr_assert_eq(u.rc, -KL_UNAVAILABLE, "%d %s", u.rc, u.err.msg);
    change(f);
    fake_listen(f);
    fake_until(f, sees_change);
    cr_assert(f->streams == 1 && f->watches >= 1);
    fake_close(f);
}

/* Restored from an older copy: the revision that we know is in its future. */
Test(reflector, a_server_whose_revisions_went_back)
{
    struct fake *f = holding();
    fake_until(f, sees_both);
    fake_end_watches(f, true);
    f->n_events = 0;
    f->revision = 10;
    f->n = 0;
    fake_put(f, "a", "2");
    fake_put(f, "c", "1");
    fake_until(f, sees_change);
    fake_close(f);
}

static bool failed_twice(struct fake *f)
{
    struct arena *a = arena_new(0);
    struct val *r = json_get(mirror_debug(f->mirror, a), STR("resources"))->first;
    bool yes = json_int(r, "failures", 0) >= 2;
    arena_free(a);
    return yes;
}

Test(reflector, errors_of_the_server_are_waited_out)
{
    struct fake *f = fake_open();
    struct kl_err err;
    kl_err_init(&err);
    f->refuse = 500;
    fake_put(f, "a", "1");
    fake_put(f, "b", "1");
    mirror_hold(f->mirror, "/configmaps", NULL, &err);
    fake_until(f, failed_twice);
    f->refuse = 0;
    fake_until(f, sees_both);
    fake_close(f);
}

static bool told;

static void tell(void *ctx)
{
    (void)ctx;
    told = true;
}

static bool is_told(struct fake *f)
{
    (void)f;
    return told;
}

Test(reflector, what_is_forbidden_is_asked_for_directly)
{
    struct fake *f = holding();
    told = false;
    f->refuse = 403;
    mirror_on_synced(f->mirror, tell, NULL);
    fake_until(f, is_told);
    cr_assert_eq(fake_held(f), 0);
    f->refuse = 0;
    struct fake_call c = { .verb = "get", .name = "a" };
    fake_call(f, &c);
    cr_assert(c.rc == 0 && strstr(c.got, "\"k\":\"1\"") && f->gets == 1, "%d %s", c.rc, c.err.msg);
    fake_close(f);
}

static bool sees_a2(struct fake *f)
{
    return strcmp(fake_see(f, "a"), "2") == 0;
}

static bool sees_late(struct fake *f)
{
    return strcmp(fake_see(f, "late"), "1") == 0;
}

static bool holds_nothing(struct fake *f)
{
    return fake_held(f) == 0;
}

static bool streamed_two(struct fake *f)
{
    return f->streams == 2;
}

Test(reflector, what_may_be_read_by_name_only_is_held_by_name)
{
    struct fake *f = fake_open();
    struct kl_err err;
    kl_err_init(&err);
    fake_put(f, "a", "1");
    fake_put(f, "b", "1");
    f->names_only = true;
    mirror_hold(f->mirror, "/configmaps", NULL, &err);
    told = false;
    mirror_on_synced(f->mirror, tell, NULL);
    fake_until(f, is_told);
    struct fake_call a = { .verb = "get", .name = "a" }, late = { .verb = "get", .name = "late" };
    fake_call(f, &a);
    fake_call(f, &late);
    cr_assert(a.rc == 0 && late.rc == -KL_NOT_FOUND && f->gets == 2);
    fake_until(f, streamed_two);
    fake_put(f, "a", "2");
    fake_put(f, "b", "2");
    fake_until(f, sees_a2);
    fake_put(f, "late", "1");
    fake_until(f, sees_late);
    fake_call(f, &a);
    fake_call(f, &late);
    cr_assert(strstr(a.got, "\"k\":\"2\"") && late.rc == 0 && f->gets == 2, "it was asked for although it is held");
    cr_assert_eq(fake_held(f), 2, "more than what was asked for is held");
    f->refuse = 403;                    /* the node's pod is gone: its names are not its business any more */
    fake_end_watches(f, true);
    fake_until(f, holds_nothing);
    fake_close(f);
}

Test(reflector, synced_is_told_once_everything_is_read)
{
    struct fake *f = holding();
    told = false;
    mirror_on_synced(f->mirror, tell, NULL);
    cr_assert(!told);
    fake_until(f, is_told);
    cr_assert(fake_held(f) == 2, "it was told before the store showed what was read");
    fake_close(f);
}

Test(reflector, nonsense_is_no_news)
{
    static const char *const lines[] = { "{\"type\":\"ADDED\"}\n", "{\"type\":\"ADDED\",\"object\":{}}\n", "not json\n", "{}\n",
                                         "{\"type\":\"WHAT\",\"object\":{\"metadata\":{\"name\":\"x\",\"namespace\":\"d\",\"resourceVersion\":\"5\"}}}\n" };
    for (int i = 0; i < 5; i++) {
        struct fake *f = holding();
        fake_until(f, sees_both);
        http_stream_write(f->watchers[0], (struct http_slice){ .data = str_of(lines[i]) });
        f->n_watchers = 0;              /* the client hangs up */
        while (f->streams < 2)
            loop_post(f->loop, (loop_fn)loop_stop, f->loop), loop_run(f->loop);
        fake_until(f, sees_both);
        fake_close(f);
    }
}
