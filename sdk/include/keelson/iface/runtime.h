/* runtime.h - keelson.runtime/0: sandboxes, containers and images of one node, shaped like the Container Runtime Interface.
 *
 * All functions are [worker], many at once for different pods, one at a time for one pod. Every operation is idempotent:
 * stopping or removing what is not there is success. Containers outlive the host: after a restart `list` tells what
 * runs. Structured arguments and results are JSON texts with the field names of CRI v1's proto JSON mapping
 * (lowerCamelCase); only the fields named here are used.
 */
#ifndef KEELSON_IFACE_RUNTIME_H
#define KEELSON_IFACE_RUNTIME_H

#include "../plugin.h"

#define KL_RUNTIME_0 "keelson.runtime/0"

/* Exec and attach: descriptors are the host's; the plugin uses them until the call returns (run) or dups what it keeps. -1: none. */
struct kl_runtime_io {
    KL_STRUCT_HEAD;
    int32_t in, out, err;               /* pipes or sockets; with tty only in and out are used */
    int32_t resize;                     /* a pipe of "<columns> <rows>\n" lines */
    uint32_t tty;
};

struct kl_runtime {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* {"runtimeName","runtimeVersion","cgroup":"v1|v2|hybrid","notes":[...]} */
    int (*version)(void *self, struct kl_call *c, struct kl_bytes *ret);

    /* config: {"metadata":{"name","uid","namespace","attempt"},"hostname","logDirectory","dnsConfig":{"servers","searches",
     * "options"},"labels":{},"annotations":{},"linux":{"cgroupParent","securityContext":{"namespaceOptions":{"network":
     * "POD|NODE","pid":"POD|CONTAINER|NODE","ipc":"POD|NODE"}},"sysctls":{},"resources":{...}},"netns":"/run/.../netns path, or empty for
     * the host's"}. The network namespace is made by the caller (iface/network.h). *ret_id: the sandbox id. */
    int (*sandbox_run)(void *self, struct kl_call *c, struct kl_bytes config, const char **ret_id);
    int (*sandbox_stop)(void *self, struct kl_call *c, const char *id);          /* kills what still runs in it */
    int (*sandbox_remove)(void *self, struct kl_call *c, const char *id);

    /* config: {"metadata":{"name","attempt"},"image":{"image"},"command":[],"args":[],"workingDir","envs":[{"key","value"}],
     * "stopSignal","mounts":[{"containerPath","hostPath","readonly","recursiveReadOnly","propagation"}
     * or {"containerPath","image":{"image"},"imageSubPath"}],"devices":[{"containerPath","hostPath","permissions":"mrw"}],"labels":{},"annotations":{},"logPath","stdin","stdinOnce","tty",
     * "linux":{"resources":{"cpuShares","cpuQuota","cpuPeriod","memoryLimitInBytes","oomScoreAdj","pidsLimit"},"securityContext":{
     * "privileged","runAsUser":{"value"},"runAsGroup":{"value"},"supplementalGroups":[],"supplementalGroupsPolicy":"Merge|Strict",
     * "seccomp":{"profileType":"RuntimeDefault|Unconfined|Localhost","localhostRef"},"readonlyRootfs","noNewPrivs",
     * "capabilities":{"addCapabilities","dropCapabilities"},"maskedPaths","readonlyPaths","namespaceOptions":{"pid":"TARGET","targetId"}}}}. logPath is
     * relative to the sandbox's logDirectory; namespaceOptions only where it is not the sandbox's: TARGET joins a running container of the same pod. */
    int (*container_create)(void *self, struct kl_call *c, const char *sandbox_id, struct kl_bytes config, const char **ret_id);
    int (*container_start)(void *self, struct kl_call *c, const char *id);
    /* SIGTERM (or the image's STOPSIGNAL), after grace_ns SIGKILL. Returns when it has ended. */
    int (*container_stop)(void *self, struct kl_call *c, const char *id, int64_t grace_ns);
    int (*container_remove)(void *self, struct kl_call *c, const char *id);

    /* {"sandboxes":[{"id","metadata","state":"SANDBOX_READY|SANDBOX_NOTREADY","createdAt":ns,"labels","annotations","netns"}],
     *  "containers":[{"id","podSandboxId","metadata","state":"CONTAINER_CREATED|RUNNING|EXITED","createdAt","startedAt","finishedAt"
     *  (ns),"exitCode","reason":"Completed|Error|OOMKilled","message","image":{"image"},"imageRef","labels","annotations","logPath","pid"}]}
     * Of one pod (its uid), or of all (NULL). */
    int (*list)(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret);

    /* Runs argv in a running container; returns when it has ended, *exit_code set (128+n for signal n). deadline of the
     * call kills it (KL_TIMEOUT). */
    int (*exec)(void *self, struct kl_call *c, const char *id, const char *const *argv, const struct kl_runtime_io *io,
                int32_t *exit_code);
    /* Streams until the container ends or io breaks. */
    int (*attach)(void *self, struct kl_call *c, const char *id, const struct kl_runtime_io *io);
    /* Opens a log file anew after rotation. */
    int (*reopen_log)(void *self, struct kl_call *c, const char *id);
    /* Waits until a container of any pod changes state: {"pods":["uid",...]}; empty at the deadline. One caller at a time. */
    int (*wait)(void *self, struct kl_call *c, struct kl_bytes *ret);

    /* Images. ref as in a Pod: "localhost/busybox:demo", "busybox", "name@sha256:...". */
    /* {"id":"sha256:...","repoTags":[],"repoDigests":[],"size":n,"config":{OCI image config's "config"}}; KL_NOT_FOUND */
    int (*image_status)(void *self, struct kl_call *c, const char *ref, struct kl_bytes *ret);
    /* Makes the image present. {"imageRef"}; KL_NOT_FOUND says where it looked. auth: JSON {"username","password"} or empty. */
    int (*image_pull)(void *self, struct kl_call *c, const char *ref, struct kl_bytes auth, struct kl_bytes *ret);
    int (*image_list)(void *self, struct kl_call *c, struct kl_bytes *ret);      /* {"images":[...as image_status without config]} */
    int (*image_remove)(void *self, struct kl_call *c, const char *ref);
    /* {"containers":[{"id","podUid",FIGURES}],"pods":[{"uid",FIGURES}]} of one pod, or all (NULL); of pods: their groups, with all that is in them.
     * FIGURES: "cpuUsageNs", "memoryBytes" (the working set), "pids"; where the runtime knows them also "memoryUsageBytes", "memoryRssBytes",
     * "memoryCacheBytes", "memoryLimitBytes" (0: none), "pageFaults", "majorPageFaults", "cpuPeriods", "cpuThrottledPeriods", "cpuThrottledNs".
     * Of one pod also, by container, "rootfsBytes": what it wrote into its root. */
    int (*stats)(void *self, struct kl_call *c, const char *pod_uid, struct kl_bytes *ret);

    /* Other limits for what runs. config: {"linux":{"resources":{...as above}},"annotations":{}}; annotations are those of `list` from then on. KL_CONFLICT:
     * it uses more memory than it is to have; nothing has changed then. */
    int (*container_update)(void *self, struct kl_call *c, const char *id, struct kl_bytes config);
    int (*sandbox_update)(void *self, struct kl_call *c, const char *id, struct kl_bytes config);        /* of the whole pod */
};

/* --- signatures: see signature.h --- */
#define KL_RUNTIME_IO_MEMBERS(M, S) \
    M(S, FD, in, _) \
    M(S, FD, out, _) \
    M(S, FD, err, _) \
    M(S, FD, resize, _) \
    M(S, U32, tty, _)
#define KL_RUNTIME_CALLS(F, S) \
    F(S, version, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (OUT_BYTES, ret, _)) \
    F(S, sandbox_run, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (BYTES, config, _), (OUT_STR, ret_id, _)) \
    F(S, sandbox_stop, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _)) \
    F(S, sandbox_remove, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _)) \
    F(S, container_create, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, sandbox_id, _), (BYTES, config, _), (OUT_STR, ret_id, _)) \
    F(S, container_start, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _)) \
    F(S, container_stop, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _), (I64, grace_ns, _)) \
    F(S, container_remove, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _)) \
    F(S, list, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, pod_uid, _), (OUT_BYTES, ret, _)) \
    F(S, exec, INT, WORKER, KL_SIG_MANY | KL_SIG_STREAMING, (CALL, c, _), (STR, id, _), (STRS, argv, _), (STRUCT, io, kl_runtime_io), (OUT_I32, exit_code, _)) \
    F(S, attach, INT, WORKER, KL_SIG_MANY | KL_SIG_STREAMING, (CALL, c, _), (STR, id, _), (STRUCT, io, kl_runtime_io)) \
    F(S, reopen_log, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _)) \
    F(S, wait, INT, WORKER, KL_SIG_STREAMING, (CALL, c, _), (OUT_BYTES, ret, _)) \
    F(S, image_status, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, ref, _), (OUT_BYTES, ret, _)) \
    F(S, image_pull, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, ref, _), (BYTES, auth, _), (OUT_BYTES, ret, _)) \
    F(S, image_list, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (OUT_BYTES, ret, _)) \
    F(S, image_remove, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, ref, _)) \
    F(S, stats, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, pod_uid, _), (OUT_BYTES, ret, _)) \
    F(S, container_update, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _), (BYTES, config, _)) \
    F(S, sandbox_update, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, id, _), (BYTES, config, _))

#endif
