/* Gates: what stands behind them changes while everybody calls. */
#include "plugin/gate.h"

#include <criterion/criterion.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/scheduler.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/mem.h"
#include "reconcile/call.h"

/* --- many threads, many changes --- */

#define THREADS 4
#define CHANGES 300

struct behind {
    struct gate_target target;
    atomic_bool open;
    atomic_uint calls;
};

static atomic_uint wrong, made;
static atomic_bool enough;

static int detach(void *self, struct kl_call *c, const char *pod_uid)
{
    struct behind *b = self;
    (void)c;
    (void)pod_uid;
    wrong += !b->open;
    b->calls++;
    sched_yield();
    wrong += !b->open;
    return 0;
}

static const struct kl_network network = { .size = sizeof network, .detach = detach };

static void *call_all_the_time(void *ctx)
{
    struct gate *g = ctx;
    const struct kl_network *t = gate_provider(g)->table;
    struct kl_call c = { .size = sizeof c };
    while (!enough) {
        wrong += t->detach(g, &c, "x") != 0;
        made++;
    }
    return NULL;
}

Test(gate, calls_end_where_they_began_and_none_is_lost)
{
    struct gate *g = gate_new(KL_NETWORK_0, "net", 0, NULL);
    pthread_t threads[THREADS];
    struct behind *all = mem_alloc((CHANGES + 1) * sizeof *all);
    unsigned calls = 0;
    for (unsigned i = 0; i <= CHANGES; i++)
        all[i].target = (struct gate_target){ .table = &network, .self = &all[i] };
    all[0].open = true;
    cr_assert_null(gate_set(g, &all[0].target, 0));
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_all_the_time, g), 0);
    for (unsigned i = 1; i <= CHANGES; i++) {
        all[i].open = true;
        cr_assert_eq(gate_set(g, &all[i].target, 0), &all[i - 1].target);
        while (gate_users(g, &all[i - 1].target))
            sched_yield();
        all[i - 1].open = false;
        for (unsigned before = made; made == before;)
            sched_yield();
    }
    enough = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i <= CHANGES; i++)
        calls += all[i].calls;
    cr_expect_eq(wrong, 0, "%u calls met what was closed", (unsigned)wrong);
    cr_expect_eq(calls, made);
    uint64_t counted, errors;
    gate_counts(g, &counted, &errors);
    cr_expect_eq(counted, made);
    cr_expect_eq(errors, 0);
    gate_free(g);
    mem_free(all);
}

/* --- nobody behind it, or somebody who lacks a function --- */

static int score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)cycle;
    (void)pod;
    (void)node;
    return self ? 7 : kl_fail(c, KL_INTERNAL, "no self");
}

static int begin(void *self, struct kl_call *c, const struct kl_pod_view *pod, void **cycle)
{
    (void)c;
    (void)pod;
    *cycle = self;
    return 0;
}

Test(gate, what_lacks_a_function_is_asked_no_more_for_it)
{
    static const struct kl_scheduler rich = { .size = sizeof rich, .begin = begin, .score = score }, poor = { .size = sizeof poor, .score = score };
    struct gate *g = gate_new(KL_SCHEDULER_0, "s", 0, NULL);
    const struct kl_scheduler *t = gate_provider(g)->table;
    struct gate_target one = { .table = &rich, .self = &one }, other = { .table = &poor, .self = &other };
    struct kl_call c = { .size = sizeof c };
    void *cycle = NULL;
    kl_err_init(&c.err);
    cr_expect_eq(t->score(g, &c, NULL, NULL, NULL), -KL_UNAVAILABLE);
    cr_expect_str_eq(c.err.msg, "plugin instance 's' is not there");
    gate_set(g, &one, 0);
    cr_expect_eq(t->score(g, &c, NULL, NULL, NULL), 7);
    int (*held)(void *, struct kl_call *, const struct kl_pod_view *, void **) = t->begin;
    cr_expect_eq(held(g, &c, NULL, &cycle), 0);
    cr_expect_eq(cycle, &one);
    gate_set(g, &other, 0);
    cr_expect_null(t->begin);
    cr_expect_null(t->fit);
    cr_expect_eq(held(g, &c, NULL, &cycle), 0, "who looked before the change");
    other.self = NULL;
    gate_set(g, &other, 0);
    cr_expect_eq(t->score(g, &c, NULL, NULL, NULL), -KL_INTERNAL);
    uint64_t calls, errors;
    gate_counts(g, &calls, &errors);
    cr_expect_eq(errors, 1);
    gate_set(g, NULL, 0);
    cr_expect_eq(t->score(g, &c, NULL, NULL, NULL), -KL_UNAVAILABLE);
    gate_free(g);
    cr_expect_null(gate_new("x/0", "x", 0, NULL));
}

/* --- texts of the plugin's file outlive it --- */

static const char *const groups[] = { "wheel", "system:masters", NULL };
static const char *own_name;

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    (void)self;
    (void)cred;
    *ret = (struct kl_user){ .size = sizeof *ret, .name = own_name, .uid = kl_dup(c, "7", 1), .groups = groups };
    return 1;
}

Test(gate, texts_of_a_plugin_are_copied)
{
    static const struct kl_authn authn = { .size = sizeof authn, .authenticate = authenticate };
    struct gate *g = gate_new(KL_AUTHN_0, "a", 0, NULL);
    struct arena *a = arena_new(0);
    const struct kl_authn *t = gate_provider(g)->table;
    struct gate_target behind = { .table = &authn };
    struct kl_user user = { .size = sizeof user };
    struct kl_call c;
    own_name = groups[0];
    host_call_init(&c, a, "x");
    gate_set(g, &behind, 0);
    cr_assert_eq(t->authenticate(g, &c, NULL, &user), 1);
    cr_expect_eq(user.name, own_name, "what stays is not copied");
    uintptr_t low = (uintptr_t)groups[0] < (uintptr_t)groups ? (uintptr_t)groups[0] : (uintptr_t)groups;
    uintptr_t high = (uintptr_t)groups[1] > (uintptr_t)groups ? (uintptr_t)groups[1] : (uintptr_t)groups;
    behind.codes[behind.n_codes++] = (struct code_range){ low, high + sizeof groups + 20 };
    cr_assert_eq(t->authenticate(g, &c, NULL, &user), 1);
    cr_expect_neq(user.name, own_name);
    cr_expect_str_eq(user.name, "wheel");
    cr_expect_str_eq(user.uid, "7");
    cr_expect_neq(user.groups, groups);
    cr_expect_neq(user.groups[1], groups[1]);
    cr_expect_str_eq(user.groups[1], "system:masters");
    cr_expect_null(user.groups[2]);
    arena_free(a);
    gate_free(g);
}

static const char *node_name(void *self)
{
    return self;
}

Test(gate, a_text_without_an_arena_lives_as_long_as_the_gate)
{
    static const struct kl_node node = { .size = sizeof node, .name = node_name };
    struct gate *g = gate_new(KL_NODE_0, "n", 0, NULL);
    const struct kl_node *t = gate_provider(g)->table;
    char name[] = "n1";
    struct gate_target behind = { .table = &node, .self = name };
    gate_set(g, &behind, 0);
    const char *said = t->name(g);
    cr_expect_str_eq(said, "n1");
    cr_expect_eq(t->name(g), said);
    name[1] = '2';
    cr_expect_str_eq(said, "n1");
    cr_expect_str_eq(t->name(g), "n2");
    gate_free(g);
}

/* --- held --- */

static int apply(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes state)
{
    (void)c;
    (void)state;
    *(uint64_t *)self = generation;
    return 0;
}

static void *apply_once(void *ctx)
{
    struct gate *g = ctx;
    const struct kl_proxy *t = gate_provider(g)->table;
    struct kl_call c = { .size = sizeof c };
    return t->apply(g, &c, 9, (struct kl_bytes){ NULL, 0 }) == 0 ? g : NULL;
}

Test(gate, calls_wait_while_it_is_held)
{
    static const struct kl_proxy proxy = { .size = sizeof proxy, .apply = apply };
    struct loop *l = loop_new();
    struct gate *g = gate_new(KL_PROXY_0, "p", 0, l);
    uint64_t first = 0, second = 0;
    struct gate_target one = { .table = &proxy, .self = &first }, other = { .table = &proxy, .self = &second };
    struct kl_call c = { .size = sizeof c };
    pthread_t thread;
    void *ret;
    kl_err_init(&c.err);
    gate_set(g, &one, 0);
    gate_hold(g, true);
    cr_expect_eq(((const struct kl_proxy *)gate_provider(g)->table)->apply(g, &c, 1, (struct kl_bytes){ NULL, 0 }), -KL_UNAVAILABLE, "the loop never waits");
    cr_assert_eq(pthread_create(&thread, NULL, apply_once, g), 0);
    gate_set(g, &other, 0);
    pthread_join(thread, &ret);
    cr_expect_eq(ret, g);
    cr_expect_eq(first, 0);
    cr_expect_eq(second, 9);
    gate_free(g);
    loop_free(l);
}
