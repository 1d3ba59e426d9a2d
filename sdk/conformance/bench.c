/* bench.c - see bench.h: opening, closing, and one call with everything that is checked about any call. */
#include "bench.h"

#include <keelson/iface/auth.h>
#include <keelson/iface/controller.h>
#include <keelson/iface/layer.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>
#include <pthread.h>
#include <unistd.h>

#include "base/env.h"
#include "conf/bind.h"
#include "heap.h"
#include "layer/show.h"
#include "plugin/signature.h"

#define ARENA_BYTES (256u << 20)

/* --- the settings --- */

static void *copy_list(struct pen *p, const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    const char **at = list ? pen_alloc(p, (n + 1) * sizeof *at) : NULL;
    for (size_t i = 0; at && i < n; i++)
        at[i] = pen_text(p, list[i], strlen(list[i]), true);
    return at;
}

/* Into a pen of its own, so that they can vanish. */
static void *copy_conf(const struct kl_plugin *p, struct pen *pen, const void *bound)
{
    unsigned char *to = pen_alloc(pen, p->conf_size + 1);
    if (to)
        memcpy(to, bound, p->conf_size);
    for (uint32_t i = 0; to && i < p->conf.n; i++) {
        const struct kl_conf_field *f = KL_AT(struct kl_conf_field, p->conf, i);
        const void *value;
        if (f->type != KL_CONF_STR && f->type != KL_CONF_ENUM && f->type != KL_CONF_GROUPS && f->type != KL_CONF_SECRET && f->type != KL_CONF_LIST)
            continue;
        memcpy(&value, to + f->offset, sizeof value);
        if (value && f->type == KL_CONF_LIST)
            value = copy_list(pen, value);
        else if (value)
            value = pen_text(pen, value, strlen(value), true);
        memcpy(to + f->offset, &value, sizeof value);
    }
    return to;
}

static int new_conf(struct bench *b, struct pen **ret_pen, void **ret, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    void *bound = NULL;
    int rc = a ? conf_bind(a, b->plugin, b->settings, b->provider->name, &bound, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0)
        return rc;
    *ret_pen = pen_new(8u << 20, b->strict);
    if (*ret_pen)
        pen_is_settings(*ret_pen);
    *ret = *ret_pen ? copy_conf(b->plugin, *ret_pen, bound) : NULL;
    if (!*ret)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    pen_seal(*ret_pen);
    return 0;
}

bool bench_init(struct bench *b, const struct kl_plugin *p, const struct kl_provider *v, const struct val *settings, struct report *r)
{
    *b = (struct bench){ .report = r, .plugin = p, .provider = v, .sig = signature_find(v->iface), .table = v->table, .settings = settings };
    return test_host_init(&b->host, p, v->name, r);
}

void bench_done(struct bench *b)
{
    test_host_done(&b->host);
    pen_close(b->conf_pen);
    b->conf_pen = NULL;
}

void bench_now(struct bench *b, enum policy now, enum policy late, const char *call, int64_t limit_ns)
{
    struct report *r = b->report;
    r->now = now;
    r->late = late;
    snprintf(r->call, sizeof r->call, "%s", call);
    r->until_ns = limit_ns ? env_mono_ns() + limit_ns : 0;
    heap_note_call(call);
}

/* --- the call --- */

struct held {                           /* first member: what the plugin sees */
    struct kl_call c;
    struct pen *arena;
    bool cancelled;
};

static void *call_alloc(void *arena, size_t n)
{
    return heap_count_one() ? NULL : pen_alloc(((struct held *)arena)->arena, n);
}

static bool call_cancelled(const struct kl_call *c)
{
    return ((const struct held *)c->arena)->cancelled;
}

static struct held *hold(struct bench *b, struct pen *p, const struct asking *how, bool streams)
{
    struct held *h = pen_alloc(p, sizeof *h);
    if (!h)
        return NULL;
    int64_t for_ns = how->for_ns ? how->for_ns : streams ? 50000000 : 1000000000;
    h->c = (struct kl_call){ .size = sizeof h->c, .flags = how->flags, .deadline_ns = env_mono_ns() + for_ns, .user = b->provider->name, .arena = h,
                             .alloc = call_alloc, .cancelled = call_cancelled };
    kl_err_init(&h->c.err);
    h->arena = p;
    h->cancelled = how->cancelled;
    return h;
}

static void check_failure(struct bench *b, const char *name, int64_t rc, const struct kl_call *c, enum policy p)
{
    report_asked(b->report, p);
    if (rc >= 0 || rc == -KL_PENDING)
        return;
    if (rc <= -KL_CODE_END)
        report_fail(b->report, p, name, "it returns %lld, which is no -KL_<CODE>", (long long)rc);
    else if (!memchr(c->err.msg, '\0', sizeof c->err.msg) || !c->err.msg[0])
        report_fail(b->report, p, name, "it returns -KL_%s without a sentence in the call's err", kl_code_row((int)rc)->name);
    else if (c->err.code != -rc)
        report_fail(b->report, p, name, "it returns -KL_%s, but the call's err has code %d: '%s'", kl_code_row((int)rc)->name, c->err.code, c->err.msg);
    else if (strchr(c->err.msg, '\n'))
        report_fail(b->report, p, name, "the sentence '%.80s' holds a line break", c->err.msg);
}

/* Which policy a failure without a word breaks: under a failing allocation or service it is that one. */
static enum policy errors_policy(const struct bench *b)
{
    int now = b->report->now;
    return now == P_MEMORY_OUT || now == P_HOST_FAILS || now == P_NEEDS ? (enum policy)now : P_ERRORS;
}

static bool on_stack(const void *at)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return false;
    pthread_attr_getstack(&attr, &low, &bytes);
    pthread_attr_destroy(&attr);
    return (const char *)at >= (const char *)low && (const char *)at < (const char *)__builtin_frame_address(0);
}

/* False: it must not be read. */
static bool check_pointer(struct bench *b, const char *call, const char *what, const void *at)
{
    if (!at)
        return true;
    bool stack = on_stack(at), freed = heap_freed(at);
    report_check(b->report, P_RESULTS, call, !stack, "the result '%s' lies on the stack of the call that is over", what);
    report_check(b->report, P_RESULTS, call, !freed, "the result '%s' lies in memory that was freed", what);
    return !stack && !freed;
}

static bool check_result(struct bench *b, const char *call, const struct kl_sig_item *m, const void *at)
{
    const void *p = NULL;
    if (m->kind == KL_SIG_BYTES || m->kind == KL_SIG_OUT_BYTES)
        p = ((const struct kl_bytes *)at)->at;
    else if (m->kind == KL_SIG_STR || m->kind == KL_SIG_STRS || m->kind == KL_SIG_OUT_STR || m->kind == KL_SIG_OUT_STRS || m->kind == KL_SIG_OUT_STRUCTS)
        memcpy(&p, at, sizeof p);
    if (m->kind != KL_SIG_OUT_STRUCT)
        return check_pointer(b, call, m->name, p);
    bool ok = true;
    for (uint32_t i = 0; i < m->of->n; i++)
        ok &= check_result(b, call, &m->of->members[i], (const char *)at + m->of->members[i].offset);
    return ok;
}

static bool is_result(uint32_t kind)
{
    return show_is_result(kind) && kind != KL_SIG_OUT_HANDLE;
}

/* Results are looked at before the call's memory goes; a result that cannot be read ends the process here. False: there is one that must not be. */
static bool read_results(struct bench *b, const struct kl_sig_call *call, struct args *a, const union invoke_result *r, struct answer *ret)
{
    int before = b->report->now;
    bool ok = true;
    b->report->now = P_RESULTS;
    if (call->result == KL_SIG_R_STR) {
        ok = check_pointer(b, call->name, "result", r->s);
        if (ok)
            show_item(&ret->text, &(struct kl_sig_item){ .name = "", .kind = KL_SIG_STR }, &r->s, 1, SIZE_MAX);
    } else {
        buf_printf(&ret->text, "%lld", (long long)r->i);
    }
    for (uint32_t i = 0; i < call->n && (call->result != KL_SIG_R_INT || r->i >= 0); i++) {
        const struct kl_sig_item *m = &call->arguments[i];
        const void *at;
        uint32_t n = 0;
        if (!is_result(m->kind))
            continue;
        memcpy(&at, args_at(a, call, i), sizeof at);
        if (m->kind == KL_SIG_OUT_STRUCTS && i + 1 < call->n) {
            const uint32_t *count;
            memcpy(&count, args_at(a, call, i + 1), sizeof count);
            n = *count;
        }
        bool readable = check_result(b, call->name, m, at);
        ok &= readable;
        buf_printf(&ret->text, " %s=", m->name);
        if (readable)
            show_item(&ret->text, m, at, n, SIZE_MAX);
        if (m->kind == KL_SIG_OUT_FD && *(const int32_t *)at >= 0)
            close(*(const int32_t *)at);
    }
    b->report->now = before;
    return ok;
}

static void *open_cycle(struct bench *b, const struct asking *how);

/* --- what no sample can know --- */

static void first_key(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx)
{
    const struct kl_bytes *ret;
    (void)c;
    (void)ctx;
    memcpy(&ret, args_named(a, call, "ret"), sizeof ret);
    if (r->i >= 0 && ret->len && !b->key[0])
        snprintf(b->key, sizeof b->key, "%.*s", (int)strcspn(kl_dup(c, ret->at, ret->len), "\n"), ret->at);
}

static void show_sample(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx)
{
    const struct sample_object *s = ctx;
    const char *resource = pen_text(a->in, s->resource, strlen(s->resource), true);
    struct kl_bytes obj = { pen_text(a->in, s->json, strlen(s->json), false), strlen(s->json) };
    (void)b;
    memcpy(args_named(a, call, "resource"), &resource, sizeof resource);
    memcpy(args_named(a, call, "obj"), &obj, sizeof obj);
}

/* "ns/name" of the first sample object of that resource. */
static void sample_key(struct bench *b, const char *resource)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (const struct sample_object *s = sample_objects; a && s->resource; s++) {
        if (strcmp(s->resource, resource) != 0)
            continue;
        const struct val *v = json_parse(a, str_of(s->json), NULL);
        struct str ns = json_str(v, "metadata.namespace"), name = json_str(v, "metadata.name");
        bool namespaced = ns.len && strcmp(resource, "/namespaces") != 0 && strcmp(resource, "/nodes") != 0;
        snprintf(b->key, sizeof b->key, STR_FMT "%s" STR_FMT, STR_ARG(namespaced ? ns : STR_NONE), namespaced ? "/" : "", STR_ARG(name));
        return;
    }
}

/* A controller all of whose watches say "map" has keys of its own making. */
static void learn_key(struct bench *b)
{
    const struct kl_controller *t = (const void *)b->table;
    b->key[0] = '\0';
    b->keyless = b->own_keys = false;
    if (strcmp(b->sig->id, KL_CONTROLLER_0) != 0)
        return;
    bool natural = false;
    for (uint32_t i = 0; i < t->watches.n; i++) {
        const struct kl_watch *w = KL_AT(struct kl_watch, t->watches, i);
        natural |= !w->key || strcmp(w->key, "map") != 0;
        if (!w->key && !b->key[0])
            sample_key(b, w->resource);
    }
    if (natural)
        return;
    b->own_keys = true;
    for (const struct sample_object *s = sample_objects; s->resource && !b->key[0]; s++)
        for (uint32_t i = 0; i < t->watches.n; i++)
            if (strcmp(KL_AT(struct kl_watch, t->watches, i)->resource, s->resource) == 0)
                bench_ask(b, "map", &(struct asking){ .adjust = show_sample, .look = first_key, .ctx = (void *)(uintptr_t)s }, NULL);
    b->keyless = !b->key[0];
}

/* Admission: wants is asked first, and review only when it says so. */
static bool wanted(struct bench *b, const struct kl_sig_call *call, struct args *a, struct kl_call *c)
{
    const struct kl_admission *t = (const void *)b->table;
    const struct kl_admission_review *r;
    if (strcmp(b->sig->id, KL_ADMISSION_0) != 0 || strcmp(call->name, "review") != 0 || !KL_HAS(t, wants))
        return true;
    memcpy(&r, args_named(a, call, "r"), sizeof r);
    test_host_be(TEST_LOOP);
    bool yes = t->wants(b->self, c, r->request, r->user) == 1;
    test_host_be(TEST_NOBODY);
    kl_err_init(&c->err);
    return yes;
}

/* How far the instance is. */
static void adjust(struct bench *b, const struct kl_sig_call *call, struct args *a, const struct asking *how)
{
    if (strcmp(b->sig->id, KL_STORE_0) == 0 && strcmp(call->name, "append") == 0) {
        struct kl_store_commit *k = NULL;
        memcpy(&k, args_named(a, call, "commits"), sizeof k);
        k->revision = ++b->revision;
    } else if (strcmp(b->sig->id, KL_STORE_0) == 0 && strcmp(call->name, "checkpoint") == 0) {
        memcpy(args_named(a, call, "revision"), &b->revision, sizeof b->revision);
    } else if (strcmp(b->sig->id, KL_PROXY_0) == 0 && args_named(a, call, "generation")) {
        b->generation += strcmp(call->name, "update") == 0 || !b->generation;
        memcpy(args_named(a, call, "generation"), &b->generation, sizeof b->generation);
    } else if (b->key[0] && (b->own_keys || how->variant == ARGS_USUAL) && strcmp(call->name, "reconcile") == 0) {
        const char *key = pen_text(a->in, b->key, strlen(b->key), true);
        memcpy(args_named(a, call, "key"), &key, sizeof key);
    }
}

static enum policy late_of(const struct asking *how)
{
    return how->late == P_LOAD ? P_SURVIVE : how->late;
}

static void made(struct bench *b, uint32_t i, const struct asking *how, struct args *a, struct held *h, struct answer *ret)
{
    const struct kl_sig_call *call = &b->sig->calls[i];
    union invoke_result r;
    void *first = b->self;
    if (strcmp(call->name, "examine") == 0)         /* the one function whose first parameter is the settings */
        first = b->conf;
    test_host_be(bench_loop(b, i) ? TEST_LOOP : TEST_WORKER);
    invoke(b->sig, i, b->table, first, a->block, &r);
    test_host_be(TEST_NOBODY);
    ret->ran = true;
    ret->rc = call->result == KL_SIG_R_INT || call->result == KL_SIG_R_I64 ? r.i : 0;
    snprintf(ret->message, sizeof ret->message, "%s", h->c.err.msg);
    if (call->result == KL_SIG_R_INT && call->n && call->arguments[0].kind == KL_SIG_CALL)
        check_failure(b, call->name, r.i, &h->c, errors_policy(b));
    if (read_results(b, call, a, &r, ret) && how->look)
        how->look(b, call, a, &r, &h->c, how->ctx);
}

/* A layer's work ends with the wrapped instance: its close is the last call. */
static void unwrap(struct bench *b, const struct kl_sig_call *call, struct args *a)
{
    const struct kl_layered *l;
    memcpy(&l, args_named(a, call, "ret"), sizeof l);
    const struct plugin_table *t = l->table;
    report_check(b->report, P_LAY_TABLE, "wrap", t && t->life.close, "what it gives has no table, or no close");
    if (t && t->life.close)
        t->life.close(l->self);
}

void bench_call(struct bench *b, uint32_t i, const struct asking *how, struct answer *ret)
{
    const struct kl_sig_call *call = &b->sig->calls[i];
    struct answer own = { .ran = false };
    struct answer *to = ret ? ret : &own;
    *to = (struct answer){ .text = BUF_INIT(0) };
    if (!bench_may(b, i))
        return;
    bool cycle = strcmp(b->sig->id, KL_SCHEDULER_0) == 0;
    if (cycle && strcmp(call->name, "end") == 0)
        return;                         /* by whatever begins one */
    void *handle = cycle && strcmp(call->name, "begin") != 0 ? open_cycle(b, how) : NULL;
    struct args a = { .in = pen_new(1u << 21, b->strict), .out = pen_new(1u << 16, b->strict), .more = b->more, .fd = -1 };
    struct pen *memory = pen_new(ARENA_BYTES, b->strict);
    struct held *h = memory ? hold(b, memory, how, call->flags & KL_SIG_STREAMING) : NULL;
    if (h && a.in && a.out && args_build(&a, b->sig, call, how->variant, &h->c, handle)) {
        adjust(b, call, &a, how);
        if (how->adjust)
            how->adjust(b, call, &a, how->ctx);
        pen_seal(a.in);
        b->report->until_ns = env_mono_ns() + (late_of(how) == P_SURVIVE ? CALL_NS : SOON_NS);
        b->report->late = late_of(how);
        snprintf(b->report->call, sizeof b->report->call, "%s", call->name);
        heap_note_call(call->name);
        if (b->fail_alloc)
            heap_fail_at(b->fail_alloc);
        if (wanted(b, call, &a, &h->c))
            made(b, i, how, &a, h, to);
        b->report->until_ns = 0;
    }
    if (cycle && strcmp(call->name, "begin") == 0 && to->ran && to->rc >= 0)
        memcpy(&handle, *(void **)args_named(&a, call, "cycle"), sizeof handle);
    if (cycle && (strcmp(call->name, "begin") != 0 || to->rc >= 0) && KL_HAS((const struct kl_scheduler *)(const void *)b->table, end)) {
        test_host_be(TEST_LOOP);
        ((const struct kl_scheduler *)(const void *)b->table)->end(b->self, handle);
        test_host_be(TEST_NOBODY);
    }
    if (to->ran && to->rc >= 0 && strcmp(b->sig->id, KL_LAYER_0) == 0)
        unwrap(b, call, &a);
    pen_close(a.in);
    pen_close(a.out);
    pen_close(memory);
    if (!ret)
        buf_free(&own.text);
}

/* begin without the checks: the call that needs a cycle is what is looked at. */
static void *open_cycle(struct bench *b, const struct asking *how)
{
    const struct kl_scheduler *t = (const void *)b->table;
    struct pen *in = pen_new(1u << 20, false), *memory = pen_new(1u << 20, false);
    struct args a = { .in = in, .out = in, .fd = -1 };
    const struct kl_sig_call *begin = &b->sig->calls[0];
    void *handle = NULL;
    struct held *h = in && memory ? hold(b, memory, &(struct asking){ .variant = how->variant }, false) : NULL;
    if (h && KL_HAS(t, begin) && args_build(&a, b->sig, begin, how->variant, &h->c, NULL)) {
        const struct kl_pod_view *pod;
        memcpy(&pod, args_named(&a, begin, "pod"), sizeof pod);
        test_host_be(TEST_LOOP);
        if (t->begin(b->self, &h->c, pod, &handle) < 0)
            handle = NULL;
        test_host_be(TEST_NOBODY);
    }
    pen_close(in);
    pen_close(memory);
    return handle;
}

bool bench_ask(struct bench *b, const char *name, const struct asking *how, struct answer *ret)
{
    struct answer own;
    for (uint32_t i = 0; i < b->sig->n_calls; i++)
        if (strcmp(b->sig->calls[i].name, name) == 0) {
            bench_call(b, i, how, &own);
            bool ran = own.ran;
            if (ret)
                *ret = own;
            else
                buf_free(&own.text);
            return ran;
        }
    return false;
}

/* --- life --- */

static int life(struct bench *b, const char *what, int (*run)(struct bench *b, struct kl_call *c, void *ctx), void *ctx, char *ret_message)
{
    struct pen *memory = pen_new(ARENA_BYTES, b->strict);
    struct held *h = memory ? hold(b, memory, &(struct asking){ .for_ns = 10 * NS_PER_S }, false) : NULL;
    if (!h)
        return -KL_NO_MEMORY;
    b->report->until_ns = env_mono_ns() + CALL_NS;
    snprintf(b->report->call, sizeof b->report->call, "%s", what);
    heap_note_call(what);
    if (b->fail_alloc)
        heap_fail_at(b->fail_alloc);
    test_host_be(TEST_WORKER);
    int rc = run(b, &h->c, ctx);
    test_host_be(TEST_NOBODY);
    b->report->until_ns = 0;
    check_failure(b, what, rc, &h->c, errors_policy(b));
    if (ret_message)
        snprintf(ret_message, REPORT_TEXT, "%s", h->c.err.msg);
    pen_close(memory);
    return rc;
}

static int run_open(struct bench *b, struct kl_call *c, void *ctx)
{
    (void)ctx;
    return b->table->life.open(&b->host.host, b->conf, &b->self, c);
}

int bench_open(struct bench *b, char *ret_message)
{
    struct kl_err err;
    kl_err_init(&err);
    b->self = NULL;
    b->revision = b->generation = 0;
    if (new_conf(b, &b->conf_pen, &b->conf, &err) < 0) {
        report_fail(b->report, P_OPEN, "settings", "%s", err.msg);
        if (ret_message)
            snprintf(ret_message, REPORT_TEXT, "%s", err.msg);
        return -err.code;
    }
    int rc = life(b, "open", run_open, NULL, ret_message);
    if (rc < 0) {
        pen_close(b->conf_pen);
        b->conf_pen = NULL;
    } else {
        if (!b->fail_alloc && !b->host.fail_at)
            learn_key(b);
    }
    return rc;
}

void bench_close(struct bench *b)
{
    b->report->until_ns = env_mono_ns() + CALL_NS;
    snprintf(b->report->call, sizeof b->report->call, "close");
    heap_note_call("close");
    test_host_be(TEST_WORKER);
    if (b->table->life.close)
        b->table->life.close(b->self);
    test_host_be(TEST_NOBODY);
    b->report->until_ns = 0;
    b->self = NULL;
    pen_close(b->conf_pen);
    b->conf_pen = NULL;
}

static int run_probe(struct bench *b, struct kl_call *c, void *ctx)
{
    (void)ctx;
    return b->table->life.probe(b->self, c);
}

int bench_probe(struct bench *b)
{
    char why[REPORT_TEXT];
    if (!b->table->life.probe)
        return 0;
    int rc = life(b, "probe", run_probe, NULL, why);
    report_check(b->report, P_PROBE, "probe", rc >= 0, "an instance just opened fails: %s", why);
    return rc;
}

static int run_reconfigure(struct bench *b, struct kl_call *c, void *ctx)
{
    return b->table->life.reconfigure(b->self, ctx, c);
}

void bench_reconfigure(struct bench *b)
{
    struct pen *pen = NULL;
    void *conf = NULL;
    struct kl_err err;
    char why[REPORT_TEXT];
    kl_err_init(&err);
    if (!b->table->life.reconfigure || new_conf(b, &pen, &conf, &err) < 0)
        return;
    int rc = life(b, "reconfigure", run_reconfigure, conf, why);
    report_check(b->report, P_RECONFIGURE, "reconfigure", rc >= 0, "the settings that it was opened with are refused: %s", why);
    if (rc < 0) {
        pen_close(pen);
        return;
    }
    pen_close(b->conf_pen);
    b->conf_pen = pen;
    b->conf = conf;
}
