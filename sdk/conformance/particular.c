/* particular.c - what single interfaces demand beyond their signatures: schedulers, admission, authentication, authorization, controllers. Those that
 * keep or drive things are in particular_state.c. */
#include "particular.h"

#include <keelson/iface/audit.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/controller.h>
#include <keelson/iface/layer.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>
#include <keelson/iface/volume.h>

#include "object/object.h"

/* --- scheduler --- */

static void check_score(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    (void)call;
    (void)a;
    (void)c;
    (void)ctx;
    report_check(b->report, P_SCH_SCORE, "score", r->i <= KL_SCORE_MOST, "the score is %lld", (long long)r->i);
}

static void check_fit(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    (void)call;
    (void)a;
    (void)c;
    (void)ctx;
    report_check(b->report, P_SCH_FIT, "fit", r->i < 0 || r->i <= KL_FIT_NEVER, "it returns %lld", (long long)r->i);
}

/* Two pods at once: the one that began first ends first. */
static void cycles(struct bench *b)
{
    const struct kl_scheduler *t = (const void *)b->table;
    struct args a[2];
    struct kl_call c[2];
    void *cycle[2] = { NULL, NULL };
    bool began[2] = { false, false };
    const struct kl_sig_call *begin = &b->sig->calls[0];
    _cleanup_arena_ struct arena *arena = arena_new(0);
    if (!arena || !KL_HAS(t, begin))
        return;
    report_asked(b->report, P_SCH_CYCLE);
    bench_now(b, P_SCH_CYCLE, P_SCH_CYCLE, "begin", 0);
    for (int i = 0; i < 2; i++) {
        struct pen *p = pen_new(1u << 20, false);
        a[i] = (struct args){ .in = p, .out = p, .fd = -1 };
        c[i] = (struct kl_call){ .size = sizeof c[i], .arena = arena, .alloc = (void *(*)(void *, size_t))arena_alloc };
        kl_err_init(&c[i].err);
        if (!p || !args_build(&a[i], b->sig, begin, (enum args_variant)i, &c[i], NULL))
            return;
        const struct kl_pod_view *pod;
        memcpy(&pod, args_named(&a[i], begin, "pod"), sizeof pod);
        test_host_be(TEST_LOOP);
        began[i] = t->begin(b->self, &c[i], pod, &cycle[i]) >= 0;
    }
    report_check(b->report, P_SCH_CYCLE, "begin", !began[0] || !began[1] || !cycle[0] || cycle[0] != cycle[1], "two pods are given the same cycle");
    for (int i = 0; i < 2; i++) {
        if (began[i] && KL_HAS(t, end))
            t->end(b->self, cycle[i]);
        pen_close(a[i].in);
    }
    test_host_be(TEST_NOBODY);
}

static void scheduler(struct bench *b)
{
    for (int v = 0; v < ARGS_VARIANTS; v++) {
        bench_ask(b, "score", &(struct asking){ .variant = (enum args_variant)v, .look = check_score }, NULL);
        bench_ask(b, "fit", &(struct asking){ .variant = (enum args_variant)v, .look = check_fit }, NULL);
    }
    cycles(b);
}

/* --- admission --- */

static void admission_table(struct bench *b, const struct kl_admission *t)
{
    struct str rest = str_of(t->operations ? t->operations : "");
    report_check(b->report, P_ADM_TABLE, "table", t->resources && t->resources[0], "it names no resources");
    for (const char *const *r = t->resources; r && *r; r++)
        report_check(b->report, P_ADM_TABLE, "table", strcmp(*r, "*") == 0 || strchr(*r, '/'), "'%s' is no resource", *r);
    report_check(b->report, P_ADM_TABLE, "table", rest.len, "it names no operations");
    while (rest.at && rest.len) {
        struct str one = str_cut(&rest, ',');
        report_check(b->report, P_ADM_TABLE, "table", str_is(one, "CREATE") || str_is(one, "UPDATE") || str_is(one, "DELETE") || str_is(one, "CONNECT"),
                     "'%.*s' is no operation", STR_ARG(one));
    }
}

struct shown {
    struct arena *arena;
    struct str object;                  /* what is shown; empty: the sample */
    struct val *result;                 /* with the patch; NULL: there was none */
    bool patched;
};

static void show_object(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx)
{
    struct shown *s = ctx;
    struct kl_admission_review *r;
    (void)b;
    memcpy(&r, args_named(a, call, "r"), sizeof r);
    if (s->object.len)
        r->object = (struct kl_bytes){ pen_text(a->in, s->object.at, s->object.len, false), s->object.len };
}

static void take_patch(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    struct shown *s = ctx;
    const struct kl_admission *t = (const void *)b->table;
    const struct kl_admission_verdict *v;
    const struct kl_admission_review *q;
    struct kl_err err;
    (void)c;
    kl_err_init(&err);
    memcpy(&v, args_named(a, call, "ret"), sizeof v);
    memcpy(&q, args_named(a, call, "r"), sizeof q);
    if (!t->mutates)
        report_check(b->report, P_ADM_MUTATES, "review", r->i < 0 || !v->patch.len, "it gives a patch and its table says mutates = 0");
    if (r->i < 0 || !v->patch.len)
        return;
    struct str patch = arena_str(s->arena, str_n(v->patch.at, v->patch.len)), object = arena_str(s->arena, str_n(q->object.at, q->object.len));
    struct val *ops = json_parse(s->arena, patch, &err), *old = ops ? json_parse(s->arena, object, &err) : NULL;
    s->result = old ? object_patch_json(s->arena, old, ops, &err) : NULL;
    s->patched = true;
    report_check(b->report, P_ADM_PATCH, "review", s->result, "the patch %.160s: %s", patch.at ? patch.at : "", err.msg);
}

static void admission(struct bench *b)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    const struct kl_admission *t = (const void *)b->table;
    if (!a)
        return;
    admission_table(b, t);
    for (int v = 0; v < ARGS_VARIANTS; v++) {
        struct shown first = { .arena = a };
        _cleanup_buf_ struct buf text = BUF_INIT(0);
        b->host.writes = 0;
        bench_ask(b, "review", &(struct asking){ .variant = (enum args_variant)v, .flags = KL_CALL_DRY_RUN, .adjust = show_object, .look = take_patch, .ctx = &first }, NULL);
        report_check(b->report, P_ADM_DRY, "review", b->host.writes == 0, "it writes %u times in a dry run", b->host.writes);
        if (!first.result)
            continue;
        json_write(&text, first.result);
        struct shown second = { .arena = a, .object = buf_str(&text) };
        bench_ask(b, "review", &(struct asking){ .variant = (enum args_variant)v, .flags = KL_CALL_DRY_RUN, .adjust = show_object, .look = take_patch, .ctx = &second }, NULL);
        report_check(b->report, P_ADM_SETTLES, "review", !second.patched || val_equal(first.result, second.result), "shown what it made of the object, it patches again");
    }
}

/* --- authentication, authorization --- */

static void no_credentials(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx)
{
    struct kl_credentials *cred;
    (void)b;
    memcpy(&cred, args_named(a, call, "cred"), sizeof cred);
    cred->bearer = ctx ? pen_text(a->in, ctx, strlen(ctx), true) : NULL;
    cred->cert_der = cred->cert_shown = (struct kl_bytes){ NULL, 0 };
    cred->cert_cn = NULL;
    cred->cert_orgs = cred->headers = NULL;
}

static void named(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const struct kl_user *u;
    (void)c;
    (void)ctx;
    memcpy(&u, args_named(a, call, "ret"), sizeof u);
    report_check(b->report, P_AUN_NAME, "authenticate", r->i != 1 || (u->name && *u->name), "it knows who asks and gives no name");
}

static void certificate(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx)
{
    struct kl_credentials *cred;
    (void)b;
    (void)ctx;
    memcpy(&cred, args_named(a, call, "cred"), sizeof cred);
    cred->cert_der = (struct kl_bytes){ pen_text(a->in, "0", 1, false), 1 };
    cred->cert_cn = pen_text(a->in, "ann", 3, true);
}

static void authn(struct bench *b)
{
    struct answer x;
    bench_ask(b, "authenticate", &(struct asking){ .adjust = no_credentials, .look = named }, &x);
    report_check(b->report, P_AUN_NONE, "authenticate", !x.ran || x.rc == 0, "for nothing it answers %lld", (long long)x.rc);
    buf_free(&x.text);
    bench_ask(b, "authenticate", &(struct asking){ .adjust = no_credentials, .look = named, .ctx = (void *)"no.such.token" }, &x);
    report_check(b->report, P_AUN_WRONG, "authenticate", !x.ran || x.rc <= 0, "for a made-up token it answers %lld", (long long)x.rc);
    buf_free(&x.text);
    bench_ask(b, "authenticate", &(struct asking){ .adjust = certificate, .look = named }, NULL);
}

static void rules_json(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const struct kl_bytes *ret;
    _cleanup_arena_ struct arena *arena = arena_new(0);
    (void)c;
    (void)ctx;
    memcpy(&ret, args_named(a, call, "ret"), sizeof ret);
    struct val *v = arena && r->i >= 0 ? json_parse(arena, str_n(ret->at, ret->len), NULL) : NULL;
    report_check(b->report, P_AUZ_RULES, "rules", r->i < 0 || (val_is(json_get(v, STR("resourceRules")), VAL_ARR) && val_is(json_get(v, STR("nonResourceRules")), VAL_ARR)),
                 "it gives %.120s", ret->at && ret->len < 120 ? ret->at : "something else");
}

static void authz(struct bench *b)
{
    for (int v = 0; v < ARGS_VARIANTS; v++) {
        struct answer x;
        bench_ask(b, "authorize", &(struct asking){ .variant = (enum args_variant)v }, &x);
        report_check(b->report, P_AUZ_RESULT, "authorize", !x.ran || x.rc <= 1, "it answers %lld", (long long)x.rc);
        buf_free(&x.text);
        bench_ask(b, "rules", &(struct asking){ .variant = (enum args_variant)v, .look = rules_json }, NULL);
    }
}

/* --- controller --- */

static bool key_ok(const char *key)
{
    return !key || strcmp(key, "map") == 0 || (strncmp(key, "owner:", 6) == 0 && key[6]);
}

static void watches(struct bench *b, const struct kl_controller *t)
{
    report_check(b->report, P_CTL_WATCHES, "table", t->watches.n > 0, "it watches nothing");
    for (uint32_t i = 0; i < t->watches.n; i++) {
        const struct kl_watch *w = KL_AT(struct kl_watch, t->watches, i);
        report_check(b->report, P_CTL_WATCHES, "table", w->resource && (strcmp(w->resource, "*") == 0 || strchr(w->resource, '/')), "'%s' is no resource",
                     w->resource ? w->resource : "");
        report_check(b->report, P_CTL_WATCHES, "table", key_ok(w->key), "'%s' is no way to a key", w->key ? w->key : "");
        report_check(b->report, P_CTL_WATCHES, "table", !w->key || strcmp(w->key, "map") != 0 || KL_HAS(t, map), "a watch says \"map\" and there is no function map");
    }
}

static void other_key(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx)
{
    const char *key = pen_text(a->in, ctx, strlen(ctx), true);
    (void)b;
    memcpy(args_named(a, call, "key"), &key, sizeof key);
}

static void not_negative(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const int64_t *again;
    (void)c;
    (void)ctx;
    memcpy(&again, args_named(a, call, "again_ns"), sizeof again);
    report_check(b->report, P_CTL_TIME, "reconcile", r->i < 0 || *again >= 0, "*again_ns is %lld", (long long)*again);
}

static void lines(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const struct kl_bytes *ret;
    (void)c;
    (void)ctx;
    memcpy(&ret, args_named(a, call, "ret"), sizeof ret);
    bool ok = true;
    for (struct str rest = str_n(ret->at, ret->len), one; r->i >= 0 && ret->len && rest.at && rest.len;) {
        one = str_cut(&rest, '\n');
        ok &= one.len > 0;
    }
    report_check(b->report, P_CTL_MAP, "map", ok, "there is an empty line among the keys");
}

static void controller(struct bench *b)
{
    const struct kl_controller *t = (const void *)b->table;
    struct answer x = { .ran = false };
    watches(b, t);
    if (!b->own_keys)
        bench_ask(b, "reconcile", &(struct asking){ .adjust = other_key, .ctx = (void *)"default/gone-since-long", .look = not_negative }, &x);
    report_check(b->report, P_CTL_GONE, "reconcile", !x.ran || x.rc >= 0 || x.rc == -KL_UNAVAILABLE, "of an object that is gone: %s", x.message);
    buf_free(&x.text);
    for (int k = 0; k < 8; k++) {
        b->host.writes = 0;
        bench_ask(b, "reconcile", &(struct asking){ .look = not_negative }, NULL);
        if (!b->host.writes)
            break;
    }
    report_check(b->report, P_CTL_SETTLES, "reconcile", b->host.writes == 0, "the eighth reconcile of the same key still writes");
    for (int v = 0; v < ARGS_VARIANTS; v++)
        bench_ask(b, "map", &(struct asking){ .variant = (enum args_variant)v, .look = lines }, NULL);
}

/* --- which --- */

static const struct {
    const char *iface;
    void (*run)(struct bench *b);
} rows[] = {
    { KL_SCHEDULER_0, scheduler }, { KL_ADMISSION_0, admission }, { KL_AUTHN_0, authn },            { KL_AUTHZ_0, authz },
    { KL_CONTROLLER_0, controller }, { KL_STORE_0, particular_store }, { KL_RUNTIME_0, particular_runtime }, { KL_NETWORK_0, particular_network },
    { KL_LAYER_0, particular_layer }, { KL_PROXY_0, particular_proxy }, { KL_NODE_0, particular_node },  { KL_AUDIT_0, particular_audit },
    { KL_VOLUME_0, particular_volume },
};

void particular_run(struct bench *b)
{
    bench_now(b, P_SURVIVE, P_SURVIVE, "open", 0);
    if (bench_open(b, NULL) < 0)
        return;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].iface, b->sig->id) == 0)
            rows[i].run(b);
    bench_now(b, P_SURVIVE, P_SURVIVE, "close", 0);
    bench_close(b);
}
