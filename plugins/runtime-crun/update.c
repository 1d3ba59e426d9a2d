/* update.c - other limits for what runs: the control group first, then the record, so that a crash in between leaves the old numbers to be set again. */
#include "runtime.h"

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

int rt_container_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    struct runtime *rt = self;
    char path[600] = "";
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *change = parse(a, config, c);
    if (!change)
        return -c->err.code;
    pthread_mutex_lock(&rt->lock);
    struct container *k = id_valid(id) ? container_find(rt, id) : NULL;
    const struct sandbox *s = k ? sandbox_find(rt, k->sandbox) : NULL;
    if (s && k->state != STATE_EXITED)
        snprintf(path, sizeof path, "%.500s/%s", s->cgroup, id);
    pthread_mutex_unlock(&rt->lock);
    if (!path[0])
        return kl_fail(c, KL_NOT_FOUND, "container '%.40s' does not run", id);
    int rc = cgroup_limit(rt, path, json_path(change, "linux.resources"), &c->err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&rt->lock);
    k = container_find(rt, id);
    rc = k ? change_config(&k->config, change, &c->err) : 0;
    if (k && rc == 0)
        rc = container_save(rt, k, &c->err);
    pthread_mutex_unlock(&rt->lock);
    return rc;
}

int rt_sandbox_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    struct runtime *rt = self;
    char path[600] = "";
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *change = parse(a, config, c);
    if (!change)
        return -c->err.code;
    pthread_mutex_lock(&rt->lock);
    struct sandbox *s = id_valid(id) ? sandbox_find(rt, id) : NULL;
    if (s && s->ready)
        snprintf(path, sizeof path, "%.500s", s->cgroup);
    pthread_mutex_unlock(&rt->lock);
    if (!path[0])
        return kl_fail(c, KL_NOT_FOUND, "sandbox '%.40s' is not there", id);
    int rc = cgroup_limit(rt, path, json_path(change, "linux.resources"), &c->err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&rt->lock);
    s = sandbox_find(rt, id);
    rc = s ? change_config(&s->config, change, &c->err) : 0;
    if (s && rc == 0)
        rc = sandbox_save(rt, s, &c->err);
    pthread_mutex_unlock(&rt->lock);
    return rc;
}
