/* rig.c - see rig.h. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t revision(void *self)
{
    return ((struct provider *)self)->revision;
}

static int range(void *self, struct kl_call *c, struct kl_bytes after, uint32_t max, const struct kl_store_record **ret, uint32_t *ret_n)
{
    struct provider *p = self;
    unsigned from = 0;
    (void)c;
    while (after.len && from < p->n && str_cmp(str_n(p->records[from].key.at, p->records[from].key.len), str_n(after.at, after.len)) <= 0)
        from++;
    *ret = p->records + from;
    *ret_n = p->n - from < max ? p->n - from : max;
    return 0;
}

static int append(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    struct provider *p = self;
    p->appends++;
    if (p->fail)
        return kl_fail(c, p->fail, "the provider was told to fail");
    for (uint32_t i = 0; i < n; i++) {
        cr_assert_gt(commits[i].revision, p->revision);
        p->revision = commits[i].revision;
    }
    p->commits += n;
    p->largest = n > p->largest ? n : p->largest;
    return 0;
}

static int checkpoint(void *self, struct kl_call *c, uint64_t rev, const struct kl_store_record *records, uint32_t n, uint32_t last)
{
    struct provider *p = self;
    (void)c;
    for (uint32_t i = 1; i < n; i++)
        cr_assert_lt(str_cmp(str_n(records[i - 1].key.at, records[i - 1].key.len), str_n(records[i].key.at, records[i].key.len)), 0);
    p->parts++;
    p->in_parts += n;
    p->checkpoint_revision = rev;
    p->whole += last;
    p->wants = p->wants && !last;
    return 0;
}

static int wants(void *self)
{
    return ((struct provider *)self)->wants;
}

const struct kl_store rig_table = {
    .size = sizeof rig_table, .revision = revision, .range = range, .append = append, .checkpoint = checkpoint, .wants_checkpoint = wants,
};

void rig_open(struct rig *r, struct store_conf conf)
{
    kl_err_init(&r->err);
    r->loop = loop_new_sim(1000, 0);
    conf.provider = &rig_table;
    conf.self = &r->provider;
    cr_assert_eq(store_open(r->loop, &conf, &r->store, &r->err), 0, "%s", r->err.msg);
}

void rig_close(struct rig *r)
{
    store_close(r->store);
    loop_free(r->loop);
}

static void answer(void *ctx, int rc, const struct kl_err *err)
{
    struct rig *r = ctx;
    r->answered += rc == 0;
    r->refused += rc < 0;
    cr_assert((rc < 0) == (err != NULL));
}

static int commit(struct rig *r, enum store_op_type type, const char *resource, const char *name, int n, uint64_t expected)
{
    char json[300];
    snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"%s\",\"uid\":\"uid-%s\"},\"n\":%d}", name, name, n);
    struct store_op op = { .type = type, .resource = str_of(resource), .ns = STR("ns"), .name = str_of(name), .json = str_of(json),
                           .expected = expected };
    return store_commit(r->store, &op, 1, answer, r, NULL, &r->err);
}

int rig_create(struct rig *r, const char *resource, const char *name, int n)
{
    return commit(r, STORE_CREATE, resource, name, n, 0);
}

int rig_update(struct rig *r, const char *resource, const char *name, int n, uint64_t expected)
{
    return commit(r, STORE_UPDATE, resource, name, n, expected);
}

int rig_delete(struct rig *r, const char *resource, const char *name)
{
    return commit(r, STORE_DELETE, resource, name, 0, 0);
}

void rig_run(struct rig *r)
{
    loop_run_until(r->loop, loop_now(r->loop) + 1);
}

int rig_number(struct rig *r, const char *resource, const char *name, bool head)
{
    struct store_object *o = (head ? store_head : store_get)(r->store, str_of(resource), STR("ns"), str_of(name));
    const char *at = o ? strstr(store_object_json(o).at, "\"n\":") : NULL;
    return at ? (int)strtol(at + 4, NULL, 10) : 0;
}
