/* store.c - keelson.store/0: revisions, batches, order, what comes back, checkpoints, figures; for every provider in the table. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dlfcn.h>
#include <keelson/iface/store.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

struct wal_settings {                   /* as store-wal binds them */
    const char *dir;
    int64_t checkpoint_bytes, reserve_bytes;
    int32_t sync;
};

struct candidate {
    char file[512];
    int durable;                        /* what was acknowledged is there when it is opened again */
};

static const struct candidate candidates[] = { { STORE_WAL, 1 }, { STORE_MEMORY, 0 } };

struct rig {
    const struct candidate *candidate;
    const struct kl_store *t;
    void *self;
    char dir[64];
    struct wal_settings settings;
    struct arena *arena;
    struct kl_call call;
};

static void fresh(struct rig *r)
{
    arena_reset(r->arena);
    r->call = (struct kl_call){ .size = sizeof r->call, .arena = r->arena, .alloc = (void *(*)(void *, size_t))arena_alloc };
    kl_err_init(&r->call.err);
}

static void open_(struct rig *r)
{
    fresh(r);
    cr_assert_eq(r->t->life.open(NULL, &r->settings, &r->self, &r->call), 0, "%s", r->call.err.msg);
}

static void close_(struct rig *r)
{
    r->t->life.close(r->self);
}

static void begin(struct rig *r, const struct candidate *c)
{
    *r = (struct rig){ .candidate = c, .dir = "/var/tmp/keelson-store-XXXXXX", .arena = arena_new(0) };
    cr_assert(mkdtemp(r->dir) != NULL);
    r->settings = (struct wal_settings){ r->dir, 1 << 20, 0, 1 };
    void *file = dlopen(c->file, RTLD_NOW | RTLD_LOCAL);
    cr_assert(file != NULL, "%s", dlerror());
    const struct kl_plugin *p = dlsym(file, "kl_plugin");
    cr_assert(p != NULL);
    const struct kl_provider *v = KL_AT(struct kl_provider, p->providers, 0);
    cr_assert_str_eq(v->iface, KL_STORE_0);
    r->t = v->table;
    cr_assert(r->t->life.open && r->t->life.close && r->t->revision && r->t->range && r->t->append, "a function is missing");
    open_(r);
}

static void end(struct rig *r)
{
    char command[128];
    close_(r);
    arena_free(r->arena);
    snprintf(command, sizeof command, "rm -rf %s", r->dir);
    cr_assert_eq(system(command), 0);
}

static struct kl_bytes text(struct rig *r, const char *fmt, unsigned n)
{
    char *at = arena_printf(r->arena, "%s%06u", fmt, n);
    return (struct kl_bytes){ at, strlen(at) };
}

static struct kl_store_op put(struct rig *r, unsigned key, unsigned value)
{
    return (struct kl_store_op){ .size = sizeof(struct kl_store_op), .type = KL_STORE_PUT, .key = text(r, "/pods/ns/p", key),
                                 .value = text(r, "value ", value), .expected = UINT64_MAX };
}

/* One commit of n puts from key on. */
static int append(struct rig *r, uint64_t revision, unsigned key, unsigned n)
{
    struct kl_store_op *ops = arena_alloc(r->arena, n * sizeof *ops);
    for (unsigned i = 0; i < n; i++)
        ops[i] = put(r, key + i, (unsigned)revision);
    struct kl_store_commit c = { .size = sizeof c, .revision = revision, .n = n, .ops = ops };
    return r->t->append(r->self, &r->call, &c, 1);
}

static unsigned count(struct rig *r, uint32_t page, uint64_t *ret_newest)
{
    struct kl_bytes after = { NULL, 0 };
    const struct kl_store_record *rec;
    unsigned total = 0;
    char last[64] = "";
    for (uint32_t n; r->t->range(r->self, &r->call, after, page, &rec, &n) == 0 && n;) {
        cr_assert_leq(n, page);
        for (uint32_t i = 0; i < n; i++) {
            char key[64];
            snprintf(key, sizeof key, "%.*s", (int)rec[i].key.len, rec[i].key.at);
            cr_assert_gt(strcmp(key, last), 0, "keys are not in order");
            snprintf(last, sizeof last, "%s", key);
            *ret_newest = rec[i].revision > *ret_newest ? rec[i].revision : *ret_newest;
        }
        total += n;
        after = (struct kl_bytes){ last, strlen(last) };
    }
    return total;
}

ParameterizedTestParameters(store, begins_empty)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, begins_empty)
{
    struct rig r;
    uint64_t newest = 0;
    begin(&r, c);
    cr_assert_eq(r.t->revision(r.self), 0);
    cr_assert_eq(count(&r, 10, &newest), 0);
    end(&r);
}

ParameterizedTestParameters(store, revisions_only_grow)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, revisions_only_grow)
{
    struct rig r;
    begin(&r, c);
    cr_assert_eq(append(&r, 1, 0, 1), 0);
    cr_assert_eq(append(&r, 5, 1, 2), 0);       /* gaps are fine */
    cr_assert_eq(r.t->revision(r.self), 5);
    fresh(&r);
    cr_assert_eq(append(&r, 5, 1, 1), -KL_INVALID);
    cr_assert(r.call.err.msg[0], "refused without a word");
    fresh(&r);
    cr_assert_eq(append(&r, 3, 1, 1), -KL_INVALID);
    cr_assert_eq(r.t->revision(r.self), 5);
    cr_assert_eq(append(&r, 6, 1, 1), 0);
    end(&r);
}

ParameterizedTestParameters(store, comes_back)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, comes_back)
{
    struct rig r;
    uint64_t newest = 0;
    begin(&r, c);
    for (unsigned i = 0; i < 50; i++)
        cr_assert_eq(append(&r, i + 1, i * 3, 3), 0);
    struct kl_store_op del = { .size = sizeof del, .type = KL_STORE_DELETE, .key = text(&r, "/pods/ns/p", 7), .expected = UINT64_MAX };
    struct kl_store_commit k = { .size = sizeof k, .revision = 51, .n = 1, .ops = &del };
    cr_assert_eq(r.t->append(r.self, &r.call, &k, 1), 0);
    close_(&r);
    open_(&r);
    if (c->durable) {
        cr_assert_eq(r.t->revision(r.self), 51);
        cr_assert_eq(count(&r, 7, &newest), 149);
        cr_assert_eq(newest, 50);
        cr_assert_eq(append(&r, 51, 0, 1), -KL_INVALID);
    }
    cr_assert_eq(append(&r, 52, 0, 1), 0);
    end(&r);
}

ParameterizedTestParameters(store, a_batch_is_many_commits)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, a_batch_is_many_commits)
{
    struct rig r;
    uint64_t newest = 0;
    struct kl_store_commit batch[200];
    struct kl_store_op ops[200];
    begin(&r, c);
    for (unsigned i = 0; i < 200; i++) {
        ops[i] = put(&r, i % 90, i);
        batch[i] = (struct kl_store_commit){ .size = sizeof batch[i], .revision = i + 1, .n = 1, .ops = &ops[i] };
    }
    cr_assert_eq(r.t->append(r.self, &r.call, batch, 200), 0);
    cr_assert_eq(r.t->revision(r.self), 200);
    close_(&r);
    open_(&r);
    cr_assert_eq(count(&r, 1000, &newest), c->durable ? 90 : 0);
    end(&r);
}

ParameterizedTestParameters(store, checkpoints_between_appends)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, checkpoints_between_appends)
{
    struct rig r;
    uint64_t newest = 0;
    struct kl_store_record part[20];
    begin(&r, c);
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(append(&r, i + 1, i, 1), 0);
    for (unsigned i = 0; i < 20; i++) {
        struct kl_store_op op = put(&r, i, i + 1);
        part[i] = (struct kl_store_record){ .size = sizeof part[i], .key = op.key, .value = op.value, .revision = i + 1 };
    }
    if (KL_HAS(r.t, checkpoint)) {
        cr_assert(KL_HAS(r.t, wants_checkpoint));
        cr_assert_eq(r.t->checkpoint(r.self, &r.call, 20, part, 12, 0), 0);
        cr_assert_eq(append(&r, 21, 5, 1), 0);
        cr_assert_eq(r.t->checkpoint(r.self, &r.call, 20, part + 12, 8, 1), 0);
        cr_assert_eq(append(&r, 22, 30, 1), 0);
        close_(&r);
        open_(&r);
        cr_assert_eq(count(&r, 1000, &newest), 21);
        cr_assert_eq(newest, 22);
    }
    end(&r);
}

ParameterizedTestParameters(store, figures_are_json)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, figures_are_json)
{
    struct rig r;
    struct kl_bytes text_;
    begin(&r, c);
    if (KL_HAS(r.t, stats)) {
        cr_assert_eq(append(&r, 1, 0, 1), 0);
        cr_assert_eq(r.t->stats(r.self, &r.call, &text_), 0);
        cr_assert(text_.len > 2 && text_.at[0] == '{' && text_.at[text_.len - 1] == '}');
    }
    end(&r);
}

ParameterizedTestParameters(store, examines_what_is_closed)
{
    return cr_make_param_array(struct candidate, (struct candidate *)candidates, 2, NULL);
}

ParameterizedTest(struct candidate *c, store, examines_what_is_closed)
{
    struct rig r;
    struct kl_bytes report = { NULL, 0 };
    begin(&r, c);
    cr_assert_eq(append(&r, 1, 0, 3), 0);
    if (KL_HAS(r.t, examine)) {
        cr_assert_eq(r.t->examine(&r.settings, &r.call, 0, &report), -KL_UNAVAILABLE, "it examines what is open");
        close_(&r);
        fresh(&r);
        cr_assert_eq(r.t->examine(&r.settings, &r.call, 0, &report), 0, "%s", r.call.err.msg);
        cr_assert(report.len > 0 && report.at[report.len - 1] == '\n');
        open_(&r);
    }
    end(&r);
}
