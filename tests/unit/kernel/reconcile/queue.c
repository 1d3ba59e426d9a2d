/* Keys: once, never twice at a time, later when they failed, and at rest after long work. */
#include "reconcile/queue.h"

#include <criterion/criterion.h>

#define MS 1000000LL

static struct loop *loop;
static struct queue *queue;

static void ready(void *ctx)
{
    (void)ctx;
}

static void setup(void)
{
    loop = loop_new_sim(1000 * MS, 0);
    queue = queue_new(loop, ready, NULL);
}

static void teardown(void)
{
    queue_free(queue);
    loop_free(loop);
}

TestSuite(queue, .init = setup, .fini = teardown);

static struct queue_key *take(const char *name)
{
    struct queue_key *k = queue_next(queue);
    cr_assert(name ? k && str_is(k->name, name) : !k, "wanted %s, got " STR_FMT, name ? name : "nothing", STR_ARG(k ? k->name : STR("nothing")));
    return k;
}

static void pass(int64_t ms)
{
    loop_run_until(loop, loop_now(loop) + ms * MS);
}

Test(queue, a_key_waits_once)
{
    queue_add(queue, STR("a"), 0);
    queue_add(queue, STR("a"), 0);
    queue_add(queue, STR("b"), 0);
    struct queue_key *a = take("a"), *b = take("b");
    take(NULL);
    queue_add(queue, STR("a"), 0);      /* in work: comes back after it */
    take(NULL);
    queue_done(queue, a, false, 0);
    a = take("a");
    queue_done(queue, a, false, 0);
    queue_done(queue, b, false, 0);
    take(NULL);
}

Test(queue, failures_come_back_later_and_later)
{
    queue_add(queue, STR("a"), 0);
    queue_done(queue, take("a"), true, 0);
    take(NULL);
    pass(5);
    queue_done(queue, take("a"), true, 0);
    pass(9);
    take(NULL);
    pass(1);
    queue_done(queue, take("a"), false, 0);
    pass(1000);
    take(NULL);
}

Test(queue, a_key_rests_after_long_work)
{
    queue_add(queue, STR("a"), 0);
    struct queue_key *k = take("a");
    k->rest_ns = 80 * MS;
    queue_done(queue, k, false, 0);
    pass(10);
    for (int i = 0; i < 3; i++)         /* a burst is one look, and not before the rest is over */
        queue_add(queue, STR("a"), 0);
    take(NULL);
    pass(69);
    take(NULL);
    pass(1);
    queue_done(queue, take("a"), false, 0);
    take(NULL);
    queue_add(queue, STR("a"), 0);      /* short work: no rest */
    queue_done(queue, take("a"), false, 0);
}

Test(queue, changes_during_long_work_wait_for_the_rest)
{
    queue_add(queue, STR("a"), 0);
    struct queue_key *k = take("a");
    queue_add(queue, STR("a"), 0);
    k->rest_ns = 50 * MS;
    queue_done(queue, k, false, 0);
    queue_add(queue, STR("a"), 0);
    pass(49);
    take(NULL);
    pass(1);
    queue_done(queue, take("a"), false, 0);
}

Test(queue, its_own_wish_to_come_back_is_not_a_change)
{
    queue_add(queue, STR("a"), 0);
    struct queue_key *k = take("a");
    k->rest_ns = 50 * MS;
    queue_done(queue, k, false, MS);
    pass(1);
    queue_done(queue, take("a"), false, 0);
    pass(100);
    take(NULL);
}
