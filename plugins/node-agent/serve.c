/* serve.c - finding what a call is about, and exec and attach, which are the runtime's. */
#include "serve.h"

static const struct val *named(const struct val *parent, const char *const lists[3], struct str name)
{
    for (int i = 0; i < 3; i++) {
        const struct val *list = json_get(parent, str_of(lists[i]));
        if (val_is(list, VAL_ARR))
            val_each(v, list)
                if (str_eq(json_str(v, "name"), name))
                    return v;
    }
    return NULL;
}

static void find_records(struct served *s, const struct val *list, struct str name)
{
    const struct val *all = json_get(list, STR("containers")), *sandboxes = json_get(list, STR("sandboxes"));
    if (val_is(all, VAL_ARR))
        val_each(v, all)
        {
            int64_t n = json_int(v, "metadata.attempt", 0);
            if (!str_eq(json_str(v, "metadata.name"), name))
                continue;
            if (!s->now || n > json_int(s->now, "metadata.attempt", 0)) {
                s->before = s->now;
                s->now = v;
            } else if (!s->before || n > json_int(s->before, "metadata.attempt", 0)) {
                s->before = v;
            }
        }
    if (val_is(sandboxes, VAL_ARR))
        val_each(v, sandboxes)
            if (str_is(json_str(v, "state"), "SANDBOX_READY"))
                s->sandbox = v;
}

int serve_find(struct agent *a, struct kl_call *c, const char *ns, const char *pod, const char *container, struct served *ret)
{
    static const char *const specs[] = { "containers", "initContainers", "ephemeralContainers" };
    static const char *const statuses[] = { "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses" };
    struct kl_object_key k = agent_key("/pods", ns, pod, NULL);
    struct kl_bytes got = { NULL, 0 };
    struct val *v = NULL;
    int rc = agent_runtime(a, c);
    if (rc == 0)
        rc = agent_get(a, c, ret->arena, &k, &v);
    if (rc < 0)
        return rc;
    if (!str_is(json_str(v, "spec.nodeName"), a->node))
        return kl_fail(c, KL_NOT_FOUND, "pod does not exist");
    ret->pod = v;
    char *uid = arena_dup(ret->arena, json_str(v, "metadata.uid"));
    rc = uid ? a->rt->list(a->rt_self, c, uid, &got) : kl_fail(c, KL_NO_MEMORY, "no memory");
    struct val *list = rc == 0 ? agent_parse(ret->arena, c, got) : NULL;
    if (!list)
        return rc < 0 ? rc : -c->err.code;
    struct str name = str_of(container ? container : "");
    ret->spec = named(json_get(v, STR("spec")), specs, name);
    ret->status = named(json_get(v, STR("status")), statuses, name);
    find_records(ret, list, name);
    return 0;
}

static int find_running(struct agent *a, struct kl_call *c, const char *ns, const char *pod, const char *container, const char **ret_id)
{
    struct served s = { .arena = arena_new(AGENT_ARENA_BYTES) };
    int rc = s.arena ? serve_find(a, c, ns, pod, container, &s) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc == 0 && !str_ends(json_str(s.now, "state"), STR("RUNNING")))
        rc = kl_fail(c, KL_NOT_FOUND, "container not found (\"%s\")", container);
    struct str id = json_str(s.now, "id");
    if (rc == 0 && !(*ret_id = kl_dup(c, id.at, id.len)))
        rc = kl_fail(c, KL_NO_MEMORY, "no memory");
    arena_free(s.arena);
    return rc;
}

int node_exec(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const char *const *argv,
              const struct kl_runtime_io *io, int32_t *exit_code)
{
    struct agent *a = self;
    const char *id;
    int rc = find_running(a, c, ns, pod, container, &id);
    return rc < 0 ? rc : a->rt->exec(a->rt_self, c, id, argv, io, exit_code);
}

int node_attach(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_runtime_io *io)
{
    struct agent *a = self;
    const char *id;
    int rc = find_running(a, c, ns, pod, container, &id);
    return rc < 0 ? rc : a->rt->attach(a->rt_self, c, id, io);
}
