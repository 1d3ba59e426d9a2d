/* agent.c - an instance's life, its keys, the thread that waits for containers, and small helpers of all parts. */
#include "probes.h"
#include "evict.h"
#include "sample.h"

#include <signal.h>

#define WAIT_NS  (600 * NS_PER_S)           /* the runtime's wait ends early when the agent closes */
#define SWEEP_NS (15 * NS_PER_S)

struct val *agent_parse(struct arena *a, struct kl_call *c, struct kl_bytes b)
{
    return json_parse(a, bytes_str(b), &c->err);
}

struct kl_bytes agent_text(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(AGENT_ARENA_BYTES);
    if (!v)
        return (struct kl_bytes){ NULL, 0 };
    json_write(&b, v);
    char *text = b.failed ? NULL : arena_dup(a, buf_str(&b));
    return (struct kl_bytes){ text, text ? b.len : 0 };
}

struct kl_object_key agent_key(const char *resource, const char *ns, const char *name, const char *sub)
{
    return (struct kl_object_key){ sizeof(struct kl_object_key), resource, ns, name, sub };
}

int agent_get(struct agent *a, struct kl_call *c, struct arena *ar, const struct kl_object_key *k, struct val **ret)
{
    struct kl_bytes bytes = { NULL, 0 };
    int rc = a->objects->get(a->host, c, k, &bytes);
    if (rc < 0)
        return rc;
    *ret = agent_parse(ar, c, bytes);
    return *ret ? 0 : -c->err.code;
}

int agent_own_pods(struct agent *a, struct kl_call *c, struct arena *ar, struct kl_object_list *ret)
{
    struct kl_list_options o = { .size = sizeof o, .resource = "/pods", .field_selector = arena_printf(ar, "spec.nodeName=%s", a->node) };
    *ret = (struct kl_object_list){ .size = sizeof *ret };
    return o.field_selector ? a->objects->list(a->host, c, &o, ret) : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

int agent_get_pod(struct agent *a, struct kl_call *c, struct arena *ar, const char *ns, const char *name, struct val **ret)
{
    struct kl_object_key k = agent_key("/pods", ns, name, NULL);
    struct kl_object_list own;
    int rc = agent_get(a, c, ar, &k, ret);
    if (rc != -KL_FORBIDDEN)
        return rc;
    kl_err_init(&c->err);
    rc = agent_own_pods(a, c, ar, &own);
    for (uint32_t i = 0; rc == 0 && i < own.n; i++) {
        struct val *pod = agent_parse(ar, c, own.at[i]);
        if (!pod)
            return -c->err.code;
        if (str_is(json_str(pod, "metadata.name"), name) && str_is(json_str(pod, "metadata.namespace"), ns)) {
            *ret = pod;
            return 0;
        }
    }
    return rc < 0 ? rc : kl_fail(c, KL_NOT_FOUND, "pod '%s/%s' is not on this node", ns, name);
}

struct str time_text(struct arena *a, int64_t wall_ns)
{
    char text[CLOCK_TEXT];
    clock_format(wall_ns, text);
    return arena_str(a, str_of(text));
}

static void *own_alloc(void *arena, size_t n)
{
    return arena_alloc(((struct own_arena *)arena)->arena, n);
}

static bool own_cancelled(const struct kl_call *c)
{
    return ((struct own_arena *)c->arena)->agent->stopping;
}

bool own_call_init(struct own_call *o, struct agent *a)
{
    memset(o, 0, sizeof *o);
    o->arena.arena = arena_new(AGENT_ARENA_BYTES);
    o->arena.agent = a;
    o->call.size = sizeof o->call;
    kl_err_init(&o->call.err);
    o->call.arena = &o->arena;
    o->call.alloc = own_alloc;
    o->call.cancelled = own_cancelled;
    return o->arena.arena != NULL;
}

void own_call_done(struct own_call *o)
{
    o->arena.arena = arena_free(o->arena.arena);
}

struct kl_call call_within(const struct agent *a, const struct kl_call *c, int64_t in_ns)
{
    struct kl_call sub = *c;
    int64_t by = agent_mono(a) + in_ns;
    if (!sub.deadline_ns || sub.deadline_ns > by)
        sub.deadline_ns = by;
    kl_err_init(&sub.err);
    return sub;
}

int agent_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct agent *a = mem_alloc(sizeof *a);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "no memory for the node agent");
    a->host = h;
    a->conf = conf;
    a->env = h->service(h, KL_HOST_ENV_0);
    a->objects = h->service(h, KL_HOST_OBJECTS_0);
    a->queue = h->service(h, KL_HOST_QUEUE_0);
    a->plugins = h->service(h, KL_HOST_PLUGINS_0);
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->admission, NULL);
    pthread_mutex_init(&a->up_lock, NULL);
    pthread_cond_init(&a->idle, NULL);
    int rc = a->env && a->objects && a->plugins ? identity_name(a, c)
                                                : kl_fail(c, KL_UNAVAILABLE, "the host lacks a service that '%s' needs", h->instance);
    if (rc < 0) {
        agent_close(a);
        return rc;
    }
    identity_address(a);
    a->opened_wall_ns = agent_wall(a);
    rc = disk_mkdirs(a->conf->state_dir, 0711, &c->err);
    if (rc < 0) {
        agent_close(a);
        return rc;
    }
    *self = a;
    return 0;
}

void agent_close(void *self)
{
    struct agent *a = self;
    a->stopping = true;
    if (a->has_waiter)
        pthread_join(a->waiter, NULL);
    jobs_wait(a);
    mem_free_all(a);
    rates_free(a);
    evict_close(a);
    pthread_mutex_destroy(&a->lock);
    pthread_mutex_destroy(&a->admission);
    pthread_mutex_destroy(&a->up_lock);
    pthread_cond_destroy(&a->idle);
    mem_free(a);
}

static int find_runtime(struct agent *a, struct kl_call *c)
{
    struct kl_instance found = { .size = sizeof found };
    struct kl_bytes version = { NULL, 0 };
    int rc = a->plugins->find(a->host, c, KL_RUNTIME_0, a->conf->runtime, &found);
    if (rc < 0)
        return rc;
    const struct kl_runtime *rt = found.table;
    rc = rt->version(found.self, c, &version);
    if (rc < 0)
        return kl_err_wrap(&c->err, "runtime '%s'", found.name);
    _cleanup_arena_ struct arena *ar = arena_new(0);
    struct val *v = ar ? agent_parse(ar, c, version) : NULL;
    if (!v)
        return kl_err_wrap(&c->err, "runtime '%s'", found.name);
    snprintf(a->runtime_name, sizeof a->runtime_name, STR_FMT, STR_ARG(json_str(v, "runtimeName")));
    snprintf(a->runtime_version, sizeof a->runtime_version, STR_FMT, STR_ARG(json_str(v, "runtimeVersion")));
    a->rt_self = found.self;
    a->rt = rt;
    return 0;
}

int agent_runtime(struct agent *a, struct kl_call *c)
{
    pthread_mutex_lock(&a->up_lock);
    int rc = a->rt ? 0 : find_runtime(a, c);
    pthread_mutex_unlock(&a->up_lock);
    return rc;
}

static struct val *one(struct arena *a, struct str s)
{
    struct val *list = val_new(a, VAL_ARR);
    val_push(list, val_of_str(a, s));
    return list;
}

static int network_config(struct agent *a, struct kl_call *c, struct arena *ar, struct kl_bytes *ret)
{
    struct kl_object_key k = agent_key("/nodes", "", a->node, NULL);
    struct val *node = NULL, *conf = val_new(ar, VAL_OBJ);
    int rc = agent_get(a, c, ar, &k, &node);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    struct str cidr = json_str(node, "spec.podCIDR");
    if (!cidr.len && a->conf->pod_cidr)
        cidr = str_of(a->conf->pod_cidr);
    if (!cidr.len)                      /* a controller gives it one, or the settings do: two nodes must not take the same by themselves */
        return kl_fail(c, KL_UNAVAILABLE, "node '%s' has no range of pod addresses yet (spec.podCIDR)", a->node);
    set_z(ar, conf, "node", a->node);
    set_v(ar, conf, "podCIDRs", one(ar, cidr));
    set_v(ar, conf, "serviceCIDRs", one(ar, str_of(a->conf->service_cidr)));
    set_v(ar, conf, "clusterCIDRs", one(ar, str_of(a->conf->cluster_cidr)));
    *ret = agent_text(ar, conf);
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "no memory");
}

static int find_network(struct agent *a, struct kl_call *c)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct kl_instance found = { .size = sizeof found };
    struct kl_bytes text = { NULL, 0 };
    int rc = ar ? a->plugins->find(a->host, c, KL_NETWORK_0, a->conf->network, &found) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc == 0)
        rc = network_config(a, c, ar, &text);
    if (rc < 0)
        return rc;
    const struct kl_network *net = found.table;
    rc = KL_HAS(net, configure) ? net->configure(found.self, c, text) : 0;
    if (rc < 0)
        return kl_err_wrap(&c->err, "network '%s'", found.name);
    a->net_self = found.self;
    a->net = net;
    return 0;
}

int agent_network(struct agent *a, struct kl_call *c)
{
    pthread_mutex_lock(&a->up_lock);
    int rc = a->net ? 0 : find_network(a, c);
    pthread_mutex_unlock(&a->up_lock);
    return rc;
}

/* It was found once: does it still work? */
static int probe(const struct kl_life *life, void *self, struct kl_call *c)
{
    return life->probe ? life->probe(self, c) : 0;
}

void agent_trouble(struct agent *a, struct kl_call *c, char *ret, size_t cap)
{
    struct kl_call sub = *c;
    kl_err_init(&sub.err);
    *ret = '\0';
    if (agent_up(a, &sub) < 0 || probe(&a->rt->life, a->rt_self, &sub) < 0)
        snprintf(ret, cap, "container runtime is down: %s", sub.err.msg);
    else if (agent_network(a, &sub) < 0 || probe(&a->net->life, a->net_self, &sub) < 0)
        snprintf(ret, cap, "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:%s", sub.err.msg);
}

/* Turns the pods whose containers changed into keys. A pod nobody knows is a leftover: the sweep looks at it. */
static void wake_pods(struct agent *a, const struct val *pods)
{
    if (!val_is(pods, VAL_ARR))
        return;
    val_each(v, pods)
    {
        struct pod_mem *m = mem_get(a, val_str(v));
        a->queue->add(a->host, m ? m->key : SWEEP_KEY, 0);
        if (m)
            mem_put(a, m);
    }
}

static void nap(struct agent *a, int tenths)
{
    for (int i = 0; i < tenths && !a->stopping; i++)
        usleep(100000);
}

static void *wait_thread(void *ctx)
{
    struct agent *a = ctx;
    while (!a->stopping) {
        struct own_call o;
        struct kl_bytes got = { NULL, 0 };
        if (!own_call_init(&o, a)) {
            nap(a, 10);
            continue;
        }
        o.call.deadline_ns = agent_mono(a) + WAIT_NS;
        if (a->rt->wait(a->rt_self, &o.call, &got) < 0)
            nap(a, 10);
        else
            wake_pods(a, json_get(agent_parse(o.arena.arena, &o.call, got), STR("pods")));
        own_call_done(&o);
    }
    return NULL;
}

static int start_waiting(struct agent *a, struct kl_call *c)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    a->has_waiter = pthread_create(&a->waiter, NULL, wait_thread, a) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return a->has_waiter ? 0 : kl_fail(c, KL_NO_MEMORY, "no thread for '%s'", a->host->instance);
}

int agent_up(struct agent *a, struct kl_call *c)
{
    int rc = agent_runtime(a, c);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&a->up_lock);
    bool first = !a->has_waiter;
    rc = first ? start_waiting(a, c) : 0;
    pthread_mutex_unlock(&a->up_lock);
    if (rc == 0 && first)
        a->queue->add(a->host, SWEEP_KEY, 0);
    return rc;
}

int agent_controller_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    int rc = agent_open(h, conf, self, c);
    if (rc == 0 && !((struct agent *)*self)->queue) {
        agent_close(*self);
        return kl_fail(c, KL_UNAVAILABLE, "the host lacks a work queue for '%s'", h->instance);
    }
    if (rc == 0 && (rc = evict_open(*self, &c->err)) < 0)
        agent_close(*self);
    return rc;
}

int agent_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    struct agent *a = self;
    struct str k = str_of(key);
    *again_ns = 0;
    if (str_is(k, a->node))
        return node_sync(a, c, again_ns);
    if (str_is(k, AGENT_LEASES))            /* the first key of all: there is no Node object yet that would wake us */
        a->queue->add(a->host, a->node, 0);
    if (str_find(k, '/') < 0 && !str_is(k, SWEEP_KEY))
        return 0;
    int rc = agent_up(a, c);
    if (rc < 0)
        return rc;
    if (str_is(k, SWEEP_KEY)) {
        sweep(a, c);
        *again_ns = SWEEP_NS;
        return 0;
    }
    if (str_starts(k, STR(PROBE_PREFIX)))
        return probes_run(a, c, str_skip(k, sizeof PROBE_PREFIX - 1), again_ns);
    return sync_pod(a, c, k, again_ns);
}

static bool uses(const struct pod_mem *m, const char *ns_slash, const char *what)
{
    size_t n = strlen(ns_slash);
    if (!m->uses || strncmp(m->key, ns_slash, n) != 0)
        return false;
    for (char **u = m->uses; *u; u++)
        if (strcmp(*u, what) == 0)
            return true;
    return false;
}

int agent_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    struct agent *a = self;
    (void)old;
    *ret = (struct kl_bytes){ "", 0 };
    pthread_mutex_lock(&a->lock);
    bool none = a->pods.n == 0;
    pthread_mutex_unlock(&a->lock);
    if (none)
        return 0;
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct val *v = ar ? agent_parse(ar, c, obj) : NULL;
    if (!v)
        return ar ? -c->err.code : kl_fail(c, KL_NO_MEMORY, "no memory");
    char *ns = arena_printf(ar, STR_FMT "/", STR_ARG(json_str(v, "metadata.namespace")));
    char *what = arena_printf(ar, "%s/" STR_FMT, resource + (*resource == '/'), STR_ARG(json_str(v, "metadata.name")));
    _cleanup_buf_ struct buf keys = BUF_INIT(1u << 20);
    size_t at = 0;
    void *m;
    pthread_mutex_lock(&a->lock);
    while (ns && what && map_next(&a->pods, &at, NULL, &m))
        if (uses(m, ns, what))
            buf_printf(&keys, "%s\n", ((struct pod_mem *)m)->key);
    pthread_mutex_unlock(&a->lock);
    char *text = keys.failed ? NULL : kl_dup(c, buf_str(&keys).at, keys.len);
    if (!text)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    *ret = (struct kl_bytes){ text, keys.len ? keys.len - 1 : 0 };
    return 0;
}
