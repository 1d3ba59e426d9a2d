/* spec_process.c - the process part of a container's OCI configuration: arguments, environment, user, rights. */
#include "runtime.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#define ENV_MOST 4096
#define PATH_ENV "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What containers may do when nobody says otherwise: the set that container users know. */
static const char *const usual_caps[] = { "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
                                          "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE" };
/* By number. */
static const char *const all_caps[] = {
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
    "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
    "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool listed(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* "CAP_NET_ADMIN", "NET_ADMIN" or "ALL" */
static bool names_cap(const struct val *list, const char *name)
{
    if (!val_is(list, VAL_ARR))
        return false;
    val_each(v, list) {
        struct str s = val_str(v);
        if (str_starts(s, STR("CAP_")))
            s = str_skip(s, 4);
        if (str_eq_nocase(s, str_of(name)))
            return true;
    }
    return false;
}

static int check_caps(const struct val *list, const char *field, struct kl_err *err)
{
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(v, list) {
        bool known = false;
        struct str s = val_str(v), bare = str_starts(s, STR("CAP_")) ? str_skip(s, 4) : s;
        for (size_t i = 0; i < COUNT(all_caps); i++)
            known |= str_eq_nocase(bare, str_of(all_caps[i]));
        if (!known && !str_eq_nocase(s, STR("ALL")))
            return kl_err_set(err, KL_INVALID, "container field 'linux.securityContext.capabilities.%s': '" STR_FMT
                              "' is not a capability", field, (int)(s.len < 40 ? s.len : 40), s.at ? s.at : "");
    }
    return 0;
}

/* Who asks for everything gets what there is to give: within a container of its own the host itself may lack some. */
static bool has_itself(size_t number)
{
    return prctl(PR_CAPBSET_READ, number) == 1;
}

static int add_caps(const struct spec_input *in, struct val *process, struct kl_err *err)
{
    static const char *const sets[] = { "bounding", "effective", "permitted" };
    const struct val *context = json_path(in->config, "linux.securityContext");
    const struct val *add = json_path(context, "capabilities.addCapabilities");
    const struct val *drop = json_path(context, "capabilities.dropCapabilities");
    bool everything = json_bool(context, "privileged", false);
    struct val *caps = json_obj(in->a, process, STR("capabilities"));
    int rc = check_caps(add, "addCapabilities", err);
    if (rc == 0)
        rc = check_caps(drop, "dropCapabilities", err);
    for (size_t i = 0; i < COUNT(sets); i++)
        json_arr(in->a, caps, str_of(sets[i]));
    for (size_t i = 0; i < COUNT(all_caps); i++) {
        bool has = listed(all_caps[i], usual_caps, COUNT(usual_caps));
        if (names_cap(drop, "ALL"))
            has = false;
        if (names_cap(add, "ALL") && !names_cap(drop, all_caps[i]))
            has = has_itself(i);
        has = (has && !names_cap(drop, all_caps[i])) || names_cap(add, all_caps[i]) || (everything && has_itself(i));
        for (size_t k = 0; has && k < COUNT(sets); k++)
            val_push(json_get(caps, str_of(sets[k])), val_of_str(in->a, str_of(arena_printf(in->a, "CAP_%s", all_caps[i]))));
    }
    return rc;
}

/* NAME=VALUE; a later one of that name takes the earlier one's place. */
static int put_env(struct arena *a, struct val *list, struct str name, struct str value, struct kl_err *err)
{
    if (name.len == 0 || str_find(name, '=') >= 0 || memchr(name.at, 0, name.len) || (value.len && memchr(value.at, 0, value.len)))
        return kl_err_set(err, KL_INVALID, "container field 'envs': '" STR_FMT "' is not a name and value",
                          (int)(name.len < 80 ? name.len : 80), name.at ? name.at : "");
    struct str line = str_of(arena_printf(a, STR_FMT "=" STR_FMT, STR_ARG(name), STR_ARG(value)));
    val_each(v, list) {
        struct str old = val_str(v);
        if (old.len > name.len && memcmp(old.at, name.at, name.len) == 0 && old.at[name.len] == '=') {
            v->s = line.at;
            v->n = (uint32_t)line.len;
            return 0;
        }
    }
    if (list->n >= ENV_MOST)
        return kl_err_set(err, KL_TOO_LARGE, "more than %d environment variables", ENV_MOST);
    val_push(list, val_of_str(a, line));
    return 0;
}

static int add_env(const struct spec_input *in, struct val *list, struct kl_err *err)
{
    const struct val *image = json_get(in->image, STR("Env")), *own = json_get(in->config, STR("envs"));
    val_push(list, val_of_str(in->a, STR(PATH_ENV)));
    int rc = put_env(in->a, list, STR("HOSTNAME"), str_of(in->s->hostname), err);
    if (rc == 0 && in->c->tty)
        rc = put_env(in->a, list, STR("TERM"), STR("xterm"), err);
    for (const struct val *v = val_is(image, VAL_ARR) ? image->first : NULL; rc == 0 && v; v = v->next) {
        struct str value = val_str(v), name = str_cut(&value, '=');
        rc = name.len ? put_env(in->a, list, name, value, err) : 0;
    }
    for (const struct val *v = val_is(own, VAL_ARR) ? own->first : NULL; rc == 0 && v; v = v->next)
        rc = put_env(in->a, list, json_str(v, "key"), json_str(v, "value"), err);
    return rc;
}

static void append(struct arena *a, struct val *args, const struct val *list)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            val_push(args, val_of_str(a, val_str(v)));
}

/* command replaces the entrypoint and drops the image's own arguments; args replace only those. */
static int add_args(const struct spec_input *in, struct val *args, struct kl_err *err)
{
    const struct val *command = json_get(in->config, STR("command")), *own = json_get(in->config, STR("args"));
    bool has_command = val_is(command, VAL_ARR) && command->n, has_args = val_is(own, VAL_ARR) && own->n;
    append(in->a, args, has_command ? command : json_get(in->image, STR("Entrypoint")));
    if (has_args || !has_command)
        append(in->a, args, has_args ? own : json_get(in->image, STR("Cmd")));
    if (!args || args->n == 0)
        return kl_err_set(err, KL_INVALID, "no command specified: neither the container nor its image says what to run");
    return 0;
}

static int add_user(const struct spec_input *in, struct val *user, struct kl_err *err)
{
    struct user u;
    int rc = user_resolve(in->rootfs, json_path(in->config, "linux.securityContext"), json_str(in->image, "User"), &u, err);
    if (rc < 0)
        return rc;
    json_set_int(in->a, user, STR("uid"), u.uid);
    json_set_int(in->a, user, STR("gid"), u.gid);
    for (uint32_t i = 0; i < u.n_groups; i++)
        val_push(json_arr(in->a, user, STR("additionalGids")), val_of_int(in->a, u.groups[i]));
    return 0;
}

/* Within a container of its own the host may lack the right to protect others from the OOM killer better than itself. */
static int64_t oom_score(int64_t wanted)
{
    long long own = 0;
    _cleanup_file_ FILE *f = fopen("/proc/self/oom_score_adj", "re");
    if (prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1 || !f || fscanf(f, "%lld", &own) != 1)
        return wanted;
    return wanted < own ? own : wanted;
}

int spec_process(const struct spec_input *in, struct val *process, struct kl_err *err)
{
    struct arena *a = in->a;
    const struct val *adj = json_path(in->config, "linux.resources.oomScoreAdj");
    struct str cwd = json_str(in->config, "workingDir");
    if (!cwd.len)
        cwd = json_str(in->image, "WorkingDir");
    if (!cwd.len)
        cwd = STR("/");
    if (cwd.at[0] != '/' || cwd.len > 4000)
        return kl_err_set(err, KL_INVALID, "container field 'workingDir' is not an absolute path");
    json_set_bool(a, process, STR("terminal"), in->c->tty);
    json_set_str(a, process, STR("cwd"), cwd);
    json_set_bool(a, process, STR("noNewPrivileges"), json_bool(in->config, "linux.securityContext.noNewPrivs", false));
    if (val_is(adj, VAL_INT))
        json_set_int(a, process, STR("oomScoreAdj"), oom_score(adj->i));
    int rc = add_args(in, json_arr(a, process, STR("args")), err);
    if (rc == 0)
        rc = add_env(in, json_arr(a, process, STR("env")), err);
    if (rc == 0)
        rc = add_user(in, json_obj(a, process, STR("user")), err);
    return rc == 0 ? add_caps(in, process, err) : rc;
}
