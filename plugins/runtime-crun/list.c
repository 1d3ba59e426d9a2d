/* list.c - what is there: sandboxes, containers, their figures; images; the runtime itself. */
#include "runtime.h"

#include "base/disk.h"
#include "base/env.h"

#define ANSWER_MOST (64u << 20)

int give_json(struct kl_call *c, const struct arena *a, const struct val *v, struct kl_bytes *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(ANSWER_MOST);
    json_write(&b, v);
    char *text = b.failed || arena_exhausted(a) ? NULL : kl_dup(c, b.at, b.len);
    if (!text)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = (struct kl_bytes){ text, b.len };
    return 0;
}

/* Members of the given config go out as they came in. */
static void copy_members(struct arena *a, struct val *to, const char *config)
{
    static const char *const names[] = { "metadata", "labels", "annotations", "image" };
    struct val *v = json_parse(a, str_of(config), NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct val *m = json_get(v, str_of(names[i]));
        if (m)
            json_set(a, to, str_of(names[i]), val_copy(a, m));
    }
}

static void add_sandbox(struct arena *a, struct val *list, const struct sandbox *s)
{
    struct val *v = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, v, STR("id"), str_of(s->id));
    json_set_str(a, v, STR("state"), s->ready ? STR("SANDBOX_READY") : STR("SANDBOX_NOTREADY"));
    json_set_int(a, v, STR("createdAt"), s->created_ns);
    json_set_str(a, v, STR("netns"), str_of(s->netns));
    copy_members(a, v, s->config);
}

static void add_end(struct arena *a, struct val *v, const struct container *c)
{
    const char *reason = c->oom && c->exit_code != 0 ? "OOMKilled" : c->exit_code == 0 ? "Completed" : "Error";
    json_set_int(a, v, STR("finishedAt"), c->finished_ns);
    json_set_int(a, v, STR("exitCode"), c->exit_code);
    json_set_str(a, v, STR("reason"), str_of(reason));
    json_set_str(a, v, STR("message"), str_of(c->message));
}

static void add_container(struct arena *a, struct val *list, const struct container *c)
{
    static const char *const states[] = { "CONTAINER_UNKNOWN", "CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED" };
    struct val *v = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, v, STR("id"), str_of(c->id));
    json_set_str(a, v, STR("podSandboxId"), str_of(c->sandbox));
    json_set_str(a, v, STR("state"), str_of(states[c->state]));
    json_set_int(a, v, STR("createdAt"), c->created_ns);
    if (c->started_ns)
        json_set_int(a, v, STR("startedAt"), c->started_ns);
    if (c->state == STATE_EXITED)
        add_end(a, v, c);
    else
        json_set_int(a, v, STR("pid"), c->pid);
    json_set_str(a, v, STR("imageRef"), str_of(c->image_id));
    json_set_str(a, v, STR("logPath"), str_of(c->log_path));
    copy_members(a, v, c->config);
}

int rt_list(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret)
{
    struct runtime *rt = self;
    _cleanup_arena_ struct arena *a = arena_new(256 << 20);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct val *v = val_new(a, VAL_OBJ);
    struct val *sandboxes = json_arr(a, v, STR("sandboxes")), *containers = json_arr(a, v, STR("containers"));
    pthread_mutex_lock(&rt->lock);
    list_each(node, &rt->sandboxes) {
        struct sandbox *s = list_item(node, struct sandbox, in_rt);
        if (!pod_uid || strcmp(s->uid, pod_uid) == 0)
            add_sandbox(a, sandboxes, s);
    }
    list_each(node, &rt->containers) {
        struct container *k = list_item(node, struct container, in_rt);
        if (pod_uid && strcmp(k->uid, pod_uid) != 0)
            continue;
        container_refresh(rt, k);
        add_container(a, containers, k);
    }
    int rc = give_json(c, a, v, ret);   /* the tree borrows the records' texts: write it before the lock goes */
    pthread_mutex_unlock(&rt->lock);
    return rc;
}

/* What containers wrote into their root. It may take a while: the lock is not held. */
static void add_layers(struct runtime *rt, struct arena *a, struct val *containers)
{
    char id[160], upper[PATH_MAX];
    val_each(one, containers) {
        snprintf(id, sizeof id, STR_FMT, STR_ARG(json_str(one, "id")));
        state_path(rt, upper, "containers", id, "upper");
        json_set_int(a, one, STR("rootfsBytes"), disk_use(upper, NULL));
    }
}

int rt_stats(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret)
{
    struct runtime *rt = self;
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct val *v = val_new(a, VAL_OBJ), *pods = json_arr(a, v, STR("pods")), *list = json_arr(a, v, STR("containers"));
    pthread_mutex_lock(&rt->lock);
    list_each(node, &rt->sandboxes) {
        struct sandbox *s = list_item(node, struct sandbox, in_rt);
        if (!s->ready || (pod_uid && strcmp(s->uid, pod_uid) != 0))
            continue;
        struct val *one = val_push(pods, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("uid"), arena_str(a, str_of(s->uid)));
        cgroup_stats(rt, s->cgroup, a, one);
    }
    list_each(node, &rt->containers) {
        char path[600];
        struct container *k = list_item(node, struct container, in_rt);
        const struct sandbox *s = sandbox_find(rt, k->sandbox);
        if (k->state != STATE_RUNNING || !s || (pod_uid && strcmp(k->uid, pod_uid) != 0))
            continue;
        struct val *one = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("id"), arena_str(a, str_of(k->id)));
        json_set_str(a, one, STR("podUid"), arena_str(a, str_of(k->uid)));
        snprintf(path, sizeof path, "%.500s/%s", s->cgroup, k->id);
        cgroup_stats(rt, path, a, one);
    }
    pthread_mutex_unlock(&rt->lock);
    if (pod_uid)
        add_layers(rt, a, list);
    return give_json(c, a, v, ret);
}

int rt_image_status(void *self, struct kl_call *c, const char *ref, struct kl_bytes *ret)
{
    struct runtime *rt = self;
    struct image *i;
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    int rc = a ? image_find(rt->images, a, ref, &i, &c->err) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    return rc == 0 ? give_json(c, a, image_json(a, i, true), ret) : rc;
}

static bool is_cancelled(void *c)
{
    return kl_cancelled(c);
}

int rt_image_pull(void *self, struct kl_call *c, const char *ref, struct kl_bytes auth, struct kl_bytes *ret)
{
    struct runtime *rt = self;
    struct image *i = NULL;
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct val *login = a && auth.len ? json_parse(a, str_n(auth.at, auth.len), NULL) : NULL;
    struct str user = json_str(login, "username"), password = json_str(login, "password");
    struct image_pull q = { .ref = ref, .insecure = rt->conf.insecure_registries, .ca_file = rt->conf.registry_ca, .stop = is_cancelled, .stop_ctx = c };
    int rc = a ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && user.len) {
        q.username = arena_dup(a, user);
        q.password = arena_dup(a, password);
    }
    if (rc == 0 && strncmp(ref, "localhost/", 10) != 0)         /* that is this store itself */
        rc = image_pull(rt->images, &q, &c->err);
    if (rc == 0)
        rc = image_find(rt->images, a, ref, &i, &c->err);
    if (rc < 0)
        return rc;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("imageRef"), str_of(i->id));
    return give_json(c, a, v, ret);
}

int rt_image_list(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct runtime *rt = self;
    struct image **all;
    uint32_t n;
    _cleanup_arena_ struct arena *a = arena_new(256 << 20);
    int rc = a ? image_list(rt->images, a, &all, &n, &c->err) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc < 0)
        return rc;
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("images"));
    for (uint32_t i = 0; i < n; i++)
        val_push(list, image_json(a, all[i], false));
    return give_json(c, a, v, ret);
}

int rt_image_remove(void *self, struct kl_call *c, const char *ref)
{
    struct runtime *rt = self;
    int rc = image_remove(rt->images, ref, &c->err);
    return rc == -KL_NOT_FOUND ? 0 : rc;
}

int rt_version(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    static const char *const kinds[] = { "v1", "v2", "hybrid" };
    struct runtime *rt = self;
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct val *v = val_new(a, VAL_OBJ), *notes = json_arr(a, v, STR("notes"));
    json_set_str(a, v, STR("runtimeName"), STR("crun"));
    json_set_str(a, v, STR("runtimeVersion"), str_of(rt->crun_version));
    json_set_str(a, v, STR("cgroup"), str_of(kinds[rt->cgroup]));
    pthread_mutex_lock(&rt->lock);
    struct str rest = str_trim(arena_str(a, buf_str(&rt->notes)));
    pthread_mutex_unlock(&rt->lock);
    while (rest.len)
        val_push(notes, val_of_str(a, str_cut(&rest, '\n')));
    return give_json(c, a, v, ret);
}
