/* record.c - records on disk: written at each change, read by the next instance, checked against what really runs. */
#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/env.h"

static int save(struct runtime *rt, const char *kind, const char *id, const struct val *v, struct kl_err *err)
{
    char path[PATH_MAX];
    _cleanup_buf_ struct buf b = BUF_INIT(4 * CONFIG_MOST);
    state_path(rt, path, kind, id, NULL);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return kl_err_set(err, KL_INTERNAL, "cannot make folder '%s': %s", path, strerror(errno));
    state_path(rt, path, kind, id, "record.json");
    json_write(&b, v);
    return b.failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : fs_write(AT_FDCWD, path, buf_str(&b), false, err);
}

int sandbox_save(struct runtime *rt, const struct sandbox *s, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v = val_new(a, VAL_OBJ);
    json_set_bool(a, v, STR("ready"), s->ready);
    json_set_int(a, v, STR("createdAt"), s->created_ns);
    json_set_int(a, v, STR("holderPid"), s->holder_pid);
    json_set_int(a, v, STR("holderStart"), (int64_t)s->holder_start);
    json_set_str(a, v, STR("config"), str_of(s->config));
    return arena_exhausted(a) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : save(rt, "sandboxes", s->id, v, err);
}

int container_save(struct runtime *rt, const struct container *c, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("sandbox"), str_of(c->sandbox));
    json_set_int(a, v, STR("state"), c->state);
    json_set_str(a, v, STR("imageId"), str_of(c->image_id));
    json_set_str(a, v, STR("logPath"), str_of(c->log_path));
    json_set_str(a, v, STR("message"), str_of(c->message));
    json_set_int(a, v, STR("stopSignal"), c->stop_signal);
    json_set_int(a, v, STR("exitCode"), c->exit_code);
    json_set_int(a, v, STR("pid"), c->pid);
    json_set_int(a, v, STR("pidStart"), (int64_t)c->pid_start);
    json_set_int(a, v, STR("monitorPid"), c->monitor_pid);
    json_set_int(a, v, STR("monitorStart"), (int64_t)c->monitor_start);
    json_set_bool(a, v, STR("ownPidns"), c->own_pidns);
    json_set_bool(a, v, STR("oom"), c->oom);
    json_set_bool(a, v, STR("lost"), c->lost);
    json_set_int(a, v, STR("createdAt"), c->created_ns);
    json_set_int(a, v, STR("startedAt"), c->started_ns);
    json_set_int(a, v, STR("finishedAt"), c->finished_ns);
    json_set_str(a, v, STR("config"), str_of(c->config));
    return arena_exhausted(a) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : save(rt, "containers", c->id, v, err);
}

static struct val *read_record(struct runtime *rt, struct arena *a, const char *kind, const char *id)
{
    char path[PATH_MAX];
    _cleanup_buf_ struct buf b = BUF_INIT(8 * CONFIG_MOST);
    state_path(rt, path, kind, id, "record.json");
    if (fs_read(AT_FDCWD, path, 4 * CONFIG_MOST, &b, NULL) < 0)
        return NULL;
    struct str text = arena_str(a, buf_str(&b));
    return text.at ? json_parse(a, text, NULL) : NULL;
}

static bool load_sandbox(struct runtime *rt, const char *id)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = a ? read_record(rt, a, "sandboxes", id) : NULL;
    struct str config = json_str(v, "config");
    struct sandbox *s = v ? sandbox_parse(config.at ? config.at : "", config.len, &err) : NULL;
    if (!s)
        return false;
    memcpy(s->id, id, ID_LEN + 1);
    if (strncmp(s->cgroup, "/keelson/", 9) == 0 && !json_str(json_path(v, "config"), "linux.cgroupParent").len &&
        strlen(s->cgroup) == 9 + ID_LEN)
        memcpy(s->cgroup + 9, id, ID_LEN);
    s->created_ns = json_int(v, "createdAt", 0);
    s->holder_pid = (int)json_int(v, "holderPid", 0);
    s->holder_start = (uint64_t)json_int(v, "holderStart", 0);
    char path[PATH_MAX];
    run_path(rt, path, "sandboxes", id, NULL);
    s->ready = json_bool(v, "ready", false) && access(path, F_OK) == 0 &&
               (!s->holder_pid || proc_alive(s->holder_pid, s->holder_start));
    list_push(&rt->sandboxes, &s->in_rt);
    return true;
}

static void fill_container(struct container *c, const struct val *v)
{
    struct str image = json_str(v, "imageId"), log = json_str(v, "logPath"), sandbox = json_str(v, "sandbox");
    struct str message = json_str(v, "message");
    snprintf(c->sandbox, sizeof c->sandbox, STR_FMT, STR_ARG(sandbox));
    snprintf(c->message, sizeof c->message, STR_FMT, STR_ARG(message));
    c->image_id = mem_dup(image.at ? image.at : "", image.len);
    c->log_path = mem_dup(log.at ? log.at : "", log.len);
    c->state = (enum state)json_int(v, "state", STATE_CREATING);
    c->stop_signal = (int)json_int(v, "stopSignal", 15);
    c->exit_code = (int)json_int(v, "exitCode", 0);
    c->pid = (int)json_int(v, "pid", 0);
    c->pid_start = (uint64_t)json_int(v, "pidStart", 0);
    c->monitor_pid = (int)json_int(v, "monitorPid", 0);
    c->monitor_start = (uint64_t)json_int(v, "monitorStart", 0);
    c->own_pidns = json_bool(v, "ownPidns", true);
    c->oom = json_bool(v, "oom", false);
    c->lost = json_bool(v, "lost", false);
    c->created_ns = json_int(v, "createdAt", 0);
    c->started_ns = json_int(v, "startedAt", 0);
    c->finished_ns = json_int(v, "finishedAt", 0);
}

static bool load_container(struct runtime *rt, const char *id)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = a ? read_record(rt, a, "containers", id) : NULL;
    struct str config = json_str(v, "config");
    struct container *c = v ? container_parse(config.at ? config.at : "", config.len, &err) : NULL;
    if (!c)
        return false;
    memcpy(c->id, id, ID_LEN + 1);
    fill_container(c, v);
    struct sandbox *s = sandbox_find(rt, c->sandbox);
    c->uid = s ? mem_dup(s->uid, strlen(s->uid)) : NULL;
    if (!c->uid || !c->image_id || !c->log_path || c->state == STATE_CREATING) {
        container_free(c);
        return false;
    }
    list_push(&rt->containers, &c->in_rt);
    container_refresh(rt, c);
    return true;
}

static int load_kind(struct runtime *rt, const char *kind, bool (*load)(struct runtime *rt, const char *id),
                     void (*discard)(struct runtime *rt, const char *id), struct kl_err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3000s/%s", rt->conf.state_dir, kind);
    DIR *d = opendir(path);
    if (!d)
        return kl_err_set(err, KL_INTERNAL, "cannot read '%s': %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!id_valid(e->d_name) || load(rt, e->d_name))
            continue;
        kl_log(rt->host, KL_WARN, "removing what is left of '%s' in %s: it was never finished or its record is damaged",
               e->d_name, kind);
        discard(rt, e->d_name);
    }
    closedir(d);
    return 0;
}

static void discard_sandbox(struct runtime *rt, const char *id)
{
    char path[PATH_MAX];
    struct sandbox s = { 0 };
    memcpy(s.id, id, ID_LEN + 1);
    namespaces_drop(rt, &s);
    state_path(rt, path, "sandboxes", id, NULL);
    fs_remove(AT_FDCWD, path, NULL);
}

int state_load(struct runtime *rt, struct kl_err *err)
{
    int rc = load_kind(rt, "sandboxes", load_sandbox, discard_sandbox, err);
    return rc == 0 ? load_kind(rt, "containers", load_container, container_discard, err) : rc;
}

static void ended(struct runtime *rt, struct container *c, int exit_code, int64_t at_ns)
{
    const struct sandbox *s = sandbox_find(rt, c->sandbox);
    char path[600], oom[PATH_MAX];
    snprintf(path, sizeof path, "%.500s/%s", s ? s->cgroup : "", c->id);
    run_path(rt, oom, "b", c->id, "oom");
    c->oom = cgroup_oom(rt, path) || access(oom, F_OK) == 0;
    c->state = STATE_EXITED;
    c->exit_code = exit_code;
    c->finished_ns = at_ns;
    struct kl_err err;
    kl_err_init(&err);
    if (container_save(rt, c, &err) < 0)
        kl_log(rt->host, KL_WARN, "container '%s' has ended, but its record was not written: %s", c->id, err.msg);
}

bool container_refresh(struct runtime *rt, struct container *c)
{
    char path[PATH_MAX];
    struct stat st;
    int64_t code;
    if (c->state != STATE_RUNNING && c->state != STATE_CREATED)
        return false;
    snprintf(path, sizeof path, "%.4000s/%s", rt->exits, c->id);
    if (stat(path, &st) == 0) {
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
        if (fs_read(AT_FDCWD, path, 32, &b, NULL) == 0 && str_int(str_trim(buf_str(&b)), &code)) {
            ended(rt, c, (int)code, st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec);
            return true;
        }
    }
    if (proc_alive(c->pid, c->pid_start) || proc_alive(c->monitor_pid, c->monitor_start))
        return false;
    if (stat(path, &st) == 0)           /* written between the first look and the second */
        return false;
    c->lost = true;
    snprintf(c->message, sizeof c->message, "the container and its monitor ended without a word (a reboot, or both were killed)");
    ended(rt, c, 255, env_wall_ns());
    return true;
}
