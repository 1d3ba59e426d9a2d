/* agent.h - the parts of the node agent and what they share. A pod is synchronised in one direction:
 *
 *   API object + runtime's list  ->  struct pod_view  ->  struct plan (pure)  ->  calls of runtime and network  ->  status
 *
 * What cannot be read from those two (back-off, probe results, stops under way) is in struct pod_mem and may be lost.
 */
#ifndef AGENT_H
#define AGENT_H

#include <pthread.h>
#include <stdatomic.h>

#include <keelson/iface/controller.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/runtime.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/env.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

#define AGENT_ARENA_BYTES (64u << 20)       /* most memory of one synchronisation */
#define PROBE_PREFIX "probe!"               /* queue keys of a pod's probes: PROBE_PREFIX "ns/name" */
#define SWEEP_KEY "!sweep"                  /* queue key of leftovers and log rotation */
#define AGENT_LEASES "kube-node-lease"      /* namespace of the nodes' leases */

struct agent_conf {
    const char *node, *node_ip, *state_dir, *log_dir, *version;
    const char *pod_cidr, *service_cidr, *cluster_cidr, *cluster_domain;
    const char *const *cluster_dns;
    const char *runtime, *network;          /* names of instances, NULL: the default ones */
    int64_t max_pods, log_max_bytes, log_files, port;
    const char *image_dir;
    const char *eviction_hard, *eviction_soft, *eviction_soft_grace, *eviction_minimum_reclaim;
    int64_t eviction_max_pod_grace, eviction_pressure_transition;      /* s; ns */
    int64_t image_gc_high, image_gc_low, image_min_age, image_max_age;  /* percent; ns */
};

#define RATE_POINTS 8
struct rates {                              /* rates.c; under the agent's lock */
    struct rate_point {
        int64_t mono_ns;
        struct rate_counter {
            uint64_t key;                   /* of a container's id, a pod's uid, "" the node */
            int64_t cpu_ns;
        } *at;
        size_t n;
    } at[RATE_POINTS];
    size_t n;                               /* ever noted */
};

struct evict;
struct observed;

struct agent {
    const struct kl_host *host;
    const struct agent_conf *conf;
    const struct kl_host_env *env;
    const struct kl_host_objects *objects;
    const struct kl_host_queue *queue;
    const struct kl_host_plugins *plugins;
    const struct kl_runtime *rt;
    void *rt_self;
    const struct kl_network *net;
    void *net_self;
    char node[254], ip[64], runtime_name[64], runtime_version[64];

    pthread_mutex_t lock;                   /* pods, jobs, and every pod_mem's content */
    pthread_mutex_t admission;              /* one pod at a time is looked at, and is counted before the next is; before `lock` */
    pthread_cond_t idle;
    struct map pods;                        /* uid -> struct pod_mem */
    size_t jobs;                            /* threads under way */
    bool inline_jobs;                       /* run jobs in the caller (no threads to be had; tests) */
    pthread_mutex_t up_lock;
    pthread_t waiter;
    bool has_waiter;
    atomic_bool stopping;

    struct rates rates;
    int64_t opened_wall_ns;
    struct evict *evict;                    /* only the node key's worker touches it; NULL: nothing is evicted */
    atomic_uint pressure;                   /* bits of enum pressure, as the node shows it */
    void (*observe)(struct agent *a, struct observed *ret);        /* tests: instead of the machine; NULL: the machine */
    int64_t resync_ns;                      /* mono: when all pods are looked at again; the sweep's */
    int64_t lease_ns, status_ns;            /* mono: last written; only the node key's worker touches them */
};

static inline int64_t agent_mono(const struct agent *a)
{
    return a->env->mono_ns(a->host);
}
static inline int64_t agent_wall(const struct agent *a)
{
    return a->env->wall_ns(a->host);
}

/* agent.c. open and close are those of both providers; runtime and network are found once, when they are there. */
int agent_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c);
void agent_close(void *self);
int agent_runtime(struct agent *a, struct kl_call *c);
int agent_network(struct agent *a, struct kl_call *c);
int agent_up(struct agent *a, struct kl_call *c);       /* the runtime, and the thread that waits for its containers */
void agent_trouble(struct agent *a, struct kl_call *c, char *ret, size_t cap);         /* why pods cannot run here; "" none */
int agent_controller_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c);
int agent_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns);
int agent_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj,
              struct kl_bytes *ret);

/* identity.c: from the configuration, else from the machine. */
void identity_address(struct agent *a);
int identity_name(struct agent *a, struct kl_call *c);

/* A call of our own, for threads of ours. Lives in *o; done frees what the callee gave out. */
struct own_call {
    struct kl_call call;
    struct own_arena {
        struct arena *arena;
        struct agent *agent;
    } arena;
};
bool own_call_init(struct own_call *o, struct agent *a);
void own_call_done(struct own_call *o);
/* A copy of c with a nearer deadline. */
struct kl_call call_within(const struct agent *a, const struct kl_call *c, int64_t in_ns);

/* mem.c */
enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_KINDS };
enum probe_result { PROBE_UNKNOWN, PROBE_OK, PROBE_BAD };

struct probe_mem {
    int64_t next_ns;                        /* mono; 0: not asked yet */
    int32_t ok, bad;                        /* in a row */
    enum probe_result result;
};

struct ctr_mem {
    struct ctr_mem *next;
    char name[64];
    char id[160];                           /* the running container that the probe results are about */
    struct probe_mem probe[PROBE_KINDS];
    int64_t backoff_ns;                     /* wait before the next restart */
    int64_t retry_ns, retry_step_ns;        /* mono: no attempt to create before; its growth */
    char reason[40], message[768];          /* why it waits; "" none */
    char ended[160];                        /* the last one that was seen to have ended */
    char stop_id[160];                      /* a stop is under way */
    int64_t stop_by_ns;                     /* mono: when it kills */
    bool hook_done;                         /* postStart has run in `id` */
    bool again;                             /* stop_id is stopped in order to be started anew, whatever the restart policy says */
};

struct token {
    struct token *next;
    char *audience, *text;
    int64_t seconds, renew_ns;              /* how long it was asked to live; wall */
};

struct pod_mem {
    char *key, *uid;
    int refs;
    struct ctr_mem *_Atomic ctrs;           /* put in front, never taken out: ephemeral containers come late */
    struct host_port *ports;                /* hostports.c */
    unsigned n_ports;
    bool holds_ports;                       /* under the agent's lock */
    char **uses;                            /* "configmaps/name", "secrets/name" that the pod mounts; NULL-terminated */
    struct token *tokens;
    char ips[4][64];
    int n_ips;
    char netns[256];
    bool attached, torn_down, volumes_ok, admitted, start_told;
    bool taken;                             /* it was admitted and not refused; under the lock of admission */
    int64_t seen_ns;                        /* mono: when this agent first saw it */
    char fail_reason[40], fail_message[800];        /* the pod as a whole has failed */
    bool disk_limited;                      /* it has limits that local.c looks after */
    bool killed_early;                      /* it was evicted: kill_grace_s counts, not its own */
    int64_t kill_grace_s;
    int64_t volume_event_ns;
    _Atomic int64_t reset_ns;               /* wall: when it was seen that all must begin anew; 0: never */
    int64_t told_ns;                        /* wall: the end of the container that said so */
    int64_t resize_gen;                     /* of the spec whose resources it was given while it ran; 0: none */
    char resize_reason[16], resize_message[256];    /* "Deferred", "Infeasible": why it was not given them; "Error": why it has not got them yet */
};

/* hostports.c: each port of the node is one pod's at a time. */
bool hostports_read(struct pod_mem *m, const struct val *pod);              /* false: out of memory */
bool hostports_take(struct agent *a, struct pod_mem *m, bool whatever);     /* false: somebody has one of them. whatever: it has them already */
void hostports_release(struct agent *a, struct pod_mem *m);

struct pod_mem *mem_get(struct agent *a, struct str uid);              /* a reference, or NULL */
struct pod_mem *mem_by_key(struct agent *a, struct str key);
struct pod_mem *mem_make(struct agent *a, const struct val *pod);      /* NULL: out of memory */
void mem_put(struct agent *a, struct pod_mem *m);
void mem_forget(struct agent *a, struct str uid);
struct ctr_mem *mem_ctr(struct pod_mem *m, struct str name);          /* made when it is not there; NULL: out of memory */
void mem_free_all(struct agent *a);

/* view.c */
enum ctr_kind { CTR_INIT, CTR_SIDECAR, CTR_MAIN, CTR_EPHEMERAL };
enum ctr_state { RUN_NONE, RUN_CREATED, RUN_RUNNING, RUN_EXITED };

struct ctr {
    enum ctr_kind kind;
    const struct val *spec;
    struct str name;
    const struct val *now, *before;         /* the runtime's newest record and the one before; NULL */
    bool forgotten;                         /* ephemeral, and the API knows of a life that the runtime has no record of: it had its one */
    enum ctr_state state;
    bool stale;                             /* `now` ran in a sandbox that is no more, or all were told to begin anew since */
    bool ran_here;                          /* `now`, in the present sandbox */
    bool reset;                             /* `now` was made before all were told to begin anew; what runs of it is stopped */
    bool trigger;                           /* and it is the one that told */
    int64_t attempt;                        /* of now; -1: never created */
    const struct val *resources, *actual;   /* those it was given (the spec's, unless a resize is pending), and those that `now` runs with; actual NULL: unknown */
    int64_t exit_code, started_ns, finished_ns;
    struct ctr_mem *mem;
    int64_t wait_ns;                        /* set by the plan: back-off that holds it, 0 none */
};

struct pod_view {
    struct arena *arena;
    const struct val *pod, *spec, *meta;
    struct str ns, name, uid;
    struct ctr *ctrs;                       /* init containers in order, then the others, then ephemeral ones */
    size_t n;
    const struct val *sandbox;
    bool sandbox_ready;
    int64_t sandbox_attempt;
    struct pod_mem *mem;
};

/* list: the runtime's answer for this pod; may be NULL (nothing there). */
bool view_make(struct pod_view *v, struct arena *a, const struct val *pod, const struct val *list, struct pod_mem *m);
int view_load(struct agent *a, struct kl_call *c, struct pod_view *v);        /* asks the runtime again */
struct ctr *view_ctr(struct pod_view *v, struct str name);
bool view_host_network(const struct pod_view *v);
bool pod_ended(const struct val *pod);                  /* by what its status says: Succeeded or Failed */
/* An entry's name, separated by dots: by what comes first it may be slashes, "net/ipv4/conf/eno2.100/rp_filter". */
struct str view_sysctl(const struct pod_view *v, const struct val *sysctl);
struct str ctr_id(const struct ctr *k);
bool ctr_again(const struct ctr *k);        /* it was stopped to be started anew */
bool ctr_started(const struct ctr *k);
bool ctr_ready(const struct ctr *k);

/* plan.c: pure. */
enum action_type { ACT_START = 1, ACT_STOP };
struct action {
    enum action_type type;
    struct ctr *ctr;
    const char *message;                    /* STOP: why, when it is to be restarted; NULL: it has done its work */
};
#define DEFINITION_CHANGED "definition changed"
#define RESTART_ALL        "RestartAllContainers"      /* the action, and why one is stopped for it: at once, without its hook */
#define RESIZE_RESTART     "resize requires restart"
struct plan {
    bool need_sandbox, finished;            /* finished: nothing will ever start again */
    struct action *act;
    size_t n;
    int64_t again_ns;                       /* 0: only when something happens */
};
#define BACKOFF_FIRST_NS (10 * NS_PER_S)
#define BACKOFF_MOST_NS  (300 * NS_PER_S)
#define BACKOFF_RESET_NS (600 * NS_PER_S)
int64_t plan_backoff(int64_t before_ns, int64_t ran_ns);
bool plan_restarts(const struct pod_view *v, const struct ctr *k);
bool plan_make(struct pod_view *v, int64_t wall_ns, int64_t mono_ns, struct plan *ret);
void plan_sooner(int64_t *again_ns, int64_t in_ns);

/* reset.c */
struct str restart_rule(const struct val *container, int64_t exit_code);       /* the action of its first rule that fits; empty: none */
bool reset_possible(const struct pod_view *v);          /* one of its containers has such a rule */
void reset_notice(struct agent *a, struct pod_view *v); /* has one told since the last time? */
void reset_mark(struct pod_view *v);                    /* sets the marks of containers; when all else of the view is set */
bool reset_goes_on(const struct pod_view *v);           /* something still runs that must begin anew */

/* status.h has what is shown of all this; message.c: what a container left to say. */
struct str message_of(const struct agent *a, const struct pod_view *v, const struct ctr *k, const struct val *record);

/* admit.c: false: the pod fails; why is remembered. */
bool admit(struct agent *a, struct kl_call *c, struct pod_view *v);

/* sync.c, finish.c, start.c */
int sync_pod(struct agent *a, struct kl_call *c, struct str key, int64_t *again_ns);
int sync_status(struct agent *a, struct kl_call *c, struct pod_view *v);
int finish_stop_all(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t grace_s, bool *ret_done);
int finish_tear_down(struct agent *a, struct kl_call *c, struct pod_view *v);
int finish_remove(struct agent *a, struct kl_call *c, struct str uid, struct str ns, struct str name);
int finish_gone(struct agent *a, struct kl_call *c, struct str uid, struct str ns, struct str name, int64_t *again_ns);
int start_attach(struct agent *a, struct kl_call *c, struct pod_view *v);
int start_sandbox(struct agent *a, struct kl_call *c, struct pod_view *v);
int start_container(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k);
void sweep(struct agent *a, struct kl_call *c);

/* resize.c: what a pod's containers may have is changed while they run. */
#define RESIZE_NOTE "keelson.dev/resources"
bool resize_differs(const struct ctr *k);               /* it runs with other numbers than it was given */
bool resize_restarts(const struct ctr *k);              /* by its resizePolicy */
struct val *resize_note(struct arena *ar, const struct ctr *k);         /* its resources as the text of an annotation */
bool resize_pending(const struct pod_mem *m);
bool resize_going_on(const struct pod_view *v);
/* Is there room beside the pods that have been taken in? If not: of what, and upstream's words for it. */
bool resize_fits(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct val *node, const char **ret_name, const char **ret_why);
int resize_step(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns);
void resize_wake(struct agent *a);          /* room may have appeared: pods that wait for some are looked at */

/* jobs.c */
bool job_stop(struct agent *a, struct kl_call *c, const struct pod_view *v, struct ctr *k, int64_t grace_s);
void jobs_wait(struct agent *a);

/* container.c, resources.c, env.c, downward.c, image.c: -KL_INVALID: the reason to wait is in c->err. */
struct val *container_config(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct ctr *k,
                             const struct val *image, int64_t attempt);
struct val *resources_of(struct arena *a, const struct pod_view *v, const struct ctr *k);
struct val *resources_of_pod(struct arena *a, const struct pod_view *v, bool both);
int64_t resources_amount(const struct val *resources, const char *list, const char *name, bool milli);          /* -1: none */
const char *resources_qos(const struct val *pod);                      /* "Guaranteed", "Burstable", "BestEffort" */
char *resources_cgroup(struct arena *a, const struct pod_view *v);
int64_t resources_node_memory(void);
struct val *env_make(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct ctr *k);   /* {name: value} */
struct str env_expand(struct arena *a, struct str text, const struct val *vars);
int downward_field(const struct agent *a, const struct pod_view *v, const char *path, struct str *ret, struct kl_err *err);
int downward_resource(const struct pod_view *v, const struct ctr *k, const struct val *ref, struct str *ret, struct kl_err *err);
/* pullsecret.c: [{"username","password"}] for that image. */
struct val *pullsecret_logins(struct agent *a, struct kl_call *c, const struct pod_view *v, struct str image);
bool pullsecret_matches(struct str key, struct str image);     /* image: with its registry */
int image_ensure(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k, const struct val **ret);

/* volumes.c, sources.c, writer.c, fs.c, subpath.c, podfiles.c */
int volumes_set_up(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns);
void volumes_tear_down(struct agent *a, struct str uid);
const struct val *volumes_named(const struct pod_view *v, struct str name);
char *volumes_path(const struct agent *a, const struct pod_view *v, struct str volume, struct kl_err *err);
void volumes_uses(const struct val *pod, struct arena *a, struct val *ret_names);

struct writer_file {
    struct writer_file *next;
    const char *path;                       /* relative, inside the volume */
    struct str data;
    uint32_t mode, uid;
};
struct payload {
    struct writer_file *first;
    struct arena *arena;
    uint32_t gid;                           /* 0: none */
};
bool payload_add(struct payload *p, struct str path, struct str data, uint32_t mode);
struct source_in {
    struct agent *agent;
    struct kl_call *call;
    const struct pod_view *view;
    struct payload *out;
    uint32_t mode;
    int64_t *again_ns;
};
int source_config_map(struct source_in *in, const struct val *src, const char *resource);
int source_downward(struct source_in *in, const struct val *items);
int source_projected(struct source_in *in, const struct val *volume);
/* 1: changed, 0: was equal. dir exists. */
int writer_write(const char *dir, const struct payload *p, struct kl_err *err);
bool writer_path_ok(struct str path);

int fs_remove_tree(const char *path);                   /* 0 also when absent; stays on its file system */
int fs_remove_at(int dir, const char *name);
int fs_put(const char *path, struct str text, uint32_t mode, struct kl_err *err);   /* atomic */
struct str fs_get(struct arena *a, const char *path, size_t most);   /* regular, no link; at NULL: none */
void fs_unmount_below(const char *path);
int fs_set_group(const char *path, uint32_t gid);
int subpath_bind(const char *volume, const char *sub, const char *target, bool readonly, struct kl_err *err);

int podfiles_write(struct agent *a, const struct pod_view *v, struct kl_err *err);
struct val *podfiles_dns(const struct agent *a, const struct pod_view *v);
struct str podfiles_hostname(const struct pod_view *v);
int podfiles_nodename(const struct agent *a, const struct pod_view *v, struct str *ret, struct kl_err *err);    /* what its `hostname` says */
char *pod_path(const struct agent *a, struct arena *ar, struct str uid, const char *tail);
char *log_dir_of(const struct agent *a, struct arena *ar, struct str ns, struct str name, struct str uid);

/* node.c, events.c */
int node_sync(struct agent *a, struct kl_call *c, int64_t *again_ns);
__attribute__((format(printf, 5, 6))) void event_pod(struct agent *a, const struct pod_view *v, const struct ctr *k,
                                                     const char *reason, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void event_node(struct agent *a, const char *reason, const char *fmt, ...);

/* rotate.c, plugin.c */
void rotate_logs(struct agent *a, struct kl_call *c, const struct val *list);
void rotate_drop(struct arena *ar, const char *path);   /* a log and its rotated parts */
const char *node_name(void *self);

/* Short hands for building and reading. */
#define set_s(a, o, k, s) json_set_str((a), (o), STR(k), (s))
#define set_z(a, o, k, z) json_set_str((a), (o), STR(k), str_of(z))
#define set_i(a, o, k, i) json_set_int((a), (o), STR(k), (i))
#define set_b(a, o, k, b) json_set_bool((a), (o), STR(k), (b))
#define set_v(a, o, k, v) json_set((a), (o), STR(k), (v))
static inline struct str bytes_str(struct kl_bytes b)
{
    return str_n(b.at ? b.at : "", b.len);
}
struct val *agent_parse(struct arena *a, struct kl_call *c, struct kl_bytes b);        /* NULL: c->err says why */
struct kl_bytes agent_text(struct arena *a, const struct val *v);                     /* at NULL: out of memory */
struct kl_object_key agent_key(const char *resource, const char *ns, const char *name, const char *sub);
int agent_get(struct agent *a, struct kl_call *c, struct arena *ar, const struct kl_object_key *k, struct val **ret);
/* All pods of this node, wherever they stand with this agent. */
int agent_own_pods(struct agent *a, struct kl_call *c, struct arena *ar, struct kl_object_list *ret);
/* -KL_NOT_FOUND: none of that name is on this node. A node may read its own pods alone: where it is refused, the list of those tells whether the pod is another node's. */
int agent_get_pod(struct agent *a, struct kl_call *c, struct arena *ar, const char *ns, const char *name, struct val **ret);
struct str time_text(struct arena *a, int64_t wall_ns);

#endif
