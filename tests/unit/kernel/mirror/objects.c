/* objects.c - the objects service of a node's process, called from a thread. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "fake.h"
#include "reconcile/call.h"

static struct fake *open_held(const char *selector)
{
    struct fake *f = fake_open();
    struct kl_err err;
    kl_err_init(&err);
    fake_put(f, "a", "1");
    fake_put(f, "b", "1");
    cr_assert_eq(mirror_hold(f->mirror, "/configmaps", selector, &err), 0, "%s", err.msg);
    fake_until(f, fake_synced);
    return f;
}

Test(objects, reads_what_is_held_without_asking)
{
    struct fake *f = open_held(NULL);
    struct fake_call g = { .verb = "get", .name = "a" }, n = { .verb = "get", .name = "nothing" }, l = { .verb = "list" },
                     o = { .verb = "list", .owner = "owner-of-b" };
    fake_call(f, &g);
    fake_call(f, &n);
    fake_call(f, &l);
    fake_call(f, &o);
    cr_assert(g.rc == 0 && strstr(g.got, "\"kind\":\"ConfigMap\""));
    cr_assert(n.rc == -KL_NOT_FOUND && strstr(n.err.msg, "configmaps \"nothing\" not found"), "%s", n.err.msg);
    cr_assert(l.rc == 0 && l.n == 2);
    cr_assert(o.rc == 0 && o.n == 1 && strstr(o.got, "\"name\":\"b\""));
    cr_assert(f->gets == 0 && f->lists == 0);
    fake_close(f);
}

Test(objects, asks_for_what_is_not_held)
{
    struct fake *f = fake_open();
    char name[16];
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fake_put(f, name, "1");
    }
    f->page = 10;
    struct fake_call g = { .verb = "get", .name = "n3" }, n = { .verb = "get", .name = "nothing" }, l = { .verb = "list" },
                     o = { .verb = "list", .owner = "owner-of-n21" };
    fake_call(f, &g);
    fake_call(f, &n);
    fake_call(f, &l);
    cr_assert(g.rc == 0 && strstr(g.got, "\"name\":\"n3\""));
    cr_assert(n.rc == -KL_NOT_FOUND && strcmp(n.err.msg, "configmaps not found") == 0);
    cr_assert(l.rc == 0 && l.n == 25, "%u", l.n);
    cr_assert(strncmp(l.got, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\"", 36) == 0, "%s", l.got);
    fake_call(f, &o);
    cr_assert(o.rc == 0 && o.n == 1 && strstr(o.got, "n21"));
    fake_close(f);
}

Test(objects, asks_for_what_is_outside_of_the_part_that_is_held)
{
    struct fake *f = open_held("metadata.name=a");
    struct fake_call in = { .verb = "list", .field_selector = "metadata.name=a" }, out = { .verb = "list" }, g = { .verb = "get", .name = "zzz" };
    fake_call(f, &in);
    cr_assert(in.rc == 0 && in.n == 1 && f->lists == 0);
    fake_call(f, &out);
    cr_assert(out.rc == 0 && out.n == 2 && f->lists == 1);
    fake_call(f, &g);
    cr_assert(g.rc == -KL_NOT_FOUND && f->gets == 1);
    fake_close(f);
}

Test(objects, own_writes_are_seen_at_once)
{
    struct fake *f = open_held(NULL);
    struct fake_call c = { .verb = "create", .name = "new", .body = "{\"metadata\":{\"name\":\"new\"},\"data\":{\"k\":\"5\"}}" },
                     u = { .verb = "update", .name = "a", .body = "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"6\"}}" },
                     p = { .verb = "patch", .name = "b", .body = "{\"data\":{\"k\":\"7\"}}", .patch_type = KL_PATCH_MERGE },
                     d = { .verb = "remove", .name = "b" };
    struct fake_call g1 = { .verb = "get", .name = "new" }, g2 = { .verb = "get", .name = "a" }, g3 = { .verb = "get", .name = "b" }, g4 = g3;
    f->mute = true;                     /* the watch tells nothing */
    fake_call_then_get(f, &c, &g1);
    cr_assert(c.rc == 0 && g1.rc == 0 && strstr(g1.got, "\"k\":\"5\""), "%d %s; %d %s", c.rc, c.err.msg, g1.rc, g1.err.msg);
    fake_call_then_get(f, &u, &g2);
    cr_assert(u.rc == 0 && strstr(g2.got, "\"k\":\"6\"") && strstr(u.got, "\"k\":\"6\""));
    fake_call_then_get(f, &p, &g3);
    cr_assert(p.rc == 0 && strstr(g3.got, "\"k\":\"7\""));
    fake_call_then_get(f, &d, &g4);
    cr_assert(d.rc == 0 && g4.rc == -KL_NOT_FOUND);
    cr_assert_eq(f->gets, 0);
    /* The watch comes behind with all of it: old news changes nothing, and b does not come back. */
    f->mute = false;
    fake_tell(f);
    fake_put(f, "end", "1");
    while (!fake_see(f, "end")[0]) {
        cr_assert_str_neq(fake_see(f, "b"), "7", "what was deleted came back");
        loop_post(f->loop, (loop_fn)loop_stop, f->loop);
        loop_run(f->loop);
    }
    cr_assert_str_eq(fake_see(f, "a"), "6");
    cr_assert_str_eq(fake_see(f, "new"), "5");
    cr_assert_str_eq(fake_see(f, "b"), "");
    fake_close(f);
}

/* Made by us, deleted by others before our answer is there: it must not stay for ever. */
Test(objects, an_answer_that_comes_late_brings_nothing_back)
{
    struct fake *f = open_held(NULL);
    struct fake_call c = { .verb = "create", .name = "brief", .body = "{\"metadata\":{\"name\":\"brief\"},\"data\":{\"k\":\"5\"}}" };
    fake_call(f, &c);
    fake_delete(f, "brief");
    fake_put(f, "end", "1");
    while (!fake_see(f, "end")[0]) {
        loop_post(f->loop, (loop_fn)loop_stop, f->loop);
        loop_run(f->loop);
    }
    cr_assert_str_eq(fake_see(f, "brief"), "");
    fake_close(f);
}

Test(objects, writes_as_the_api_wants_them)
{
    struct fake *f = fake_open();
    fake_put(f, "a", "1");
    static const struct {
        int32_t type;
        const char *media;
    } rows[] = { { KL_PATCH_MERGE, "application/merge-patch+json" }, { KL_PATCH_STRATEGIC, "application/strategic-merge-patch+json" },
                 { KL_PATCH_JSON, "application/json-patch+json" } };
    for (int i = 0; i < 3; i++) {
        struct fake_call p = { .verb = "patch", .name = "a", .body = "{}", .patch_type = rows[i].type };
        fake_call(f, &p);
        cr_assert(p.rc == 0 && strcmp(f->last_type, rows[i].media) == 0 && strcmp(f->last_method, "PATCH") == 0);
    }
    struct fake_call s = { .verb = "update", .name = "a", .sub = "status", .body = "{\"data\":{\"k\":\"2\"}}" }, d = { .verb = "remove", .name = "a", .grace = 7 };
    fake_call(f, &s);
    cr_assert_str_eq(f->last_path, "/api/v1/namespaces/default/configmaps/a/status");
    cr_assert_eq(strncmp(f->last_body, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",", 37), 0, "%s", f->last_body);
    fake_call(f, &d);
    cr_assert(strcmp(f->last_method, "DELETE") == 0 && strstr(f->last_body, "\"gracePeriodSeconds\":7") && strstr(f->last_body, "DeleteOptions"));
    struct fake_call bad = { .verb = "patch", .name = "a", .body = "{}", .patch_type = 9 }, again = { .verb = "remove", .name = "a" },
                     twice = { .verb = "create", .name = "b", .body = "{\"metadata\":{\"name\":\"b\"}}" };
    fake_call(f, &bad);
    cr_assert_eq(bad.rc, -KL_INVALID);
    fake_call(f, &again);
    cr_assert_eq(again.rc, -KL_NOT_FOUND);
    fake_call(f, &twice);
    fake_call(f, &twice);
    cr_assert_eq(twice.rc, -KL_ALREADY_EXISTS);
    fake_close(f);
}

Test(objects, on_the_loop_nothing_waits)
{
    struct fake *f = fake_open();
    struct objects *o = mirror_objects(f->mirror);
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c;
    struct kl_object_key k = { sizeof k, "/configmaps", "default", "a", NULL };
    struct kl_bytes got = { NULL, 0 };
    fake_put(f, "a", "1");
    host_call_init(&c, a, "test");
    cr_assert_eq(o->ops->get(o, "test", &c, &k, &got), -KL_UNAVAILABLE);
    cr_assert_eq(o->ops->update(o, "test", &c, &k, (struct kl_bytes){ "{}", 2 }, NULL), -KL_UNSUPPORTED);
    fake_until(f, fake_synced);         /* it is held now */
    host_call_init(&c, a, "test");
    cr_assert_eq(o->ops->get(o, "test", &c, &k, &got), 0, "%s", c.err.msg);
    k.resource = "/nonsense";
    cr_assert_eq(o->ops->get(o, "test", &c, &k, &got), -KL_NOT_FOUND);
    fake_close(f);
}

static bool asked(struct fake *f)
{
    return f->gets == 1;
}

static void stopped(void *ctx)
{
    (void)ctx;
}

static void stop_when_asked(void *ctx)
{
    struct fake *f = ctx;
    if (asked(f))
        mirror_stop(f->mirror, stopped, NULL);
    else
        loop_post(f->loop, stop_when_asked, f);
}

Test(objects, the_end_cancels_calls_under_way)
{
    struct fake *f = fake_open();
    struct fake_call g = { .verb = "get", .name = "a" }, after = { .verb = "get", .name = "a" };
    f->drop_get = true;
    loop_post(f->loop, stop_when_asked, f);
    fake_call_then_get(f, &g, &after);
    cr_assert_eq(g.rc, -KL_CANCELLED, "%d", g.rc);
    cr_assert_eq(after.rc, -KL_CANCELLED);
    fake_close(f);
}

static bool wrote_two(struct fake *f)
{
    return f->writes == 2;
}

Test(objects, events_are_written_and_counted)
{
    struct fake *f = fake_open();
    struct objects *o = mirror_objects(f->mirror);
    static const char about[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"default\",\"name\":\"p\",\"uid\":\"u\"}";
    o->ops->event(o, "kubelet", (struct kl_bytes){ about, sizeof about - 1 }, "Normal", "Pulled", "the image is there");
    o->ops->event(o, "kubelet", (struct kl_bytes){ about, sizeof about - 1 }, "Normal", "Pulled", "the image is there");
    fake_until(f, wrote_two);
    cr_assert(strcmp(f->last_method, "PATCH") == 0 && strstr(f->last_body, "\"count\":2"), "%s %s", f->last_method, f->last_body);
    cr_assert(strstr(f->last_path, "/api/v1/namespaces/default/events/p."), "%s", f->last_path);
    fake_close(f);
}

Test(objects, two_selectors_widen_what_is_held)
{
    struct fake *f = open_held("metadata.name=a");
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(mirror_hold(f->mirror, "/configmaps", "metadata.name=a", &err), 0);
    cr_assert(strstr(f->last_watch, "fieldSelector=metadata.name%3Da"), "%s", f->last_watch);
    cr_assert_eq(mirror_hold(f->mirror, "/configmaps", "metadata.name=b", &err), 0);
    fake_until(f, fake_synced);
    while (f->streams < 2)
        loop_post(f->loop, (loop_fn)loop_stop, f->loop), loop_run(f->loop);
    cr_assert(!strstr(f->last_watch, "fieldSelector"), "%s", f->last_watch);
    cr_assert_eq(mirror_hold(f->mirror, "/nonsense", NULL, &err), -KL_NOT_FOUND);
    fake_close(f);
}
