/* services.c - real connections through Services: from pods, from the node, from outside. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

TestSuite(services, .init = world_open, .fini = world_close);

/* Endpoints at port 8080: "a b" are pods, "c!" is said to be on another node, "d~" to be for policy Local alone. */
static const char *endpoints(const char *names)
{
    static char text[2][4096];
    static int turn;
    char copy[256], *rest = copy, *name;
    char *out = text[turn ^= 1];
    size_t n = (size_t)snprintf(out, sizeof text[0], "[");
    snprintf(copy, sizeof copy, "%s", names);
    while ((name = strsep(&rest, " ")))
        if (*name) {
            bool away = strchr(name, '!') != NULL, only_local = strchr(name, '~') != NULL;
            name[strcspn(name, "!~")] = '\0';
            n += (size_t)snprintf(out + n, sizeof text[0] - n, "%s{\"ip\":\"%s\",\"port\":8080,\"local\":%s%s}", n > 1 ? "," : "", pod(name), away ? "false" : "true",
                                  only_local ? ",\"cluster\":false" : "");
        }
    snprintf(out + n, sizeof text[0] - n, "]");
    return out;
}

/* One Service with TCP and UDP on 10.96.0.10:80, node port 30080. more: further members, with a comma behind each. */
static const char *service(const char *names, const char *more)
{
    static char text[9000];
    const char *e = endpoints(names);
    snprintf(text, sizeof text,
             "{\"namespace\":\"d\",\"name\":\"s\",\"clusterIPs\":[\"10.96.0.10\"],%s\"ports\":["
             "{\"name\":\"t\",\"protocol\":\"TCP\",\"port\":80,\"nodePort\":30080,\"endpoints\":%s},"
             "{\"name\":\"u\",\"protocol\":\"UDP\",\"port\":80,\"nodePort\":30080,\"endpoints\":%s}]}",
             more, e, e);
    return text;
}

static const char *list(const char *one)
{
    static char text[9100];
    snprintf(text, sizeof text, "[%s]", one);
    return text;
}

static void want(const char *names, const char *more)
{
    cr_assert_eq(apply(list(service(names, more))), 0, "%s", world.err.msg);
}

static void expect_name(struct answer a, const char *name, const char *where)
{
    cr_expect_str_eq(a.name, name, "%s: '%s' instead of '%s' (%s)", where, a.name, name, strerror(a.error));
}

Test(services, answer_pods_the_node_and_outside)
{
    pod("client");
    want("a", "");
    expect_name(ask_tcp("client", "10.96.0.10", 80), "a", "cluster IP from a pod");
    expect_name(ask_tcp(NULL, "10.96.0.10", 80), "a", "cluster IP from the node");
    expect_name(ask_tcp(OUTSIDE, "10.96.0.10", 80), "a", "cluster IP from outside");
    expect_name(ask_tcp("client", NODE_IP, 30080), "a", "node port from a pod");
    expect_name(ask_tcp(NULL, NODE_IP, 30080), "a", "node port from the node");
    expect_name(ask_tcp(NULL, "127.0.0.1", 30080), "a", "node port by 127.0.0.1");
    expect_name(ask_tcp(OUTSIDE, NODE_IP, 30080), "a", "node port from outside");
    expect_name(ask_udp("client", "10.96.0.10", 80), "a", "UDP, cluster IP from a pod");
    expect_name(ask_udp(NULL, "10.96.0.10", 80), "a", "UDP, cluster IP from the node");
    expect_name(ask_udp("client", NODE_IP, 30080), "a", "UDP, node port from a pod");
    expect_name(ask_udp(OUTSIDE, NODE_IP, 30080), "a", "UDP, node port from outside");
    expect_name(ask_udp(NULL, "127.0.0.1", 30080), "a", "UDP, node port by 127.0.0.1");
}

Test(services, a_pod_reaches_itself)
{
    want("a", "");
    struct answer t = ask_tcp("a", "10.96.0.10", 80), u = ask_udp("a", "10.96.0.10", 80);
    expect_name(t, "a", "TCP");
    expect_name(u, "a", "UDP");
    cr_expect_str_neq(t.client, pod("a"), "a packet from its own address would be dropped");
    expect_name(ask_tcp("a", NODE_IP, 30080), "a", "node port");
}

Test(services, clients_addresses)
{
    pod("client");
    want("a", "\"externalIPs\":[\"198.51.100.7\"],");
    cr_expect_str_eq(ask_tcp("client", "10.96.0.10", 80).client, pod("client"), "a pod is seen as itself");
    cr_expect_str_neq(ask_tcp(OUTSIDE, NODE_IP, 30080).client, OUTSIDE_IP, "any endpoint may answer: through this node");
    cr_expect_str_neq(ask_tcp(OUTSIDE, "10.96.0.10", 80).client, OUTSIDE_IP);
    expect_name(ask_tcp(OUTSIDE, "198.51.100.7", 80), "a", "external IP from outside");
    expect_name(ask_tcp("client", "198.51.100.7", 80), "a", "external IP from a pod");
    want("a", "\"externalIPs\":[\"198.51.100.7\"],\"externalLocal\":true,");
    cr_expect_str_eq(ask_tcp(OUTSIDE, NODE_IP, 30080).client, OUTSIDE_IP, "externalTrafficPolicy Local keeps the client's address");
    cr_expect_str_eq(ask_udp(OUTSIDE, NODE_IP, 30080).client, OUTSIDE_IP);
    cr_expect_str_eq(ask_tcp(OUTSIDE, "198.51.100.7", 80).client, OUTSIDE_IP);
}

static int count(const char *from, const char *ip, int port, int n, const char *name)
{
    int got = 0;
    for (int i = 0; i < n; i++)
        got += strcmp(ask_tcp(from, ip, port).name, name) == 0;
    return got;
}

Test(services, load_is_even)
{
    pod("client");
    want("a b c", "");
    int n[3] = { 0 };
    for (int i = 0; i < 600; i++) {
        struct answer r = i % 2 ? ask_tcp("client", "10.96.0.10", 80) : ask_udp("client", "10.96.0.10", 80);
        cr_assert(r.name[0] >= 'a' && r.name[0] <= 'c', "%s", strerror(r.error));
        n[r.name[0] - 'a']++;
    }
    for (int i = 0; i < 3; i++)         /* 200 +- 6 standard deviations of 11.5 */
        cr_expect(n[i] > 130 && n[i] < 270, "%c has %d of 600", 'a' + i, n[i]);
}

Test(services, endpoints_come_and_go)
{
    pod("client");
    want("a b", "");
    want("b", "");
    cr_expect_eq(count("client", "10.96.0.10", 80, 20, "b"), 20);
    want("b c", "");
    int b = count("client", "10.96.0.10", 80, 40, "b");
    cr_expect(b > 0 && b < 40, "both answer, not only one: %d", b);
}

Test(services, without_endpoints_rejects_at_once)
{
    pod("client");
    want("", "");
    cr_expect_eq(ask_tcp("client", "10.96.0.10", 80).error, ECONNREFUSED, "from a pod");
    cr_expect_eq(ask_tcp(NULL, "10.96.0.10", 80).error, ECONNREFUSED, "from the node");
    cr_expect_eq(ask_tcp(OUTSIDE, NODE_IP, 30080).error, ECONNREFUSED, "from outside");
    cr_expect_eq(ask_udp("client", "10.96.0.10", 80).error, ECONNREFUSED, "UDP from a pod");
    cr_expect_eq(ask_udp(NULL, "10.96.0.10", 80).error, EPERM, "UDP from the node: send() itself fails");
    cr_expect_eq(ask_udp(OUTSIDE, NODE_IP, 30080).error, ECONNREFUSED, "UDP from outside");
    cr_expect_eq(ask_tcp("client", "10.96.0.10", 81).error, ECONNREFUSED, "a port that it does not have");
    want("a", "");
    expect_name(ask_tcp("client", "10.96.0.10", 80), "a", "then one comes");
    cr_expect_eq(ask_tcp("client", "10.96.0.10", 81).error, ECONNREFUSED);
}

Test(services, affinity_sticks)
{
    pod("client");
    want("a b c", "\"sessionAffinitySeconds\":100,");
    struct answer first = ask_tcp("client", "10.96.0.10", 80);
    cr_expect_eq(count("client", "10.96.0.10", 80, 30, first.name), 30, "one client, one endpoint");
    char others[8] = "", *o = others;
    for (char c = 'a'; c <= 'c'; c++)
        if (c != first.name[0]) {
            *o++ = c;
            *o++ = ' ';
        }
    *o = '\0';
    want(others, "\"sessionAffinitySeconds\":100,");
    struct answer second = ask_tcp("client", "10.96.0.10", 80);
    cr_expect(second.name[0] && second.name[0] != first.name[0], "its endpoint is gone: another one");
    want("a b c", "\"sessionAffinitySeconds\":100,");
    cr_expect_eq(count("client", "10.96.0.10", 80, 30, second.name), 30, "and it stays with that when the first comes back");
    want("a b c", "");
    int n = count("client", "10.96.0.10", 80, 60, second.name);
    cr_expect(n < 50, "without affinity %d of 60", n);
}

Test(services, affinity_ends)
{
    pod("client");
    want("a b c d e f g h", "\"sessionAffinitySeconds\":1,");
    bool changed = false;
    struct answer first = ask_tcp("client", "10.96.0.10", 80);
    for (int i = 0; i < 6 && !changed; i++) {
        sleep(2);                       /* longer than the timeout: forgotten */
        changed = strcmp(ask_tcp("client", "10.96.0.10", 80).name, first.name) != 0;
    }
    cr_expect(changed, "8 endpoints, 6 tries: the same one each time");
}

Test(services, policies_local)
{
    pod("client");
    want("a b!", "\"externalLocal\":true,");
    cr_expect_eq(count(OUTSIDE, NODE_IP, 30080, 20, "a"), 20, "from outside: local endpoints only");
    int n = count("client", NODE_IP, 30080, 40, "a");
    cr_expect(n > 0 && n < 40, "a pod may reach all of them by the node port: %d", n);
    n = count(NULL, NODE_IP, 30080, 40, "a");
    cr_expect(n > 0 && n < 40, "the node too: %d", n);
    cr_expect_eq(count(NULL, "127.0.0.1", 30080, 20, "a"), 20, "127.0.0.1 never leaves the node");
    want("a b!", "\"internalLocal\":true,");
    cr_expect_eq(count("client", "10.96.0.10", 80, 20, "a"), 20, "internalTrafficPolicy Local");
    n = count(OUTSIDE, NODE_IP, 30080, 40, "a");
    cr_expect(n > 0 && n < 40, "%d", n);
    want("b!", "\"internalLocal\":true,\"externalLocal\":true,");
    cr_expect_neq(ask_tcp("client", "10.96.0.10", 80).error, 0, "no local endpoint: nothing answers");
    expect_name(ask_tcp("client", NODE_IP, 30080), "b", "short cut for pods");
}

Test(services, endpoints_of_this_node_alone_and_of_all_may_be_others)
{
    pod("client");
    want("a~ b!", "\"externalLocal\":true,");
    cr_expect_eq(count(OUTSIDE, NODE_IP, 30080, 20, "a"), 20, "policy Local");
    cr_expect_eq(count("client", "10.96.0.10", 80, 20, "b"), 20, "policy Cluster");
}

Test(services, udp_clients_leave_an_endpoint_that_is_gone)
{
    pod("client");
    want("a", "");
    int fd = udp_open("client", "10.96.0.10", 80), node = udp_open(NULL, "10.96.0.10", 80);
    expect_name(udp_ask(fd), "a", "first");
    expect_name(udp_ask(node), "a", "first, from the node");
    want("b", "");
    expect_name(udp_ask(fd), "b", "the same socket, after the change");
    expect_name(udp_ask(node), "b", "the same socket of the node");
    want("b c", "");
    for (int i = 0; i < 10; i++)
        expect_name(udp_ask(fd), "b", "stays where it is while that is there");
    cr_assert_eq(apply("[]"), 0);
    close(fd);
    close(node);
}

Test(services, updates_change_only_what_they_say)
{
    char two[1024];
    pod("client");
    want("a", "");
    snprintf(two, sizeof two, "[{\"namespace\":\"d\",\"name\":\"t\",\"clusterIPs\":[\"10.96.0.11\"],\"ports\":[{\"protocol\":\"TCP\",\"port\":80,\"endpoints\":%s}]}]", endpoints("b"));
    cr_assert_eq(update(two, "[]"), 0, "%s", world.err.msg);
    expect_name(ask_tcp("client", "10.96.0.10", 80), "a", "untouched");
    expect_name(ask_tcp("client", "10.96.0.11", 80), "b", "new");
    cr_assert_eq(update("[]", "[{\"namespace\":\"d\",\"name\":\"s\"}]"), 0, "%s", world.err.msg);
    cr_expect_neq(ask_tcp("client", "10.96.0.10", 80).error, 0);
    expect_name(ask_tcp("client", "10.96.0.11", 80), "b", "untouched");
    world.generation += 5;
    cr_expect_eq(update("[]", "[]"), -KL_CONFLICT, "a generation is missing");
    want("a", "");
    world.generation -= 2;
    cr_expect_eq(apply("[]"), 0);
    expect_name(ask_tcp("client", "10.96.0.10", 80), "a", "an older state is ignored");
}

Test(services, a_restart_takes_over_what_is_there)
{
    pod("client");
    want("a", "");
    world_proxy_restart();
    expect_name(ask_tcp("client", "10.96.0.10", 80), "a", "Services work while the proxy is away");
    want("b", "");
    expect_name(ask_tcp("client", "10.96.0.10", 80), "b", "after the restart");
    world_proxy_restart();
    cr_assert_eq(apply("[]"), 0, "%s", world.err.msg);
    cr_expect_neq(ask_tcp("client", "10.96.0.10", 80).error, 0, "a Service that went meanwhile");
}

Test(services, rules_that_somebody_removed_come_back)
{
    pod("client");
    want("a", "");
    struct kl_call c = { .size = sizeof c };
    kl_err_init(&c.err);
    void *other;
    static const int32_t conf = 1;
    cr_assert_eq(world.proxy->life.open(NULL, &conf, &other, &c), 0);
    cr_assert_eq(world.proxy->teardown(other, &c), 0, "as `nft flush ruleset` does: behind the proxy's back");
    world.proxy->life.close(other);
    cr_expect_neq(ask_tcp("client", "10.96.0.10", 80).error, 0);
    cr_assert_eq(update("[]", "[]"), 0, "%s", world.err.msg);
    expect_name(ask_tcp("client", "10.96.0.10", 80), "a", "after an update without changes");
}

Test(services, two_that_want_one_address)
{
    char both[4096];
    pod("client");
    static const char one[] = "{\"namespace\":\"d\",\"name\":\"%s\",\"clusterIPs\":[\"10.96.0.%d\"],\"externalIPs\":[\"198.51.100.7\"],\"ports\":[{\"protocol\":\"TCP\",\"port\":80,\"endpoints\":%s}]}";
    int n = snprintf(both, sizeof both, "[");
    n += snprintf(both + n, sizeof both - (size_t)n, one, "s", 10, endpoints("a"));
    n += snprintf(both + n, sizeof both - (size_t)n, ",");
    n += snprintf(both + n, sizeof both - (size_t)n, one, "t", 11, endpoints("b c"));
    snprintf(both + n, sizeof both - (size_t)n, "]");
    cr_assert_eq(apply(both), 0, "%s", world.err.msg);
    expect_name(ask_tcp("client", "198.51.100.7", 80), "a", "the first has it");
    cr_assert_eq(update("[]", "[{\"namespace\":\"d\",\"name\":\"s\"}]"), 0, "%s", world.err.msg);
    struct answer r = ask_tcp("client", "198.51.100.7", 80);
    cr_expect(r.name[0] == 'b' || r.name[0] == 'c', "then the other gets it: '%s'", r.name);
}

/* --- changes under traffic --- */

static volatile bool stop;
static int failures, connections;

static void *connect_all_the_time(void *ctx)
{
    (void)ctx;
    while (!stop) {
        struct answer r = ask_tcp("client", "10.96.0.10", 80);
        if (!r.name[0]) {
            failures++;
            fprintf(stderr, "connection %d: %s\n", connections, strerror(r.error));
        }
        connections++;
    }
    return NULL;
}

Test(services, no_connection_fails_while_rules_change)
{
    pthread_t t;
    pod("client");
    want("a b c", "");
    cr_assert_eq(pthread_create(&t, NULL, connect_all_the_time, NULL), 0);
    for (int i = 0; i < 200; i++) {
        static const char *const sets[] = { "a b", "b c d", "a", "c a" };
        if (i % 20 == 19)
            world_proxy_restart();      /* the whole table anew */
        want(sets[i % 4], i % 3 ? "" : "\"sessionAffinitySeconds\":50,");
        usleep(2000);
    }
    stop = true;
    pthread_join(t, NULL);
    cr_expect_eq(failures, 0, "%d of %d connections", failures, connections);
    cr_expect_gt(connections, 50);
}

/* A proxy of another process is killed at any point of its work: each time the rules are old or new, and whole. */
Test(services, killed_at_any_time_leaves_old_or_new_rules)
{
    pod("client");
    pod("b");
    want("a", "");
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) {
            world_proxy_restart();
            for (;;) {
                apply(list(service("b", "")));
                apply(list(service("a", "")));
                world_proxy_restart();
            }
        }
        usleep(1000 + (useconds_t)(i * 137));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct answer r = ask_tcp("client", "10.96.0.10", 80);
        cr_assert(r.name[0] == 'a' || r.name[0] == 'b', "kill %d: %s", i, strerror(r.error));
    }
}

Test(services, teardown_leaves_nothing)
{
    want("a b", "\"sessionAffinitySeconds\":10,");
    struct kl_call c = { .size = sizeof c };
    kl_err_init(&c.err);
    cr_assert_eq(world.proxy->teardown(world.self, &c), 0, "%s", c.err.msg);
    cr_assert_eq(world.proxy->teardown(world.self, &c), 0, "twice is fine");
    cr_expect_neq(ask_tcp(NULL, "10.96.0.10", 80).error, 0);
    world_proxy_restart();
    want("a", "");
    expect_name(ask_tcp(NULL, "10.96.0.10", 80), "a", "and it can begin again");
}
