/* world.c - see world.h. */
#include "world.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

#define MOST 32

struct world world;

static struct {
    char name[32], netns[128], ip[32];
} pods[MOST];

static struct {
    char name[32];
    int fd;
    bool udp;
} servers[4 * MOST];

static volatile int n_pods, n_servers;
static char dir[64];
static pthread_t thread;
static volatile bool ending;
static struct arena *arena;

/* --- plugins --- */

static void *zeroed(void *a, size_t n)
{
    return arena_alloc(a, n);
}

static struct kl_call call(void)
{
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = zeroed };
    kl_err_init(&c.err);
    return c;
}

static void say(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h;
    (void)level;
    if (getenv("VERBOSE"))
        fprintf(stderr, "%s\n", line);
}

static const struct kl_host host = { .size = sizeof host, .abi_major = KL_ABI_MAJOR, .name = "test", .instance = "test", .log = say };

static const void *load(const char *file)
{
    void *so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    cr_assert(so != NULL, "%s", dlerror());
    const struct kl_plugin *p = dlsym(so, "kl_plugin");
    cr_assert(p != NULL);
    return KL_AT(struct kl_provider, p->providers, 0)->table;
}

int run(const char *fmt, ...)
{
    char command[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    int rc = system(command);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static void open_network(void)
{
    static char run_dir[80];
    static const struct {
        const char *run_dir;
        int64_t mtu;
        int32_t masquerade;
    } conf = { run_dir, 0, 1 };         /* as plugins/network-bridge/bridge.h has it */
    struct kl_call c = call();
    static const char text[] = "{\"node\":\"n\",\"podCIDRs\":[\"10.244.0.0/24\"],\"clusterCIDRs\":[\"10.244.0.0/16\"],\"serviceCIDRs\":[\"10.96.0.0/12\"]}";
    snprintf(run_dir, sizeof run_dir, "%s/net", dir);
    world.network = load(NETWORK_FILE);
    cr_assert_eq(world.network->life.open(&host, &conf, &world.net, &c), 0);
    cr_assert_eq(world.network->configure(world.net, &c, (struct kl_bytes){ text, sizeof text - 1 }), 0, "%s", c.err.msg);
}

static void open_proxy(void)
{
    static const struct {
        int32_t localhost;
    } conf = { 1 };                     /* as proxy.h has it */
    struct kl_call c = call();
    cr_assert_eq(world.proxy->life.open(&host, &conf, &world.self, &c), 0);
}

void world_proxy_restart(void)
{
    world.proxy->life.close(world.self);
    world.generation = 0;
    open_proxy();
}

static int take(struct kl_call *c, int rc)
{
    world.err = c->err;
    return rc;
}

int apply(const char *services)
{
    struct kl_call c = call();
    size_t room = strlen(services) + 200;
    char *text = malloc(room);
    int n = snprintf(text, room, "{\"node\":\"n\",\"nodeIPs\":[\"" NODE_IP "\"],\"podCIDRs\":[\"10.244.0.0/16\"],\"services\":%s}", services);
    int rc = take(&c, world.proxy->apply(world.self, &c, ++world.generation, (struct kl_bytes){ text, (size_t)n }));
    free(text);
    return rc;
}

int update(const char *services, const char *removed)
{
    struct kl_call c = call();
    char text[8192];
    int n = snprintf(text, sizeof text, "{\"services\":%s,\"removed\":%s}", services, removed);
    return take(&c, world.proxy->update(world.self, &c, ++world.generation, (struct kl_bytes){ text, (size_t)n }));
}

/* --- namespaces --- */

struct work {
    const char *netns;
    void (*fn)(void *ctx);
    void *ctx;
};

static void *there(void *ctx)
{
    struct work *w = ctx;
    int fd = open(w->netns, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        abort();
    close(fd);
    w->fn(w->ctx);
    return NULL;
}

void in_there(const char *from, void (*fn)(void *ctx), void *ctx)
{
    char outside[128];
    struct work w = { .fn = fn, .ctx = ctx };
    pthread_t t;
    if (!from) {
        fn(ctx);
        return;
    }
    snprintf(outside, sizeof outside, "%s/outside", dir);
    if (strcmp(from, OUTSIDE) == 0)
        w.netns = outside;
    for (int i = 0; i < n_pods; i++)
        if (strcmp(pods[i].name, from) == 0)
            w.netns = pods[i].netns;
    cr_assert(w.netns != NULL, "no pod '%s'", from);
    cr_assert_eq(pthread_create(&t, NULL, there, &w), 0);
    pthread_join(t, NULL);
}

static void make_outside(void *ctx)
{
    (void)ctx;
    run("ip link set lo up; ip addr add " OUTSIDE_IP "/24 dev out; ip link set out up; ip route add default via " NODE_IP);
}

static void add_outside(void)
{
    run("ip link set lo up");
    run("touch %s/outside; unshare --net=%s/outside true", dir, dir);
    run("ip link add node type veth peer name out; ip link set out netns %s/outside 2>/dev/null || nsenter --net=%s/outside true", dir, dir);
    cr_assert_eq(run("ip addr add " NODE_IP "/24 dev node && ip link set node up"), 0);
    in_there(OUTSIDE, make_outside, NULL);
}

/* --- servers --- */

static void answer_one(int i)
{
    char text[64];
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    if (!servers[i].udp) {
        int fd = accept4(servers[i].fd, (struct sockaddr *)&a, &n, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        dprintf(fd, "%s %s", servers[i].name, inet_ntoa(a.sin_addr));
        close(fd);
        return;
    }
    if (recvfrom(servers[i].fd, text, sizeof text, 0, (struct sockaddr *)&a, &n) < 0)
        return;
    int len = snprintf(text, sizeof text, "%s %s", servers[i].name, inet_ntoa(a.sin_addr));
    sendto(servers[i].fd, text, (size_t)len, 0, (struct sockaddr *)&a, n);
}

static void *serve_all(void *ctx)
{
    (void)ctx;
    while (!ending) {
        struct pollfd p[4 * MOST];
        int n = n_servers;
        for (int i = 0; i < n; i++)
            p[i] = (struct pollfd){ servers[i].fd, POLLIN, 0 };
        if (poll(p, (nfds_t)n, 5) <= 0)
            continue;
        for (int i = 0; i < n; i++)
            if (p[i].revents)
                answer_one(i);
    }
    return NULL;
}

static void listen_there(void *ctx)
{
    int port = *(int *)ctx, on = 1;
    for (int udp = 0; udp < 2; udp++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || (!udp && listen(fd, 512) < 0))
            abort();
        servers[n_servers].fd = fd;
        servers[n_servers].udp = udp;
        n_servers++;
    }
}

void serve(const char *from, int port)
{
    for (int i = n_servers; i < n_servers + 2; i++)
        snprintf(servers[i].name, sizeof servers[i].name, "%s", from ? from : "node");
    in_there(from, listen_there, &port);
}

const char *pod(const char *name)
{
    struct kl_call c = call();
    struct kl_bytes ret;
    char text[256];
    for (int i = 0; i < n_pods; i++)
        if (strcmp(pods[i].name, name) == 0)
            return pods[i].ip;
    int n = snprintf(text, sizeof text, "{\"namespace\":\"d\",\"name\":\"%s\",\"uid\":\"%s\"}", name, name);
    cr_assert_eq(world.network->attach(world.net, &c, (struct kl_bytes){ text, (size_t)n }, &ret), 0, "%s", c.err.msg);
    cr_assert_eq(sscanf(ret.at, "{\"netns\":\"%127[^\"]\",\"ips\":[\"%31[^\"]\"]}", pods[n_pods].netns, pods[n_pods].ip), 2);
    snprintf(pods[n_pods].name, sizeof pods[n_pods].name, "%s", name);
    n_pods++;
    serve(name, 8080);
    return pods[n_pods - 1].ip;
}

/* --- clients --- */

struct question {
    const char *ip;
    int port, fd;
    bool udp;
    struct answer ret;
};

static struct answer read_answer(int fd)
{
    struct answer r = { 0 };
    char text[80] = "";
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    if (n <= 0 || sscanf(text, "%31s %31s", r.name, r.client) != 2)
        r.error = n < 0 ? errno : EPROTO;
    return r;
}

static void open_there(void *ctx)
{
    struct question *q = ctx;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)q->port) };
    struct timeval patience = { .tv_sec = 3 };
    inet_pton(AF_INET, q->ip, &a.sin_addr);
    q->fd = socket(AF_INET, (q->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    setsockopt(q->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(q->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(q->fd, (struct sockaddr *)&a, sizeof a) < 0)
        q->ret.error = errno;
}

struct answer ask_tcp(const char *from, const char *ip, int port)
{
    struct question q = { .ip = ip, .port = port };
    in_there(from, open_there, &q);
    if (!q.ret.error)
        q.ret = read_answer(q.fd);
    close(q.fd);
    return q.ret;
}

int udp_open(const char *from, const char *ip, int port)
{
    struct question q = { .ip = ip, .port = port, .udp = true };
    in_there(from, open_there, &q);
    return q.fd;
}

struct answer udp_ask(int fd)
{
    if (send(fd, "?", 1, 0) < 0)
        return (struct answer){ .error = errno };
    return read_answer(fd);
}

struct answer ask_udp(const char *from, const char *ip, int port)
{
    int fd = udp_open(from, ip, port);
    struct answer r = udp_ask(fd);
    close(fd);
    return r;
}

/* --- begin and end --- */

void world_open(void)
{
    cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0, "needs root: %s", strerror(errno));
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    signal(SIGPIPE, SIG_IGN);
    snprintf(dir, sizeof dir, "/tmp/keelson-proxy-test.%d", getpid());
    mkdir(dir, 0700);
    cr_assert_eq(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
    arena = arena_new(0);
    add_outside();
    open_network();
    world.proxy = load(PROXY_FILE);
    open_proxy();
    cr_assert_eq(pthread_create(&thread, NULL, serve_all, NULL), 0);
}

void world_close(void)
{
    struct kl_call c = call();
    ending = true;
    pthread_join(thread, NULL);
    for (int i = 0; i < n_servers; i++)
        close(servers[i].fd);
    cr_expect_eq(world.proxy->teardown(world.self, &c), 0, "%s", c.err.msg);
    world.proxy->life.close(world.self);
    cr_expect_eq(world.network->teardown(world.net, &c), 0, "%s", c.err.msg);
    world.network->life.close(world.net);
    arena_free(arena);
    run("umount %s/outside", dir);
    umount2(dir, MNT_DETACH);
    rmdir(dir);
}
