/* host.c - see host.h: the services. */
#include "host.h"

#include <stdlib.h>

#include "base/env.h"
#include "host-internal.h"
#include "plugin/host-internal.h"

static __thread enum test_role role;

void test_host_be(enum test_role r)
{
    role = r;
}

static struct test_host *of(const struct kl_host *h)
{
    return h->ctx;
}

bool test_host_fails(const struct kl_host *h, struct kl_call *c)
{
    struct test_host *t = of(h);
    pthread_mutex_lock(&t->lock);
    bool fails = ++t->calls == t->fail_at;
    pthread_mutex_unlock(&t->lock);
    if (fails && c)
        kl_fail(c, KL_UNAVAILABLE, "the test lets this call to the host fail");
    return fails;
}

static void on_loop(const struct kl_host *h, const char *what)
{
    report_check(of(h)->report, P_HOST_THREAD, what, role == TEST_LOOP, "called on %s", role == TEST_WORKER ? "a worker" : "a thread of the plugin");
}

/* --- log, environment --- */

static void log_(const struct kl_host *h, int32_t level, const char *line)
{
    (void)level;
    report_check(of(h)->report, P_LOG, "log", line && !strchr(line, '\n'), "the line '%.60s' holds a line break", line ? line : "");
}

static int64_t mono(const struct kl_host *h)
{
    (void)h;
    return env_mono_ns();
}

static int64_t wall(const struct kl_host *h)
{
    (void)h;
    return env_wall_ns();
}

static void random_(const struct kl_host *h, void *at, size_t n)
{
    (void)h;
    memset(at, 7, n);                   /* the same each time, as in a simulation */
}

static const struct kl_host_env env_table = { sizeof env_table, mono, wall, random_ };

/* --- queue, requests that wait --- */

static void add_key(const struct kl_host *h, const char *key, int64_t delay_ns)
{
    (void)h;
    (void)key;
    (void)delay_ns;
}

static void wake(const struct kl_host *h, uint64_t request)
{
    (void)h;
    (void)request;
}

static const struct kl_host_queue queue_table = { sizeof queue_table, add_key };
static const struct kl_host_wait wait_table = { sizeof wait_table, wake };

/* --- other servers: none can be reached --- */

static uint64_t http_start(const struct kl_host *h, struct kl_call *c, const struct kl_http_target *t, const struct kl_http_request *r)
{
    (void)t;
    (void)r;
    on_loop(h, "keelson.host.http start");
    return test_host_fails(h, c) ? 0 : 1;
}

static void http_wait(const struct kl_host *h, uint64_t ticket, uint64_t request)
{
    (void)ticket;
    (void)request;
    on_loop(h, "keelson.host.http wait");
}

static int http_result(const struct kl_host *h, struct kl_call *c, uint64_t ticket, struct kl_http_answer *ret)
{
    (void)ticket;
    (void)ret;
    on_loop(h, "keelson.host.http result");
    return kl_fail(c, KL_UNAVAILABLE, "no connection: this host reaches nobody");
}

static void http_drop(const struct kl_host *h, uint64_t ticket)
{
    (void)ticket;
    on_loop(h, "keelson.host.http drop");
}

static const struct kl_host_http http_table = { sizeof http_table, http_start, http_wait, http_result, http_drop };

/* --- who may, other instances --- */

static int authorize(const struct kl_host *h, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)user;
    (void)r;
    on_loop(h, "keelson.host.authz authorize");
    return test_host_fails(h, c) ? -KL_UNAVAILABLE : 1;
}

static const struct kl_host_authz authz_table = { sizeof authz_table, authorize };

/* Providers of the same file are not there: they are tested one by one. */
static int find(const struct kl_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret)
{
    const struct kl_plugin *p = of(h)->plugin;
    const void *table = mock_table(iface);
    for (uint32_t i = 0; i < p->providers.n; i++)
        if (strcmp(KL_AT(struct kl_provider, p->providers, i)->iface, iface) == 0)
            table = NULL;
    if (test_host_fails(h, c))
        return -KL_UNAVAILABLE;
    if (!table)
        return kl_fail(c, KL_NOT_FOUND, "there is no instance%s%s of %s", name ? " " : "", name ? name : "", iface);
    *ret = (struct kl_instance){ sizeof *ret, name ? name : "mock", table, NULL };
    return 0;
}

static const struct kl_host_plugins plugins_table = { sizeof plugins_table, find };

/* --- by id --- */

static const struct {
    const char *id;
    const void *table;
} services[] = {
    { KL_HOST_ENV_0, &env_table },       { KL_HOST_OBJECTS_0, &test_objects_table }, { KL_HOST_QUEUE_0, &queue_table }, { KL_HOST_WAIT_0, &wait_table },
    { KL_HOST_HTTP_0, &http_table },     { KL_HOST_AUTHZ_0, &authz_table },          { KL_HOST_PLUGINS_0, &plugins_table },
    { KL_HOST_CEL_0, &host_cel_table },
};

static const void *service(const struct kl_host *h, const char *id)
{
    const struct kl_plugin *p = of(h)->plugin;
    const struct kl_need *need = NULL;
    for (uint32_t i = 0; i < p->needs.n && !need; i++)
        if (strcmp(KL_AT(struct kl_need, p->needs, i)->id, id) == 0)
            need = KL_AT(struct kl_need, p->needs, i);
    report_check(of(h)->report, P_NEEDS, "service", need, "'%s' is asked for and not among the needs", id);
    if (!need || (need->optional && of(h)->lean))
        return NULL;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i].id, id) == 0)
            return services[i].table;
    return NULL;
}

bool test_host_init(struct test_host *h, const struct kl_plugin *p, const char *name, struct report *r)
{
    *h = (struct test_host){ .plugin = p, .report = r, .lock = PTHREAD_MUTEX_INITIALIZER, .arena = arena_new(0), .revision = 1000 };
    h->host = (struct kl_host){ .size = sizeof h->host, .abi_major = KL_ABI_MAJOR, .name = "keelson", .version = KEELSON_VERSION, .instance = name, .ctx = h,
                                .log = log_, .service = service };
    bool ok = h->arena != NULL;
    for (const struct sample_object *s = sample_objects; ok && s->resource; s++)
        ok = test_objects_put(h, s->resource, s->json);
    if (!ok)
        test_host_done(h);
    return ok;
}

void test_host_done(struct test_host *h)
{
    mem_free(h->at);
    h->at = NULL;
    h->arena = arena_free(h->arena);
    h->n = h->cap = 0;
}
