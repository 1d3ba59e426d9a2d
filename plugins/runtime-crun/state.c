/* state.c - the records of sandboxes and containers in memory, and where their files are. */
#include "runtime.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/env.h"

void new_id(char ret[ID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[ID_LEN / 2];
    env_random(raw, sizeof raw);
    for (size_t i = 0; i < ID_LEN; i++)
        ret[i] = digits[i % 2 ? raw[i / 2] & 15 : raw[i / 2] >> 4];
    ret[ID_LEN] = '\0';
}

bool id_valid(const char *id)
{
    return id && strlen(id) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN;
}

static void join(char ret[PATH_MAX], const char *dir, const char *kind, const char *id, const char *name)
{
    snprintf(ret, PATH_MAX, "%.2000s/%s/%s%s%s", dir, kind, id, name ? "/" : "", name ? name : "");
}

void state_path(const struct runtime *rt, char ret[PATH_MAX], const char *kind, const char *id, const char *name)
{
    join(ret, rt->conf.state_dir, kind, id, name);
}

void run_path(const struct runtime *rt, char ret[PATH_MAX], const char *kind, const char *id, const char *name)
{
    join(ret, rt->conf.run_dir, kind, id, name);
}

struct sandbox *sandbox_find(struct runtime *rt, const char *id)
{
    list_each(node, &rt->sandboxes) {
        struct sandbox *s = list_item(node, struct sandbox, in_rt);
        if (strcmp(s->id, id) == 0)
            return s;
    }
    return NULL;
}

struct container *container_find(struct runtime *rt, const char *id)
{
    list_each(node, &rt->containers) {
        struct container *c = list_item(node, struct container, in_rt);
        if (strcmp(c->id, id) == 0)
            return c;
    }
    return NULL;
}

void sandbox_free(struct sandbox *s)
{
    if (!s)
        return;
    char *const texts[] = { s->config, s->uid, s->netns, s->log_dir, s->hostname, s->cgroup };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free(texts[i]);
    mem_free(s);
}

void container_free(struct container *c)
{
    if (!c)
        return;
    char *const texts[] = { c->config, c->image_id, c->log_path, c->uid };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free(texts[i]);
    mem_free(c);
}

static char *copy(struct str s)
{
    return mem_dup(s.at ? s.at : "", s.len);
}

static int check_namespaces(struct sandbox *s, const struct val *config, struct kl_err *err)
{
    const char *const base = "linux.securityContext.namespaceOptions.";
    static const struct {
        const char *name, *allowed;
    } rows[] = { { "network", " POD NODE " }, { "pid", " CONTAINER POD NODE " }, { "ipc", " POD NODE " } };
    struct str is[3];
    for (size_t i = 0; i < 3; i++) {
        char path[80], padded[32];
        snprintf(path, sizeof path, "%s%s", base, rows[i].name);
        is[i] = json_str(config, path);
        snprintf(padded, sizeof padded, " %.*s ", (int)(is[i].len < 20 ? is[i].len : 20), is[i].at ? is[i].at : "");
        if (is[i].len && (is[i].len > 20 || !strstr(rows[i].allowed, padded)))
            return kl_err_set(err, KL_INVALID, "sandbox field '%s' is '%s', must be one of%s", path, padded, rows[i].allowed);
    }
    s->net_host = str_is(is[0], "NODE");
    s->pid_pod = str_is(is[1], "POD");
    s->pid_host = str_is(is[1], "NODE");
    s->ipc_host = str_is(is[2], "NODE");
    return 0;
}

static int fill_sandbox(struct sandbox *s, const struct val *config, struct kl_err *err)
{
    struct str uid = json_str(config, "metadata.uid"), cgroup = json_str(config, "linux.cgroupParent");
    struct str log_dir = json_str(config, "logDirectory"), netns = json_str(config, "netns");
    struct str host = json_str(config, "hostname");
    if (uid.len == 0 || uid.len > 128)
        return kl_err_set(err, KL_INVALID, "sandbox field 'metadata.uid' is missing or longer than 128 bytes");
    if (cgroup.len && !cgroup_path_valid(cgroup))
        return kl_err_set(err, KL_INVALID, "sandbox field 'linux.cgroupParent' is not a control group path");
    if (host.len > 64)
        return kl_err_set(err, KL_INVALID, "sandbox field 'hostname' is longer than 64 bytes");
    if ((log_dir.len && log_dir.at[0] != '/') || (netns.len && netns.at[0] != '/'))
        return kl_err_set(err, KL_INVALID, "sandbox field '%s' is not an absolute path",
                          netns.len && netns.at[0] != '/' ? "netns" : "logDirectory");
    char path[512];
    if (cgroup.len)
        snprintf(path, sizeof path, "%s" STR_FMT, cgroup.at[0] == '/' ? "" : "/", STR_ARG(cgroup));
    else
        snprintf(path, sizeof path, "/keelson/%s", s->id);
    s->uid = copy(uid);
    s->netns = copy(netns);
    s->log_dir = copy(log_dir);
    s->hostname = copy(host);
    s->cgroup = copy(str_of(path));
    if (!s->uid || !s->netns || !s->log_dir || !s->hostname || !s->cgroup)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return check_namespaces(s, config, err);
}

static struct val *parse_config(struct arena *a, const char *config, size_t len, const char *what, struct kl_err *err)
{
    if (len > CONFIG_MOST) {
        kl_err_set(err, KL_TOO_LARGE, "the %s config exceeds %u bytes", what, CONFIG_MOST);
        return NULL;
    }
    struct val *v = json_parse(a, str_n(config, len), err);
    if (!v) {
        kl_err_wrap(err, "%s config", what);
    } else if (v->type != VAL_OBJ) {
        kl_err_set(err, KL_INVALID, "the %s config is not a JSON object", what);
        v = NULL;
    }
    return v;
}

struct sandbox *sandbox_parse(const char *config, size_t len, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v = a ? parse_config(a, config, len, "sandbox", err) : NULL;
    struct sandbox *s = v ? mem_alloc(sizeof *s) : NULL;
    if (!s) {
        if (!a || v)
            kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    list_init(&s->in_rt);
    new_id(s->id);
    s->config = mem_dup(config, len);
    s->created_ns = env_wall_ns();
    int rc = s->config ? fill_sandbox(s, v, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        return s;
    sandbox_free(s);
    return NULL;
}

struct container *container_parse(const char *config, size_t len, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v = a ? parse_config(a, config, len, "container", err) : NULL;
    struct container *c = v ? mem_alloc(sizeof *c) : NULL;
    if (!c) {
        if (!a || v)
            kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    list_init(&c->in_rt);
    new_id(c->id);
    c->config = mem_dup(config, len);
    c->created_ns = env_wall_ns();
    c->tty = json_bool(v, "tty", false);
    c->stdin_open = json_bool(v, "stdin", false);
    c->stdin_once = json_bool(v, "stdinOnce", false);
    struct str name = json_str(v, "metadata.name");
    if (!c->config)
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
    else if (name.len == 0 || name.len > 253)
        kl_err_set(err, KL_INVALID, "container field 'metadata.name' is missing or longer than 253 bytes");
    else
        return c;
    container_free(c);
    return NULL;
}

struct sandbox *sandbox_of_pod(struct runtime *rt, struct str uid, int64_t attempt)
{
    list_each(node, &rt->sandboxes) {
        struct sandbox *s = list_item(node, struct sandbox, in_rt);
        _cleanup_arena_ struct arena *a = str_is(uid, s->uid) && s->ready ? arena_new(16 << 20) : NULL;
        struct val *v = a ? json_parse(a, str_of(s->config), NULL) : NULL;
        if (v && json_int(v, "metadata.attempt", 0) == attempt)
            return s;
    }
    return NULL;
}
