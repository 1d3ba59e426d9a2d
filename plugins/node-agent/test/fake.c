/* fake.c - see fake.h. */
#include "fake.h"

#include <stdlib.h>

static struct world *the;                   /* one per test process */

/* --- texts --- */

static struct val *parse(struct str text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(the->arena, arena_str(the->arena, text), &err);
    cr_assert(v, "%s in " STR_FMT, err.msg, STR_ARG(text));
    return v;
}

struct val *world_parse(struct world *w, const char *text)
{
    char *z = arena_dup(w->arena, str_of(text));
    for (char *p = z; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return parse(str_of(z));
}

struct str world_text(struct world *w, const struct val *v, const char *path)
{
    for (struct str rest = str_of(path); rest.at && v;) {
        struct str part = str_cut(&rest, '.');
        int64_t n;
        if (v->type == VAL_ARR && str_int(part, &n)) {
            v = v->first;
            for (; n > 0 && v; n--)
                v = v->next;
        } else {
            v = json_get(v, part);
        }
    }
    if (!v)
        return STR("(none)");
    if (v->type == VAL_STR)
        return val_str(v);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    json_write(&b, v);
    return arena_str(w->arena, buf_str(&b));
}

static struct kl_bytes give(struct kl_call *c, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
    json_write(&b, v);
    return (struct kl_bytes){ kl_dup(c, b.at, b.len), b.len };
}

static void note(const char *what, struct str name)
{
    buf_printf(&the->trace, "%s " STR_FMT "\n", what, STR_ARG(name));
}

/* --- host --- */

static int64_t mono(const struct kl_host *h)
{
    (void)h;
    return the->mono_ns;
}
static int64_t wall(const struct kl_host *h)
{
    (void)h;
    return the->wall_ns;
}
static void fill(const struct kl_host *h, void *at, size_t n)
{
    (void)h;
    memset(at, 7, n);
}
static const struct kl_host_env env = { sizeof env, mono, wall, fill };

static void quiet(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h, (void)level, (void)line;
}

static void add_key(const struct kl_host *h, const char *key, int64_t delay_ns)
{
    (void)h;
    json_set_int(the->arena, the->keys, arena_str(the->arena, str_of(key)), delay_ns);
}
static const struct kl_host_queue queue = { sizeof queue, add_key };

static struct str object_name(const char *resource, const char *ns, const char *name)
{
    return str_of(arena_printf(the->arena, "%s %s%s%s", resource, ns, *ns ? "/" : "", name));
}

static int o_get(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    (void)h;
    struct val *v = json_get(the->objects, object_name(k->resource, k->ns, k->name));
    if (!v)
        return kl_fail(c, KL_NOT_FOUND, "%s \"%s\" not found", k->resource, k->name);
    if (strcmp(k->resource, "/pods") == 0 && (the->forbidden || !str_is(json_str(v, "spec.nodeName"), the->conf.node)))
        return kl_fail(c, KL_FORBIDDEN, "no relationship found between node '%s' and this object", the->conf.node);
    *ret = give(c, v);
    return 0;
}

/* The only one that the agent asks with: pods of its node. */
static bool selected(const struct val *v, const char *field_selector)
{
    struct str node = str_of(field_selector);
    if (!field_selector)
        return true;
    cr_assert(str_is(str_cut(&node, '='), "spec.nodeName"));
    return str_eq(json_str(v, "spec.nodeName"), node);
}

static int o_list(const struct kl_host *h, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    (void)h;
    struct kl_bytes *at = kl_alloc(c, (the->objects->n + 1) * sizeof *at);
    ret->n = 0;
    ret->at = at;
    val_each(v, the->objects)
    {
        struct str name = val_key(v), resource = str_cut(&name, ' ');
        if (str_is(resource, o->resource) && (!o->ns || str_eq(json_str(v, "metadata.namespace"), str_of(o->ns))) && selected(v, o->field_selector))
            at[ret->n++] = give(c, v);
    }
    return 0;
}

static int o_create(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    (void)h;
    the->writes++;
    struct val *v = parse(bytes_str(obj));
    json_set(the->arena, the->objects, object_name(k->resource, k->ns, k->name), v);
    if (ret)
        *ret = give(c, v);
    return 0;
}

static void merge(struct val *to, const struct val *patch);

/* By type; a member that the patch has not stays. */
static void merge_conditions(struct val *to, const struct val *old, const struct val *patch)
{
    struct val *list = val_is(old, VAL_ARR) ? val_copy(the->arena, old) : val_new(the->arena, VAL_ARR);
    val_each(c, patch)
    {
        struct val *was = (struct val *)condition_find(list, json_str(c, "type"));
        if (str_is(json_str(c, "$patch"), "delete")) {
            if (was)
                val_unlink(list, was);
            continue;
        }
        merge(was ? was : val_push(list, val_new(the->arena, VAL_OBJ)), c);
    }
    json_set(the->arena, to, STR("conditions"), list);
}

/* Members of the patch replace the object's; conditions merge by type. */
static void merge(struct val *to, const struct val *patch)
{
    val_each(m, patch)
    {
        if (m->type == VAL_NULL) {
            json_del(to, val_key(m));
            continue;
        }
        struct val *copy = val_copy(the->arena, m), *old = json_get(to, val_key(m));
        if (copy->type == VAL_OBJ) {
            merge(json_obj(the->arena, to, val_key(m)), copy);
            continue;
        }
        if (str_is(val_key(m), "conditions") && val_is(copy, VAL_ARR)) {
            merge_conditions(to, old, copy);
            continue;
        }
        for (struct val *x = copy->type == VAL_ARR ? copy->first : NULL, *next; x; x = next) {
            next = x->next;
            if (json_get(x, STR("$patch")))
                val_unlink(copy, x);
        }
        json_set(the->arena, to, val_key(m), copy);
    }
}

static int o_patch(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes patch,
                   struct kl_bytes *ret)
{
    (void)h, (void)type;
    struct val *v = json_get(the->objects, object_name(k->resource, k->ns, k->name));
    if (!v)
        return kl_fail(c, KL_NOT_FOUND, "%s \"%s\" not found", k->resource, k->name);
    the->writes++;
    merge(v, parse(bytes_str(patch)));
    if (ret)
        *ret = give(c, v);
    return 0;
}

static int o_remove(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, const struct kl_delete_options *o)
{
    (void)h;
    struct str name = object_name(k->resource, k->ns, k->name);
    struct val *v = json_get(the->objects, name);
    if (!v)
        return kl_fail(c, KL_NOT_FOUND, "gone");
    if (o->uid && !str_is(json_str(v, "metadata.uid"), o->uid))
        return kl_fail(c, KL_CONFLICT, "another uid");
    cr_assert(o->grace_seconds == 0 || strcmp(k->resource, "/pods") != 0, "a pod goes at once or not at all");
    json_del(the->objects, name);
    return 0;
}

static void o_event(const struct kl_host *h, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    (void)h, (void)about, (void)type;
    val_push(the->events, val_of_str(the->arena, str_of(arena_printf(the->arena, "%s %s", reason, message))));
}

static const struct kl_host_objects objects = { .size = sizeof objects, .get = o_get, .list = o_list, .create = o_create, .patch = o_patch,
                                                .remove = o_remove, .event = o_event };

/* --- runtime --- */

static struct val *by_id(const struct val *list, const char *id)
{
    val_each(v, list)
        if (str_is(json_str(v, "id"), id))
            return v;
    return NULL;
}

static int r_sandbox_run(void *self, struct kl_call *c, struct kl_bytes config, const char **ret_id)
{
    (void)self;
    struct val *in = parse(bytes_str(config)), *v = val_new(the->arena, VAL_OBJ);
    char *id = arena_printf(the->arena, "s%u", the->sandboxes->n);
    set_z(the->arena, v, "id", id);
    set_z(the->arena, v, "state", "SANDBOX_READY");
    set_v(the->arena, v, "metadata", val_copy(the->arena, json_get(in, STR("metadata"))));
    val_push(the->sandboxes, v);
    set_i(the->arena, v, "createdAt", the->wall_ns);
    note("sandbox", json_str(v, "metadata.name"));
    *ret_id = kl_dup(c, id, strlen(id));
    return 0;
}

static int r_sandbox_stop(void *self, struct kl_call *c, const char *id)
{
    (void)self, (void)c;
    struct val *v = by_id(the->sandboxes, id);
    if (v)
        set_z(the->arena, v, "state", "SANDBOX_NOTREADY");
    return 0;
}

static int r_sandbox_remove(void *self, struct kl_call *c, const char *id)
{
    (void)self, (void)c;
    struct val *v = by_id(the->sandboxes, id);
    for (struct val *k = the->containers->first, *next; k; k = next) {
        next = k->next;
        if (str_is(json_str(k, "podSandboxId"), id))
            val_unlink(the->containers, k);
    }
    if (v)
        val_unlink(the->sandboxes, v);
    note("remove", str_of(id));
    return 0;
}

static int r_create(void *self, struct kl_call *c, const char *sandbox, struct kl_bytes config, const char **ret_id)
{
    (void)self;
    struct val *in = parse(bytes_str(config)), *v = val_copy(the->arena, in);
    char *id = arena_printf(the->arena, "%s-%lld", arena_dup(the->arena, json_str(in, "metadata.name")),
                            (long long)json_int(in, "metadata.attempt", 0));
    set_z(the->arena, v, "id", id);
    set_z(the->arena, v, "podSandboxId", arena_dup(the->arena, str_of(sandbox)));
    set_z(the->arena, v, "state", "CONTAINER_CREATED");
    set_i(the->arena, v, "createdAt", the->wall_ns);
    set_z(the->arena, v, "imageRef", "sha256:1");
    set_z(the->arena, v, "logPath", "");
    val_push(the->containers, v);
    *ret_id = kl_dup(c, id, strlen(id));
    return 0;
}

static int r_start(void *self, struct kl_call *c, const char *id)
{
    (void)self, (void)c;
    struct val *v = by_id(the->containers, id);
    set_z(the->arena, v, "state", "CONTAINER_RUNNING");
    set_i(the->arena, v, "startedAt", the->wall_ns);
    note("start", str_of(id));
    return 0;
}

static void end(struct val *v, int code, const char *reason)
{
    set_z(the->arena, v, "state", "CONTAINER_EXITED");
    set_i(the->arena, v, "exitCode", code);
    set_i(the->arena, v, "finishedAt", the->wall_ns);
    set_z(the->arena, v, "reason", reason);
}

static int r_stop(void *self, struct kl_call *c, const char *id, int64_t grace_ns)
{
    (void)self, (void)c;
    struct val *v = by_id(the->containers, id);
    buf_printf(&the->trace, "stop %s %lld\n", id, (long long)(grace_ns / NS_PER_S));
    if (v && !the->no_stop && str_is(json_str(v, "state"), "CONTAINER_RUNNING"))
        end(v, the->ignores_term || grace_ns == 0 ? 137 : 0, the->ignores_term || grace_ns == 0 ? "Error" : "Completed");
    return 0;
}

static int r_remove(void *self, struct kl_call *c, const char *id)
{
    (void)self, (void)c;
    struct val *v = by_id(the->containers, id);
    if (v)
        val_unlink(the->containers, v);
    note("drop", str_of(id));
    return 0;
}

static int r_list(void *self, struct kl_call *c, const char *uid, struct kl_bytes *ret)
{
    (void)self, (void)uid;
    struct val *v = val_new(the->arena, VAL_OBJ);
    set_v(the->arena, v, "sandboxes", val_copy(the->arena, the->sandboxes));
    set_v(the->arena, v, "containers", val_copy(the->arena, the->containers));
    *ret = give(c, v);
    return 0;
}

static int r_exec(void *self, struct kl_call *c, const char *id, const char *const *argv, const struct kl_runtime_io *io, int32_t *code)
{
    (void)self;
    note("exec", str_of(argv[0]));
    note(" in", str_of(id));
    if (the->exec_code < 0)
        return kl_fail(c, -the->exec_code, "cannot run");
    if (the->exec_output)
        cr_assert_eq(write(io->out, the->exec_output, strlen(the->exec_output)), (ssize_t)strlen(the->exec_output));
    *code = the->exec_code;
    return 0;
}

static int r_image_status(void *self, struct kl_call *c, const char *ref, struct kl_bytes *ret)
{
    (void)self;
    if (the->no_image)
        return kl_fail(c, KL_NOT_FOUND, "no image '%s'", ref);
    static const char answer[] = "{\"id\":\"sha256:1\",\"config\":{}}";
    *ret = (struct kl_bytes){ answer, sizeof answer - 1 };
    return 0;
}

static int r_image_pull(void *self, struct kl_call *c, const char *ref, struct kl_bytes auth, struct kl_bytes *ret)
{
    (void)self, (void)auth, (void)ret;
    return the->no_image ? kl_fail(c, KL_NOT_FOUND, "no image '%s' here", ref) : 0;
}

static int r_image_list(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    static const char answer[] = "{\"images\":[{\"repoTags\":[\"small\"],\"size\":1},{\"repoTags\":[\"large\"],\"size\":2}]}";
    (void)self;
    *ret = the->images ? give(c, the->images) : (struct kl_bytes){ answer, sizeof answer - 1 };
    return 0;
}

static int r_image_remove(void *self, struct kl_call *c, const char *ref)
{
    (void)self, (void)c;
    note("rmi", str_of(ref));
    return 0;
}

void observe_fake(struct agent *a, struct observed *ret)
{
    (void)a;
    memcpy(ret, the->seen, sizeof the->seen);
}

static int r_stats(void *self, struct kl_call *c, const char *uid, struct kl_bytes *ret)
{
    (void)self, (void)uid;
    *ret = give(c, the->figures);
    return 0;
}

/* The numbers that tell one limit from another. */
static int note_limits(struct kl_call *c, const char *what, const char *id, const struct val *config)
{
    const struct val *r = json_path(config, "linux.resources");
    if (the->no_update)
        return kl_fail(c, KL_CONFLICT, "in use");
    buf_printf(&the->trace, "%s %s %lld %lld\n", what, id, (long long)json_int(r, "cpuShares", 0), (long long)json_int(r, "memoryLimitInBytes", 0));
    return 0;
}

static int r_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    (void)self;
    struct val *in = parse(bytes_str(config)), *v = by_id(the->containers, id), *notes = json_get(in, STR("annotations"));
    int rc = note_limits(c, "update", id, in);
    if (rc == 0)
        val_each(m, notes)
            json_set(the->arena, json_obj(the->arena, v, STR("annotations")), val_key(m), val_copy(the->arena, m));
    return rc;
}

static int r_sandbox_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    (void)self;
    return note_limits(c, "widen", id, parse(bytes_str(config)));
}

static int any_probe(void *self, struct kl_call *c)
{
    (void)self;
    return the->unwell ? kl_fail(c, KL_UNAVAILABLE, "%s", the->unwell) : 0;
}

static const struct kl_runtime runtime = { .size = sizeof runtime, .life.probe = any_probe, .sandbox_run = r_sandbox_run, .sandbox_stop = r_sandbox_stop,
                                           .sandbox_remove = r_sandbox_remove, .container_create = r_create, .container_start = r_start,
                                           .container_stop = r_stop, .container_remove = r_remove, .list = r_list, .exec = r_exec,
                                           .image_status = r_image_status, .image_pull = r_image_pull, .image_list = r_image_list,
                                           .image_remove = r_image_remove, .container_update = r_update, .sandbox_update = r_sandbox_update,
                                           .stats = r_stats };

/* --- network --- */

static int n_attach(void *self, struct kl_call *c, struct kl_bytes pod, struct kl_bytes *ret)
{
    (void)self, (void)pod;
    static const char answer[] = "{\"netns\":\"/run/ns/x\",\"ips\":[\"10.0.0.9\"]}";
    if (the->no_network)
        return kl_fail(c, KL_UNAVAILABLE, "no address is free");
    *ret = (struct kl_bytes){ answer, sizeof answer - 1 };
    note("attach", STR(""));
    return 0;
}

static int n_detach(void *self, struct kl_call *c, const char *uid)
{
    (void)self, (void)c;
    note("detach", str_of(uid));
    return 0;
}

static const struct kl_network network = { .size = sizeof network, .attach = n_attach, .detach = n_detach };

static int p_find(const struct kl_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret)
{
    (void)h, (void)name, (void)ret;
    return kl_fail(c, KL_NOT_FOUND, "there is no instance of %s", iface);
}
static const struct kl_host_plugins plugins = { sizeof plugins, p_find };

/* --- world --- */

struct world *world_new(void)
{
    struct world *w = mem_alloc(sizeof *w);
    struct agent *a = &w->agent;
    the = w;
    w->arena = arena_new(0);
    snprintf(w->dir, sizeof w->dir, "/tmp/node-agent-test.XXXXXX");
    cr_assert(mkdtemp(w->dir));
    w->objects = val_new(w->arena, VAL_OBJ);
    w->keys = val_new(w->arena, VAL_OBJ);
    w->figures = val_new(w->arena, VAL_OBJ);
    w->events = val_new(w->arena, VAL_ARR);
    w->sandboxes = val_new(w->arena, VAL_ARR);
    w->containers = val_new(w->arena, VAL_ARR);
    w->trace.max = 1 << 20;
    w->mono_ns = 1000 * NS_PER_S;
    w->wall_ns = 1767225600 * NS_PER_S;     /* 2026-01-01T00:00:00Z */
    w->conf = (struct agent_conf){ .node = "n1", .state_dir = w->dir, .log_dir = arena_printf(w->arena, "%s/logs", w->dir), .version = "v1.36.0",
                                   .service_cidr = "10.96.0.0/12", .cluster_cidr = "10.0.0.0/16", .pod_cidr = "10.0.3.0/24", .cluster_domain = "cluster.local",
                                   .max_pods = 110, .log_max_bytes = 1024, .log_files = 3, .port = 10250 };
    w->host = (struct kl_host){ .size = sizeof w->host, .instance = "node-agent", .log = quiet };
    *a = (struct agent){ .host = &w->host, .conf = &w->conf, .env = &env, .objects = &objects, .queue = &queue, .plugins = &plugins,
                         .rt = &runtime, .net = &network, .inline_jobs = true, .has_waiter = true };
    snprintf(a->node, sizeof a->node, "n1");
    snprintf(a->ip, sizeof a->ip, "192.0.2.1");
    snprintf(a->runtime_name, sizeof a->runtime_name, "fake");
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->admission, NULL);
    pthread_mutex_init(&a->up_lock, NULL);
    pthread_cond_init(&a->idle, NULL);
    cr_assert(own_call_init(&w->own, a));
    return w;
}

void world_free(struct world *w)
{
    own_call_done(&w->own);
    mem_free_all(&w->agent);
    rates_free(&w->agent);
    evict_close(&w->agent);
    cr_assert_eq(fs_remove_tree(w->dir), 0);
    buf_free(&w->trace);
    arena_free(w->arena);
    mem_free(w);
}

void world_put(struct world *w, const char *resource, const char *text)
{
    struct val *v = world_parse(w, text), *meta = json_get(v, STR("metadata"));
    char *ns = arena_dup(w->arena, json_str(meta, "namespace")), *name = arena_dup(w->arena, json_str(meta, "name"));
    json_set(w->arena, w->objects, object_name(resource, ns ? ns : "", name), v);
}

struct val *world_get(struct world *w, const char *resource, const char *ns_name)
{
    return json_get(w->objects, str_of(arena_printf(w->arena, "%s %s", resource, ns_name)));
}

int world_sync(struct world *w, const char *key, int64_t *again_ns)
{
    int64_t again = 0;
    buf_clear(&w->trace);
    kl_err_init(&w->own.call.err);
    int rc = sync_pod(&w->agent, &w->own.call, str_of(key), &again);
    if (again_ns)
        *again_ns = again;
    return rc;
}

struct val *world_container(struct world *w, const char *name)
{
    struct val *newest = NULL;
    val_each(v, w->containers)
        if (str_is(json_str(v, "metadata.name"), name))
            newest = v;
    return newest;
}

void world_end(struct world *w, const char *container, int code, const char *reason)
{
    struct val *v = world_container(w, container);
    cr_assert(v, "no container '%s'", container);
    end(v, code, reason);
}

void world_pass(struct world *w, int64_t seconds)
{
    w->mono_ns += seconds * NS_PER_S;
    w->wall_ns += seconds * NS_PER_S;
}

const char *world_trace(const struct world *w)
{
    return w->trace.len ? w->trace.at : "";
}

bool world_told(struct world *w, const char *event)
{
    val_each(v, w->events)
        if (str_starts(val_str(v), str_of(event)))
            return true;
    return false;
}

void world_restart(struct world *w)
{
    mem_free_all(&w->agent);
    memset(&w->agent.pods, 0, sizeof w->agent.pods);
}
