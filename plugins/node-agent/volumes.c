/* volumes.c - volumes of a pod as folders on this node. Those of claims: claims.c. */
#include "claims.h"
#include "sources.h"

#include <dirent.h>
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/quantity.h"

const struct val *volumes_named(const struct pod_view *v, struct str name)
{
    const struct val *all = json_get(v->spec, STR("volumes"));
    if (val_is(all, VAL_ARR))
        val_each(o, all)
            if (str_eq(json_str(o, "name"), name))
                return o;
    return NULL;
}

char *volumes_path(const struct agent *a, const struct pod_view *v, struct str volume, struct kl_err *err)
{
    const struct val *o = volumes_named(v, volume), *host = json_get(o, STR("hostPath"));
    char *path = NULL;
    if (!o) {
        kl_err_set(err, KL_INVALID, "volume '" STR_FMT "' is not among the pod's volumes", STR_ARG(volume));
        return NULL;
    }
    if (host)
        path = arena_dup(v->arena, json_str(host, "path"));
    else {
        char *tail = arena_printf(v->arena, "/volumes/" STR_FMT, STR_ARG(volume));
        path = tail ? pod_path(a, v->arena, v->uid, tail) : NULL;
    }
    if (!path)
        kl_err_set(err, KL_NO_MEMORY, "no memory");
    return path;
}

void volumes_uses(const struct val *pod, struct arena *a, struct val *ret)
{
    static const struct {
        const char *path, *format;
    } rows[] = { { "configMap.name", "configmaps/" }, { "secret.secretName", "secrets/" }, { "secret.name", "secrets/" } };
    const struct val *all = json_path(pod, "spec.volumes");
    if (!val_is(all, VAL_ARR))
        return;
    val_each(o, all)
    {
        struct str claim = claims_name(json_str(pod, "metadata.name"), o, a);
        if (claim.len)
            val_push(ret, val_of_str(a, str_of(arena_printf(a, "persistentvolumeclaims/" STR_FMT, STR_ARG(claim)))));
        const struct val *sources = json_path(o, "projected.sources");
        for (size_t i = 0; i < 3; i++) {
            if (json_str(o, rows[i].path).len)
                val_push(ret, val_of_str(a, str_of(arena_printf(a, "%s" STR_FMT, rows[i].format, STR_ARG(json_str(o, rows[i].path))))));
            if (!val_is(sources, VAL_ARR))
                continue;
            val_each(s, sources)
                if (json_str(s, rows[i].path).len)
                    val_push(ret, val_of_str(a, str_of(arena_printf(a, "%s" STR_FMT, rows[i].format, STR_ARG(json_str(s, rows[i].path))))));
        }
    }
}

static bool is_mount(const char *path)
{
    struct stat own, above;
    char up[4096];
    snprintf(up, sizeof up, "%s/..", path);
    return stat(path, &own) == 0 && stat(up, &above) == 0 && own.st_dev != above.st_dev;
}

static int64_t fs_group(const struct pod_view *v)
{
    return json_int(v->spec, "securityContext.fsGroup", 0);
}

static int mount_memory(const char *path, const char *options, struct kl_err *err)
{
    if (is_mount(path) || mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0)
        return 0;
    return kl_err_set(err, KL_INTERNAL, "tmpfs on '%s': %s", path, strerror(errno));
}

/* Made once: what its users do with its mode and owners afterwards is theirs. */
static int make_empty_dir(const struct agent *a, const struct pod_view *v, const struct val *o, const char *path, struct kl_err *err)
{
    const struct val *src = json_get(o, STR("emptyDir"));
    bool memory = str_is(json_str(src, "medium"), "Memory");
    char *tail = arena_printf(v->arena, "/made/" STR_FMT, STR_ARG(json_str(o, "name")));
    char *mark = tail ? pod_path(a, v->arena, v->uid, tail) : NULL, *marks = pod_path(a, v->arena, v->uid, "/made");
    if (!mark || !marks)
        return kl_err_set(err, KL_NO_MEMORY, "no memory");
    if (access(mark, F_OK) == 0 && access(path, F_OK) == 0 && (!memory || is_mount(path)))
        return 0;
    int rc = disk_mkdirs(marks, 0700, err);
    if (rc == 0)
        rc = disk_mkdirs(path, 0777, err);
    if (rc < 0)
        return rc;
    if (str_is(json_str(src, "medium"), "HugePages"))
        return kl_err_set(err, KL_UNSUPPORTED, "medium HugePages is not supported on this node");
    if (memory) {
        char options[64] = "mode=1777";
        int64_t most = quantity_text_value(json_str(src, "sizeLimit"), 0);
        if (most > 0)
            snprintf(options, sizeof options, "mode=1777,size=%lld", (long long)most);
        rc = mount_memory(path, options, err);
    }
    if (rc < 0)
        return rc;
    if (!memory && chmod(path, 0777) != 0)
        return kl_err_set(err, KL_INTERNAL, "'%s': %s", path, strerror(errno));
    if (fs_group(v) > 0 && (rc = fs_set_group(path, (uint32_t)fs_group(v))) < 0)
        return rc;
    return fs_put(mark, STR(""), 0600, err);
}

int volumes_check_host_path(const struct val *src, struct kl_err *err)
{
    static const struct {
        const char *type, *is;
        mode_t mode;
        bool make;
    } rows[] = { { "Directory", "directory", S_IFDIR, false },       { "DirectoryOrCreate", "directory", S_IFDIR, true },
                 { "File", "file", S_IFREG, false },                 { "FileOrCreate", "file", S_IFREG, true },
                 { "Socket", "socket file", S_IFSOCK, false },       { "CharDevice", "character device", S_IFCHR, false },
                 { "BlockDevice", "block device", S_IFBLK, false } };
    struct str type = json_str(src, "type"), path = json_str(src, "path");
    char z[4096];
    struct stat st;
    if (!path.len || path.at[0] != '/' || path.len >= sizeof z)
        return kl_err_set(err, KL_INVALID, "hostPath '" STR_FMT "' is not an absolute path", STR_ARG(path));
    snprintf(z, sizeof z, STR_FMT, STR_ARG(path));
    bool there = stat(z, &st) == 0;
    if (!type.len && !there)
        return disk_mkdirs(z, 0755, err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_is(type, rows[i].type))
            continue;
        if (there && (st.st_mode & S_IFMT) == rows[i].mode)
            return 0;
        if (there || !rows[i].make)
            return kl_err_set(err, KL_INVALID, "hostPath type check failed: %s is not a %s", z, rows[i].is);
        return rows[i].mode == S_IFDIR ? disk_mkdirs(z, 0755, err) : fs_put(z, STR(""), 0644, err);
    }
    return 0;
}

static int make_files(struct source_in *in, const struct val *o, const char *path)
{
    const struct val *src = NULL;
    int rc = -KL_UNSUPPORTED;
    bool secret = json_get(o, STR("secret")) || json_get(o, STR("projected"));
    if ((src = json_get(o, STR("configMap"))))
        in->mode = (uint32_t)json_int(src, "defaultMode", 0644), rc = source_config_map(in, src, "/configmaps");
    else if ((src = json_get(o, STR("secret"))))
        in->mode = (uint32_t)json_int(src, "defaultMode", 0644), rc = source_config_map(in, src, "/secrets");
    else if ((src = json_get(o, STR("downwardAPI"))))
        in->mode = (uint32_t)json_int(src, "defaultMode", 0644), rc = source_downward(in, json_get(src, STR("items")));
    else if ((src = json_get(o, STR("projected"))))
        in->mode = (uint32_t)json_int(src, "defaultMode", 0644), rc = source_projected(in, src);
    else
        kl_fail(in->call, KL_UNSUPPORTED, "its kind is not supported on this node");
    if (rc == 0)
        rc = disk_mkdirs(path, 0755, &in->call->err);
    if (rc == 0 && secret)                  /* never on a disk */
        rc = mount_memory(path, "mode=0755,size=64m", &in->call->err);
    if (rc == 0)
        rc = writer_write(path, in->out, &in->call->err);
    return rc < 0 ? rc : 0;
}

static int make_volume(struct agent *a, struct kl_call *c, struct pod_view *v, const struct val *o, struct str *name, int64_t *again_ns)
{
    char *path = volumes_path(a, v, json_str(o, "name"), &c->err);
    const struct val *src;
    if (!path)
        return -c->err.code;
    if (json_get(o, STR("image")))
        return 0;                           /* the runtime's, for each container */
    if ((src = json_get(o, STR("hostPath"))))
        return volumes_check_host_path(src, &c->err);
    if (json_get(o, STR("persistentVolumeClaim")) || json_get(o, STR("ephemeral")))
        return claims_set_up(a, c, v, o, path, name);
    if (json_get(o, STR("emptyDir")))
        return make_empty_dir(a, v, o, path, &c->err);
    struct payload out = { .arena = v->arena, .gid = (uint32_t)fs_group(v) };
    struct source_in in = { a, c, v, &out, 0644, again_ns };
    return make_files(&in, o, path);
}

int volumes_set_up(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    const struct val *all = json_get(v->spec, STR("volumes"));
    char *dir = pod_path(a, v->arena, v->uid, "/volumes");
    int rc = dir ? disk_mkdirs(dir, 0750, &c->err) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0 || !val_is(all, VAL_ARR))
        return rc;
    val_each(o, all)
    {
        struct str name = json_str(o, "name");
        rc = make_volume(a, c, v, o, &name, again_ns);
        if (rc < 0)
            return kl_err_wrap(&c->err, "MountVolume.SetUp failed for volume \"" STR_FMT "\"", STR_ARG(name));
    }
    return 0;
}

void volumes_tear_down(struct agent *a, struct str uid)
{
    static const char *const parts[] = { "/subpaths", "/volumes" };
    _cleanup_arena_ struct arena *ar = arena_new(0);
    for (size_t i = 0; ar && i < 2; i++) {
        char *dir = pod_path(a, ar, uid, parts[i]);
        if (!dir)
            return;
        fs_unmount_below(dir);
        fs_remove_tree(dir);
    }
}
