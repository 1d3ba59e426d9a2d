/* runtime.h - what the files of runtime-crun share: the instance, its records of sandboxes and containers, and helpers.
 *
 * Truth is on disk and in the kernel: a record is written at each change, so that a new instance adopts what runs. The
 * lock guards the lists and the records' fields; it is never held while a process runs.
 */
#ifndef RUNTIME_CRUN_RUNTIME_H
#define RUNTIME_CRUN_RUNTIME_H

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>

#include <keelson/iface/runtime.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/list.h"
#include "image/fs.h"
#include "image/image.h"

#define ID_LEN       32                 /* hex digits; short, so that socket paths fit */
#define SANDBOXES_MOST  1000
#define CONTAINERS_MOST 10000
#define CONFIG_MOST  (1u << 20)         /* bytes of a sandbox's or container's config */

struct conf {
    const char *image_dir, *state_dir, *run_dir, *crun, *conmon;
    int64_t pids_limit;
    const char *registry_ca;            /* NULL: the system's */
    const char *const *insecure_registries;
};

enum cgroup_kind { CGROUP_V1, CGROUP_V2, CGROUP_HYBRID };

/* CREATING is on disk only while container_create works: found at a start, its remains are removed. */
enum state { STATE_CREATING, STATE_CREATED, STATE_RUNNING, STATE_EXITED };

struct sandbox {
    struct list in_rt;
    char id[ID_LEN + 1];
    char *config;                       /* the JSON given to sandbox_run */
    char *uid, *netns, *log_dir, *hostname, *cgroup;     /* copies of its fields; cgroup "/kubepods/..." */
    bool net_host, ipc_host, pid_pod, pid_host, ready;
    int64_t created_ns;
    int holder_pid;                     /* PID 1 of a shared PID namespace; 0: none */
    uint64_t holder_start;              /* its start time, against a reused pid */
};

struct container {
    struct list in_rt;
    char id[ID_LEN + 1], sandbox[ID_LEN + 1];
    enum state state;
    char *config;                       /* the JSON given to container_create */
    char *image_id, *log_path, *uid;    /* image digest; absolute; of the pod */
    char message[200];
    int stop_signal, exit_code, pid, monitor_pid;
    uint64_t pid_start, monitor_start;
    bool tty, stdin_open, stdin_once, own_pidns, oom, lost;
    int64_t created_ns, started_ns, finished_ns;
};

struct runtime {
    const struct kl_host *host;
    struct conf conf;
    char crun[PATH_MAX], conmon[PATH_MAX];
    char crun_version[64];
    char crun_root[PATH_MAX], exits[PATH_MAX], sockets[PATH_MAX];
    struct image_store *images;
    pthread_mutex_t lock;
    struct list sandboxes, containers;
    enum cgroup_kind cgroup;
    struct buf notes;                   /* lines for `version` */
    bool no_overlay;                    /* rootfs by copies */
    int exits_fd;                       /* inotify on the exits folder */
    int wake_fd;                        /* eventfd: ends wait() at close */
};

/* plugin.c */
__attribute__((format(printf, 2, 3))) void rt_note(struct runtime *rt, const char *fmt, ...);     /* into the log and `version` */

/* state.c: records. All with the lock held unless said otherwise. */
struct sandbox *sandbox_find(struct runtime *rt, const char *id);
struct sandbox *sandbox_of_pod(struct runtime *rt, struct str uid, int64_t attempt);
struct container *container_find(struct runtime *rt, const char *id);
struct sandbox *sandbox_parse(const char *config, size_t len, struct kl_err *err);      /* checks; no lock */
struct container *container_parse(const char *config, size_t len, struct kl_err *err);  /* checks; no lock */
void sandbox_free(struct sandbox *s);
void container_free(struct container *c);
int sandbox_save(struct runtime *rt, const struct sandbox *s, struct kl_err *err);
int container_save(struct runtime *rt, const struct container *c, struct kl_err *err);
int state_load(struct runtime *rt, struct kl_err *err);          /* at open */
/* Looks whether a running container has ended, and how; saves what it learns. True: it changed. */
bool container_refresh(struct runtime *rt, struct container *c);
void new_id(char ret[ID_LEN + 1]);
bool id_valid(const char *id);
/* Paths in state_dir and run_dir: "<dir>/<kind>/<id>[/<name>]". */
void state_path(const struct runtime *rt, char ret[PATH_MAX], const char *kind, const char *id, const char *name);
void run_path(const struct runtime *rt, char ret[PATH_MAX], const char *kind, const char *id, const char *name);

/* attach.c: 0 for a container that runs, or was made and will (or_begin); else an error that says which. ret_stays (may be NULL): input that ends is the
 * process's too, or a terminal's, whose user may look on. Takes the lock. */
int container_must_run(struct runtime *rt, struct kl_call *c, const char *id, bool or_begin, bool *ret_stays);

/* proc.c: processes. */
struct proc {
    const char *const *argv;
    const char *const *env;             /* NULL: a small fixed one */
    int in, out, err;                   /* -1: /dev/null; err -2: captured in text */
    int pass_from, pass_as;             /* one more descriptor for the child; pass_as 0: none */
    struct buf *text;                   /* at most 64 KiB are kept */
    int64_t deadline_ns;                /* monotonic; 0: none */
    const struct kl_call *call;         /* polled for cancellation; may be NULL */
    const char *pid_file;               /* at the deadline the process named here is killed too */
};
/* Runs it to its end. Exit status (128+n for signal n), or -KL_TIMEOUT, -KL_CANCELLED, -KL_INTERNAL. */
int proc_run(struct proc *p, struct kl_err *err);
int proc_spawn(struct proc *p, pid_t *ret_pid, struct kl_err *err);
bool proc_kill_named(const char *pid_file);     /* the process whose number the file holds; false: none */
uint64_t proc_start_time(int pid);      /* 0: no such process */
bool proc_alive(int pid, uint64_t start);
int proc_open(int pid, uint64_t start); /* a pidfd of exactly that process; -1: gone */
bool proc_wait(int pidfd, int64_t timeout_ns, const struct kl_call *c);        /* true: ended */

/* cgroup.c */
int cgroup_prepare(struct runtime *rt, struct kl_err *err);
void cgroup_undo(struct runtime *rt);
int cgroup_pod_make(struct runtime *rt, const struct sandbox *s, const struct val *resources, struct kl_err *err);
/* Shares and limits as r names them; what it does not name stays. KL_CONFLICT: more memory is in use than it is to have. */
int cgroup_limit(struct runtime *rt, const char *path, const struct val *r, struct kl_err *err);
void cgroup_remove(struct runtime *rt, const char *path, bool parents);        /* parents: what became empty above it too */
void cgroup_kill(struct runtime *rt, const char *path);
bool cgroup_oom(const struct runtime *rt, const char *path);
void cgroup_stats(const struct runtime *rt, const char *path, struct arena *a, struct val *into);
bool cgroup_path_valid(struct str s);

/* namespaces.c */
int namespaces_make(struct runtime *rt, struct sandbox *s, const struct val *config, struct kl_err *err);
void namespaces_drop(struct runtime *rt, const struct sandbox *s);

/* volume.c: images that a container mounts, read-only. n-th: among its config's mounts that name one. */
int volume_make(struct runtime *rt, const struct container *c, const struct val *config, struct kl_err *err);
void volume_drop(struct runtime *rt, const char *id);
void volume_path(const struct runtime *rt, const char *id, unsigned n, char ret[PATH_MAX]);

/* rootfs.c */
int rootfs_overlay(const char *layers, const char *target, const char *options);        /* -errno */
int rootfs_make(struct runtime *rt, const struct container *c, const struct image *i, struct arena *a, struct kl_err *err);
void rootfs_drop(struct runtime *rt, const char *id);
/* Refuses a root whose mount points or managed files are not what they seem. */
int rootfs_check(const char *root, struct kl_err *err);

/* user.c */
struct user {
    uint32_t uid, gid;
    uint32_t groups[64];
    uint32_t n_groups;
};
/* context: the container's securityContext; image_user: as in the image's config. */
int user_resolve(const char *root, const struct val *context, struct str image_user, struct user *ret, struct kl_err *err);

/* spec.c */
struct spec_input {
    struct runtime *rt;
    const struct sandbox *s;
    const struct container *c;
    const struct val *config;           /* the container's */
    const struct val *image;            /* the image's "config" member */
    const char *rootfs, *cgroup;
    struct arena *a;
};
int spec_make(const struct spec_input *in, struct val **ret, struct kl_err *err);
int spec_mounts(const struct spec_input *in, struct val *mounts, struct kl_err *err);
int spec_process(const struct spec_input *in, struct val *process, struct kl_err *err);
int spec_resources(const struct spec_input *in, struct val *resources, struct kl_err *err);
void spec_devices(const struct spec_input *in, struct val *sys);
struct val *spec_seccomp(struct arena *a);              /* RuntimeDefault */

/* crun.c: the two programs. */
int crun_run(struct runtime *rt, const char *const *args, struct kl_err *err);      /* 0 when it says 0; else its words */
int conmon_start(struct runtime *rt, struct container *c, const char *bundle, struct kl_err *err);

/* the interface's functions, by file */
int rt_sandbox_run(void *self, struct kl_call *c, struct kl_bytes config, const char **ret_id);
int rt_sandbox_stop(void *self, struct kl_call *c, const char *id);
int rt_sandbox_remove(void *self, struct kl_call *c, const char *id);
int rt_container_create(void *self, struct kl_call *c, const char *sandbox_id, struct kl_bytes config, const char **ret_id);
int rt_container_start(void *self, struct kl_call *c, const char *id);
int rt_container_stop(void *self, struct kl_call *c, const char *id, int64_t grace_ns);
int rt_container_remove(void *self, struct kl_call *c, const char *id);
void container_discard(struct runtime *rt, const char *id);      /* all that is left of one, running or not */
int rt_container_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config);
int rt_sandbox_update(void *self, struct kl_call *c, const char *id, struct kl_bytes config);
int rt_list(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret);
int rt_stats(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret);
int rt_exec(void *self, struct kl_call *c, const char *id, const char *const *argv, const struct kl_runtime_io *io,
            int32_t *exit_code);
int rt_attach(void *self, struct kl_call *c, const char *id, const struct kl_runtime_io *io);
int rt_reopen_log(void *self, struct kl_call *c, const char *id);
int rt_wait(void *self, struct kl_call *c, struct kl_bytes *ret);
int rt_image_status(void *self, struct kl_call *c, const char *ref, struct kl_bytes *ret);
int rt_image_pull(void *self, struct kl_call *c, const char *ref, struct kl_bytes auth, struct kl_bytes *ret);
int rt_image_list(void *self, struct kl_call *c, struct kl_bytes *ret);
int rt_image_remove(void *self, struct kl_call *c, const char *ref);
int rt_version(void *self, struct kl_call *c, struct kl_bytes *ret);
/* A tree as text in the call's arena. */
int give_json(struct kl_call *c, const struct arena *a, const struct val *v, struct kl_bytes *ret);

#endif
