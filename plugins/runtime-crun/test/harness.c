/* harness.c - see harness.h. */
#include "harness.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/env.h"
#include "image/fs.h"
#include "image/image.h"

#define PATIENCE_NS (30 * NS_PER_S)

static char conf_space[4096] __attribute__((aligned(16)));
static char dirs[3][128];

static void log_nothing(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h;
    if (getenv("RUNTIME_TEST_LOG"))
        fprintf(stderr, "[%d] %s\n", level, line);
}

static const struct kl_host host = { .size = sizeof host, .abi_major = KL_ABI_MAJOR, .name = "test", .version = "0",
                                     .instance = "crun", .log = log_nothing };

const char *harness_missing(void)
{
    char path[256];
    if (geteuid() != 0)
        return "not root";
    if (!fs_find_tool("crun", path, sizeof path))
        return "crun is not installed";
    if (!fs_find_tool("conmon", path, sizeof path))
        return "conmon is not installed";
    return fs_find_tool("busybox", path, sizeof path) ? NULL : "busybox is not installed";
}

static void *alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

struct kl_call *harness_call(struct harness *h)
{
    if (!h->arena)
        h->arena = arena_new(0);
    h->call = (struct kl_call){ .size = sizeof h->call, .arena = h->arena, .alloc = alloc };
    kl_err_init(&h->call.err);
    return &h->call;
}

/* As the host binds: by the table of fields, its defaults, and three settings of ours. */
static void bind_conf(const struct kl_plugin *p, const char *dir)
{
    static const char *const ours[] = { "image_dir", "state_dir", "run_dir" };
    static const char *const names[] = { "images", "state", "run" };
    memset(conf_space, 0, sizeof conf_space);
    for (uint32_t i = 0; i < p->conf.n; i++) {
        const struct kl_conf_field *f = KL_AT(struct kl_conf_field, p->conf, i);
        const char *text = f->fallback;
        for (size_t k = 0; k < 3; k++)
            if (strcmp(f->key, ours[k]) == 0) {
                snprintf(dirs[k], sizeof dirs[k], "%s/%s", dir, names[k]);
                text = dirs[k];
            }
        if (f->type == KL_CONF_STR)
            memcpy(conf_space + f->offset, &text, sizeof text);
        int64_t n = f->type == KL_CONF_INT ? strtoll(text, NULL, 10) : 0;
        if (f->type == KL_CONF_INT)
            memcpy(conf_space + f->offset, &n, sizeof n);
    }
}

static void make_image(const char *dir)
{
    char path[128], id[DIGEST_TEXT];
    struct image_store *s;
    struct kl_err err;
    kl_err_init(&err);
    const char *const env[] = { "FROM_IMAGE=yes", "BOTH=image", NULL }, *const cmd[] = { "/bin/sh", NULL };
    struct image_build b = { .tag = "box:1", .env = env, .cmd = cmd };
    snprintf(path, sizeof path, "%s/images", dir);
    cr_assert_eq(image_store_open(path, &s, &err), 0, "%s", err.msg);
    cr_assert_eq(image_build(s, &b, id, &err), 0, "%s", err.msg);
    image_store_close(s);
}

void harness_open(struct harness *h, bool fresh)
{
    if (fresh) {
        snprintf(h->dir, sizeof h->dir, "/tmp/rtXXXXXX");
        cr_assert_not_null(mkdtemp(h->dir));
        chmod(h->dir, 0755);
        make_image(h->dir);
    }
    void *file = dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(file, "%s", dlerror());
    const struct kl_plugin *p = dlsym(file, "kl_plugin");
    cr_assert_not_null(p);
    bind_conf(p, h->dir);
    h->rt = KL_AT(struct kl_provider, p->providers, 0)->table;
    struct kl_call *c = harness_call(h);
    cr_assert_eq(h->rt->life.open(&host, conf_space, &h->self, c), 0, "%s", c->err.msg);
}

void harness_close(struct harness *h)
{
    h->rt->life.close(h->self);
    h->self = NULL;
    h->arena = arena_free(h->arena);
}

static bool names_us(const char *path, const char *what)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *at;
    for (ssize_t n = 1; fd >= 0 && n > 0 && (at = buf_room(&b, 65536));) {
        n = read(fd, at, 65536);
        b.len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return b.at && memmem(b.at, b.len, what, strlen(what));
}

static bool process_left(const char *what)
{
    DIR *d = opendir("/proc");
    bool left = false;
    for (struct dirent *e; (e = readdir(d));) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && strtol(e->d_name, NULL, 10) != getpid())
            left |= names_us(path, what);
    }
    closedir(d);
    return left;
}

static bool folder_empty(const char *dir, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    DIR *d = opendir(path);
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n <= 2;
}

void harness_abandon(struct harness *h)
{
    struct kl_bytes text;
    if (!h->self)
        return;
    struct kl_call *c = harness_call(h);
    if (h->rt->list(h->self, c, NULL, &text) == 0) {
        struct val *v = json_parse(h->arena, str_n(text.at, text.len), NULL);
        val_each(s, json_get(v, STR("sandboxes")))
            h->rt->sandbox_remove(h->self, c, arena_dup(h->arena, json_str(s, "id")));
    }
    harness_close(h);
    fs_remove(AT_FDCWD, h->dir, NULL);
}

void harness_done(struct harness *h)
{
    static const char *const empty[] = { "state/sandboxes", "state/containers", "run/b", "run/e", "run/s", "run/exits",
                                         "run/sandboxes", "run/crun", "images/users" };
    harness_close(h);
    for (int i = 0; i < 100 && process_left(h->dir); i++)
        usleep(20000);                  /* a monitor takes a moment to go */
    cr_expect_not(process_left(h->dir), "a process is left");
    cr_expect_not(names_us("/proc/self/mountinfo", h->dir), "a mount is left");
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        cr_expect(folder_empty(h->dir, empty[i]), "'%s' is not empty", empty[i]);
    for (size_t i = 0; i < 4; i++) {
        char path[160];
        static const char *const trees[] = { "", "/memory", "/pids", "/systemd" };
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/test-%s", trees[i], h->dir + 5);
        cr_expect_neq(access(path, F_OK), 0, "control group '%s' is left", path);
    }
    fs_remove(AT_FDCWD, h->dir, NULL);
}

const char *harness_sandbox(struct harness *h, const char *uid, const char *more)
{
    char text[2048];
    const char *id;
    struct kl_call *c = harness_call(h);
    snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"p\",\"uid\":\"%s\",\"namespace\":\"default\",\"attempt\":0},\"hostname\":\"box\","
             "\"logDirectory\":\"%s/log\",\"labels\":{\"a\":\"b\"},\"linux\":{\"cgroupParent\":\"/test-%s/pod\"%s}}", uid, h->dir,
             h->dir + 5, more ? more : "");
    cr_assert_eq(h->rt->sandbox_run(h->self, c, (struct kl_bytes){ text, strlen(text) }, &id), 0, "%s", c->err.msg);
    return id;
}

const char *harness_container(struct harness *h, const char *sandbox, const char *name, const char *script, const char *more)
{
    const char *id;
    struct kl_call *c = harness_call(h);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    buf_printf(&b, "{\"metadata\":{\"name\":\"%s\",\"attempt\":0},\"image\":{\"image\":\"localhost/box:1\"},"
               "\"command\":[\"/bin/sh\",\"-c\",", name);
    json_write_str(&b, str_of(script));
    buf_printf(&b, "],\"logPath\":\"%s/0.log\"%s}", name, more ? more : "");
    cr_assert_eq(h->rt->container_create(h->self, c, sandbox, (struct kl_bytes){ b.at, b.len }, &id), 0, "%s", c->err.msg);
    return id;
}

void harness_start(struct harness *h, const char *id)
{
    struct kl_call *c = harness_call(h);
    cr_assert_eq(h->rt->container_start(h->self, c, id), 0, "%s", c->err.msg);
}

struct val *harness_find(struct harness *h, const char *id)
{
    struct kl_bytes text;
    struct kl_call *c = harness_call(h);
    cr_assert_eq(h->rt->list(h->self, c, NULL, &text), 0, "%s", c->err.msg);
    struct val *v = json_parse(h->arena, str_n(text.at, text.len), &c->err);
    cr_assert_not_null(v, "%s", c->err.msg);
    for (const char *const *kind = (const char *const[]){ "containers", "sandboxes", NULL }; *kind; kind++)
        val_each(k, json_get(v, str_of(*kind)))
            if (str_is(json_str(k, "id"), id))
                return k;
    return NULL;
}

struct val *harness_until(struct harness *h, const char *id, const char *state)
{
    for (int64_t until = env_mono_ns() + PATIENCE_NS; env_mono_ns() < until;) {
        struct val *v = harness_find(h, id);
        struct kl_bytes pods;
        if (str_is(json_str(v, "state"), state))
            return v;
        struct kl_call *c = harness_call(h);
        c->deadline_ns = env_mono_ns() + 200 * NS_PER_MS;
        cr_assert_eq(h->rt->wait(h->self, c, &pods), 0);
    }
    cr_assert_fail("container '%s' did not become %s", id, state);
    return NULL;
}

char *harness_log(struct harness *h, const char *name)
{
    char path[160];
    _cleanup_buf_ struct buf b = BUF_INIT(0), out = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    snprintf(path, sizeof path, "%s/log/%s/0.log", h->dir, name);
    cr_assert_eq(fs_read(AT_FDCWD, path, 1 << 24, &b, &err), 0, "%s", err.msg);
    for (struct str rest = buf_str(&b); rest.at && rest.len;) {
        struct str line = str_cut(&rest, '\n'), stamp = str_cut(&line, ' ');
        int64_t at;
        cr_expect(clock_parse(stamp, &at), "'" STR_FMT "' is not a time", STR_ARG(stamp));
        buf_add_str(&out, line);
        buf_add_c(&out, '\n');
    }
    return arena_dup(h->arena, buf_str(&out));
}

int harness_exec(struct harness *h, const char *id, const char *script, char *out, size_t cap)
{
    int ends[2];
    int32_t code = -1;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    struct kl_runtime_io io = { .size = sizeof io, .in = -1, .out = ends[1], .err = ends[1], .resize = -1 };
    struct kl_call *c = harness_call(h);
    int rc = h->rt->exec(h->self, c, id, argv, &io, &code);
    close(ends[1]);
    ssize_t n = read(ends[0], out, cap - 1);
    out[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    cr_assert_eq(rc, 0, "%s", c->err.msg);
    return code;
}
