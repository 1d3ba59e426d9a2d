/* plugin.c - @NAME@: a runtime that pretends. Sandboxes and containers are records; nothing runs. What a real one starts and kills belongs where
 * the comments say so. Everything comes on workers, many at once. */
#include <keelson/iface/runtime.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define MOST 256u

struct conf {
    int64_t most;
};

enum what { FREE = 0, SANDBOX, CREATED, RUNNING, EXITED };

struct record {
    enum what what;
    unsigned sandbox;                   /* of a container */
};

struct runtime {
    const struct kl_host_env *env;
    const struct kl_host *host;
    const struct conf *conf;
    pthread_mutex_t lock;
    struct record at[MOST];
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct runtime *r = calloc(1, sizeof *r);
    if (!r)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    r->host = h;
    r->env = h->service(h, KL_HOST_ENV_0);
    r->conf = conf;
    pthread_mutex_init(&r->lock, NULL);
    *self = r;
    return 0;
}

static void close_(void *self)
{
    struct runtime *r = self;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* --- records: an id is "s" or "c" and a number --- */

static struct record *find(struct runtime *r, const char *id, int sandbox)
{
    char *end;
    unsigned long n = id[0] == (sandbox ? 's' : 'c') && id[1] ? strtoul(id + 1, &end, 10) : MOST;
    if (n >= MOST || *end || r->at[n].what == FREE || (r->at[n].what == SANDBOX) != sandbox)
        return NULL;
    return &r->at[n];
}

static int unknown(struct kl_call *c, const char *what, const char *id)
{
    return kl_fail(c, KL_NOT_FOUND, "there is no %s '%.120s'", what, id);
}

static int add(struct runtime *r, struct kl_call *c, enum what what, unsigned sandbox, const char **ret_id)
{
    char *id = kl_alloc(c, 16);
    unsigned n = 0;
    if (!id)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    while (n < MOST && n < (unsigned)r->conf->most && r->at[n].what != FREE)
        n++;
    if (n == MOST || n == (unsigned)r->conf->most)
        return kl_fail(c, KL_TOO_MANY_REQUESTS, "no more than %lld can be there", (long long)r->conf->most);
    r->at[n] = (struct record){ what, sandbox };
    snprintf(id, 16, "%c%u", what == SANDBOX ? 's' : 'c', n);
    *ret_id = id;
    return 0;
}

/* --- the calls --- */

static int say(struct kl_call *c, const char *text, struct kl_bytes *ret)
{
    size_t n = strlen(text);
    *ret = (struct kl_bytes){ kl_dup(c, text, n), n };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int version(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    (void)self;
    return say(c, "{\"runtimeName\":\"@NAME@\",\"runtimeVersion\":\"0.1.0\",\"cgroup\":\"v2\",\"notes\":[]}", ret);
}

static int sandbox_run(void *self, struct kl_call *c, struct kl_bytes config, const char **ret_id)
{
    struct runtime *r = self;
    (void)config;                       /* namespaces and the first process: here */
    pthread_mutex_lock(&r->lock);
    int rc = add(r, c, SANDBOX, 0, ret_id);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static int sandbox_stop(void *self, struct kl_call *c, const char *id)
{
    struct runtime *r = self;
    (void)c;
    pthread_mutex_lock(&r->lock);
    struct record *s = find(r, id, 1);
    for (unsigned i = 0; s && i < MOST; i++)
        if (r->at[i].what == RUNNING && r->at[i].sandbox == (unsigned)(s - r->at))
            r->at[i].what = EXITED;
    pthread_mutex_unlock(&r->lock);
    return 0;
}

static int sandbox_remove(void *self, struct kl_call *c, const char *id)
{
    struct runtime *r = self;
    (void)c;
    pthread_mutex_lock(&r->lock);
    struct record *s = find(r, id, 1);
    for (unsigned i = 0; s && i < MOST; i++)
        if (r->at[i].what != SANDBOX && r->at[i].sandbox == (unsigned)(s - r->at))
            r->at[i].what = FREE;
    if (s)
        s->what = FREE;
    pthread_mutex_unlock(&r->lock);
    return 0;
}

static int container_create(void *self, struct kl_call *c, const char *sandbox_id, struct kl_bytes config, const char **ret_id)
{
    struct runtime *r = self;
    (void)config;
    pthread_mutex_lock(&r->lock);
    struct record *s = find(r, sandbox_id, 1);
    int rc = s ? add(r, c, CREATED, (unsigned)(s - r->at), ret_id) : unknown(c, "sandbox", sandbox_id);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static int change(struct runtime *r, struct kl_call *c, const char *id, enum what to, int must)
{
    pthread_mutex_lock(&r->lock);
    struct record *k = find(r, id, 0);
    if (k)
        k->what = to;
    pthread_mutex_unlock(&r->lock);
    return k || !must ? 0 : unknown(c, "container", id);
}

static int container_start(void *self, struct kl_call *c, const char *id)
{
    return change(self, c, id, RUNNING, 1);
}

static int container_stop(void *self, struct kl_call *c, const char *id, int64_t grace_ns)
{
    (void)grace_ns;
    return change(self, c, id, EXITED, 0);
}

static int container_remove(void *self, struct kl_call *c, const char *id)
{
    return change(self, c, id, FREE, 0);
}

/* Other limits for what runs: nothing here uses any. */
static int update(struct runtime *r, struct kl_call *c, const char *id, int sandbox)
{
    pthread_mutex_lock(&r->lock);
    const struct record *found = find(r, id, sandbox);
    pthread_mutex_unlock(&r->lock);
    return found ? 0 : unknown(c, sandbox ? "sandbox" : "container", id);
}

static int container_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    (void)config;
    return update(self, c, id, 0);
}

static int sandbox_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config)
{
    (void)config;
    return update(self, c, id, 1);
}

static int list(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret)
{
    (void)self;
    (void)pod_uid;                      /* the records as iface/runtime.h shows them */
    return say(c, "{\"sandboxes\":[],\"containers\":[]}", ret);
}

static int exec(void *self, struct kl_call *c, const char *id, const char *const *argv, const struct kl_runtime_io *io, int32_t *exit_code)
{
    struct runtime *r = self;
    (void)argv;
    (void)io;
    pthread_mutex_lock(&r->lock);
    int there = find(r, id, 0) != NULL;
    pthread_mutex_unlock(&r->lock);
    *exit_code = 0;
    return there ? 0 : unknown(c, "container", id);
}

static int attach(void *self, struct kl_call *c, const char *id, const struct kl_runtime_io *io)
{
    int32_t ignored;
    return exec(self, c, id, NULL, io, &ignored);
}

static int reopen_log(void *self, struct kl_call *c, const char *id)
{
    int32_t ignored;
    return exec(self, c, id, NULL, NULL, &ignored);
}

/* Until the deadline, or until nobody wants to know any more. */
static int wait_(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    const struct runtime *r = self;
    while (!kl_cancelled(c) && r->env->mono_ns(r->host) < c->deadline_ns)
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    return say(c, "{\"pods\":[]}", ret);
}

static int image_status(void *self, struct kl_call *c, const char *ref, struct kl_bytes *ret)
{
    (void)self;
    (void)ret;
    return unknown(c, "image", ref);
}

static int image_pull(void *self, struct kl_call *c, const char *ref, struct kl_bytes auth, struct kl_bytes *ret)
{
    (void)auth;
    return image_status(self, c, ref, ret);
}

static int image_list(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    (void)self;
    return say(c, "{\"images\":[]}", ret);
}

static int image_remove(void *self, struct kl_call *c, const char *ref)
{
    (void)self;
    (void)c;
    (void)ref;
    return 0;
}

static int stats(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret)
{
    (void)self;
    (void)pod_uid;
    return say(c, "{\"containers\":[]}", ret);
}

static const struct kl_runtime table = {
    .size = sizeof table,
    .life = { .open = open_, .close = close_ },
    .version = version,
    .sandbox_run = sandbox_run,
    .sandbox_stop = sandbox_stop,
    .sandbox_remove = sandbox_remove,
    .container_create = container_create,
    .container_start = container_start,
    .container_stop = container_stop,
    .container_remove = container_remove,
    .list = list,
    .exec = exec,
    .attach = attach,
    .reopen_log = reopen_log,
    .wait = wait_,
    .image_status = image_status,
    .image_pull = image_pull,
    .image_list = image_list,
    .image_remove = image_remove,
    .stats = stats,
    .container_update = container_update,
    .sandbox_update = sandbox_update,
};
static const struct kl_provider provides[] = { { KL_RUNTIME_0, "@NAME@", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 } };
static const struct kl_conf_field fields[] = {
    { .key = "most", .type = KL_CONF_INT, .offset = offsetof(struct conf, most), .fallback = "200", .min = 1, .max = MOST, .doc = "sandboxes and containers that may be there" },
};

KL_PLUGIN_DEFINE("@ID@", "0.1.0", "keelson.runtime/0:@NAME@", "keelson.host.env/0", .summary = "containers that nobody runs", .license = "Apache-2.0",
                 .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
