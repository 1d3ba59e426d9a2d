/* harness.c - see harness.h. */
#include "harness.h"

#include <stdio.h>

static int64_t still(void *ctx)
{
    (void)ctx;
    return 0;
}

static void fresh_call(struct rig *r)
{
    arena_reset(r->arena);
    r->call = (struct kl_call){ .size = sizeof r->call, .arena = r->arena, .alloc = (void *(*)(void *, size_t))arena_alloc };
    kl_err_init(&r->call.err);
}

void rig_begin(struct rig *r, uint64_t seed)
{
    *r = (struct rig){ .conf = { .dir = DIR, .checkpoint_bytes = 1 << 30, .sync = 1 } };
    r->disk = disk_new(seed);
    r->env = *env_real();
    disk_env(r->disk, &r->env);
    r->env.mono_ns = r->env.wall_ns = still;
    env_set(&r->env);
    r->arena = arena_new(0);
    r->t = KL_AT(struct kl_provider, KL_PLUGIN_SYMBOL.providers, 0)->table;
}

void rig_end(struct rig *r)
{
    rig_close(r);
    env_set(NULL);
    disk_free(r->disk);
    arena_free(r->arena);
}

int rig_open(struct rig *r)
{
    fresh_call(r);
    int rc = r->t->life.open(NULL, &r->conf, &r->self, &r->call);
    if (rc < 0)
        r->self = NULL;
    return rc;
}

void rig_close(struct rig *r)
{
    if (r->self)
        r->t->life.close(r->self);
    r->self = NULL;
}

static unsigned mix(unsigned n)
{
    n ^= n >> 5;
    n *= 0x9e3779b1u;
    return n ^ n >> 13;
}

/* Commit n: puts its number under one key, or deletes it when it is there and the dice say so. */
static unsigned next_commit(struct rig *r, unsigned n, bool *ret_delete)
{
    unsigned key = mix(n) % KEYS;
    cr_assert_lt(n, STATES);
    memcpy(r->model.at[n], r->model.at[n - 1], sizeof r->model.at[n]);
    *ret_delete = r->model.at[n - 1][key] && mix(n + 77) % 4 == 0;
    r->model.at[n][key] = *ret_delete ? 0 : n;
    r->model.n = n;
    return key;
}

static struct kl_bytes bytes_of(char *at)
{
    return (struct kl_bytes){ at, strlen(at) };
}

static struct kl_bytes key_text(struct rig *r, unsigned key)
{
    return bytes_of(arena_printf(r->arena, "/things/ns/key-%02u", key));
}

/* Values of many lengths. */
static struct kl_bytes value_text(struct rig *r, unsigned number)
{
    return bytes_of(arena_printf(r->arena, "{\"number\":%u,\"pad\":\"%*s\"}", number, (int)(mix(number) % 700 * (r->padding ? r->padding : 1)), ""));
}

int rig_append(struct rig *r, unsigned n)
{
    fresh_call(r);
    struct kl_store_commit *commits = arena_alloc(r->arena, n * sizeof *commits);
    unsigned before = r->revision;
    for (unsigned i = 0; i < n; i++) {
        struct kl_store_op *op = arena_alloc(r->arena, sizeof *op);
        bool del;
        unsigned number = ++r->revision, key = next_commit(r, number, &del);
        *op = (struct kl_store_op){ .size = sizeof *op, .type = del ? KL_STORE_DELETE : KL_STORE_PUT, .key = key_text(r, key) };
        if (!del)
            op->value = value_text(r, number);
        commits[i] = (struct kl_store_commit){ .size = sizeof *commits, .revision = number, .n = 1, .ops = op };
    }
    int rc = r->t->append(r->self, &r->call, commits, n);
    if (rc < 0 && !disk_is_down(r->disk)) {     /* it never happened; its revisions are not used again */
        for (unsigned i = before + 1; i <= r->revision; i++)
            memcpy(r->model.at[i], r->model.at[before], sizeof r->model.at[i]);
    }
    return rc;
}

int rig_delete(struct rig *r, unsigned key)
{
    fresh_call(r);
    unsigned number = ++r->revision;
    cr_assert_lt(number, STATES);
    memcpy(r->model.at[number], r->model.at[number - 1], sizeof r->model.at[number]);
    r->model.at[number][key] = 0;
    struct kl_store_op op = { .size = sizeof op, .type = KL_STORE_DELETE, .key = key_text(r, key) };
    struct kl_store_commit c = { .size = sizeof c, .revision = number, .n = 1, .ops = &op };
    int rc = r->t->append(r->self, &r->call, &c, 1);
    if (rc < 0)
        memcpy(r->model.at[number], r->model.at[number - 1], sizeof r->model.at[number]);
    return rc;
}

int rig_checkpoint(struct rig *r)
{
    struct kl_store_record part[KEYS];
    uint32_t n = 0;
    fresh_call(r);
    for (unsigned k = 0; k < KEYS; k++) {
        uint32_t number = r->model.at[r->revision][k];
        if (!number)
            continue;
        part[n++] = (struct kl_store_record){ sizeof part[0], key_text(r, k),
                                              value_text(r, number), number };
    }
    uint32_t half = n / 2;
    int rc = r->t->checkpoint(r->self, &r->call, r->revision, part, half, 0);
    return rc < 0 ? rc : r->t->checkpoint(r->self, &r->call, r->revision, part + half, n - half, 1);
}

static void read_all(struct rig *r, uint32_t ret[KEYS])
{
    struct kl_bytes after = { NULL, 0 };
    const struct kl_store_record *rec;
    char last[64];
    memset(ret, 0, KEYS * sizeof *ret);
    for (uint32_t n; r->t->range(r->self, &r->call, after, 7, &rec, &n) == 0 && n;) {
        for (uint32_t i = 0; i < n; i++) {
            unsigned key = 0, number = 0;
            cr_assert_eq(sscanf(rec[i].key.at, "/things/ns/key-%2u", &key), 1);
            cr_assert_eq(sscanf(rec[i].value.at, "{\"number\":%u,", &number), 1);
            cr_assert_eq(number, rec[i].revision);
            cr_assert_lt(key, KEYS);
            ret[key] = number;
        }
        snprintf(last, sizeof last, "%.*s", (int)rec[n - 1].key.len, rec[n - 1].key.at);
        after = (struct kl_bytes){ last, strlen(last) };
    }
}

int rig_state(struct rig *r, int from)
{
    uint32_t now[KEYS];
    fresh_call(r);
    read_all(r, now);
    for (unsigned i = (unsigned)from; i <= r->model.n; i++)
        if (memcmp(now, r->model.at[i], sizeof now) == 0)
            return (int)i;
    return -1;
}

int rig_examine(struct rig *r, bool repair, char *ret, size_t room)
{
    struct kl_bytes report = { "", 0 };
    fresh_call(r);
    int rc = r->t->examine(&r->conf, &r->call, repair, &report);
    snprintf(ret, room, "%.*s", (int)report.len, report.at ? report.at : "");
    return rc;
}

const char *rig_path(const char *kind, uint64_t base)
{
    static char path[128];
    snprintf(path, sizeof path, DIR "/%s-%020llu", kind, (unsigned long long)base);
    return path;
}
