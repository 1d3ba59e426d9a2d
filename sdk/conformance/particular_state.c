/* particular_state.c - interfaces that keep or drive things: stores, runtimes, networks, proxies, nodes, the audit trail. */
#include <keelson/iface/layer.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>

#include "particular.h"

/* --- store --- */

#define KEYS 25u

static int append(struct bench *b, struct kl_call *c, uint64_t revision, unsigned key)
{
    const struct kl_store *t = (const void *)b->table;
    char name[64], value[64];
    int k = snprintf(name, sizeof name, "/pods/default/p%06u", key), v = snprintf(value, sizeof value, "{\"value\":%u}", key);
    struct kl_store_op op = { .size = sizeof op, .type = KL_STORE_PUT, .key = { name, (size_t)k }, .value = { value, (size_t)v }, .expected = UINT64_MAX };
    struct kl_store_commit one = { .size = sizeof one, .revision = revision, .n = 1, .ops = &op };
    kl_err_init(&c->err);
    return t->append(b->self, c, &one, 1);
}

static unsigned read_back(struct bench *b, struct kl_call *c, struct arena *a)
{
    const struct kl_store *t = (const void *)b->table;
    struct kl_bytes after = { NULL, 0 };
    struct str last = STR_NONE;
    unsigned all = 0;
    for (int pages = 0; pages < 100; pages++) {
        const struct kl_store_record *at = NULL;
        uint32_t n = 0;
        int rc = t->range(b->self, c, after, 10, &at, &n);
        report_check(b->report, P_STO_RANGE, "range", rc >= 0, "it fails: %s", c->err.msg);
        report_check(b->report, P_STO_RANGE, "range", n <= 10, "it gives %u records where 10 are asked for", n);
        if (rc < 0 || !n || n > 10)
            return all;
        for (uint32_t i = 0; i < n; i++) {
            struct str key = arena_str(a, str_n(at[i].key.at, at[i].key.len));
            report_check(b->report, P_STO_RANGE, "range", !last.at || str_cmp(last, key) < 0, "'%.*s' comes behind '%.*s'", STR_ARG(key), STR_ARG(last));
            report_check(b->report, P_STO_RANGE, "range", at[i].revision > 0 && at[i].revision <= t->revision(b->self), "the record '%.*s' has revision %llu",
                         STR_ARG(key), (unsigned long long)at[i].revision);
            last = key;
        }
        after = (struct kl_bytes){ last.at, last.len };
        all += n;
    }
    report_check(b->report, P_STO_RANGE, "range", false, "it never comes to an end");
    return all;
}

static void stats_json(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const struct kl_bytes *ret;
    _cleanup_arena_ struct arena *arena = arena_new(0);
    (void)c;
    (void)ctx;
    memcpy(&ret, args_named(a, call, "ret"), sizeof ret);
    struct val *v = arena && r->i >= 0 && ret->len ? json_parse(arena, str_n(ret->at, ret->len), NULL) : NULL;
    report_check(b->report, P_STO_STATS, "stats", r->i < 0 || val_is(v, VAL_OBJ), "it is no JSON object");
}

void particular_store(struct bench *b)
{
    const struct kl_store *t = (const void *)b->table;
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    if (!a)
        return;
    kl_err_init(&c.err);
    test_host_be(TEST_WORKER);
    bench_now(b, P_STO_REVISION, P_STO_REVISION, "revision", CALL_NS);
    uint64_t at = t->revision(b->self);
    report_check(b->report, P_STO_REVISION, "revision", at == 0, "a new store begins at %llu (does open use what another one left?)", (unsigned long long)at);
    for (unsigned i = 0; i < KEYS; i++) {
        int rc = append(b, &c, at + 1 + i, KEYS - i);
        report_check(b->report, P_STO_REVISION, "append", rc >= 0, "it fails: %s", c.err.msg);
    }
    at += KEYS;
    uint64_t now = t->revision(b->self);
    report_check(b->report, P_STO_REVISION, "revision", now == at, "it is %llu after %llu was appended", (unsigned long long)now, (unsigned long long)at);
    bench_now(b, P_STO_BACK, P_STO_BACK, "append", CALL_NS);
    int rc = append(b, &c, at, 999);
    report_check(b->report, P_STO_BACK, "append", rc == -KL_INVALID, "revision %llu again is answered with %d", (unsigned long long)at, rc);
    report_check(b->report, P_STO_BACK, "revision", t->revision(b->self) == now, "it is %llu behind a refused commit", (unsigned long long)t->revision(b->self));
    bench_ask(b, "stats", &(struct asking){ .look = stats_json }, NULL);
    bench_close(b);
    bench_now(b, P_STO_LASTS, P_STO_LASTS, "open", CALL_NS);
    rc = bench_open(b, NULL);
    report_check(b->report, P_STO_LASTS, "open", rc >= 0, "it does not open again");
    if (rc < 0)
        _exit(0);                       /* there is nothing to close */
    test_host_be(TEST_WORKER);
    bench_now(b, P_STO_RANGE, P_STO_RANGE, "range", CALL_NS);
    uint64_t then = t->revision(b->self);
    unsigned n = read_back(b, &c, a);
    if (b->report->at[P_STO_RANGE].failures || b->report->at[P_STO_BACK].failures)
        return;                         /* what is there is no measure then */
    report_check(b->report, P_STO_LASTS, "range", then == 0 ? n == 0 : then == at && n == KEYS, "of %u keys at revision %llu, %u are there at revision %llu", KEYS,
                 (unsigned long long)at, n, (unsigned long long)then);
    test_host_be(TEST_NOBODY);
}

/* --- runtime --- */

static void absent(struct bench *b, const char *call)
{
    struct answer x;
    bench_ask(b, call, &(struct asking){ .variant = ARGS_USUAL }, &x);
    report_check(b->report, P_RUN_ABSENT, call, !x.ran || x.rc >= 0, "of what is not there: %s", x.message);
    buf_free(&x.text);
}

static void unknown(struct bench *b, const char *call)
{
    struct answer x;
    bench_ask(b, call, &(struct asking){ .variant = ARGS_USUAL }, &x);
    report_check(b->report, P_RUN_UNKNOWN, call, !x.ran || x.rc == -KL_NOT_FOUND, "of what is not there it answers %lld%s%s", (long long)x.rc, x.rc < 0 ? ": " : "",
                 x.message);
    buf_free(&x.text);
}

struct members {
    enum policy policy;
    const char *call, *first, *second;  /* members that must be there */
};

static void json_members(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const struct members *m = ctx;
    const struct kl_bytes *ret;
    _cleanup_arena_ struct arena *arena = arena_new(0);
    (void)c;
    memcpy(&ret, args_named(a, call, "ret"), sizeof ret);
    struct val *v = arena && r->i >= 0 && ret->len ? json_parse(arena, str_n(ret->at, ret->len), NULL) : NULL;
    report_check(b->report, m->policy, m->call, r->i < 0 || (json_get(v, str_of(m->first)) && (!m->second || json_get(v, str_of(m->second)))),
                 "it is no JSON object with '%s'%s%s%s", m->first, m->second ? " and '" : "", m->second ? m->second : "", m->second ? "'" : "");
}

static void ask_members(struct bench *b, const struct members *m)
{
    bench_ask(b, m->call, &(struct asking){ .look = json_members, .ctx = (void *)(uintptr_t)m }, NULL);
}

void particular_runtime(struct bench *b)
{
    static const char *const gone[] = { "sandbox_stop", "sandbox_remove", "container_stop", "container_remove", "image_remove" };
    static const char *const work[] = { "container_start", "exec", "attach", "container_create", "image_status" };
    static const struct members json[] = {
        { P_RUN_JSON, "version", "runtimeName", NULL }, { P_RUN_JSON, "list", "sandboxes", "containers" },
        { P_RUN_JSON, "stats", "containers", NULL },    { P_RUN_JSON, "image_list", "images", NULL },
    };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        absent(b, gone[i]);
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        unknown(b, work[i]);
    for (size_t i = 0; i < sizeof json / sizeof *json; i++)
        ask_members(b, &json[i]);
}

/* --- layer: one before a scheduler that counts --- */

struct counted {
    unsigned scores, closes;
};

static int count_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)c;
    (void)cycle;
    (void)pod;
    (void)node;
    ((struct counted *)self)->scores++;
    return 42;
}

static void count_close(void *self)
{
    ((struct counted *)self)->closes++;
}

void particular_layer(struct bench *b)
{
    static const struct kl_scheduler inner = { .size = sizeof inner, .life = { .close = count_close }, .score = count_score };
    const struct kl_layer *t = (const void *)b->table;
    struct counted n = { 0, 0 };
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    struct kl_layered in = { sizeof in, KL_SCHEDULER_0, "counted", &inner, &n }, out = { .size = sizeof out };
    struct kl_pod_view pod = { .size = sizeof pod, .pod = { "{}", 2 } };
    struct kl_node_view node = { .size = sizeof node, .name = "n1", .node = { "{}", 2 } };
    kl_err_init(&c.err);
    if (!a || t->wrap(b->self, &c, &in, &out) < 0)
        return;
    const struct kl_scheduler *s = out.table;
    report_check(b->report, P_LAY_TABLE, "wrap", s && KL_HAS(s, score) && !KL_HAS(s, fit) && !KL_HAS(s, begin) && !KL_HAS(s, end), "its functions are not those of the inner table");
    if (!s || !KL_HAS(s, score))
        return;
    int rc = 0;
    for (int i = 0; i < 4; i++) {
        kl_err_init(&c.err);
        rc = s->score(out.self, &c, NULL, &pod, &node);
        report_check(b->report, P_LAY_ON, "score", rc == 42 || rc < 0, "of the inner one's 42 it makes %d", rc);
    }
    report_check(b->report, P_LAY_ON, "score", n.scores > 0, "of four calls none reaches the inner one");
    s->life.close(out.self);
    report_check(b->report, P_LAY_TABLE, "close", n.closes == 1, "the inner close is called %u times", n.closes);
}

/* --- network, proxy, node, audit --- */

void particular_network(struct bench *b)
{
    static const struct members list = { P_NET_LIST, "list", "pods", NULL };
    struct answer x;
    ask_members(b, &list);
    bench_ask(b, "detach", &(struct asking){ .variant = ARGS_LEAST }, &x);
    report_check(b->report, P_NET_ABSENT, "detach", !x.ran || x.rc >= 0, "of what was never attached: %s", x.message);
    buf_free(&x.text);
}

static void set_generation(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx)
{
    (void)b;
    memcpy(args_named(a, call, "generation"), ctx, sizeof(uint64_t));
}

void particular_proxy(struct bench *b)
{
    struct answer x;
    uint64_t newer = 50, older = 40, far = 90;
    bench_ask(b, "apply", &(struct asking){ .adjust = set_generation, .ctx = &newer }, &x);
    bool works = x.rc >= 0;
    buf_free(&x.text);
    if (!works)
        return;                         /* not here: no rights, no such kernel */
    bench_ask(b, "apply", &(struct asking){ .adjust = set_generation, .ctx = &older }, &x);
    report_check(b->report, P_PRX_OLDER, "apply", x.rc >= 0, "generation 40 after 50: %s", x.message);
    buf_free(&x.text);
    if (!bench_ask(b, "update", &(struct asking){ .adjust = set_generation, .ctx = &far }, &x))
        return;
    report_check(b->report, P_PRX_GAP, "update", x.rc == -KL_CONFLICT, "generation 90 after 50 is answered with %lld", (long long)x.rc);
    buf_free(&x.text);
}

void particular_node(struct bench *b)
{
    static const char *const calls[] = { "logs", "exec", "attach", "dial" };
    struct answer x, y;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bench_ask(b, calls[i], &(struct asking){ .variant = ARGS_USUAL }, &x);
        report_check(b->report, P_NOD_ABSENT, calls[i], !x.ran || x.rc == -KL_NOT_FOUND || x.rc == -KL_BAD_REQUEST || x.rc == -KL_UNAVAILABLE,
                     "of a pod that is not there it answers %lld", (long long)x.rc);
        buf_free(&x.text);
    }
    bench_ask(b, "name", &(struct asking){ .variant = ARGS_USUAL }, &x);
    bench_ask(b, "name", &(struct asking){ .variant = ARGS_USUAL }, &y);
    report_check(b->report, P_NOD_NAME, "name", x.text.len > 2 && str_eq(buf_str(&x.text), buf_str(&y.text)), "it is %s, then %s", x.text.at ? x.text.at : "",
                 y.text.at ? y.text.at : "");
    buf_free(&x.text);
    buf_free(&y.text);
}

void particular_audit(struct bench *b)
{
    for (int v = 0; v < ARGS_VARIANTS; v++) {
        struct answer x;
        bench_ask(b, "write", &(struct asking){ .variant = (enum args_variant)v }, &x);
        report_check(b->report, P_AUD_COPY, "write", !x.ran || x.rc >= 0, "it fails: %s", x.message);
        buf_free(&x.text);
    }
}
