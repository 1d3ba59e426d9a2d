/* sandbox.c - a pod's shell: control group, namespaces, record. Its network namespace is made and destroyed by the caller. */
#include "runtime.h"

#include "base/env.h"

static int make(struct runtime *rt, struct sandbox *s, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *config = a ? json_parse(a, str_of(s->config), err) : NULL;
    if (!config)
        return a ? -err->code : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = sandbox_save(rt, s, err);          /* not ready: a crash from here on leaves something to clean up by */
    if (rc == 0)
        rc = cgroup_pod_make(rt, s, json_path(config, "linux.resources"), err);
    if (rc == 0)
        rc = namespaces_make(rt, s, config, err);
    s->ready = rc == 0;
    if (rc == 0)
        rc = sandbox_save(rt, s, err);
    return rc;
}

static void unmake(struct runtime *rt, const struct sandbox *s)
{
    char path[PATH_MAX];
    bool shared = false;
    namespaces_drop(rt, s);
    pthread_mutex_lock(&rt->lock);
    list_each(node, &rt->sandboxes)     /* a later attempt of the same pod */
        shared |= strcmp(list_item(node, struct sandbox, in_rt)->cgroup, s->cgroup) == 0;
    pthread_mutex_unlock(&rt->lock);
    if (!shared)
        cgroup_remove(rt, s->cgroup, true);
    state_path(rt, path, "sandboxes", s->id, NULL);
    fs_remove(AT_FDCWD, path, NULL);
}

static const char *existing(struct runtime *rt, const struct sandbox *s, struct kl_call *c, bool *ret_full)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v = a ? json_parse(a, str_of(s->config), NULL) : NULL;
    size_t n = 0;
    pthread_mutex_lock(&rt->lock);
    struct sandbox *old = sandbox_of_pod(rt, str_of(s->uid), json_int(v, "metadata.attempt", 0));
    const char *id = old ? kl_dup(c, old->id, ID_LEN) : NULL;
    list_each(node, &rt->sandboxes)
        n++;
    *ret_full = n >= SANDBOXES_MOST;
    pthread_mutex_unlock(&rt->lock);
    return id;
}

int rt_sandbox_run(void *self, struct kl_call *c, struct kl_bytes config, const char **ret_id)
{
    struct runtime *rt = self;
    bool full;
    struct sandbox *s = sandbox_parse(config.at, config.len, &c->err);
    if (!s)
        return -c->err.code;
    const char *id = existing(rt, s, c, &full);
    if (id) {
        sandbox_free(s);
        *ret_id = id;
        return 0;
    }
    int rc = full ? kl_fail(c, KL_TOO_MANY_REQUESTS, "this node has %d sandboxes already", SANDBOXES_MOST) : 0;
    if (rc == 0 && (rc = make(rt, s, &c->err)) < 0) {
        kl_err_wrap(&c->err, "sandbox of pod '%s'", s->uid);
        unmake(rt, s);
    }
    if (rc == 0 && !(*ret_id = kl_dup(c, s->id, ID_LEN))) {
        unmake(rt, s);
        rc = kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    if (rc < 0) {
        sandbox_free(s);
        return rc;
    }
    pthread_mutex_lock(&rt->lock);
    list_push(&rt->sandboxes, &s->in_rt);
    pthread_mutex_unlock(&rt->lock);
    return 0;
}

/* Ids of the sandbox's containers, one after the other in out. */
static void containers_of(struct runtime *rt, const char *id, struct buf *out)
{
    pthread_mutex_lock(&rt->lock);
    list_each(node, &rt->containers) {
        struct container *k = list_item(node, struct container, in_rt);
        if (strcmp(k->sandbox, id) == 0)
            buf_add(out, k->id, ID_LEN + 1);
    }
    pthread_mutex_unlock(&rt->lock);
}

static int each_container(struct runtime *rt, struct kl_call *c, const char *id, bool remove)
{
    _cleanup_buf_ struct buf ids = BUF_INIT(CONTAINERS_MOST * (ID_LEN + 1));
    containers_of(rt, id, &ids);
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < ids.len; at += ID_LEN + 1)
        rc = remove ? rt_container_remove(rt, c, ids.at + at) : rt_container_stop(rt, c, ids.at + at, 0);
    return rc;
}

int rt_sandbox_stop(void *self, struct kl_call *c, const char *id)
{
    struct runtime *rt = self;
    struct sandbox copy = { 0 };
    pthread_mutex_lock(&rt->lock);
    struct sandbox *s = id_valid(id) ? sandbox_find(rt, id) : NULL;
    if (s)
        copy = *s;
    pthread_mutex_unlock(&rt->lock);
    if (!s || !copy.ready)
        return 0;
    int rc = each_container(rt, c, id, false);
    if (rc < 0)
        return rc;
    namespaces_drop(rt, &copy);
    pthread_mutex_lock(&rt->lock);
    if ((s = sandbox_find(rt, id))) {
        s->ready = false;
        s->holder_pid = 0;
        rc = sandbox_save(rt, s, &c->err);
    }
    pthread_mutex_unlock(&rt->lock);
    return rc;
}

int rt_sandbox_remove(void *self, struct kl_call *c, const char *id)
{
    struct runtime *rt = self;
    if (!id_valid(id))
        return 0;
    int rc = rt_sandbox_stop(self, c, id);
    if (rc == 0)
        rc = each_container(rt, c, id, true);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&rt->lock);
    struct sandbox *s = sandbox_find(rt, id);
    if (s)
        list_remove(&s->in_rt);
    pthread_mutex_unlock(&rt->lock);
    if (s)
        unmake(rt, s);
    sandbox_free(s);
    return 0;
}
