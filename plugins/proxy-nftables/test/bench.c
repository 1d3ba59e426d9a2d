/* bench.c - what a whole state, one changed endpoint, one scaled Service and a connection cost, by the number of Services. In a network namespace of
 * its own.
 * Prints lines "name value unit goal" as tests/perf/run does. usage: proxy_bench */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <keelson/iface/proxy.h>

#include "base/arena.h"
#include "base/buf.h"

#define CHANGES 200
#define CONNECTIONS 2000

static const struct kl_proxy *proxy;
static void *self;
static uint64_t generation;
static struct arena *arena;

static void *zeroed(void *a, size_t n)
{
    return arena_alloc(a, n);
}

static void say(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

static const struct kl_host host = { .size = sizeof host, .abi_major = KL_ABI_MAJOR, .name = "bench", .instance = "bench", .log = say };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(int rc, const struct kl_call *c)
{
    if (rc < 0) {
        fprintf(stderr, "proxy_bench: %s\n", c->err.msg);
        exit(1);
    }
}

/* Service i with n endpoints; turn changes the last one's address. */
static void add_service(struct buf *b, int i, int n, int turn)
{
    buf_printf(b, "{\"namespace\":\"ns%d\",\"name\":\"s%d\",\"clusterIPs\":[\"10.%d.%d.%d\"],\"ports\":[{\"protocol\":\"TCP\",\"port\":80,\"endpoints\":[", i % 50, i,
               96 + (i >> 16), i >> 8 & 255, i & 255);
    for (int k = 0; k < n; k++)
        buf_printf(b, "%s{\"ip\":\"10.%d.%d.%d\",\"port\":8080,\"local\":%s}", k ? "," : "", 128 + (k == n - 1 ? turn % 100 : k) % 100, i >> 8 & 255, i & 255,
                   k % 2 ? "true" : "false");
    buf_add_z(b, "]}]}");
}

static double apply_ms(int services, int turn, double *ret_cpu_ms)
{
    struct buf b = BUF_INIT(0);
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = zeroed };
    kl_err_init(&c.err);
    buf_add_z(&b, "{\"node\":\"n\",\"nodeIPs\":[\"192.0.2.1\"],\"podCIDRs\":[\"10.128.0.0/9\"],\"services\":[");
    for (int i = 0; i < services; i++) {
        buf_add_z(&b, i ? "," : "");
        add_service(&b, i, 3, i ? 50 : turn);
    }
    buf_add_z(&b, "]}");
    double start = now_ms(), cpu = cpu_ms();
    check(proxy->apply(self, &c, ++generation, (struct kl_bytes){ b.at, b.len }), &c);
    double took = now_ms() - start;
    if (ret_cpu_ms)
        *ret_cpu_ms = cpu_ms() - cpu;
    buf_free(&b);
    return took;
}

static double update_ms(int i, int n, int turn)
{
    struct buf b = BUF_INIT(0);
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = zeroed };
    kl_err_init(&c.err);
    buf_add_z(&b, "{\"services\":[");
    add_service(&b, i, n, turn);
    buf_add_z(&b, "]}");
    double start = now_ms();
    check(proxy->update(self, &c, ++generation, (struct kl_bytes){ b.at, b.len }), &c);
    double took = now_ms() - start;
    buf_free(&b);
    return took;
}

static int by_value(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static void print_quantiles(const char *what, int services, double *at, int n, const char *p50, const char *p99)
{
    qsort(at, (size_t)n, sizeof *at, by_value);
    printf("proxy_%s_%d_p50 %.3f ms %s\n", what, services, at[n / 2], p50);
    printf("proxy_%s_%d_p99 %.3f ms %s\n", what, services, at[n * 99 / 100], p99);
}

/* connect() from the node to a Service whose endpoint is the node itself: the first packet there, and its answer. */
static void measure_connections(int services, int listener)
{
    static double at[CONNECTIONS];
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80) };
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = zeroed };
    static const char text[] = "{\"services\":[{\"namespace\":\"own\",\"name\":\"own\",\"clusterIPs\":[\"10.111.0.1\"],\"ports\":[{\"protocol\":\"TCP\",\"port\":80,"
                               "\"endpoints\":[{\"ip\":\"192.0.2.1\",\"port\":8080,\"local\":true}]}]}]}";
    kl_err_init(&c.err);
    check(proxy->update(self, &c, ++generation, (struct kl_bytes){ text, sizeof text - 1 }), &c);
    inet_pton(AF_INET, "10.111.0.1", &to.sin_addr);
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct linger now = { 1, 0 };
        double start = now_ms();
        if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
            fprintf(stderr, "proxy_bench: connect: %s\n", strerror(errno));
            exit(1);
        }
        at[i] = (now_ms() - start) * 1000;
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
        close(accept(listener, NULL, NULL));
    }
    qsort(at, CONNECTIONS, sizeof *at, by_value);
    printf("proxy_connect_%d_p50 %.1f us -\n", services, at[CONNECTIONS / 2]);
}

static int listen_on_node(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(8080) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (system("ip link set lo up && ip addr add 192.0.2.1/24 dev lo && ip route add default dev lo src 192.0.2.1") != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 128) < 0) {
        fprintf(stderr, "proxy_bench: no listener: %s\n", strerror(errno));
        exit(1);
    }
    return fd;
}

static void measure(int services, int listener)
{
    double at[CHANGES];
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = zeroed };
    static const int32_t conf = 1;
    kl_err_init(&c.err);
    generation = 0;
    check(proxy->life.open(&host, &conf, &self, &c), &c);
    double cpu, took = apply_ms(services, 0, &cpu);
    printf("proxy_full_sync_%d %.1f ms %s\n", services, took, services == 10000 ? "<=400" : "-");
    printf("proxy_full_sync_cpu_%d %.1f ms -\n", services, cpu);
    printf("proxy_same_state_%d %.2f ms -\n", services, apply_ms(services, 0, NULL));
    for (int i = 0; i < CHANGES; i++)
        at[i] = update_ms(i * 7 % services, 3, 60 + i % 30);
    print_quantiles("endpoint_change", services, at, CHANGES, "<=2", "<=10");
    for (int i = 0; i < CHANGES; i++)
        at[i] = update_ms(i * 7 % services, 2 + i % 3, 50);
    print_quantiles("scale", services, at, CHANGES, "<=2", "<=10");
    measure_connections(services, listener);
    for (int i = 0; i < CHANGES / 4; i++)
        at[i] = apply_ms(services, i % 40, NULL);
    print_quantiles("endpoint_change_by_whole_state", services, at, CHANGES / 4, "-", "-");
    fflush(stdout);
    check(proxy->teardown(self, &c), &c);
    proxy->life.close(self);
}

int main(void)
{
    static const int sizes[] = { 10, 100, 1000, 10000, 30000 };
    void *so = dlopen(PROXY_FILE, RTLD_NOW | RTLD_LOCAL);
    const struct kl_plugin *p = so ? dlsym(so, "kl_plugin") : NULL;
    if (!p || unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "proxy_bench: %s\n", p ? strerror(errno) : dlerror());
        return 1;
    }
    proxy = KL_AT(struct kl_provider, p->providers, 0)->table;
    arena = arena_new(0);
    int listener = listen_on_node();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure(sizes[i], listener);
    close(listener);
    arena_free(arena);
    return 0;
}
