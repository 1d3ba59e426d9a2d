/* network.c - the plugin in a namespace that stands for the node: pods reach each other and the node, keep their addresses, leave nothing. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge.h"

extern const struct kl_plugin kl_plugin;
static const struct kl_network *net;
static char run_dir[64], forward_before[16];
static struct conf conf = { .run_dir = run_dir, .masquerade = 1 };
static struct arena *arena;
static void *self;

static void *arena_zeroed(void *a, size_t n)
{
    return arena_alloc(a, n);
}

static struct kl_call call(void)
{
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = arena_zeroed };
    kl_err_init(&c.err);
    return c;
}

static void start(void)
{
    struct kl_call c = call();
    cr_assert_eq(net->life.open(NULL, &conf, &self, &c), 0);
    static const char text[] = "{\"node\":\"n\",\"podCIDRs\":[\"10.99.0.0/29\"],\"clusterCIDRs\":[\"10.99.0.0/16\"],"
                               "\"serviceCIDRs\":[\"10.96.0.0/12\"]}";
    cr_assert_eq(net->configure(self, &c, (struct kl_bytes){ text, sizeof text - 1 }), 0, "%s", c.err.msg);
}

/* The test's own network and mounts: the machine's stay as they are, whatever fails. */
static void set_up(void)
{
    cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0, "needs root: %s", strerror(errno));
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    snprintf(run_dir, sizeof run_dir, "/tmp/keelson-net-test.%d", getpid());         /* tests run side by side */
    mkdir(run_dir, 0700);
    cr_assert_eq(mount("tmpfs", run_dir, "tmpfs", 0, NULL), 0);
    cr_assert_eq(read_sysctl("net/ipv4/ip_forward", forward_before, sizeof forward_before), 0);
    struct mnl_socket *s = nl_open();
    cr_assert_eq(nl_link_up(s, 1), 0);
    nl_close(s);
    net = KL_AT(struct kl_provider, kl_plugin.providers, 0)->table;
    arena = arena_new(0);
    start();
}

static void tear_down(void)
{
    struct kl_call c = call();
    cr_expect_eq(net->teardown(self, &c), 0);
    net->life.close(self);
    arena_free(arena);
    umount2(conf.run_dir, MNT_DETACH);
    rmdir(conf.run_dir);
}

static int attach(const char *uid, char ip[64], char ns[256], struct kl_err *err)
{
    struct kl_call c = call();
    char text[256];
    struct kl_bytes ret;
    int n = snprintf(text, sizeof text, "{\"namespace\":\"d\",\"name\":\"%s\",\"uid\":\"%s\",\"hostPorts\":[{\"hostPort\":%d,\"containerPort\":80,\"protocol\":\"TCP\"}],"
                     "\"sysctls\":{\"net.core.somaxconn\":\"77\"}}", uid, uid, 8000 + uid[0]);
    int rc = net->attach(self, &c, (struct kl_bytes){ text, (size_t)n }, &ret);
    if (err)
        *err = c.err;
    if (rc < 0)
        return rc;
    struct val *v = json_parse(arena, str_n(ret.at, ret.len), &c.err);
    snprintf(ns, 256, STR_FMT, STR_ARG(json_str(v, "netns")));
    snprintf(ip, 64, STR_FMT, STR_ARG(val_str(json_get(v, STR("ips"))->first)));
    return 0;
}

/* --- inside a pod --- */

static struct sockaddr_in address(const char *ip, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static int listening(void *ctx, struct kl_err *err)
{
    struct sockaddr_in a = address("0.0.0.0", 80);
    (void)err;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *(int *)ctx = fd;
    return bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 5) < 0 ? -errno : 0;
}

struct connecting {
    const char *ip;
    int port;
};

static int connect_to(const char *ip, int port)
{
    struct sockaddr_in a = address(ip, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e = 0;
    socklen_t n = sizeof e;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS) {
        e = errno;
    } else {
        struct pollfd p = { fd, POLLOUT, 0 };
        if (poll(&p, 1, 3000) <= 0)
            e = ETIMEDOUT;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
    }
    close(fd);
    return -e;
}

static int connecting(void *ctx, struct kl_err *err)
{
    const struct connecting *x = ctx;
    (void)err;
    return connect_to(x->ip, x->port);
}

static int reading_somaxconn(void *ctx, struct kl_err *err)
{
    (void)err;
    return read_sysctl("net/core/somaxconn", ctx, 16);
}

TestSuite(network, .init = set_up, .fini = tear_down);

Test(network, pods_and_node_reach_each_other)
{
    char ip1[64], ip2[64], ns1[256], ns2[256], max[16] = "";
    struct kl_err err;
    kl_err_init(&err);
    int fd = -1;
    cr_assert_eq(attach("a", ip1, ns1, &err), 0, "%s", err.msg);
    cr_assert_eq(attach("b", ip2, ns2, &err), 0, "%s", err.msg);
    cr_assert_str_neq(ip1, ip2);
    cr_assert_eq(netns_run(ns2, listening, &fd, &err), 0);
    struct connecting to = { ip2, 80 };
    cr_expect_eq(netns_run(ns1, connecting, &to, &err), 0, "pod to pod");
    cr_expect_eq(connect_to(ip2, 80), 0, "node to pod");
    cr_expect_eq(connect_to("10.99.0.1", 8000 + 'b'), 0, "host port from the node");
    cr_expect_eq(connect_to("127.0.0.1", 8000 + 'b'), 0, "host port by 127.0.0.1");
    cr_expect_eq(netns_run(ns1, connecting, &(struct connecting){ "10.99.0.1", 8000 + 'b' }, &err), 0, "host port from a pod");
    cr_expect_eq(netns_run(ns2, connecting, &(struct connecting){ "10.99.0.1", 8000 + 'b' }, &err), 0, "a pod reaches itself by its host port");
    cr_expect_eq(netns_run(ns1, reading_somaxconn, max, &err), 0);
    cr_expect_str_eq(max, "77");
    close(fd);
}

Test(network, the_same_pod_keeps_its_address_over_a_restart)
{
    char ip1[64], ip2[64], ns[256], other[64];
    cr_assert_eq(attach("a", ip1, ns, NULL), 0);
    net->life.close(self);
    start();
    cr_assert_eq(attach("b", other, ns, NULL), 0);
    cr_assert_eq(attach("a", ip2, ns, NULL), 0);
    cr_expect_str_eq(ip1, ip2);
    cr_expect_str_neq(ip1, other);
}

Test(network, a_half_made_pod_is_repaired)
{
    char ip[64], ns[256];
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(attach("a", ip, ns, NULL), 0);
    struct mnl_socket *s = nl_open();
    char veth[IFNAMSIZ] = "";
    for (unsigned i = 1; i < 20; i++)
        if (if_indextoname(i, veth) && strncmp(veth, "kl", 2) == 0)
            break;
    cr_assert_eq(nl_link_del(s, veth), 0);
    nl_close(s);
    cr_assert_eq(attach("a", ip, ns, &err), 0, "%s", err.msg);
    cr_expect_eq(netns_run(ns, connecting, &(struct connecting){ "10.99.0.1", 9 }, &err), -ECONNREFUSED, "the gateway answers");
}

Test(network, addresses_run_out_and_come_back)
{
    char ip[64], ns[256], uid[8];
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 0; i < 5; i++) {       /* a range of 8: net, gateway, broadcast, and 5 pods */
        snprintf(uid, sizeof uid, "%c", 'a' + i);
        cr_assert_eq(attach(uid, ip, ns, &err), 0, "%s", err.msg);
    }
    cr_expect_eq(attach("z", ip, ns, &err), -KL_UNAVAILABLE);
    cr_expect(strstr(err.msg, "10.99.0.0/29") != NULL, "%s", err.msg);
    struct kl_call c = call();
    cr_assert_eq(net->detach(self, &c, "c"), 0);
    cr_assert_eq(net->detach(self, &c, "c"), 0, "twice is fine");
    cr_expect_eq(attach("z", ip, ns, &err), 0, "%s", err.msg);
}

Test(network, teardown_leaves_nothing)
{
    char ip[64], ns[256], forward[16];
    cr_assert_eq(attach("a", ip, ns, NULL), 0);
    struct kl_call c = call();
    cr_assert_eq(net->teardown(self, &c), 0);
    struct if_nameindex *links = if_nameindex();
    for (struct if_nameindex *l = links; l->if_index; l++)
        cr_expect(strncmp(l->if_name, "kl", 2) != 0, "'%s' is left", l->if_name);
    if_freenameindex(links);
    struct mnl_socket *s = nl_open();
    cr_expect_eq(nl_route_find(s, ntohl(inet_addr("10.96.0.1"))), -ENETUNREACH);
    nl_close(s);
    cr_expect_eq(access(ns, F_OK), -1);
    cr_expect_eq(read_sysctl("net/ipv4/ip_forward", forward, sizeof forward), 0);
    cr_expect_str_eq(forward, forward_before);
}

Test(network, half_closed_connections_are_known_for_an_hour)
{
    static const char name[] = "net/netfilter/nf_conntrack_tcp_timeout_close_wait";
    char seconds[16];
    cr_assert_eq(read_sysctl(name, seconds, sizeof seconds), 0);
    cr_expect_str_eq(seconds, "3600");
    struct kl_call c = call();
    cr_assert_eq(net->teardown(self, &c), 0);
    cr_assert_eq(read_sysctl(name, seconds, sizeof seconds), 0);
    cr_expect_str_eq(seconds, "60", "the kernel's own");
}

static int speaking_for_another(void *ctx, struct kl_err *err)
{
    struct sockaddr_in to = address("10.99.0.1", 5555), from = address("10.99.0.77", 0);
    int fd[2] = { socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
    (void)ctx;
    (void)err;
    struct mnl_socket *s = nl_open();
    int rc = nl_addr_add(s, (int)if_nametoindex("eth0"), ntohl(from.sin_addr.s_addr), 32);
    nl_close(s);
    if (rc == 0 && (bind(fd[0], (struct sockaddr *)&from, sizeof from) < 0 || sendto(fd[0], "lie", 3, 0, (struct sockaddr *)&to, sizeof to) < 0 ||
                    sendto(fd[1], "true", 4, 0, (struct sockaddr *)&to, sizeof to) < 0))
        rc = -errno;
    close(fd[0]);
    close(fd[1]);
    return rc;
}

Test(network, a_pod_speaks_with_its_own_address_only)
{
    char ip[64], ns[256], text[16] = "";
    struct sockaddr_in at = address("10.99.0.1", 5555);
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(attach("a", ip, ns, NULL), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(netns_run(ns, speaking_for_another, NULL, &err), 0);
    cr_assert_eq(recv(fd, text, sizeof text - 1, 0), 4, "the first to come is the true one");
    cr_expect_str_eq(text, "true");
    close(fd);
}

Test(network, rules_that_somebody_removed_come_back)
{
    char ip[64], ns[256];
    struct kl_err err;
    struct kl_bytes ret;
    int fd = -1;
    kl_err_init(&err);
    cr_assert_eq(attach("a", ip, ns, NULL), 0);
    cr_assert_eq(netns_run(ns, listening, &fd, &err), 0);
    nat_remove();
    cr_assert_eq(connect_to("10.99.0.1", 8000 + 'a'), -ECONNREFUSED);
    struct kl_call c = call();
    cr_assert_eq(net->list(self, &c, &ret), 0, "%s", c.err.msg);
    cr_expect_eq(connect_to("10.99.0.1", 8000 + 'a'), 0, "the host port is there again");
    close(fd);
}

/* A server has a descriptor for each connection; nftables' library cannot stand high numbers. */
Test(network, a_thousand_open_descriptors_are_no_matter)
{
    struct rlimit r;
    char ip[64], ns[256];
    int open_fds[1100];
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    for (int i = 0; i < 1100; i++)
        cr_assert_geq(open_fds[i] = dup(0), 0);
    cr_expect_eq(attach("a", ip, ns, NULL), 0);
    for (int i = 0; i < 1100; i++)
        close(open_fds[i]);
}
