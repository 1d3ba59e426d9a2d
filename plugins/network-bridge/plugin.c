/* plugin.c - network-bridge: attach, detach, list, teardown of pods. Everything is looked at before it is made, so that a second try
 * repairs what a first one left half done. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bridge.h"

static int nb_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct bridge *b = mem_alloc(sizeof *b);
    if (!b)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    b->host = h;
    b->conf = conf;
    pthread_mutex_init(&b->lock, NULL);
    list_init(&b->records);
    *self = b;
    return 0;
}

static void nb_close(void *self)
{
    struct bridge *b = self;
    list_each(n, &b->records)
    {
        struct record *r = list_item(n, struct record, link);
        list_remove(n);
        mem_free(r->ports);
        mem_free(r);
    }
    mem_free(b->cluster_cidrs);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}

static int nb_configure(void *self, struct kl_call *c, struct kl_bytes config)
{
    struct bridge *b = self;
    pthread_mutex_lock(&b->lock);
    int rc = node_configure(b, config, &c->err);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

/* --- a pod's side --- */

struct inside {
    uint32_t ip, gateway;
    const struct val *sysctls;
    bool was_there;                     /* eth0 exists already */
};

static int has_link(void *ctx, struct kl_err *err)
{
    struct inside *x = ctx;
    (void)err;
    x->was_there = if_nametoindex("eth0") != 0;
    return 0;
}

/* "net.core.somaxconn" -> "net/core/somaxconn"; only what a network namespace has of its own. */
static int set_pod_sysctls(const struct val *sysctls, struct kl_err *err)
{
    if (!val_is(sysctls, VAL_OBJ))
        return 0;
    val_each(s, sysctls) {
        char name[256], value[256];
        if (!str_starts(val_key(s), STR("net.")))
            continue;
        snprintf(name, sizeof name, STR_FMT, STR_ARG(val_key(s)));
        snprintf(value, sizeof value, STR_FMT, STR_ARG(val_str(s)));
        if (strstr(name, "..") || strchr(name, '/'))
            return kl_err_set(err, KL_INVALID, "'%s' is not the name of a sysctl", name);
        for (char *p = name; *p; p++)
            if (*p == '.')
                *p = '/';
        int rc = write_sysctl(name, value);
        if (rc < 0)
            return kl_err_set(err, KL_INVALID, "sysctl '" STR_FMT "' cannot be set to '%s': %s", STR_ARG(val_key(s)), value, strerror(-rc));
    }
    return 0;
}

static int set_up_inside(void *ctx, struct kl_err *err)
{
    struct inside *x = ctx;
    struct mnl_socket *s = nl_open();
    if (!s)
        return kl_err_set(err, KL_UNAVAILABLE, "netlink: %s", strerror(errno));
    int eth = (int)if_nametoindex("eth0");
    int rc = nl_link_up(s, LOOPBACK);
    if (rc == 0)
        rc = nl_addr_add(s, eth, x->ip, 32);
    if (rc == 0)
        rc = nl_link_up(s, eth);
    if (rc == 0)
        rc = nl_route_add(s, eth, x->gateway, 32, 0, 0);
    if (rc == 0)
        rc = nl_route_add(s, eth, 0, 0, x->gateway, 0);
    nl_close(s);
    /* A node that sends a pod back to itself would say: you can do that directly. */
    write_sysctl("net/ipv4/conf/all/accept_redirects", "0");
    write_sysctl("net/ipv4/conf/eth0/accept_redirects", "0");
    if (rc < 0)
        return kl_err_set(err, KL_INTERNAL, "eth0 of a pod cannot be set up: %s", strerror(-rc));
    return set_pod_sysctls(x->sysctls, err);
}

static int make_link(struct bridge *b, const char *veth, const char *ns, struct kl_err *err)
{
    _cleanup_close_ int fd = open(ns, O_RDONLY | O_CLOEXEC);
    struct mnl_socket *s = fd < 0 ? NULL : nl_open();
    if (!s)
        return kl_err_set(err, KL_UNAVAILABLE, "network namespace '%s': %s", ns, strerror(errno));
    int rc = nl_veth_add(s, veth, "eth0", fd, (int)b->conf->mtu);
    if (rc == -EEXIST) {                /* its other end is not where it should be */
        nl_link_del(s, veth);
        rc = nl_veth_add(s, veth, "eth0", fd, (int)b->conf->mtu);
    }
    nl_close(s);
    return rc < 0 ? kl_err_set(err, KL_INTERNAL, "link '%s' cannot be made: %s", veth, strerror(-rc)) : 0;
}

/* The node's end: the gateway's address, and the way to the pod. */
static int set_up_outside(struct bridge *b, const struct record *r, struct kl_err *err)
{
    struct mnl_socket *s = nl_open();
    int index = (int)if_nametoindex(r->veth);
    int rc = s && index ? 0 : -ENODEV;
    char name[80];
    snprintf(name, sizeof name, "net/ipv4/conf/%s/route_localnet", r->veth);        /* host ports on 127.0.0.1; nat.c guards it */
    if (rc == 0)
        rc = write_sysctl(name, "1");
    snprintf(name, sizeof name, "net/ipv6/conf/%s/accept_ra", r->veth);
    write_sysctl(name, "0");            /* a pod is no router; there may be no IPv6 here */
    if (rc == 0)
        rc = nl_addr_add(s, index, b->gateway, 32);
    if (rc == 0)
        rc = nl_link_up(s, index);
    if (rc == 0)
        rc = nl_route_add(s, index, r->ip, 32, 0, b->gateway);
    nl_close(s);
    return rc < 0 ? kl_err_set(err, KL_INTERNAL, "link '%s' cannot be set up: %s", r->veth, strerror(-rc)) : 0;
}

static int find_or_add(struct bridge *b, const char *uid, const struct val *pod, struct record *ret, struct kl_err *err)
{
    struct record *r = NULL;
    int rc = 0;
    pthread_mutex_lock(&b->lock);
    if (!b->configured)
        rc = kl_err_set(err, KL_UNAVAILABLE, "the network is not configured yet");
    else if (!(r = records_find(b, uid)))
        rc = records_add(b, uid, json_get(pod, STR("hostPorts")), &r, err);
    if (rc == 0 && r->n_ports)
        rc = nat_apply(b, err);
    if (rc == 0) {
        *ret = *r;
        ret->ports = NULL;
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

/* It becomes a file's name and goes into JSON as it is. */
static bool uid_ok(struct str uid)
{
    for (size_t i = 0; i < uid.len; i++)
        if (!isalnum((unsigned char)uid.at[i]) && uid.at[i] != '-' && uid.at[i] != '_' && (uid.at[i] != '.' || !i))
            return false;
    return uid.len && uid.len < 128;
}

static int nb_attach(void *self, struct kl_call *c, struct kl_bytes pod_text, struct kl_bytes *ret)
{
    struct bridge *b = self;
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    struct val *pod = a ? json_parse(a, str_n(pod_text.at, pod_text.len), &c->err) : NULL;
    struct record r;
    char ns[512], ip[INET_ADDRSTRLEN], text[700];
    if (!pod || !uid_ok(json_str(pod, "uid")))
        return pod ? kl_fail(c, KL_INVALID, "a pod needs a uid") : kl_fail(c, KL_INVALID, "the pod is not JSON");
    const char *uid = arena_dup(a, json_str(pod, "uid"));
    int rc = find_or_add(b, uid, pod, &r, &c->err);
    if (rc < 0)
        return kl_err_wrap(&c->err, "pod '" STR_FMT "/" STR_FMT "'", STR_ARG(json_str(pod, "namespace")), STR_ARG(json_str(pod, "name")));
    struct inside in = { .ip = r.ip, .gateway = b->gateway, .sysctls = json_get(pod, STR("sysctls")) };
    record_path(b, "ns", uid, ns, sizeof ns);
    rc = netns_make(ns, &c->err);
    if (rc == 0)
        rc = netns_run(ns, has_link, &in, &c->err);
    if (rc == 0 && !in.was_there)
        rc = make_link(b, r.veth, ns, &c->err);
    if (rc == 0)
        rc = set_up_outside(b, &r, &c->err);
    if (rc == 0)
        rc = netns_run(ns, set_up_inside, &in, &c->err);
    if (rc < 0)
        return rc;
    struct in_addr at = { htonl(r.ip) };
    inet_ntop(AF_INET, &at, ip, sizeof ip);
    int n = snprintf(text, sizeof text, "{\"netns\":\"%s\",\"ips\":[\"%s\"]}", ns, ip);
    *ret = (struct kl_bytes){ kl_dup(c, text, (size_t)n), (size_t)n };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* The record stays until all else is gone: what fails can be tried again. */
static int drop_pod(struct bridge *b, struct record *r, struct kl_err *err)
{
    char ns[512];
    struct mnl_socket *s = nl_open();
    int rc = s ? nl_link_del(s, r->veth) : -errno;
    nl_close(s);
    if (rc < 0 && rc != -ENODEV)
        return kl_err_set(err, KL_INTERNAL, "link '%s' cannot be removed: %s", r->veth, strerror(-rc));
    record_path(b, "ns", r->uid, ns, sizeof ns);
    netns_drop(ns);
    records_remove(b, r);
    return 0;
}

static int nb_detach(void *self, struct kl_call *c, const char *uid)
{
    struct bridge *b = self;
    if (!uid_ok(str_of(uid)))
        return kl_fail(c, KL_INVALID, "'%s' is not a pod's uid", uid);
    pthread_mutex_lock(&b->lock);
    int rc = records_load(b, &c->err);
    struct record *r = rc == 0 ? records_find(b, uid) : NULL;
    if (r) {
        bool ports = r->n_ports > 0;
        rc = drop_pod(b, r, &c->err);
        if (rc == 0 && ports && b->configured)
            rc = nat_apply(b, &c->err);
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static int nb_list(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct bridge *b = self;
    _cleanup_buf_ struct buf t = BUF_INIT(64 << 20);
    char ns[512], ip[INET_ADDRSTRLEN];
    buf_add_z(&t, "{\"pods\":[");
    pthread_mutex_lock(&b->lock);
    int rc = records_load(b, &c->err);
    if (rc == 0 && b->configured)       /* it is asked from time to time: so the rules are looked at */
        rc = nat_repair(b, &c->err);
    list_each(n, &b->records)
    {
        const struct record *r = list_item(n, struct record, link);
        struct in_addr at = { htonl(r->ip) };
        inet_ntop(AF_INET, &at, ip, sizeof ip);
        record_path(b, "ns", r->uid, ns, sizeof ns);
        buf_printf(&t, "%s{\"uid\":\"%s\",\"netns\":\"%s\",\"ips\":[\"%s\"]}", n == b->records.next ? "" : ",", r->uid, ns, ip);
    }
    pthread_mutex_unlock(&b->lock);
    buf_add_z(&t, "]}");
    if (rc < 0)
        return rc;
    *ret = (struct kl_bytes){ kl_dup(c, t.at, t.len), t.len };
    return ret->at && !t.failed ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* --- the end --- */

static int nb_teardown(void *self, struct kl_call *c)
{
    struct bridge *b = self;
    pthread_mutex_lock(&b->lock);
    int rc = records_load(b, &c->err);
    list_each(n, &b->records)
    {
        int one = drop_pod(b, list_item(n, struct record, link), &c->err);
        rc = rc ? rc : one;
    }
    node_restore(b);
    b->configured = b->loaded = false;
    pthread_mutex_unlock(&b->lock);
    return rc;
}

/* --- descriptor --- */

static const struct kl_network table = {
    .size = sizeof table,
    .life = { .open = nb_open, .close = nb_close },
    .configure = nb_configure,
    .attach = nb_attach,
    .detach = nb_detach,
    .list = nb_list,
    .teardown = nb_teardown,
};

static const struct kl_provider provides[] = { { KL_NETWORK_0, "bridge", 0, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "run_dir", .type = KL_CONF_STR, .offset = offsetof(struct conf, run_dir), .fallback = "/run/keelson/network",
      .doc = "namespaces and records; must not outlive the machine's uptime" },
    { .key = "mtu", .type = KL_CONF_INT, .offset = offsetof(struct conf, mtu), .fallback = "0", .min = 0, .max = 65535,
      .doc = "0: the kernel's" },
    { .key = "masquerade", .type = KL_CONF_BOOL, .offset = offsetof(struct conf, masquerade), .fallback = "true",
      .doc = "what leaves the cluster has the node's address" },
};

KL_PLUGIN_DEFINE("dev.keelson.network-bridge", "0.1.0", "keelson.network/0:bridge", "", .summary = "pods behind links of their own, routed by the node",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
