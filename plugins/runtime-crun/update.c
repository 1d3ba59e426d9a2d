/* update.c - other limits for what runs: the control group first, then the record, so that a crash in between leaves the old numbers to be set again. */
#include "runtime.h"

#define GROUP_SIZE 600             /* bytes of a control group's path */

/* text of config with the resources and annotations of change put over its own; NULL: *err says why. */
static char *changed(const char *config, const struct val *change, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v = a ? json_parse(a, str_of(config), err) : NULL;
    const struct val *notes = json_get(change, STR("annotations")), *resources = json_path(change, "linux.resources");
    _cleanup_buf_ struct buf b = BUF_INIT(2 * CONFIG_MOST);
    if (v && val_is(resources, VAL_OBJ))
        val_each(m, resources)
            json_set(a, json_obj(a, json_obj(a, v, STR("linux")), STR("resources")), val_key(m), val_copy(a, m));
    if (v && val_is(notes, VAL_OBJ))
        val_each(m, notes)
            json_set(a, json_obj(a, v, STR("annotations")), val_key(m), val_copy(a, m));
    json_write(&b, v);
    char *text = !v || b.failed || arena_exhausted(a) ? NULL : mem_dup(b.at, b.len);
    if (!text && !err->code)
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return text;
}

static struct val *parse(struct arena *a, struct kl_bytes config, struct kl_call *c)
{
    struct val *v = a ? json_parse(a, str_n(config.at, config.len), &c->err) : NULL;
    if (!a)
        kl_fail(c, KL_NO_MEMORY, "out of memory");
    return v;
}

static int change_config(char **config, const struct val *change, struct kl_err *err)
{
    char *text = changed(*config, change, err);
    if (!text)
        return -err->code;
    mem_free(*config);
    *config = text;
    return 0;
}

/* Of a container or, where sandbox is set, of a sandbox. */
struct target {
    const char *id;
    bool sandbox;
};

/* The control group of what runs; false: it does not. Locked. */
static bool group_of(struct runtime *rt, const struct target *t, char ret[GROUP_SIZE])
{
    const struct container *k = !t->sandbox && id_valid(t->id) ? container_find(rt, t->id) : NULL;
    const struct sandbox *s = t->sandbox ? (id_valid(t->id) ? sandbox_find(rt, t->id) : NULL) : k ? sandbox_find(rt, k->sandbox) : NULL;
    if (!s || (t->sandbox ? !s->ready : k->state == STATE_EXITED))
        return false;
    snprintf(ret, GROUP_SIZE, t->sandbox ? "%.500s" : "%.500s/%s", s->cgroup, t->id);
    return true;
}

/* What has gone in the meantime needs no record. Locked. */
static int record(struct runtime *rt, const struct target *t, const struct val *change, struct kl_err *err)
{
    struct container *k = t->sandbox ? NULL : container_find(rt, t->id);
    struct sandbox *s = t->sandbox ? sandbox_find(rt, t->id) : NULL;
    if (!k && !s)
        return 0;
    int rc = change_config(k ? &k->config : &s->config, change, err);
    return rc < 0 ? rc : k ? container_save(rt, k, err) : sandbox_save(rt, s, err);
}

static int update(struct runtime *rt, struct kl_call *c, const struct target *t, struct kl_bytes config)
{
    char path[GROUP_SIZE];
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *change = parse(a, config, c);
    if (!change)
        return -c->err.code;
    pthread_mutex_lock(&rt->lock);
    bool runs = group_of(rt, t, path);
    pthread_mutex_unlock(&rt->lock);
    if (!runs)
        return kl_fail(c, KL_NOT_FOUND, t->sandbox ? "sandbox '%.40s' is not there" : "container '%.40s' does not run", t->id);
    int rc = cgroup_limit(rt, path, json_path(change, "linux.resources"), &c->err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&rt->lock);
    rc = record(rt, t, change, &c->err);
    pthread_mutex_unlock(&rt->lock);
    return rc;
}

int rt_container_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    return update(self, c, &(struct target){ .id = id }, config);
}

int rt_sandbox_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    return update(self, c, &(struct target){ .id = id, .sandbox = true }, config);
}
