/* box.c - see box.h. */
#include "box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "conf/load.h"

static void write_file(const char *path, const char *text, size_t n)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, text, n) < 0)
        unlink(path);
}

static void loopback_up(void)
{
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    _cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s >= 0)
        ioctl(s, SIOCSIFFLAGS, &r);
}

/* The folders that settings fall back to are not those of a Keelson that runs here. */
static void hide_folders(const char *plugin)
{
    static const char *const folders[] = { "/var/lib", "/run", "/var/log", "/etc" };
    char real[PATH_MAX], path[64];
    bool known = realpath(plugin, real) != NULL;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t n = strlen(folders[i]);
        snprintf(path, sizeof path, "%s/keelson", folders[i]);
        if (access(path, F_OK) == 0)
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
        else if (strcmp(folders[i], "/etc") != 0 && known && (strncmp(real, folders[i], n) != 0 || real[n] != '/'))
            mount("tmpfs", folders[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    }
}

static bool go_apart(const char *plugin)
{
    unsigned uid = geteuid(), gid = getegid();
    int what = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    char map[64];
    if (uid != 0 && unshare(CLONE_NEWUSER) == 0) {
        write_file("/proc/self/setgroups", "deny", 4);
        write_file("/proc/self/uid_map", map, (size_t)snprintf(map, sizeof map, "0 %u 1", uid));
        write_file("/proc/self/gid_map", map, (size_t)snprintf(map, sizeof map, "0 %u 1", gid));
    }
    if (unshare(what) != 0)
        return false;
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    hide_folders(plugin);
    loopback_up();
    return true;
}

int box_open(struct box *b, const char *plugin, const char *file, struct kl_err *err)
{
    struct val *config = NULL;
    *b = (struct box){ .arena = arena_new(0) };
    snprintf(b->dir, sizeof b->dir, "/tmp/keelson-test-XXXXXX");
    if (!b->arena || (file && conf_load(b->arena, file, &config, err) < 0)) {
        arena_free(b->arena);
        return b->arena ? -err->code : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    static const struct conf_row rows[] = { { "settings", VAL_OBJ, 0, 0, NULL }, { "files", VAL_ARR, 0, 0, NULL } };
    if (config && conf_check(b->arena, config, rows, 2, err) < 0) {
        arena_free(b->arena);
        return -err->code;
    }
    b->config = config;
    b->apart = go_apart(plugin);
    if (mkdtemp(b->dir))
        return 0;
    arena_free(b->arena);
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be made: %s", b->dir, strerror(errno));
}

static void expand(struct arena *a, struct val *v, const char *dir)
{
    if (val_is(v, VAL_OBJ) || val_is(v, VAL_ARR)) {
        for (struct val *m = v->first; m; m = m->next)
            expand(a, m, dir);
        return;
    }
    if (!val_is(v, VAL_STR))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    struct str rest = val_str(v);
    for (const char *at; rest.len && (at = memmem(rest.at, rest.len, "$(tmp)", 6));) {
        buf_add(&b, rest.at, (size_t)(at - rest.at));
        buf_add_z(&b, dir);
        rest = str_skip(rest, (size_t)(at - rest.at) + 6);
    }
    buf_add_str(&b, rest);
    v->s = arena_dup(a, buf_str(&b));
    v->n = (uint32_t)b.len;
}

char *box_folder(struct box *b, struct arena *a, unsigned number)
{
    char *dir = arena_printf(a, "%s/%u", b->dir, number);
    if (!dir || mkdir(dir, 0700) < 0)
        return NULL;
    const struct val *files = json_get(b->config, STR("files"));
    if (files)
        val_each(f, files) {
            struct str name = json_str(f, "name"), text = json_str(f, "text");
            char *path = name.len && str_find(name, '/') < 0 ? arena_printf(a, "%s/" STR_FMT, dir, STR_ARG(name)) : NULL;
            if (path)
                write_file(path, text.at, text.len);
        }
    return dir;
}

/* In place: nodes of a configuration know where they were written, copies of them would not. */
const struct val *box_settings(struct box *b, struct arena *a, const char *dir)
{
    struct val *settings = json_get(b->config, STR("settings"));
    if (settings)
        expand(a, settings, dir);
    return settings;
}

static void remove_tree(const char *path)
{
    char below[PATH_MAX];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        umount2(below, MNT_DETACH);
        if (unlink(below) != 0)
            remove_tree(below);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

void box_close(struct box *b)
{
    remove_tree(b->dir);
    arena_free(b->arena);
}
