/* What is kept of the pods of a key, and how long changes wait for others. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "crowd.h"
#include "fake.h"

FAKE_SUITE(crowd);

struct record {
    struct crowd_pod pod;
    int n;
};

static struct ctl_run run;

static struct crowd *begin(const char *version)
{
    run = (struct ctl_run){ .ctl = &f->ctl, .call = &f->call, .arena = f->arena };
    return crowd_open(&run, STR("d"), STR("s"), str_of(version), sizeof(struct record));
}

static struct crowd *with_pods(int n)
{
    struct crowd *c = begin("1");
    char name[16];
    cr_assert(c->whole, "at first nothing is known");
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "p%d", i);
        struct record *p = crowd_put(c, str_of(name));
        p->n = i;
    }
    crowd_close(c);
    return c;
}

/* How the map of a change of that pod ends: the keys that are left to be worked on at once. */
static const char *note(const char *pod, const char *keys)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    run = (struct ctl_run){ .ctl = &f->ctl, .call = &f->call, .arena = f->arena };
    buf_add_z(&b, keys);
    crowd_note(&run, str_of(pod), &b);
    return arena_dup(f->arena, buf_str(&b));
}

Test(crowd, changes_are_looked_at_and_nothing_else)
{
    struct crowd *c = with_pods(20);
    cr_expect_str_eq(note("p3", "d/s"), "d/s");
    note("p3", "d/s");
    note("new", "d/s");
    cr_assert_eq(begin("1"), c);
    cr_expect_not(c->whole);
    cr_expect_eq(c->n_changed, 2);
    cr_expect(str_is(c->changed->name, "new"));
    c->changed->gone = true;            /* it was none of them */
    crowd_close(c);
    cr_expect_eq(c->pods.n, 20);
    cr_expect_null(crowd_get(c, STR("new")));
    cr_expect_eq(((struct record *)crowd_get(c, STR("p3")))->n, 3);
    begin("1");
    cr_expect_null(c->changed);
    cr_expect_not(c->whole);
}

Test(crowd, what_may_be_wrong_is_read_as_a_whole)
{
    struct crowd *c = with_pods(20);
    begin("2");
    cr_expect(c->whole, "the owner is another");
    begin("2");
    cr_expect(c->whole, "the run before did not end well");
    crowd_put(c, STR("p1"));
    crowd_close(c);
    cr_expect_eq(c->pods.n, 1, "who was not seen is forgotten");
    begin("2");
    cr_expect_not(c->whole);
    crowd_close(c);
    crowd_doubt_all(&f->ctl);
    begin("2");
    cr_expect(c->whole, "changes were missed");
}

Test(crowd, when_most_have_changed_all_are_read)
{
    struct crowd *c = with_pods(100);
    char name[16];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "p%d", i);
        note(name, "d/s");
    }
    begin("1");
    cr_expect(c->whole);
}

Test(crowd, changes_of_many_wait_for_others)
{
    with_pods(10);
    cr_expect_str_eq(note("p1", "d/s\nd/unknown"), "d/s\nd/unknown");
    cr_expect_eq(f->keys, 0);
    struct crowd *c = begin("2");
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "p%d", i);
        crowd_put(c, str_of(name));
    }
    crowd_close(c);
    cr_expect_str_eq(note("p1", "d/s\nd/unknown"), "d/unknown");
    cr_expect_eq(f->keys, 1, "later");
    f->now_ns += 50 * 1000000LL;
    cr_expect_str_eq(note("p2", "d/s"), "d/s", "for a while nothing was done");
}

Test(crowd, a_key_that_is_forgotten_begins_anew)
{
    with_pods(10);
    crowd_forget(&f->ctl, STR("d"), STR("s"));
    cr_expect_null(crowd_of(&f->ctl, STR("d/s")));
    with_pods(3);
}
