/* published.c - volumes on this node: published once by their driver, for as long as a pod uses them.
 *
 *   STATE/claims/VOLUME/record      what a driver must be told to unpublish it, written before it is published
 *   STATE/claims/VOLUME/users/UID   pods that use it, written before it is bound for them
 *   STATE/claims/VOLUME/mount       where a driver may mount it
 *
 * So whatever is cut off is found again and undone. A lock on the folder keeps two pods from publishing and unpublishing one volume at once. */
#include "claims.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#define CALL_NS     (120 * NS_PER_S)
#define RECORD_MOST (256u << 10)

/* --- its folder on this node --- */

static char *path_of(const struct using *u, const char *tail)
{
    return arena_printf(u->arena, "%s%s", u->dir, tail);
}

int published_enter(struct using *u)
{
    u->lock = -1;
    u->dir = arena_printf(u->arena, "%s/claims/" STR_FMT, u->agent->conf->state_dir, STR_ARG(u->name));
    int rc = u->dir ? disk_mkdirs(u->dir, 0750, &u->call->err) : kl_fail(u->call, KL_NO_MEMORY, "no memory");
    if (rc < 0)
        return rc;
    u->lock = open(u->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (u->lock < 0 || flock(u->lock, LOCK_EX) != 0)
        return kl_fail(u->call, KL_INTERNAL, "'%s': %s", u->dir, strerror(errno));
    return 0;
}

void published_leave(struct using *u)
{
    if (u->lock >= 0)
        close(u->lock);
}

int published_add_user(struct using *u, struct str uid)
{
    char *users = path_of(u, "/users"), *user = arena_printf(u->arena, "%s/users/" STR_FMT, u->dir, STR_ARG(uid));
    if (!users || !user)
        return kl_fail(u->call, KL_NO_MEMORY, "no memory");
    int rc = disk_mkdirs(users, 0750, &u->call->err);
    return rc == 0 ? fs_put(user, STR(""), 0600, &u->call->err) : rc;
}

static bool has_users(const struct using *u)
{
    char *users = path_of(u, "/users");
    DIR *d = users ? opendir(users) : NULL;
    bool any = !users;
    for (struct dirent *e; d && !any && (e = readdir(d));)
        any = e->d_name[0] != '.';
    if (d)
        closedir(d);
    return any;
}

/* --- its driver --- */

static const char *const *list_of(struct arena *ar, const struct val *object)
{
    size_t n = 0;
    const char **list = arena_alloc(ar, (val_is(object, VAL_OBJ) ? 2 * object->n + 1 : 1) * sizeof *list);
    if (list && val_is(object, VAL_OBJ))
        val_each(m, object) {
            list[n++] = arena_dup(ar, val_key(m));
            list[n++] = arena_dup(ar, val_str(m).at ? val_str(m) : STR(""));
        }
    return list;
}

static const char *const *options_of(struct arena *ar, const struct val *options)
{
    size_t n = 0;
    const char **list = arena_alloc(ar, (val_is(options, VAL_ARR) ? options->n + 1 : 1) * sizeof *list);
    if (list && val_is(options, VAL_ARR))
        val_each(o, options)
            list[n++] = arena_dup(ar, val_str(o));
    return list;
}

bool published_read_only(const struct val *volume)
{
    const struct val *modes = json_path(volume, "spec.accessModes");
    if (json_bool(volume, "spec.csi.readOnly", false))
        return true;
    return val_is(modes, VAL_ARR) && modes->n == 1 && str_is(val_str(modes->first), "ReadOnlyMany");
}

/* From what the record has: the PersistentVolume may be gone when it is asked for. */
static struct kl_volume_use use_of(const struct using *u, const struct val *record)
{
    struct str fs = json_str(record, "fsType");
    return (struct kl_volume_use){ .size = sizeof(struct kl_volume_use), .id = arena_dup(u->arena, json_str(record, "id")),
                                   .context = list_of(u->arena, json_get(record, STR("context"))), .target = path_of(u, "/mount"),
                                   .fs_type = fs.len ? arena_dup(u->arena, fs) : NULL, .options = options_of(u->arena, json_get(record, STR("options"))),
                                   .read_only = json_bool(record, "readOnly", false), .block = json_bool(record, "block", false) };
}

static struct val *record_of(const struct using *u)
{
    struct arena *ar = u->arena;
    const struct val *csi = json_path(u->volume, "spec.csi"), *context = json_get(csi, STR("volumeAttributes")), *options = json_path(u->volume, "spec.mountOptions");
    struct val *o = val_new(ar, VAL_OBJ);
    set_s(ar, o, "driver", json_str(csi, "driver"));
    set_s(ar, o, "id", json_str(csi, "volumeHandle"));
    set_s(ar, o, "fsType", json_str(csi, "fsType"));
    if (context)
        set_v(ar, o, "context", val_copy(ar, context));
    if (options)
        set_v(ar, o, "options", val_copy(ar, options));
    set_b(ar, o, "readOnly", published_read_only(u->volume));
    set_b(ar, o, "block", str_is(json_str(u->volume, "spec.volumeMode"), "Block"));
    return o;
}

static int find_driver(const struct using *u, const struct val *record, struct kl_instance *ret)
{
    char *name = arena_dup(u->arena, json_str(record, "driver"));
    *ret = (struct kl_instance){ .size = sizeof *ret };
    if (!name)
        return kl_fail(u->call, KL_NO_MEMORY, "no memory");
    int rc = u->agent->plugins->find(u->agent->host, u->call, KL_VOLUME_0, name, ret);
    if (rc == -KL_NOT_FOUND)
        return kl_fail(u->call, KL_NOT_FOUND, "driver name %s not found in the list of registered CSI drivers", name);
    return rc;
}

int published_publish(struct using *u, const char **ret_path)
{
    struct val *record = record_of(u);
    struct kl_bytes text = agent_text(u->arena, record);
    struct kl_volume_use use = use_of(u, record);
    struct kl_instance driver;
    char *file = path_of(u, "/record");
    int rc = text.at && file && use.id && use.target ? find_driver(u, record, &driver) : kl_fail(u->call, KL_NO_MEMORY, "no memory");
    if (rc == 0)
        rc = disk_mkdirs(use.target, 0750, &u->call->err);
    if (rc == 0)
        rc = fs_put(file, bytes_str(text), 0600, &u->call->err);
    if (rc < 0)
        return rc;
    struct kl_call within = call_within(u->agent, u->call, CALL_NS);
    const char *path = NULL;
    const struct kl_volume *t = driver.table;
    rc = t->publish(driver.self, &within, &use, &path);
    u->call->err = within.err;
    if (rc < 0)
        return rc;
    if (!path || !*path)
        path = use.target;
    struct stat st;
    if (path[0] != '/' || stat(path, &st) != 0 || !(use.block ? S_ISBLK(st.st_mode) : S_ISDIR(st.st_mode)))
        return kl_fail(u->call, KL_INTERNAL, "its driver says that it is at '%.200s', where no %s is", path, use.block ? "block device" : "folder");
    *ret_path = arena_dup(u->arena, str_of(path));
    return *ret_path ? 0 : kl_fail(u->call, KL_NO_MEMORY, "no memory");
}

int published_grow(struct using *u)
{
    struct val *record = record_of(u);
    struct kl_volume_use use = use_of(u, record);
    struct kl_instance driver;
    int rc = use.id && use.target ? find_driver(u, record, &driver) : kl_fail(u->call, KL_NO_MEMORY, "no memory");
    const struct kl_volume *t = driver.table;
    if (rc < 0 || use.block || !KL_HAS(t, grow))
        return rc;
    struct kl_call within = call_within(u->agent, u->call, CALL_NS);
    rc = t->grow(driver.self, &within, &use);
    u->call->err = within.err;
    return rc;
}

static int unpublish(struct using *u)
{
    char *file = path_of(u, "/record");
    struct str text = file ? fs_get(u->arena, file, RECORD_MOST) : STR_NONE;
    struct val *record = text.at ? json_parse(u->arena, text, NULL) : NULL;
    struct kl_instance driver;
    if (!record)                        /* a folder that needs no driver */
        return 0;
    struct kl_volume_use use = use_of(u, record);
    int rc = use.id && use.target ? find_driver(u, record, &driver) : kl_fail(u->call, KL_NO_MEMORY, "no memory");
    if (rc == -KL_NOT_FOUND && use.target && !fs_is_mounted(use.target)) {
        kl_err_init(&u->call->err);
        return 0;
    }
    if (rc < 0)
        return rc;
    const struct kl_volume *t = driver.table;
    struct kl_call within = call_within(u->agent, u->call, CALL_NS);
    rc = t->unpublish(driver.self, &within, &use);
    u->call->err = within.err;
    if (rc == 0 && fs_is_mounted(use.target))
        rc = kl_fail(u->call, KL_INTERNAL, "its driver leaves something mounted on '%s'", use.target);
    return rc;
}

/* --- giving back --- */

static int release(struct using *u, struct str uid)
{
    char *user = arena_printf(u->arena, "%s/users/" STR_FMT, u->dir, STR_ARG(uid)), *target = path_of(u, "/mount");
    if (!user || !target)
        return kl_fail(u->call, KL_NO_MEMORY, "no memory");
    if (access(user, F_OK) != 0)
        return 0;
    int rc = 0;
    char *gone = arena_printf(u->arena, "%s/leaving", u->dir);
    if (!gone || rename(user, gone) != 0)
        return kl_fail(u->call, KL_INTERNAL, "'%s': %s", user, strerror(errno));
    if (!has_users(u))
        rc = unpublish(u);
    if (rc < 0) {                       /* it stays a user, and is asked again */
        rename(gone, user);
        return kl_err_wrap(&u->call->err, "UnmountVolume.TearDown failed for volume \"" STR_FMT "\"", STR_ARG(u->name));
    }
    unlink(gone);
    if (!has_users(u))
        fs_remove_tree(u->dir);
    return 0;
}

static DIR *open_claims(const struct agent *a, struct arena *ar)
{
    char *dir = ar ? arena_printf(ar, "%s/claims", a->conf->state_dir) : NULL;
    return dir ? opendir(dir) : NULL;
}

int claims_release(struct agent *a, struct kl_call *c, struct str uid)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    DIR *d = open_claims(a, ar);
    int rc = ar ? 0 : kl_fail(c, KL_NO_MEMORY, "no memory");
    for (struct dirent *e; d && (e = readdir(d));) {
        char *user = arena_printf(ar, "%s/claims/%s/users/" STR_FMT, a->conf->state_dir, e->d_name, STR_ARG(uid));
        struct using u = { a, c, ar, NULL, arena_str(ar, str_of(e->d_name)), NULL, -1 };
        if (e->d_name[0] == '.' || (user && access(user, F_OK) != 0))
            continue;
        int one = published_enter(&u);
        if (one == 0)
            one = release(&u, uid);
        published_leave(&u);
        rc = one < 0 ? one : rc;
        if (a->queue)
            a->queue->add(a->host, a->node, 0);         /* the node tells what it uses */
    }
    if (d)
        closedir(d);
    return rc;
}

void claims_in_use(const struct agent *a, struct arena *ar, struct val *ret_list)
{
    DIR *d = open_claims(a, ar);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *file = e->d_name[0] != '.' ? arena_printf(ar, "%s/claims/%s/record", a->conf->state_dir, e->d_name) : NULL;
        struct str text = file ? fs_get(ar, file, RECORD_MOST) : STR_NONE;
        struct val *record = text.at ? json_parse(ar, text, NULL) : NULL;
        if (record)
            val_push(ret_list, val_of_str(ar, str_of(arena_printf(ar, "kubernetes.io/csi/" STR_FMT "^" STR_FMT, STR_ARG(json_str(record, "driver")), STR_ARG(json_str(record, "id"))))));
    }
    if (d)
        closedir(d);
}
