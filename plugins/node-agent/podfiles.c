/* podfiles.c - where a pod's files are, and the three that every container sees: hosts, hostname, resolv.conf. */
#include "agent.h"

#define HOSTS_MOST (256u << 10)             /* of the node's own file */

char *pod_path(const struct agent *a, struct arena *ar, struct str uid, const char *tail)
{
    /* A uid is a name in a folder: anything else would be a path out of it. */
    if (memchr(uid.at ? uid.at : "", '/', uid.len) || (uid.len && uid.at[0] == '.'))
        return NULL;
    return uid.len ? arena_printf(ar, "%s/pods/" STR_FMT "%s", a->conf->state_dir, STR_ARG(uid), tail)
                   : arena_printf(ar, "%s/pods", a->conf->state_dir);
}

char *log_dir_of(const struct agent *a, struct arena *ar, struct str ns, struct str name, struct str uid)
{
    if (memchr(uid.at ? uid.at : "", '/', uid.len) || memchr(name.at ? name.at : "", '/', name.len))
        return NULL;
    return arena_printf(ar, "%s/" STR_FMT "_" STR_FMT "_" STR_FMT, a->conf->log_dir, STR_ARG(ns), STR_ARG(name), STR_ARG(uid));
}

struct str podfiles_hostname(const struct pod_view *v)
{
    struct str name = json_str(v->spec, "hostname"), other = json_str(v->spec, "hostnameOverride");
    if (other.len)
        return other;
    name = name.len ? name : v->name;
    if (name.len > 63)
        name.len = 63;
    while (name.len && (name.at[name.len - 1] == '-' || name.at[name.len - 1] == '.'))
        name.len--;
    return name;
}

int podfiles_nodename(const struct agent *a, const struct pod_view *v, struct str *ret, struct kl_err *err)
{
    struct str name = podfiles_hostname(v), sub = json_str(v->spec, "subdomain");
    *ret = view_host_network(v) ? str_of(a->node) : name;
    if (view_host_network(v) || !sub.len || !json_bool(v->spec, "setHostnameAsFQDN", false))
        return 0;
    *ret = str_of(arena_printf(v->arena, STR_FMT "." STR_FMT "." STR_FMT ".svc.%s", STR_ARG(name), STR_ARG(sub), STR_ARG(v->ns), a->conf->cluster_domain));
    if (ret->len > 64)
        return kl_err_set(err, KL_INVALID, "failed to construct FQDN from pod hostname and cluster domain, FQDN " STR_FMT " is too long (64 characters is the max, "
                          "%u characters requested)", STR_ARG(*ret), (unsigned)ret->len);
    return 0;
}

static struct val *host_dns(struct arena *ar)
{
    struct val *o = val_new(ar, VAL_OBJ), *servers = json_arr(ar, o, STR("servers")), *searches = json_arr(ar, o, STR("searches"));
    struct val *options = json_arr(ar, o, STR("options"));
    for (struct str rest = fs_get(ar, "/etc/resolv.conf", 65536); rest.at;) {
        struct str line = str_trim(str_cut(&rest, '\n')), word = str_cut(&line, ' ');
        struct val *to = str_is(word, "nameserver") ? servers : str_is(word, "search") ? searches : str_is(word, "options") ? options : NULL;
        if (to == searches)
            searches->first = searches->last = NULL, searches->n = 0;
        while (to && line.at) {
            struct str part = str_trim(str_cut(&line, ' '));
            if (part.len)
                val_push(to, val_of_str(ar, part));
        }
    }
    return o;
}

static void push_unique(struct arena *ar, struct val *list, struct str s, size_t most)
{
    if (list->n < most && s.len && !json_lists(list, s))
        val_push(list, val_of_str(ar, s));
}

static struct val *cluster_dns(const struct agent *a, const struct pod_view *v)
{
    struct arena *ar = v->arena;
    const char *domain = a->conf->cluster_domain;
    struct val *o = val_new(ar, VAL_OBJ), *host = host_dns(ar);
    struct val *servers = json_arr(ar, o, STR("servers")), *searches = json_arr(ar, o, STR("searches"));
    for (const char *const *s = a->conf->cluster_dns; s && *s; s++)
        push_unique(ar, servers, str_of(*s), 3);
    push_unique(ar, searches, str_of(arena_printf(ar, STR_FMT ".svc.%s", STR_ARG(v->ns), domain)), 32);
    push_unique(ar, searches, str_of(arena_printf(ar, "svc.%s", domain)), 32);
    push_unique(ar, searches, str_of(domain), 32);
    val_each(s, json_get(host, STR("searches")))
        push_unique(ar, searches, val_str(s), 32);
    val_push(json_arr(ar, o, STR("options")), val_of_str(ar, STR("ndots:5")));
    return o;
}

static void merge(struct arena *ar, struct val *o, const struct val *more)
{
    static const char *const names[][2] = { { "nameservers", "servers" }, { "searches", "searches" } };
    for (size_t i = 0; i < 2; i++) {
        const struct val *list = json_get(more, str_of(names[i][0]));
        if (val_is(list, VAL_ARR))
            val_each(v, list)
                push_unique(ar, json_arr(ar, o, str_of(names[i][1])), val_str(v), i ? 32 : 3);
    }
    const struct val *options = json_get(more, STR("options"));
    if (!val_is(options, VAL_ARR))
        return;
    val_each(v, options)
    {
        struct str name = json_str(v, "name"), value = json_str(v, "value");
        struct val *list = json_arr(ar, o, STR("options"));
        val_each(old, list)
        {
            struct str s = val_str(old), was = str_cut(&s, ':');
            if (str_eq(was, name)) {
                val_unlink(list, old);
                break;
            }
        }
        push_unique(ar, list, value.at ? str_of(arena_printf(ar, STR_FMT ":" STR_FMT, STR_ARG(name), STR_ARG(value))) : name, 64);
    }
}

struct val *podfiles_dns(const struct agent *a, const struct pod_view *v)
{
    struct str policy = json_str(v->spec, "dnsPolicy");
    bool cluster = str_is(policy, "ClusterFirstWithHostNet") || (!view_host_network(v) && (!policy.len || str_is(policy, "ClusterFirst")));
    struct val *o;
    if (str_is(policy, "None"))
        o = val_new(v->arena, VAL_OBJ);
    else if (cluster && a->conf->cluster_dns && a->conf->cluster_dns[0])
        o = cluster_dns(a, v);
    else
        o = host_dns(v->arena);
    json_arr(v->arena, o, STR("servers"));
    json_arr(v->arena, o, STR("searches"));
    json_arr(v->arena, o, STR("options"));
    merge(v->arena, o, json_get(v->spec, STR("dnsConfig")));
    return o;
}

static void words(struct buf *b, const char *head, const struct val *list)
{
    if (!list || !list->n)
        return;
    buf_add_z(b, head);
    val_each(v, list)
    {
        buf_add_c(b, ' ');
        buf_add_str(b, val_str(v));
    }
    buf_add_c(b, '\n');
}

static void resolv_conf(struct buf *b, const struct val *dns)
{
    words(b, "search", json_get(dns, STR("searches")));
    val_each(v, json_get(dns, STR("servers")))
        buf_printf(b, "nameserver " STR_FMT "\n", STR_ARG(val_str(v)));
    words(b, "options", json_get(dns, STR("options")));
}

static void own_names(struct buf *b, const struct agent *a, const struct pod_view *v)
{
    struct str sub = json_str(v->spec, "subdomain"), name = podfiles_hostname(v);
    for (int i = 0; i < v->mem->n_ips; i++) {
        buf_printf(b, "%s\t", v->mem->ips[i]);
        if (sub.len)
            buf_printf(b, STR_FMT "." STR_FMT "." STR_FMT ".svc.%s\t", STR_ARG(name), STR_ARG(sub), STR_ARG(v->ns), a->conf->cluster_domain);
        buf_printf(b, STR_FMT "\n", STR_ARG(name));
    }
}

static void hosts(struct buf *b, const struct agent *a, const struct pod_view *v)
{
    const struct val *aliases = json_get(v->spec, STR("hostAliases"));
    if (view_host_network(v)) {             /* the node's own, and what is added */
        buf_lit(b, "# Kubernetes-managed hosts file (host network).\n");
        buf_add_str(b, fs_get(v->arena, "/etc/hosts", HOSTS_MOST));
    } else {
        buf_lit(b, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                   "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
        own_names(b, a, v);
    }
    if (!val_is(aliases, VAL_ARR) || !aliases->n)
        return;
    buf_lit(b, "\n# Entries added by HostAliases.\n");
    val_each(h, aliases)
    {
        const struct val *names = json_get(h, STR("hostnames"));
        buf_add_str(b, json_str(h, "ip"));
        if (val_is(names, VAL_ARR))
            val_each(n, names)
                buf_printf(b, "\t" STR_FMT, STR_ARG(val_str(n)));
        buf_add_c(b, '\n');
    }
}

static int put(const struct agent *a, const struct pod_view *v, const char *tail, const struct buf *b, struct kl_err *err)
{
    char *path = pod_path(a, v->arena, v->uid, tail);
    return path && !b->failed ? fs_put(path, buf_str(b), 0644, err) : kl_err_set(err, KL_NO_MEMORY, "no memory");
}

int podfiles_write(struct agent *a, const struct pod_view *v, struct kl_err *err)
{
    _cleanup_buf_ struct buf h = BUF_INIT(1u << 20), r = BUF_INIT(65536), n = BUF_INIT(256);
    char *dir = pod_path(a, v->arena, v->uid, "");
    int rc = dir ? disk_mkdirs(dir, 0750, err) : kl_err_set(err, KL_INVALID, "pod uid '" STR_FMT "' is not a name", STR_ARG(v->uid));
    hosts(&h, a, v);
    resolv_conf(&r, podfiles_dns(a, v));
    struct str own = STR_NONE;
    if (rc == 0)
        rc = podfiles_nodename(a, v, &own, err);
    buf_printf(&n, STR_FMT "\n", STR_ARG(own));
    if (rc == 0)
        rc = put(a, v, "/etc-hosts", &h, err);
    if (rc == 0)
        rc = put(a, v, "/resolv.conf", &r, err);
    return rc == 0 ? put(a, v, "/hostname", &n, err) : rc;
}
