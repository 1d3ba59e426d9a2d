/* user.c - who a container's process is: numbers from the pod, else the image's user looked up in the image's own
 * /etc/passwd and /etc/group, which are read with a bound and parsed here, never by the host's name service.
 */
#include "runtime.h"

#include <fcntl.h>

#define FILE_MOST (1u << 20)
#define ID_MOST   2147483647LL

struct lookup {
    struct str name;
    int64_t uid, gid;                   /* -1: not known */
    struct user *out;
};

static bool number(struct str s, int64_t *ret)
{
    return str_int(s, ret) && *ret >= 0 && *ret <= ID_MOST;
}

/* "name:x:uid:gid:..."; matched by name or by uid. */
static void passwd_line(struct lookup *l, struct str line)
{
    struct str name = str_cut(&line, ':');
    int64_t uid, gid;
    str_cut(&line, ':');
    if (!number(str_cut(&line, ':'), &uid) || !number(str_cut(&line, ':'), &gid))
        return;
    bool by_name = l->name.len && str_eq(name, l->name), by_id = l->uid >= 0 && l->uid == uid;
    if (!by_name && !by_id)
        return;
    l->uid = uid;
    l->name = name;
    if (l->gid < 0)
        l->gid = gid;
}

static void add_group(struct user *u, int64_t gid)
{
    for (uint32_t i = 0; i < u->n_groups; i++)
        if (u->groups[i] == gid)
            return;
    if (u->n_groups < sizeof u->groups / sizeof *u->groups)
        u->groups[u->n_groups++] = (uint32_t)gid;
}

/* "name:x:gid:member,member" */
static void group_line(struct lookup *l, struct str line)
{
    str_cut(&line, ':');
    str_cut(&line, ':');
    int64_t gid;
    if (!number(str_cut(&line, ':'), &gid))
        return;
    while (line.at) {
        struct str member = str_trim(str_cut(&line, ','));
        if (member.len && str_eq(member, l->name))
            add_group(l->out, gid);
    }
}

static void each_line(struct str text, struct lookup *l, void (*run)(struct lookup *l, struct str line))
{
    while (text.at)
        run(l, str_cut(&text, '\n'));
}

static int group_number(struct str file, struct str name, int64_t *ret, struct kl_err *err)
{
    if (number(name, ret))
        return 0;
    while (file.at) {
        struct str line = str_cut(&file, '\n');
        if (!str_eq(str_cut(&line, ':'), name))
            continue;
        str_cut(&line, ':');
        if (number(str_cut(&line, ':'), ret))
            return 0;
    }
    return kl_err_set(err, KL_INVALID, "group '" STR_FMT "' is not in the image's /etc/group", (int)(name.len < 64 ? name.len : 64),
                      name.at);
}

static int read_file(int root, const char *path, struct buf *out, struct kl_err *err)
{
    int rc = fs_read_in(root, path, FILE_MOST, out, err);
    return rc == -KL_NOT_FOUND ? 0 : rc < 0 ? kl_err_wrap(err, "image file '/%s'", path) : 0;
}

static int find_user(struct lookup *l, struct str who, struct str passwd, struct str groups, struct kl_err *err)
{
    struct str user = str_cut(&who, ':');
    if (user.len && !number(user, &l->uid)) {
        int64_t any;
        if (str_int(user, &any))
            return kl_err_set(err, KL_INVALID, "user '" STR_FMT "' is not within 0..2147483647", STR_ARG(user));
        l->name = user;
        l->uid = -1;
    }
    if (!user.len)
        l->uid = 0;
    int rc = who.at && who.len ? group_number(groups, who, &l->gid, err) : 0;
    if (rc < 0)
        return rc;
    each_line(passwd, l, passwd_line);
    if (l->uid < 0)
        return kl_err_set(err, KL_INVALID, "user '" STR_FMT "' is not in the image's /etc/passwd",
                          (int)(user.len < 64 ? user.len : 64), user.at);
    return 0;
}

static int context_number(const struct val *context, const char *field, int64_t *ret, struct kl_err *err)
{
    const struct val *v = json_path(context, field);
    if (!v)
        return 0;
    int64_t n = v->type == VAL_INT ? v->i : -1;
    if (v->type == VAL_STR && !str_int(val_str(v), &n))
        n = -1;                         /* proto JSON writes 64-bit numbers as text */
    if (n < 0 || n > ID_MOST)
        return kl_err_set(err, KL_INVALID, "container field 'linux.securityContext.%s' is not within 0..2147483647", field);
    *ret = n;
    return 0;
}

int user_resolve(const char *root, const struct val *context, struct str image_user, struct user *ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf passwd = BUF_INIT(FILE_MOST + (1u << 17)), groups = BUF_INIT(FILE_MOST + (1u << 17));
    _cleanup_close_ int fd = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct lookup l = { .uid = -1, .gid = -1, .out = ret };
    int64_t uid = -1, gid = -1;
    *ret = (struct user){ 0 };
    int rc = read_file(fd, "etc/passwd", &passwd, err);
    if (rc == 0)
        rc = read_file(fd, "etc/group", &groups, err);
    if (rc == 0)
        rc = context_number(context, "runAsUser.value", &uid, err);
    if (rc == 0)
        rc = context_number(context, "runAsGroup.value", &gid, err);
    if (rc < 0)
        return rc;
    char number_text[24];
    struct str who = json_str(context, "runAsUsername");
    if (uid >= 0)
        snprintf(number_text, sizeof number_text, "%lld", (long long)uid);
    who = uid >= 0 ? str_of(number_text) : who.len ? who : image_user;
    rc = find_user(&l, who, buf_str(&passwd), buf_str(&groups), err);
    if (rc < 0)
        return rc;
    ret->uid = (uint32_t)l.uid;
    ret->gid = (uint32_t)(gid >= 0 ? gid : l.gid >= 0 ? l.gid : 0);
    add_group(ret, ret->gid);
    if (!str_is(json_str(context, "supplementalGroupsPolicy"), "Strict"))       /* then the image has no say */
        each_line(buf_str(&groups), &l, group_line);
    const struct val *more = json_get(context, STR("supplementalGroups"));
    if (val_is(more, VAL_ARR))
        val_each(v, more) {
            int64_t n = v->type == VAL_INT ? v->i : -1;
            if ((v->type == VAL_STR && !str_int(val_str(v), &n)) || n < 0 || n > ID_MOST)
                return kl_err_set(err, KL_INVALID, "container field 'linux.securityContext.supplementalGroups' holds a wrong number");
            add_group(ret, n);
        }
    return 0;
}
