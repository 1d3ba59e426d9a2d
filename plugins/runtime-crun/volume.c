/* volume.c - images as volumes: the layers on top of each other, read-only, or the folder of the only one; a path within is bound by descriptor, so that no link of
 * the image leads out of it. Held as a container's own layers are.
 */
#include "runtime.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define VOLUMES_MOST 16

static void part(const struct runtime *rt, const char *id, unsigned n, const char *kind, char ret[PATH_MAX])
{
    char name[32];
    snprintf(name, sizeof name, "%s-%u", kind, n);
    run_path(rt, ret, "b", id, name);
}

void volume_path(const struct runtime *rt, const char *id, unsigned n, char ret[PATH_MAX])
{
    part(rt, id, n, "volume", ret);
}

static void user_name(const char *id, unsigned n, char ret[64])
{
    snprintf(ret, 64, "%.32s.%u", id, n);
}

static int stack(struct runtime *rt, const struct image *i, const char *const *dirs, const char *target, struct kl_err *err)
{
    char layers[PATH_MAX];
    _cleanup_buf_ struct buf o = BUF_INIT(4095);
    if (i->n_layers == 0)
        return 0;
    if (i->n_layers == 1)
        return mount(dirs[0], target, NULL, MS_BIND, NULL) == 0 ? 0 : kl_err_set(err, KL_INTERNAL, "cannot mount image volume: %s", strerror(errno));
    snprintf(layers, sizeof layers, "%.4000s/layers", image_store_dir(rt->images));
    buf_add_z(&o, "lowerdir=");
    for (uint32_t n = i->n_layers; n > 0; n--)          /* the uppermost first */
        buf_printf(&o, "%s%s", strrchr(dirs[n - 1], '/') + 1, n > 1 ? ":" : ",userxattr");
    if (o.failed)
        return kl_err_set(err, KL_TOO_LARGE, "the image has too many layers for overlayfs");
    int rc = rootfs_overlay(layers, target, o.at);
    return rc == 0 ? 0 : kl_err_set(err, KL_INTERNAL, "cannot mount image volume: %s", strerror(-rc));
}

/* The whole of it, or what subPath names: a folder or a file. */
static int bind_inside(const char *root, const char *sub, const char *target, struct kl_err *err)
{
    char from[64];
    struct stat st;
    _cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = dir >= 0 ? fs_open_in(dir, sub[0] ? sub : ".", O_PATH) : -1;
    if (fd < 0 || fstat(fd, &st) < 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
        return kl_err_set(err, KL_INVALID, "image volume has no folder or file '%.150s'", sub);
    int rc = S_ISDIR(st.st_mode) ? disk_mkdirs(target, 0755, err) : fs_write(AT_FDCWD, target, STR(""), false, err);
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (rc == 0 && mount(from, target, NULL, MS_BIND, NULL) < 0)
        rc = kl_err_set(err, KL_INTERNAL, "cannot bind '%s': %s", target, strerror(errno));
    return rc;
}

static int make_one(struct runtime *rt, const struct container *c, const struct val *m, unsigned n, struct arena *a, struct kl_err *err)
{
    char root[PATH_MAX], target[PATH_MAX], user[64];
    struct image *i;
    const char **dirs = NULL, *ref = arena_dup(a, json_str(m, "image.image")), *sub = arena_dup(a, json_str(m, "imageSubPath"));
    if (!ref || !sub)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    part(rt, c->id, n, "image", root);
    volume_path(rt, c->id, n, target);
    user_name(c->id, n, user);
    int rc = image_find(rt->images, a, ref, &i, err);
    if (rc == 0)
        rc = disk_mkdirs(root, 0755, err);
    if (rc == 0)
        rc = rt->no_overlay ? image_flatten(rt->images, i, root, err) : image_hold(rt->images, a, i, user, &dirs, err);
    if (rc == 0 && dirs)
        rc = stack(rt, i, dirs, root, err);
    return rc == 0 ? bind_inside(root, sub, target, err) : rc;
}

int volume_make(struct runtime *rt, const struct container *c, const struct val *config, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    const struct val *all = json_get(config, STR("mounts"));
    unsigned n = 0;
    int rc = a ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (const struct val *m = val_is(all, VAL_ARR) ? all->first : NULL; rc == 0 && m; m = m->next) {
        if (!json_get(m, STR("image")))
            continue;
        if (n == VOLUMES_MOST)
            return kl_err_set(err, KL_TOO_LARGE, "more than %d image volumes", VOLUMES_MOST);
        rc = make_one(rt, c, m, n++, a, err);
    }
    return rc;
}

void volume_drop(struct runtime *rt, const char *id)
{
    char path[PATH_MAX], user[64];
    for (unsigned n = 0; n < VOLUMES_MOST; n++) {
        volume_path(rt, id, n, path);
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
        part(rt, id, n, "image", path);
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
        user_name(id, n, user);
        image_release(rt->images, user, NULL);
    }
}
