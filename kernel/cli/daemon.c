/* daemon.c - the life of a server process: keys, plugins, store, API, controllers, schedulers; and its end. */
#include "cli/daemon.h"

#include <keelson/iface/controller.h>
#include <keelson/iface/scheduler.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/disk.h"
#include "base/env.h"
#include "base/log.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/daemon-internal.h"
#include "cli/door.h"
#include "cli/handover.h"

#define DECIDE_NS (5 * NS_PER_S)        /* longest wait of requests for controllers by which they are decided */
#define STOP_NS (5 * NS_PER_S)          /* longest wait for plugins' calls under way */

/* --- start --- */

void daemon_seed(void)
{
    uint64_t seed[2];
    env_random(seed, sizeof seed);
    map_seed(seed);
}

/* Where pods reach the API: where it listens; when that is everywhere, the node's address, or the one that this machine speaks with. */
static const char *pods_address(const struct daemon *d, char ret[INET_ADDRSTRLEN])
{
    if (strncmp(d->o->address, "127.", 4) == 0)
        return d->roles & ROLE_NODE && door_address(d->o->cluster_cidr, ret) ? ret : d->o->address;
    struct sockaddr_in far = { .sin_family = AF_INET, .sin_port = htons(9) }, own = { 0 };
    socklen_t n = sizeof own;
    if (strcmp(d->o->address, "0.0.0.0") != 0)
        return d->o->address;
    if (d->o->node_address && d->o->node_address[0])
        return d->o->node_address;
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, "198.51.100.1", &far.sin_addr);  /* nothing is sent: only the route is looked up */
    if (fd < 0 || connect(fd, (struct sockaddr *)&far, sizeof far) < 0 || getsockname(fd, (struct sockaddr *)&own, &n) < 0)
        return "127.0.0.1";
    return inet_ntop(AF_INET, &own.sin_addr, ret, INET_ADDRSTRLEN);
}

static int prepare(struct daemon *d, struct kl_err *err)
{
    char ip[INET_ADDRSTRLEN];
    daemon_seed();
    int rc = disk_mkdirs(d->o->state, 0700, err);
    if (rc == 0 && d->roles & ROLE_NODE)
        rc = disk_mkdirs(d->o->run, 0711, err);
    if (rc == 0 && d->roles & ROLE_NODE)
        rc = disk_mkdirs(d->o->logs, 0755, err);
    if (rc == 0 && d->roles & ROLE_NODE)
        preload_images(d->o);
    snprintf(d->o->pods_address, sizeof d->o->pods_address, "%s", pods_address(d, ip));
    snprintf(d->pki_dir, sizeof d->pki_dir, "%.4000s/pki", d->o->state);
    return rc < 0 ? rc : pki_ensure(d->pki_dir, d->o->address, options_service_ip(d->o, 1, ip), err);
}

static int open_store(struct daemon *d, struct kl_err *err)
{
    plugin_host_continues(d->host, d->heritage != NULL);
    int rc = plugin_host_open(d->host, KL_STORE_0, err);
    plugin_host_continues(d->host, false);
    struct plugin_instance *i = rc == 0 ? plugin_host_find(d->host, KL_STORE_0, NULL, err) : NULL;
    if (!i)
        return rc < 0 ? rc : -err->code;
    if (d->o->encryption && (rc = encryption_open(d->o->encryption, &d->encryption, err)) < 0)
        return rc;
    struct store_conf sc = { .provider = i->provider->table, .self = i->self,
                             .cipher = d->encryption ? encryption_cipher(d->encryption) : NULL, .heritage = d->heritage };
    rc = store_open(d->loop, &sc, &d->store, err);
    store_heritage_free(d->heritage);
    d->heritage = NULL;
    return rc;
}

static const char *store_check(void *ctx)
{
    return store_trouble(((struct daemon *)ctx)->store);
}

/* --- what /readyz and ComponentStatuses say of parts that the API does not know --- */

/* What is wrong with an instance of that interface, and how many are well. */
static const char *trouble_of(struct daemon *d, const char *iface, unsigned *ret_well)
{
    const char *why = NULL;
    *ret_well = 0;
    for (unsigned i = 0; i < plugin_host_count(d->host); i++) {
        const struct plugin_instance *p = plugin_host_at(d->host, i);
        if (strcmp(p->provider ? p->provider->iface : "", iface) != 0)
            continue;
        *ret_well += p->state == PLUGIN_READY;
        if (p->state == PLUGIN_FAILED || p->state == PLUGIN_REFUSED)
            why = p->reason[0] ? p->reason : p->name;
    }
    return why;
}

static const char *scheduler_check(void *ctx)
{
    struct daemon *d = ctx;
    unsigned well;
    const char *why = trouble_of(d, KL_SCHEDULER_0, &well);
    return why ? why : !well ? "no scheduler runs" : !d->schedule ? "the scheduler has not started" : NULL;
}

static const char *controllers_check(void *ctx)
{
    unsigned well;
    const char *why = trouble_of(ctx, KL_CONTROLLER_0, &well);
    return why ? why : !well ? "no controllers run" : NULL;
}

/* Is there one, open already or not? */
static bool has_instance(struct daemon *d, const char *iface, const char *name)
{
    for (unsigned i = 0; i < plugin_host_count(d->host); i++) {
        const struct plugin_instance *p = plugin_host_at(d->host, i);
        if (p->provider && strcmp(p->provider->iface, iface) == 0 && strcmp(p->provider->name, name) == 0)
            return true;
    }
    return false;
}

/* Made by a controller as soon as it runs; who deletes them later does not undo that. */
static const char *roles_check(void *ctx)
{
    struct daemon *d = ctx;
    d->has_roles |= store_head(d->store, STR("rbac.authorization.k8s.io/clusterroles"), STR(""), STR("cluster-admin")) != NULL;
    return d->has_roles ? NULL : "not finished";
}

static int open_api(struct daemon *d, struct kl_err *err)
{
    struct api_hooks hooks;
    char signer[sizeof d->pki_dir + 8];
    static const char *const towards_nodes[] = { "ca.crt", "apiserver-kubelet-client.crt", "apiserver-kubelet-client.key" };
    for (int i = 0; i < 3; i++)
        snprintf(d->towards_nodes[i], sizeof d->towards_nodes[i], "%.4000s/%s", d->pki_dir, towards_nodes[i]);
    static const char *const front_proxy[] = { "front-proxy-client.crt", "front-proxy-client.key", "front-proxy-ca.crt" };
    for (int i = 0; i < 3; i++)
        snprintf(d->front_proxy[i], sizeof d->front_proxy[i], "%.4000s/%s", d->pki_dir, front_proxy[i]);
    snprintf(signer, sizeof signer, "%s/sa.key", d->pki_dir);
    struct api_conf ac = { .version = "v1.36.0+keelson-" KEELSON_VERSION, .service_cidr = d->o->service_cidr,
                           .node_port_first = d->o->node_port_first, .node_port_last = d->o->node_port_last,
                           .advertise_address = d->o->address, .advertise_port = d->port, .cluster_dns_domain = d->o->cluster_domain,
                           .signer_file = signer, .node_ca_file = d->towards_nodes[0], .node_cert_file = d->towards_nodes[1],
                           .node_key_file = d->towards_nodes[2], .front_proxy_cert_file = d->front_proxy[0],
                           .front_proxy_key_file = d->front_proxy[1], .front_proxy_ca_file = d->front_proxy[2],
                           .node_name = d->roles & ROLE_NODE ? d->o->node : NULL, .node_client_name = PKI_TOWARDS_NODES,
                           .client_ca_file = d->towards_nodes[0], .audit_policy_file = d->o->audit_policy[0] ? d->o->audit_policy : NULL };
    int64_t seats = 0;
    str_int(str_of(d->o->seats), &seats);
    ac.seats = (unsigned)seats;
    options_bytes(d->o->audit_event_max, &ac.audit_event_max);
    plugin_host_hooks(d->host, &hooks);
    hooks.audit = plugin_host_audit;
    int rc = api_new(d->loop, d->store, &ac, &hooks, &d->api, err);
    if (rc == 0)
        rc = api_objects_new(d->api, &d->objects, err);
    if (rc < 0)
        return rc;
    plugin_host_set_objects(d->host, d->store, d->objects);
    plugin_host_set_api(d->host, d->api);
    api_check_add(d->api, "store", store_check, d);
    if (has_instance(d, KL_AUTHZ_0, "rbac") && has_instance(d, KL_CONTROLLER_0, "rbac"))
        api_check_add(d->api, "poststarthook/rbac/bootstrap-roles", roles_check, d);
    api_component_add(d->api, "scheduler", scheduler_check, d);
    api_component_add(d->api, "controller-manager", controllers_check, d);
    api_component_add(d->api, "etcd-0", store_check, d);
    api_flags_set(d->api, options_flag, d->o);
    if (d->encryption) {
        api_check_add(d->api, "kms-providers", encryption_trouble, d->encryption);
        encryption_watch(d->encryption, d->loop);
    }
    api_metrics_add(d->api, plugin_host_metrics, d->host);
    return api_bootstrap(d->api, err);
}

static const struct kl_scheduler *find_scheduler(void *ctx, const char *name, void **ret_self)
{
    struct daemon *d = ctx;
    struct kl_err err;
    kl_err_init(&err);
    struct plugin_instance *i = plugin_host_find(d->host, KL_SCHEDULER_0, strcmp(name, "default-scheduler") == 0 ? NULL : name, &err);
    if (!i)
        return NULL;
    *ret_self = i->self;
    return i->provider->table;
}

static const char *pki_file(struct daemon *d, int i, const char *name)
{
    snprintf(d->files[i], sizeof d->files[i], "%.4000s/%s", d->pki_dir, name);
    return d->files[i];
}

void daemon_handle(void *ctx, struct http_req *r)
{
    struct daemon *d = ctx;
    if (d->mode == MODE_SERVE)
        api_handle(d->api, r);
    else if (d->mode == MODE_HOLD)
        handover_hold(d, r, daemon_handle);
    else
        http_relay_pass(d->relay, r);
}

int daemon_open_socket(struct daemon *d, int which, struct http_conf *hc, http_handler h, struct kl_err *err)
{
    d->sockets[which].daemon = d;
    hc->fd = heir_socket(which);
    return http_server_new(d->loop, hc, h, d, &d->sockets[which].server, err);
}

/* For `keelson restart`, and for a process that this one follows. Only who may read the cluster's keys may come here. Without them all else works. */
static void open_local(struct daemon *d)
{
    char state[PATH_MAX], path[PATH_MAX + 32];
    struct kl_err err;
    kl_err_init(&err);
    if (!realpath(d->o->state, state))
        return;
    snprintf(path, sizeof path, "%s/" CONTROL_SOCKET, state);
    snprintf(d->relay_path, sizeof d->relay_path, "%s/" RELAY_SOCKET, state);
    struct http_conf control = { .address = path }, relay = { .address = d->relay_path, .relayed = true };
    if (daemon_open_socket(d, SOCKET_CONTROL, &control, handover_control, &err) == 0)
        daemon_open_socket(d, SOCKET_RELAY, &relay, daemon_handle, &err);
    if (err.code)
        log_warn("server", "no restart without a gap: %s", err.msg);
}

/* An API on the loopback has a door for the pods of its own machine. Without the right to make one it does without. */
static int open_door(struct daemon *d, struct http_conf *hc, struct kl_err *err)
{
    struct kl_err why;
    kl_err_init(&why);
    if (heir_is() && door_is_open(d->o->run, d->o->pods_address))
        ;                               /* the one that we follow has made it */
    else if (door_open(d->o->run, d->o->pods_address, &why) < 0) {
        log_warn("server", "pods will not reach the API: %s", why.msg);
        return 0;
    }
    d->has_door = true;
    hc->address = d->o->pods_address;
    hc->port = (uint16_t)d->port;
    return daemon_open_socket(d, SOCKET_DOOR, hc, daemon_handle, err);
}

/* Before the API, which tells the port to others; nothing is answered until the loop runs. Behind the store, which only one process opens: the door is ours
 * (an heir has both from the process that it follows, and makes ready what it can before the store is free). */
static int open_port(struct daemon *d, struct kl_err *err)
{
    int64_t port = 0;
    str_int(str_of(d->o->port_text), &port);
    struct http_conf hc = { .address = d->o->address, .port = (uint16_t)port, .cert_file = pki_file(d, 0, "server.crt"),
                            .key_file = pki_file(d, 1, "server.key"), .client_ca_file = pki_file(d, 2, "ca.crt") };
    int rc = daemon_open_socket(d, SOCKET_API, &hc, daemon_handle, err);
    if (rc < 0)
        return rc;
    d->port = http_server_port(d->sockets[SOCKET_API].server);
    snprintf(d->o->port_text, sizeof d->o->port_text, "%d", d->port);
    return strncmp(d->o->address, "127.", 4) == 0 && strncmp(d->o->pods_address, "127.", 4) != 0 ? open_door(d, &hc, err) : 0;
}

/* What a process that follows another one has needed since it had the word: requests wait all that time. */
static void say_phase(const char *what)
{
    static int64_t last;
    int64_t now = env_mono_ns();
    if (heir_is() && last)
        log_info("server", "%s after %.1f ms", what, (double)(now - last) / NS_PER_MS);
    last = now;
}

static int start_controllers(struct daemon *d, struct kl_err *err)
{
    struct schedule_conf sc = { .loop = d->loop, .store = d->store, .objects = d->objects, .find = find_scheduler, .ctx = d };
    int rc = plugin_host_run(d->host, err);
    say_phase("runners");
    if (rc == 0)
        rc = schedule_start(&sc, &d->schedule, err);
    if (rc == 0)
        api_metrics_add(d->api, schedule_metrics, d->schedule);
    return rc;
}

static int start(struct daemon *d, struct kl_err *err)
{
    struct plugin_host_conf hc = { .config = d->o->tree, .plugin_dir = d->o->plugin_dir, .roles = d->roles, .variable = options_variable,
                                   .ctx = d->o };
    int rc = prepare(d, err);
    if (rc < 0)
        return rc;
    d->loop = hc.loop = loop_new();
    if (!d->loop)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    list_init(&d->held);
    if (d->roles & ROLE_NODE && (rc = node_socket_open(d, err)) < 0)
        return rc;
    rc = plugin_host_new(&hc, &d->host, err);
    if (rc == 0 && heir_is())
        rc = open_port(d, err);
    if (rc == 0)
        rc = heir_wait(&d->heritage, err);
    say_phase("go");
    if (rc == 0)
        rc = open_store(d, err);
    if (rc == 0 && !d->sockets[SOCKET_API].server)
        rc = open_port(d, err);
    if (rc == 0)
        open_local(d);
    say_phase("store");
    heir_point("opened");
    if (rc == 0)
        rc = open_api(d, err);
    if (rc == 0 && !(heir_is() && access(d->o->kubeconfig_path, R_OK) == 0))
        rc = pki_kubeconfig(d->pki_dir, d->o->address, d->port, d->o->kubeconfig_path, err);
    say_phase("API");
    if (rc == 0)
        rc = plugin_host_open(d->host, NULL, err);
    say_phase("plugins");
    if (rc == 0 && heir_is())
        rc = plugin_host_run_deciders(d->host, err);
    say_phase("deciders");
    return rc == 0 && !heir_is() ? start_controllers(d, err) : rc;
}

/* Of an heir: when requests are answered. */
static void start_late(void *ctx)
{
    struct kl_err err;
    kl_err_init(&err);
    say_phase("turn");
    if (start_controllers(ctx, &err) < 0) {
        log_error("server", "%s", err.msg);
        _exit(1);                       /* what was acknowledged lasts; as when a start fails */
    }
    say_phase("controllers");
}

/* --- end --- */

static void one_ended(void *ctx)
{
    struct daemon *d = ctx;
    if (--d->ending == 0)
        loop_stop(d->loop);
}

static void out_of_patience(void *ctx)
{
    struct daemon *d = ctx;
    log_warn("server", "some plugin calls do not end; stopping without them");
    d->hasty = true;
    loop_stop(d->loop);
}

static void on_signal(void *ctx)
{
    struct daemon *d = ctx;
    if (d->stopping)
        return;
    if (handover_stop(d))
        return;
    d->stopping = true;
    d->ending = 2;
    api_objects_stop(d->objects);
    api_stop(d->api, one_ended, d);
    loop_timer_start(d->loop, &d->patience, STOP_NS, out_of_patience, d);
    plugin_host_stop(d->host, one_ended, d);
    for (int i = 0; i < SOCKETS; i++)
        if (d->sockets[i].server) {
            d->ending++;
            http_server_close(d->sockets[i].server, NS_PER_S, one_ended, d);
        }
}

static void on_hup(void *ctx)
{
    struct daemon *d = ctx;
    struct kl_err err;
    kl_err_init(&err);
    log_reopen();
    if (d->mode == MODE_RELAY)
        return;
    plugin_host_reload(d->host);
    if (d->encryption && encryption_reload(d->encryption, &err) < 0)
        log_error("server", "the encryption configuration of before stays: %s", err.msg);
}

/* What was committed lasts before anything else goes. */
static void end(struct daemon *d)
{
    if (d->pid_file[0])
        unlink(d->pid_file);
    if (d->has_door)
        door_close(d->o->run);
    http_relay_free(d->relay);
    schedule_free(d->schedule);
    if (d->hasty) {
        store_close(d->store);
        log_info("server", "stopped");
        _exit(0);
    }
    encryption_stop(d->encryption);
    plugin_host_close(d->host, KL_STORE_0);
    store_close(d->store);
    encryption_free(d->encryption);
    api_objects_free(d->objects);
    api_free(d->api);
    plugin_host_free(d->host);
    handover_free(d->handover);
    loop_free(d->loop);
}

/* Whole at any time: others look there. */
static void write_pid(struct daemon *d)
{
    if (!(d->roles & ROLE_NODE))
        return;
    snprintf(d->pid_file, sizeof d->pid_file, "%.4000s/keelson.pid", d->o->run);
    char fresh[PATH_MAX + 8];
    snprintf(fresh, sizeof fresh, "%s.new", d->pid_file);
    FILE *f = fopen(fresh, "we");
    if (f) {
        fprintf(f, "%d\n", (int)getpid());
        fclose(f);
        rename(fresh, d->pid_file);
    }
}

/* Connections, watches and pods' descriptors: the usual soft limit of 1024 is for programs that use select. */
static void raise_limits(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

/* Each turn after the start, until RBAC and the like have taken in what there is: nobody is refused because the rules were not read yet. */
static void when_decided(void *ctx)
{
    struct daemon *d = ctx;
    if (!plugin_host_decides(d->host) && env_mono_ns() < d->deciding_ns)
        return;
    list_remove(&d->deciding.link);
    if (!d->handover) {                 /* else it is the next heir for whom requests wait */
        d->mode = MODE_SERVE;
        handover_release(d);
    }
    if (heir_is())
        loop_post(d->loop, start_late, d);
}

int daemon_run(struct options *o, const char *command, unsigned roles)
{
    static struct daemon d;
    struct kl_err err;
    int64_t began = env_mono_ns();
    kl_err_init(&err);
    d.o = o;
    d.roles = roles;
    if (o->log && log_open(o->log) < 0)
        return cli_fail(1, "%s: log file '%s' cannot be opened", command, o->log);
    signal(SIGPIPE, SIG_IGN);
    raise_limits();
    if (start(&d, &err) < 0) {
        cli_fail(1, "%s: %s", command, err.msg);
        if (d.has_door && !heir_is())
            door_close(o->run);
        fflush(NULL);
        _exit(err.code == KL_INVALID ? 2 : 1);  /* parts that have started need the loop to end well; nothing was promised yet */
    }
    loop_signal(d.loop, SIGTERM, on_signal, &d);
    loop_signal(d.loop, SIGINT, on_signal, &d);
    loop_signal(d.loop, SIGHUP, on_hup, &d);
    loop_signal(d.loop, SIGUSR2, handover_signal, &d);
    write_pid(&d);
    api_set_ready(d.api, true);
    heir_serves();
    log_info("server", "ready on https://%s:%d after %lld ms; kubeconfig %s", o->address, d.port,
             (long long)((env_mono_ns() - began) / NS_PER_MS), o->kubeconfig_path);
    d.mode = MODE_HOLD;
    d.deciding_ns = env_mono_ns() + DECIDE_NS;
    loop_hook_add(d.loop, &d.deciding, when_decided, &d);
    arena_keep(16);                     /* requests end as often as they begin */
    loop_run(d.loop);
    arena_keep(0);
    end(&d);
    log_info("server", "stopped");
    return 0;
}
