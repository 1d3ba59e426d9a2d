/* plugin.c - layer-fault: fails, delays or corrupts calls of the instances that it is a layer of, by rules; the first that matches. */
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "layer/layer.h"
#include "layer/show.h"

#define RULES 64u

struct conf {
    const char *rules;
};

enum action { FAIL = 1, DELAY, CORRUPT };

struct rule {
    const char *instance, *call;        /* NULL: any */
    enum action action;
    int code;
    const char *message;
    int64_t delay_ns;
    uint32_t skip, every, times;        /* times 0: for ever */
    uint32_t seen, done;                /* atomic */
};

struct fault {
    const struct kl_host *host;
    struct arena *arena;
    unsigned n;
    struct rule rules[RULES];
};

/* --- rules --- */

static int code_of(struct str name)
{
    for (int i = 1; i < KL_CODE_END; i++)
        if (str_is(name, kl_code_row(i)->name))
            return i;
    return 0;
}

static int wrong(struct kl_call *c, unsigned i, const char *what, struct str is)
{
    return kl_fail(c, KL_INVALID, "rules[%u]: %s, not '%.*s'", i, what, STR_ARG(is));
}

static int read_rule(struct fault *f, struct kl_call *c, const struct val *v, unsigned i)
{
    static const char *const known[] = { "instance", "call", "do", "code", "message", "delay_ms", "skip", "every", "times" };
    struct rule *r = &f->rules[i];
    struct str what = json_str(v, "do"), code = json_str(v, "code").len ? json_str(v, "code") : STR("UNAVAILABLE");
    val_each(m, v) {
        bool ok = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            ok |= str_is(val_key(m), known[k]);
        if (!ok)
            return wrong(c, i, "a rule has instance, call, do, code, message, delay_ms, skip, every and times", val_key(m));
    }
    r->action = str_is(what, "fail") ? FAIL : str_is(what, "delay") ? DELAY : str_is(what, "corrupt") ? CORRUPT : 0;
    if (!r->action)
        return wrong(c, i, "do is fail, delay or corrupt", what);
    if (!(r->code = code_of(code)))
        return wrong(c, i, "code is a name of keelson/error.h without KL_", code);
    struct str instance = json_str(v, "instance"), call = json_str(v, "call"), message = json_str(v, "message");
    r->instance = instance.len ? arena_dup(f->arena, instance) : NULL;
    r->call = call.len ? arena_dup(f->arena, call) : NULL;
    r->message = arena_dup(f->arena, message.len ? message : STR("layer-fault: told to fail"));
    r->delay_ns = json_int(v, "delay_ms", 100) * 1000000;
    r->skip = (uint32_t)json_int(v, "skip", 0);
    r->every = (uint32_t)json_int(v, "every", 1);
    r->times = (uint32_t)json_int(v, "times", 0);
    if (!r->every || r->delay_ns < 0)
        return kl_fail(c, KL_INVALID, "rules[%u]: every is 1 or more, delay_ms 0 or more", i);
    return arena_exhausted(f->arena) ? kl_fail(c, KL_NO_MEMORY, "out of memory") : 0;
}

static int read_rules(struct fault *f, struct kl_call *c, const char *text)
{
    struct val *list = json_parse(f->arena, arena_str(f->arena, str_of(text)), &c->err);
    int rc = list ? 0 : -c->err.code;
    if (list)
        val_each(v, list) {
            if (rc == 0 && f->n == RULES)
                rc = kl_fail(c, KL_INVALID, "more than %u rules", RULES);
            if (rc == 0 && (rc = read_rule(f, c, v, f->n)) == 0)
                f->n++;
        }
    return rc;
}

/* The rule that this call falls under; each that names it counts it. */
static struct rule *rule_for(struct fault *f, const struct layer_call *x)
{
    for (unsigned i = 0; i < f->n; i++) {
        struct rule *r = &f->rules[i];
        if ((r->instance && strcmp(r->instance, x->of->instance) != 0) || (r->call && strcmp(r->call, x->call->name) != 0))
            continue;
        uint32_t seen = __atomic_fetch_add(&r->seen, 1, __ATOMIC_RELAXED);
        if (seen < r->skip || (seen - r->skip) % r->every)
            continue;
        if (r->times && __atomic_fetch_add(&r->done, 1, __ATOMIC_RELAXED) >= r->times)
            continue;
        return r;
    }
    return NULL;
}

/* --- what is done --- */

/* A copy in the call's arena with one bit of its middle byte turned; an empty one becomes one byte. */
static void turn(struct kl_call *c, const char **at, size_t *len)
{
    char *copy = kl_dup(c, *at ? *at : "?", *at && *len ? *len : 1);
    if (!copy)
        return;
    *len = *at && *len ? *len : 1;
    copy[*len / 2] ^= 1;
    *at = copy;
}

static void corrupt_result(const struct layer_call *x, const struct kl_sig_item *m, void *at)
{
    if (m->kind == KL_SIG_OUT_BYTES || m->kind == KL_SIG_BYTES) {
        struct kl_bytes *b = at;
        turn(x->c, &b->at, &b->len);
    } else if (m->kind == KL_SIG_OUT_STR || m->kind == KL_SIG_STR) {
        const char **s = at;
        size_t n = *s ? strlen(*s) : 0;
        turn(x->c, s, &n);
    } else if (m->kind == KL_SIG_OUT_I64 || m->kind == KL_SIG_I64 || m->kind == KL_SIG_U64) {
        *(int64_t *)at ^= 1 << 20;
    } else if (m->kind == KL_SIG_OUT_I32 || m->kind == KL_SIG_I32 || m->kind == KL_SIG_U32) {
        *(int32_t *)at ^= 1 << 20;
    } else if (m->kind == KL_SIG_OUT_STRUCT) {
        for (uint32_t i = 0; i < m->of->n; i++)
            if (m->of->members[i].kind == KL_SIG_BYTES || m->of->members[i].kind == KL_SIG_STR)
                corrupt_result(x, &m->of->members[i], (char *)at + m->of->members[i].offset);
    }
}

/* Results if it has some, else the number that it returns. */
static void corrupt(const struct layer_call *x, int64_t *result)
{
    bool any = false;
    for (uint32_t i = 0; x->c && i < x->call->n; i++) {
        void *at;
        if (!show_is_result(x->call->arguments[i].kind))
            continue;
        memcpy(&at, x->args[i], sizeof at);
        if (at)
            corrupt_result(x, &x->call->arguments[i], at);
        any = true;
    }
    if (!any && x->call->result != KL_SIG_R_VOID && x->call->result != KL_SIG_R_STR)
        *result += 1000000;
}

struct marks {                          /* of this thread's calls under way, by depth: a layered instance may call another */
    struct rule *at[16];
    unsigned n;
};
static __thread struct marks marks;

static bool before(void *layer, struct layer_call *x, int64_t *result)
{
    struct rule *r = rule_for(layer, x);
    if (marks.n < 16)
        marks.at[marks.n] = r;
    marks.n++;
    if (!r)
        return false;
    if (r->action == DELAY) {
        struct timespec t = { .tv_sec = r->delay_ns / 1000000000, .tv_nsec = r->delay_ns % 1000000000 };
        while (nanosleep(&t, &t) != 0 && !(x->c && kl_cancelled(x->c))) { }
    }
    if (r->action != FAIL || x->call->result != KL_SIG_R_INT || !x->c)
        return false;
    *result = kl_fail(x->c, r->code, "%s", r->message);
    return true;
}

static void after(void *layer, struct layer_call *x, bool made, int64_t *result)
{
    struct rule *r = --marks.n < 16 ? marks.at[marks.n] : NULL;
    (void)layer;
    if (r && r->action == CORRUPT && made && *result >= 0)
        corrupt(x, result);
}

static const struct layer_ops ops = { .before = before, .after = after };

/* --- the plugin --- */

static void fault_close(void *self)
{
    struct fault *f = self;
    arena_free(f->arena);
    free(f);
}

static int fault_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct fault *f = calloc(1, sizeof *f);
    if (!f || !(f->arena = arena_new(1 << 20))) {
        free(f);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    f->host = h;
    int rc = read_rules(f, c, ((const struct conf *)conf)->rules ? ((const struct conf *)conf)->rules : "[]");
    if (rc < 0) {
        fault_close(f);
        return rc;
    }
    kl_log(h, KL_WARN, "%u rules make calls fail on purpose", f->n);
    *self = f;
    return 0;
}

static int fault_wrap(void *self, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret)
{
    return layer_wrap(&ops, self, c, inner, ret);
}

static const struct kl_layer table = { .size = sizeof table, .life = { .open = fault_open, .close = fault_close }, .wrap = fault_wrap };
static const struct kl_provider provides[] = { { KL_LAYER_0, "fault", 0, &table } };
static const struct kl_conf_field fields[] = {
    { "rules", KL_CONF_GROUPS, offsetof(struct conf, rules), 0, NULL, 0, 0, NULL, "which calls, and what is done to them; see the plugin's README" },
};

KL_PLUGIN_DEFINE("dev.keelson.layer-fault", "0.1.0", "keelson.layer/0:fault", "", .summary = "fails, delays and corrupts calls by rule", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
