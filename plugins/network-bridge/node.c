/* node.c - the node's side: ranges, forwarding, a way to Services, and how it was before. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bridge.h"

/* bits: between 8 and most. */
static bool read_cidr(struct str text, int64_t most, uint32_t *net, uint32_t *mask, char ret[32])
{
    struct str rest = text, ip = str_cut(&rest, '/');
    struct in_addr at;
    char z[INET_ADDRSTRLEN];
    int64_t bits = 0;
    if (snprintf(z, sizeof z, STR_FMT, STR_ARG(ip)) >= (int)sizeof z || inet_pton(AF_INET, z, &at) != 1 || !str_int(rest, &bits) || bits < 8 ||
        bits > most)
        return false;
    *mask = ~(uint32_t)((1ULL << (32 - bits)) - 1);
    *net = ntohl(at.s_addr) & *mask;
    at.s_addr = htonl(*net);
    inet_ntop(AF_INET, &at, z, sizeof z);
    snprintf(ret, 32, "%s/%d", z, (int)bits);
    return true;
}

static int read_pod_cidr(struct bridge *b, struct str text, struct kl_err *err)
{
    uint32_t net, mask;
    char cidr[32];
    if (!read_cidr(text, 30, &net, &mask, cidr))
        return kl_err_set(err, KL_INVALID, "pod range '" STR_FMT "' is not an IPv4 range of 8 to 30 bits", STR_ARG(text));
    b->net = net;
    b->mask = mask;
    b->gateway = net + 1;
    snprintf(b->pod_cidr, sizeof b->pod_cidr, "%s", cidr);
    return 0;
}

static int read_cluster_cidrs(struct bridge *b, const struct val *list, struct kl_err *err)
{
    uint32_t net, mask;
    mem_free(b->cluster_cidrs);
    b->cluster_cidrs = NULL;
    b->n_cluster_cidrs = 0;
    if (!val_is(list, VAL_ARR) || !list->n)
        return 0;
    b->cluster_cidrs = mem_alloc(list->n * sizeof *b->cluster_cidrs);
    if (!b->cluster_cidrs)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(c, list)
        if (!read_cidr(val_str(c), 32, &net, &mask, b->cluster_cidrs[b->n_cluster_cidrs++]))
            return kl_err_set(err, KL_INVALID, "cluster range '" STR_FMT "' is not an IPv4 range", STR_ARG(val_str(c)));
    return 0;
}

/* Keeps a sysctl's earlier value in a file, for teardown. */
static int set_sysctl(struct bridge *b, const char *name, const char *value, struct kl_err *err)
{
    char was[64], path[512], flat[128];
    int rc = read_sysctl(name, was, sizeof was);
    if (rc == 0 && strcmp(was, value) == 0)
        return 0;
    snprintf(flat, sizeof flat, "sysctl.%s", name);
    for (char *p = flat; *p; p++)
        if (*p == '/')
            *p = '.';
    record_path(b, flat, NULL, path, sizeof path);
    int fd = rc == 0 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        dprintf(fd, "%s\n%s\n", name, was);
        close(fd);
    }
    rc = write_sysctl(name, value);
    return rc < 0 ? kl_err_set(err, KL_FORBIDDEN, "'%s' cannot be set to %s: %s", name, value, strerror(-rc)) : 0;
}

/* On a machine without a default route nothing would lead to a Service's address, and connect() fails before any rule sees the packet. */
static int make_service_routes(struct bridge *b, const struct val *list, struct kl_err *err)
{
    uint32_t net, mask;
    char cidr[32], path[512];
    struct mnl_socket *s = nl_open();
    if (!s)
        return kl_err_set(err, KL_UNAVAILABLE, "netlink: %s", strerror(errno));
    int rc = 0;
    if (val_is(list, VAL_ARR))
        val_each(c, list) {
            if (rc || !read_cidr(val_str(c), 32, &net, &mask, cidr) || nl_route_find(s, net + 1) != -ENETUNREACH)
                continue;
            rc = nl_route_add(s, LOOPBACK, net, __builtin_popcount(mask), 0, 0);
            record_path(b, "routes", NULL, path, sizeof path);
            FILE *f = rc == 0 ? fopen(path, "ae") : NULL;
            if (f) {
                fprintf(f, "%s\n", cidr);
                fclose(f);
            }
        }
    nl_close(s);
    return rc < 0 ? kl_err_set(err, KL_INTERNAL, "no route to the addresses of Services can be made: %s", strerror(-rc)) : 0;
}

/* How long the kernel knows connections that say nothing: as kube-proxy sets it. Its own minute for those of which one side is closed cuts off whoever still sends. */
static int set_patience(struct bridge *b, struct kl_err *err)
{
    static const struct { const char *name, *seconds; } rows[] = {
        { "net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600" },
        { "net/netfilter/nf_conntrack_tcp_timeout_established", "86400" },
    };
    char was[64];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++)
        if (read_sysctl(rows[i].name, was, sizeof was) == 0)    /* else the kernel tracks no connections */
            rc = set_sysctl(b, rows[i].name, rows[i].seconds, err);
    return rc;
}

int node_configure(struct bridge *b, struct kl_bytes config, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    struct val *v = a ? json_parse(a, str_n(config.at, config.len), err) : NULL;
    struct val *cidrs = json_get(v, STR("podCIDRs"));
    if (!val_is(cidrs, VAL_ARR) || !cidrs->n)
        return kl_err_set(err, KL_INVALID, "the network's configuration has no podCIDRs");
    int rc = read_pod_cidr(b, val_str(cidrs->first), err);
    if (rc == 0)
        rc = read_cluster_cidrs(b, json_get(v, STR("clusterCIDRs")), err);
    if (rc == 0)
        rc = records_load(b, err);
    if (rc == 0)
        rc = set_sysctl(b, "net/ipv4/ip_forward", "1", err);
    if (rc == 0)
        rc = make_service_routes(b, json_get(v, STR("serviceCIDRs")), err);
    if (rc == 0)
        rc = nat_apply(b, err);
    if (rc == 0)
        rc = set_patience(b, err);
    b->configured = rc == 0;
    return rc;
}

static void restore_sysctl(const char *path)
{
    char name[128], value[64];
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fscanf(f, "%127s %63s", name, value) == 2)
        write_sysctl(name, value);
    fclose(f);
    unlink(path);
}

static void drop_routes(struct bridge *b)
{
    char path[512], line[64];
    uint32_t net, mask;
    record_path(b, "routes", NULL, path, sizeof path);
    _cleanup_file_ FILE *f = fopen(path, "re");
    struct mnl_socket *s = f ? nl_open() : NULL;
    while (s && fgets(line, sizeof line, f)) {
        char cidr[32];
        if (read_cidr(str_trim(str_of(line)), 32, &net, &mask, cidr))
            nl_route_del(s, LOOPBACK, net, __builtin_popcount(mask));
    }
    nl_close(s);
    unlink(path);
}

static void restore_all(struct bridge *b)
{
    char path[800];
    DIR *d = opendir(b->conf->run_dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, "sysctl.", 7) == 0) {
            snprintf(path, sizeof path, "%s/%s", b->conf->run_dir, e->d_name);
            restore_sysctl(path);
        }
    if (d)
        closedir(d);
}

void node_restore(struct bridge *b)
{
    char path[512];
    drop_routes(b);
    nat_remove();
    restore_all(b);
    record_path(b, "records", NULL, path, sizeof path);
    rmdir(path);
    record_path(b, "ns", NULL, path, sizeof path);
    rmdir(path);
    rmdir(b->conf->run_dir);
}
