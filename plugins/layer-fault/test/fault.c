/* fault.c - rules: which calls are hit, what happens to them, and which rules are refused. The plugin itself is linked in. */
#include <criterion/criterion.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/layer.h>
#include <keelson/iface/scheduler.h>

#include "base/arena.h"

extern const struct kl_plugin kl_plugin_fault;

struct settings {
    const char *rules;
};

struct rig {
    struct arena *arena;
    struct kl_host host;
    struct kl_call c;
    struct settings conf;
    const struct kl_layer *layer;
    void *self;
};

static void quiet(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h;
    (void)level;
    (void)line;
}

static void *call_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static int begin(struct rig *r, const char *rules)
{
    *r = (struct rig){ .arena = arena_new(0), .host = { .size = sizeof r->host, .instance = "fault", .log = quiet }, .conf = { rules } };
    r->c = (struct kl_call){ .size = sizeof r->c, .arena = r->arena, .alloc = call_alloc };
    kl_err_init(&r->c.err);
    r->layer = KL_AT(struct kl_provider, kl_plugin_fault.providers, 0)->table;
    return r->layer->life.open(&r->host, &r->conf, &r->self, &r->c);
}

static void end(struct rig *r)
{
    r->layer->life.close(r->self);
    arena_free(r->arena);
}

static unsigned asked;

static int score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)self;
    (void)c;
    (void)cycle;
    (void)pod;
    (void)node;
    asked++;
    return 42;
}

static int rules(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret)
{
    (void)self;
    (void)c;
    (void)user;
    (void)ns;
    *ret = (struct kl_bytes){ "{}", 2 };
    return 0;
}

static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *q)
{
    (void)self;
    (void)c;
    (void)user;
    (void)q;
    return 1;
}

static const struct kl_scheduler scheduler = { .size = sizeof scheduler, .score = score };
static const struct kl_authz authz = { .size = sizeof authz, .authorize = authorize, .rules = rules };

static const void *wrap(struct rig *r, const char *iface, const char *instance, const void *table, void **ret_self)
{
    struct kl_layered inner = { sizeof inner, iface, instance, table, NULL }, ret = { .size = sizeof ret };
    cr_assert_eq(r->layer->wrap(r->self, &r->c, &inner, &ret), 0, "%s", r->c.err.msg);
    *ret_self = ret.self;
    return ret.table;
}

static int ask(struct rig *r, const struct kl_scheduler *t, void *self)
{
    struct kl_pod_view pod = { .size = sizeof pod };
    struct kl_node_view node = { .size = sizeof node, .name = "n" };
    kl_err_init(&r->c.err);
    return t->score(self, &r->c, NULL, &pod, &node);
}

Test(fault, hits_what_a_rule_names)
{
    struct rig r;
    void *self, *other;
    cr_assert_eq(begin(&r, "[{\"instance\":\"a\",\"call\":\"score\",\"do\":\"fail\",\"code\":\"CONFLICT\",\"message\":\"told so\",\"skip\":2,\"every\":3,\"times\":2}]"), 0);
    const struct kl_scheduler *t = wrap(&r, KL_SCHEDULER_0, "a", &scheduler, &self), *b = wrap(&r, KL_SCHEDULER_0, "b", &scheduler, &other);
    int hits = 0;
    asked = 0;
    for (int i = 0; i < 12; i++) {
        int rc = ask(&r, t, self);
        cr_expect_eq(rc, i == 2 || i == 5 ? -KL_CONFLICT : 42, "call %d: %d", i, rc);
        hits += rc < 0;
        if (rc < 0)
            cr_expect_str_eq(r.c.err.msg, "told so");
    }
    cr_expect_eq(hits, 2);
    cr_expect_eq(asked, 10u, "a call that fails is not made");
    for (int i = 0; i < 6; i++)
        cr_expect_eq(ask(&r, b, other), 42, "another instance is left alone");
    cr_expect(!KL_HAS(t, fit) && !KL_HAS(t, begin), "what the inner table lacks is not there");
    t->life.close(self);
    b->life.close(other);
    end(&r);
}

Test(fault, corrupts_results_or_numbers)
{
    struct rig r;
    void *self, *s;
    cr_assert_eq(begin(&r, "[{\"do\":\"corrupt\"}]"), 0);
    const struct kl_authz *t = wrap(&r, KL_AUTHZ_0, "z", &authz, &self);
    const struct kl_scheduler *sched = wrap(&r, KL_SCHEDULER_0, "s", &scheduler, &s);
    struct kl_bytes ret = { NULL, 0 };
    cr_assert_eq(t->rules(self, &r.c, NULL, "", &ret), 0);
    cr_assert_eq(ret.len, 2u);
    cr_expect(memcmp(ret.at, "{}", 2) != 0, "the result is as it was");
    cr_expect_eq(ask(&r, sched, s), 1000042);
    t->life.close(self);
    sched->life.close(s);
    end(&r);
}

static bool cancelled(const struct kl_call *c)
{
    (void)c;
    return true;
}

Test(fault, delays_and_then_calls)
{
    struct rig r;
    void *self;
    cr_assert_eq(begin(&r, "[{\"do\":\"delay\",\"delay_ms\":5}]"), 0);
    const struct kl_scheduler *t = wrap(&r, KL_SCHEDULER_0, "a", &scheduler, &self);
    r.c.cancelled = cancelled;
    cr_expect_eq(ask(&r, t, self), 42);
    t->life.close(self);
    end(&r);
}

Test(fault, says_what_is_wrong_with_a_rule)
{
    static const char *const rows[][2] = {
        { "[{\"do\":\"explode\"}]", "rules[0]: do is fail, delay or corrupt, not 'explode'" },
        { "[{\"do\":\"fail\"},{\"do\":\"fail\",\"code\":\"NONE\"}]", "rules[1]: code is a name" },
        { "[{\"do\":\"fail\",\"calls\":\"x\"}]", "not 'calls'" },
        { "[{\"do\":\"fail\",\"every\":0}]", "every is 1 or more" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig r;
        cr_expect_eq(begin(&r, rows[i][0]), -KL_INVALID, "%s", rows[i][0]);
        cr_expect(strstr(r.c.err.msg, rows[i][1]), "%s: %s", rows[i][0], r.c.err.msg);
        arena_free(r.arena);
    }
}
