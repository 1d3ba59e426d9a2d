/* agent.c - `keelson agent`: a node in its own process. The same plugins as in `keelson up`, over a mirror of the API.
 *
 * Life: credentials (asked for, with a bootstrap token) -> plugin files -> what controllers watch is held -> everything held has been read once (until then no plugin runs, so that
 * none takes an unread cluster for an empty one) -> plugins open, on a thread, because they may ask the server -> controllers run, the node's
 * port listens. Containers are children of nobody here: they outlive all of it. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/node_port.h"
#include "base/cleanup.h"
#include "base/disk.h"
#include "base/env.h"
#include "base/kubeconfig.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/node_keys.h"
#include "mirror/mirror.h"
#include "reconcile/source.h"

#define STOP_NS (5 * NS_PER_S)          /* longest wait for plugins' calls under way */
#define TRIM_NS (60 * NS_PER_S)

struct agent {
    struct options *o;
    struct kubeconfig kubeconfig;
    struct node_keys *keys;
    struct loop *loop;
    struct http_client *http;
    struct mirror *mirror;
    struct plugin_host *host;
    struct node_port *port;
    struct loop_timer patience, trim;
    pthread_t opener;
    bool opening, running, stopping, hasty;
    unsigned ending;                    /* parts still to end */
    int status;                         /* of the process */
    int64_t began_ns;
    char name[256], pid_file[PATH_MAX];
};

/* --- start --- */

static int write_ca(struct agent *a, struct kl_err *err)
{
    char dir[PATH_MAX], path[PATH_MAX];
    snprintf(dir, sizeof dir, "%.4000s/pki", a->o->state);
    snprintf(path, sizeof path, "%.4050s/ca.crt", dir);
    int rc = disk_mkdirs(dir, 0700, err);
    if (rc < 0)
        return rc;
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const struct str *ca = &a->kubeconfig.ca;
    if (fd < 0 || write(fd, ca->at, ca->len) != (ssize_t)ca->len)
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, strerror(errno));
    return 0;
}

static int prepare(struct agent *a, struct kl_err *err)
{
    if (!a->o->node_port)
        a->o->node_port = "10250";
    daemon_seed();
    int rc = kubeconfig_read(a->o->arena, a->o->kubeconfig_path, KUBECONFIG_CREDENTIAL, &a->kubeconfig, err);
    if (rc == 0 && a->o->server)
        a->kubeconfig.server = a->o->server;
    if (rc == 0)
        rc = disk_mkdirs(a->o->state, 0700, err);
    if (rc == 0)
        rc = disk_mkdirs(a->o->run, 0711, err);
    if (rc == 0)
        rc = disk_mkdirs(a->o->logs, 0755, err);
    if (rc == 0)
        preload_images(a->o);
    return rc == 0 ? write_ca(a, err) : rc;
}

static void client_changed(void *ctx);
static void server_changed(void *ctx);

static int identity(struct agent *a, struct kl_err *err)
{
    struct node_keys_conf kc = { .loop = a->loop, .state = a->o->state, .kubeconfig = &a->kubeconfig, .kubeconfig_path = a->o->kubeconfig_path,
                                 .name = a->o->node, .name_given = a->o->node != a->o->hostname, .address = a->o->node_address,
                                 .client_changed = client_changed, .server_changed = server_changed, .ctx = a };
    int rc = node_keys_open(&kc, &a->keys, a->name, err);
    a->o->node = a->name;
    return rc;
}

static struct http_client_conf client_conf(const struct agent *a)
{
    const struct kubeconfig *k = &a->kubeconfig;
    return (struct http_client_conf){ .url = k->server, .server_name = k->server_name, .ca = k->ca, .cert = node_keys_cert(a->keys, false),
                                      .key = node_keys_key(a->keys, false) };
}

static int hold_one(struct agent *a, const struct kl_watch *w, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (!w->field_selector)
        return mirror_hold(a->mirror, w->resource, NULL, err);
    int rc = source_expand(w->field_selector, options_variable, a->o, &b, err);
    return rc < 0 ? rc : mirror_hold(a->mirror, w->resource, buf_str(&b).at, err);
}

static int hold_all(struct agent *a, struct kl_err *err)
{
    for (unsigned k = 0; k < plugin_host_count(a->host); k++) {
        struct plugin_instance *i = plugin_host_at(a->host, k);
        if (i->state != PLUGIN_LOADED || !(i->roles & ROLE_NODE) || strcmp(i->provider->iface, KL_CONTROLLER_0) != 0)
            continue;
        const struct kl_controller *t = i->provider->table;
        for (uint32_t w = 0; w < t->watches.n; w++)
            if (hold_one(a, KL_AT(struct kl_watch, t->watches, w), err) < 0)
                return kl_err_wrap(err, "controller '%s'", i->name);
    }
    return 0;
}

static int start(struct agent *a, struct kl_err *err)
{
    struct plugin_host_conf hc = { .config = a->o->tree, .plugin_dir = a->o->plugin_dir, .roles = ROLE_NODE, .variable = options_variable,
                                   .ctx = a->o };
    int rc = prepare(a, err);
    if (rc < 0)
        return rc;
    a->loop = hc.loop = loop_new();
    if (!a->loop)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    rc = identity(a, err);
    if (rc < 0)
        return rc;
    struct http_client_conf cc = client_conf(a);
    rc = http_client_new(a->loop, &cc, &a->http, err);
    struct mirror_conf mc = { .loop = a->loop, .http = a->http, .agent = "keelson-agent/" KEELSON_VERSION };
    if (rc == 0)
        rc = mirror_new(&mc, &a->mirror, err);
    if (rc == 0)
        rc = plugin_host_new(&hc, &a->host, err);
    if (rc < 0)
        return rc;
    plugin_host_set_objects(a->host, mirror_store(a->mirror), mirror_objects(a->mirror));
    return hold_all(a, err);
}

/* Work comes in bursts: what it needed goes back to the system, which has pods to run. */
static void trim(void *ctx)
{
    struct agent *a = ctx;
    mem_trim();
    loop_timer_start(a->loop, &a->trim, TRIM_NS, trim, a);
}

/* --- what is read once: plugins --- */

static void stop(struct agent *a);

static void fail(struct agent *a, const char *why)
{
    log_error("agent", "%s", why);
    a->status = 1;
    stop(a);
}

/* --- the node's own port --- */

static const struct kl_node *find_node(void *ctx, void **ret_self)
{
    struct agent *a = ctx;
    struct kl_err ignored;
    kl_err_init(&ignored);
    struct plugin_instance *i = a->running ? plugin_host_find(a->host, KL_NODE_0, NULL, &ignored) : NULL;
    if (!i)
        return NULL;
    *ret_self = i->self;
    return i->provider->table;
}

static int answer_call(void *ctx, struct kl_call *c, struct kl_bytes request, struct kl_bytes *ret)
{
    struct agent *a = ctx;
    return a->running ? plugin_host_answer(a->host, c, request, ret) : kl_fail(c, KL_UNAVAILABLE, "the node is starting");
}

static bool add_pod(void *ctx, struct store_object *o)
{
    struct buf *b = ctx;
    if (b->at[b->len - 1] != '[')
        buf_add_c(b, ',');
    buf_add_str(b, store_object_json(o));
    return true;
}

static void list_pods(void *ctx, struct buf *b)
{
    struct agent *a = ctx;
    struct store_range r = { .resource = STR("/pods") };
    buf_add_z(b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
    store_list(mirror_store(a->mirror), &r, add_pod, b);
    buf_add_z(b, "]}\n");
}

static struct val *debug(void *ctx, struct arena *ar, struct str what)
{
    struct agent *a = ctx;
    return str_is(what, "plugins") ? plugin_host_debug(a->host, ar) : str_is(what, "mirror") ? mirror_debug(a->mirror, ar) : NULL;
}

static int open_port(struct agent *a, struct kl_err *err)
{
    struct str cert = node_keys_cert(a->keys, true), key = node_keys_key(a->keys, true);
    int64_t port = 0;
    if (!cert.at)
        return 0;                       /* it is asked for: server_changed */
    str_int(str_of(a->o->node_port), &port);
    if (!port)
        return 0;
    struct node_port_conf pc = { .address = "0.0.0.0", .port = (uint16_t)port, .cert = cert, .key = key, .client_ca = a->kubeconfig.ca,
                                 .client_name = PKI_TOWARDS_NODES, .name = a->name, .api = a->http, .ctx = a, .node = find_node, .pods = list_pods, .debug = debug, .call = answer_call };
    return node_port_new(a->loop, &pc, &a->port, err);
}

/* --- new certificates: connections that stand keep the old one, whoever connects from now on sees the new one --- */

static void client_changed(void *ctx)
{
    struct agent *a = ctx;
    struct kl_err err;
    struct http_client_conf cc = client_conf(a);
    kl_err_init(&err);
    if (http_client_renew(a->http, &cc, &err) < 0)
        log_error("agent", "the new certificate cannot be used: %s", err.msg);
}

static void server_changed(void *ctx)
{
    struct agent *a = ctx;
    struct kl_err err;
    kl_err_init(&err);
    int rc = 0;
    if (a->port)
        rc = node_port_renew(a->port, node_keys_cert(a->keys, true), node_keys_key(a->keys, true), &err);
    else if (a->running && !a->stopping)
        rc = open_port(a, &err);
    if (rc < 0)
        log_error("agent", "the node's own port: %s", err.msg);
}

static void run(void *ctx)
{
    struct agent *a = ctx;
    struct kl_err err;
    kl_err_init(&err);
    pthread_join(a->opener, NULL);
    a->opening = false;
    if (a->stopping)
        return;
    a->running = true;
    if (open_port(a, &err) < 0 || plugin_host_run(a->host, &err) < 0) {
        fail(a, err.msg);
        return;
    }
    node_keys_run(a->keys, a->http);
    loop_timer_start(a->loop, &a->trim, TRIM_NS / 10, trim, a);
    log_info("agent", "node '%s' ready after %lld ms, server %s", a->name, (long long)((env_mono_ns() - a->began_ns) / NS_PER_MS),
             a->kubeconfig.server);
}

/* An instance that is required and failed ends the process; the reason is in the log already. */
static void open_failed(void *ctx)
{
    struct agent *a = ctx;
    pthread_join(a->opener, NULL);
    a->opening = false;
    a->status = 1;
    stop(a);
}

static void *opener_main(void *ctx)
{
    struct agent *a = ctx;
    struct kl_err err;
    kl_err_init(&err);
    if (plugin_host_open(a->host, NULL, &err) < 0) {
        log_error("agent", "%s", err.msg);
        loop_post(a->loop, open_failed, a);
    } else {
        loop_post(a->loop, run, a);
    }
    return NULL;
}

static void on_synced(void *ctx)
{
    struct agent *a = ctx;
    sigset_t all, old;
    if (a->stopping)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);     /* signals are the loop's */
    a->opening = pthread_create(&a->opener, NULL, opener_main, a) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!a->opening)
        fail(a, "no thread to open plugins");
}

/* --- end --- */

static void one_ended(void *ctx)
{
    struct agent *a = ctx;
    if (--a->ending == 0)
        loop_stop(a->loop);
}

static void out_of_patience(void *ctx)
{
    struct agent *a = ctx;
    log_warn("agent", "some plugin calls do not end; stopping without them");
    a->hasty = true;
    loop_stop(a->loop);
}

static void stop(struct agent *a)
{
    if (a->stopping)
        return;
    a->stopping = true;
    a->ending = a->port ? 3 : 2;
    loop_timer_start(a->loop, &a->patience, STOP_NS, out_of_patience, a);
    node_keys_stop(a->keys);
    plugin_host_stop(a->host, one_ended, a);
    mirror_stop(a->mirror, one_ended, a);
    if (a->port)
        node_port_stop(a->port, NS_PER_S, one_ended, a);
}

static void on_signal(void *ctx)
{
    stop(ctx);
}

static void on_hup(void *ctx)
{
    struct agent *a = ctx;
    log_reopen();
    if (a->host)
        plugin_host_reload(a->host);
}

static void end(struct agent *a)
{
    if (a->pid_file[0])
        unlink(a->pid_file);
    log_info("agent", "stopped");
    if (a->hasty)
        _exit(a->status);
    if (a->opening)
        pthread_join(a->opener, NULL);
    plugin_host_close(a->host, NULL);
    node_port_free(a->port);
    mirror_free(a->mirror);
    node_keys_free(a->keys);
    http_client_free(a->http);
    plugin_host_free(a->host);
    loop_free(a->loop);
}

static void write_pid(struct agent *a)
{
    snprintf(a->pid_file, sizeof a->pid_file, "%.4000s/keelson.pid", a->o->run);
    _cleanup_file_ FILE *f = fopen(a->pid_file, "we");
    if (f)
        fprintf(f, "%d\n", (int)getpid());
}

int cmd_agent(int argc, char **argv)
{
    static struct options o;
    static struct agent a;
    struct kl_err err;
    int rc = options_read(&o, "agent", argc, argv);
    if (rc || o.help)
        return rc;
    kl_err_init(&err);
    a.o = &o;
    a.began_ns = env_mono_ns();
    mallopt(M_ARENA_MAX, 2);            /* threads mostly wait: they share what they allocate from */
    if (o.log && log_open(o.log) < 0)
        return cli_fail(1, "agent: log file '%s' cannot be opened", o.log);
    signal(SIGPIPE, SIG_IGN);
    if (start(&a, &err) < 0) {
        cli_fail(1, "agent: %s", err.msg);
        fflush(NULL);
        _exit(err.code == KL_INVALID ? 2 : 1);
    }
    loop_signal(a.loop, SIGTERM, on_signal, &a);
    loop_signal(a.loop, SIGINT, on_signal, &a);
    loop_signal(a.loop, SIGHUP, on_hup, &a);
    write_pid(&a);
    mirror_on_synced(a.mirror, on_synced, &a);
    loop_run(a.loop);
    end(&a);
    return a.status;
}
