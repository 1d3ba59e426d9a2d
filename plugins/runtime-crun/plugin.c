/* plugin.c - runtime-crun: containers by crun, watched by conmon; this file opens and closes the instance. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/env.h"

void rt_note(struct runtime *rt, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    kl_log(rt->host, KL_INFO, "%s", line);
    pthread_mutex_lock(&rt->lock);
    buf_printf(&rt->notes, "%s\n", line);
    pthread_mutex_unlock(&rt->lock);
}

static int find_programs(struct runtime *rt, struct kl_err *err)
{
    if (!fs_find_tool(rt->conf.crun, rt->crun, sizeof rt->crun))
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' is not installed: apt install crun", rt->conf.crun);
    if (!fs_find_tool(rt->conf.conmon, rt->conmon, sizeof rt->conmon))
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' is not installed: apt install conmon", rt->conf.conmon);
    return 0;
}

/* "crun version 1.8.1" */
static void ask_version(struct runtime *rt)
{
    int ends[2];
    char text[256] = "";
    const char *const argv[] = { rt->crun, "--version", NULL };
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    struct proc p = { .argv = argv, .in = -1, .out = ends[1], .err = -1, .deadline_ns = env_mono_ns() + 5 * NS_PER_S };
    int rc = proc_run(&p, NULL);
    close(ends[1]);
    ssize_t n = rc == 0 ? read(ends[0], text, sizeof text - 1) : 0;
    close(ends[0]);
    struct str line = str_n(text, n > 0 ? (size_t)n : 0);
    line = str_cut(&line, '\n');
    if (str_starts(line, STR("crun version ")))
        line = str_skip(line, 13);
    snprintf(rt->crun_version, sizeof rt->crun_version, STR_FMT, (int)(line.len < 60 ? line.len : 60), line.at);
}

static int make_folders(struct runtime *rt, struct kl_err *err)
{
    static const char *const in_state[] = { "sandboxes", "containers" };
    static const char *const in_run[] = { "sandboxes", "b", "e", "crun", "exits", "s" };
    char path[PATH_MAX];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof in_state / sizeof *in_state; i++) {
        snprintf(path, sizeof path, "%.4000s/%s", rt->conf.state_dir, in_state[i]);
        rc = disk_mkdirs(path, 0711, err);
    }
    for (size_t i = 0; rc == 0 && i < sizeof in_run / sizeof *in_run; i++) {
        snprintf(path, sizeof path, "%.4000s/%s", rt->conf.run_dir, in_run[i]);
        rc = disk_mkdirs(path, 0711, err);
    }
    return rc;
}

/* Sessions of exec that a killed daemon left. */
static void clear_sessions(struct runtime *rt)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.4000s/e", rt->conf.run_dir);
    fs_remove(AT_FDCWD, path, NULL);
    mkdir(path, 0711);
}

static int open_events(struct runtime *rt, struct kl_err *err)
{
    rt->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rt->wake_fd < 0)
        return kl_err_set(err, KL_INTERNAL, "no eventfd: %s", strerror(errno));
    rt->exits_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (rt->exits_fd >= 0 && inotify_add_watch(rt->exits_fd, rt->exits, IN_CLOSE_WRITE | IN_MOVED_TO) >= 0)
        return 0;
    /* Others may hold all instances that fs.inotify.max_user_instances allows. */
    rt_note(rt, "cannot watch '%.150s' (%s): looking at the containers once a second instead", rt->exits, strerror(errno));
    if (rt->exits_fd >= 0)
        close(rt->exits_fd);
    rt->exits_fd = -1;
    return 0;
}

static int open_all(struct runtime *rt, struct kl_err *err)
{
    if (geteuid() != 0)
        return kl_err_set(err, KL_FORBIDDEN, "containers need root: this process runs as user %u", (unsigned)geteuid());
    int rc = find_programs(rt, err);
    if (rc == 0)
        rc = make_folders(rt, err);
    if (rc == 0)
        rc = image_store_open(rt->conf.image_dir, &rt->images, err);
    if (rc == 0)
        rc = cgroup_prepare(rt, err);
    if (rc == 0)
        rc = open_events(rt, err);
    if (rc < 0)
        return rc;
    ask_version(rt);
    clear_sessions(rt);
    return state_load(rt, err);
}

static void free_all(struct runtime *rt)
{
    list_each(node, &rt->containers)
        container_free(list_item(node, struct container, in_rt));
    list_each(node, &rt->sandboxes)
        sandbox_free(list_item(node, struct sandbox, in_rt));
    image_store_close(rt->images);
    if (rt->exits_fd >= 0)
        close(rt->exits_fd);
    if (rt->wake_fd >= 0)
        close(rt->wake_fd);
    buf_free(&rt->notes);
    pthread_mutex_destroy(&rt->lock);
    mem_free(rt);
}

static int rt_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct runtime *rt = mem_alloc(sizeof *rt);
    if (!rt)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    rt->host = h;
    rt->conf = *(const struct conf *)conf;
    rt->exits_fd = rt->wake_fd = -1;
    rt->notes.max = 65536;
    pthread_mutex_init(&rt->lock, NULL);
    list_init(&rt->sandboxes);
    list_init(&rt->containers);
    snprintf(rt->crun_root, sizeof rt->crun_root, "%.4000s/crun", rt->conf.run_dir);
    snprintf(rt->exits, sizeof rt->exits, "%.4000s/exits", rt->conf.run_dir);
    snprintf(rt->sockets, sizeof rt->sockets, "%.4000s/s", rt->conf.run_dir);
    int rc = open_all(rt, &c->err);
    if (rc < 0)
        free_all(rt);
    else
        *self = rt;
    return rc;
}

static int rt_probe(void *self, struct kl_call *c)
{
    const struct runtime *rt = self;
    if (access(rt->crun, X_OK) < 0 || access(rt->conmon, X_OK) < 0)
        return kl_fail(c, KL_UNAVAILABLE, "crun or conmon has gone: apt install crun conmon");
    return 0;
}

/* Containers live on. With nothing left, the machine is as it was found. */
static void rt_close(void *self)
{
    struct runtime *rt = self;
    uint64_t one = 1;
    if (write(rt->wake_fd, &one, sizeof one) < 0)
        kl_log(rt->host, KL_DEBUG, "nobody to wake");
    if (list_empty(&rt->sandboxes))
        cgroup_undo(rt);
    free_all(rt);
}

static const struct kl_runtime table = {
    .size = sizeof table,
    .life = { .open = rt_open, .probe = rt_probe, .close = rt_close },
    .version = rt_version,
    .sandbox_run = rt_sandbox_run,
    .sandbox_stop = rt_sandbox_stop,
    .sandbox_remove = rt_sandbox_remove,
    .container_create = rt_container_create,
    .container_start = rt_container_start,
    .container_stop = rt_container_stop,
    .container_remove = rt_container_remove,
    .list = rt_list,
    .exec = rt_exec,
    .attach = rt_attach,
    .reopen_log = rt_reopen_log,
    .wait = rt_wait,
    .image_status = rt_image_status,
    .image_pull = rt_image_pull,
    .image_list = rt_image_list,
    .image_remove = rt_image_remove,
    .stats = rt_stats,
    .container_update = rt_container_update,
    .sandbox_update = rt_sandbox_update,
};

static const struct kl_provider provides[] = { { KL_RUNTIME_0, "crun", 10, &table } };

#define FIELD(name, t, preset, text) { .key = #name, .type = t, .offset = offsetof(struct conf, name), .fallback = preset, .doc = text }
static const struct kl_conf_field fields[] = {
    FIELD(image_dir, KL_CONF_STR, "/var/lib/keelson/images", "the image store"),
    FIELD(state_dir, KL_CONF_STR, "/var/lib/keelson/runtime", "records and writable layers"),
    FIELD(run_dir, KL_CONF_STR, "/run/keelson/runtime", "mounts, sockets and exit files; a short path"),
    FIELD(crun, KL_CONF_STR, "crun", "program name or absolute path"),
    FIELD(conmon, KL_CONF_STR, "conmon", "program name or absolute path"),
    { .key = "pids_limit", .type = KL_CONF_INT, .offset = offsetof(struct conf, pids_limit), .fallback = "1024", .min = 16,
      .max = 4194304, .doc = "processes of a pod whose config sets no limit" },
    FIELD(registry_ca, KL_CONF_STR, NULL, "certificates that registries are trusted by, beside the system's (PEM); unset: none"),
    FIELD(insecure_registries, KL_CONF_LIST, NULL, "\"host:port\" of registries that are asked in plain text; loopback always is"),
};

KL_PLUGIN_DEFINE("dev.keelson.runtime-crun", "0.1.0", "keelson.runtime/0:crun", "", .summary = "containers by crun and conmon",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
