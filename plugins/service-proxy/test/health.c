/* health.c - the ports at which load balancers ask, over real sockets. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy.h"

static struct arena *a;
static struct health *health;
static struct health_ports ports;
static int port;

static int local_socket(int number, int (*use)(int, const struct sockaddr *, socklen_t), int *ret)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    *ret = socket(AF_INET, SOCK_STREAM, 0);
    return use(*ret, (struct sockaddr *)&at, sizeof at);
}

static void set_up(void)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    int fd;
    a = arena_new(0);
    health = health_new(NULL, &ports);
    cr_assert_eq(local_socket(0, bind, &fd), 0);
    getsockname(fd, (struct sockaddr *)&at, &n);
    port = ntohs(at.sin_port);
    close(fd);
}

static void tear_down(void)
{
    health_free(health);
    arena_free(a);
}

TestSuite(health, .init = set_up, .fini = tear_down);

/* A Service d/NAME with that many endpoints; endpoints -1: without a port for checks. */
static struct val *services(const char *name, int endpoints)
{
    struct val *list = val_new(a, VAL_ARR), *s = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, s, STR("namespace"), STR("d"));
    json_set_str(a, s, STR("name"), str_of(name));
    if (endpoints >= 0) {
        struct val *check = json_obj(a, s, STR("healthCheck"));
        json_set_int(a, check, STR("port"), port);
        json_set_int(a, check, STR("endpoints"), endpoints);
    }
    return list;
}

static bool ask(const char *request, char ret[2048])
{
    size_t n = 0;
    ssize_t more;
    int fd;
    bool ok = local_socket(port, connect, &fd) == 0 && write(fd, request, strlen(request)) > 0;
    while (ok && (more = read(fd, ret + n, 2047 - n)) > 0)
        n += (size_t)more;
    ret[n] = '\0';
    close(fd);
    return ok;
}

#define GET "GET /healthz HTTP/1.1\r\nHost: n1\r\n\r\n"

Test(health, tells_of_the_endpoints_here)
{
    char got[2048];
    struct val *list = services("s", 2);
    health_take(health, list, NULL, true);
    cr_expect(json_get(list->first, STR("healthCheck")) == NULL, "the proxy is not told");
    cr_assert(ask(GET, got));
    cr_expect(strncmp(got, "HTTP/1.1 200 OK\r\n", 17) == 0, "%s", got);
    cr_expect(strstr(got, "X-Load-Balancing-Endpoint-Weight: 2\r\n"), "%s", got);
    cr_expect_str_eq(strstr(got, "\r\n\r\n") + 4, "{\n\t\"service\": {\n\t\t\"namespace\": \"d\",\n\t\t\"name\": \"s\"\n\t},\n\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}");
    health_take(health, services("s", 0), NULL, false);
    cr_assert(ask(GET, got));
    cr_expect(strncmp(got, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0, "%s", got);
}

Test(health, a_port_goes_with_its_service)
{
    char got[2048];
    health_take(health, services("s", 1), NULL, true);
    cr_expect(ask(GET, got));
    health_take(health, services("s", -1), NULL, false);
    cr_expect(!ask(GET, got), "policy Cluster has none");
    health_take(health, services("s", 1), NULL, false);
    cr_expect(ask(GET, got));
    health_take(health, NULL, services("s", -1), false);
    cr_expect(!ask(GET, got), "removed");
    health_take(health, services("s", 1), NULL, false);
    health_take(health, services("other", -1), NULL, true);
    cr_expect(!ask(GET, got), "a whole state without it");
}

Test(health, of_the_proxy_itself)
{
    char got[2048];
    ports.health = port;
    health_proxy(health, true, true, "nftables");
    health_take(health, NULL, NULL, true);
    cr_assert(ask(GET, got));
    cr_expect(strncmp(got, "HTTP/1.1 200 OK\r\n", 17) == 0, "%s", got);
    cr_expect(strstr(got, "\"nodeEligible\":true,\"healthy\":true}"), "%s", got);
    health_proxy(health, false, false, NULL);
    cr_assert(ask(GET, got));
    cr_expect(strncmp(got, "HTTP/1.1 503 ", 13) == 0, "a node that goes: %s", got);
    cr_assert(ask("GET /livez?verbose HTTP/1.1\r\n\r\n", got));
    cr_expect(strncmp(got, "HTTP/1.1 200 ", 13) == 0, "its proxy is well: %s", got);
    cr_assert(ask("GET / HTTP/1.1\r\n\r\n", got));
    cr_expect(strncmp(got, "HTTP/1.1 404 ", 13) == 0, "%s", got);
}

Test(health, how_the_proxy_works)
{
    char got[2048];
    ports.status = port;
    health_proxy(health, true, true, "nftables");
    cr_assert(ask("GET /proxyMode HTTP/1.1\r\n\r\n", got));
    cr_expect_str_eq(strstr(got, "\r\n\r\n") + 4, "nftables");
}

Test(health, rules_that_stay_unwritten)
{
    struct answer r = { .more = "" };
    struct proxy_state p = { .stale_ns = PROXY_PATIENCE_NS, .healthy = false, .eligible = true };
    answer_proxy(&r, STR("/healthz"), &p);
    cr_expect_str_eq(r.status, "503 Service Unavailable");
    answer_service(&r, "d/s", 2, false);
    cr_expect_str_eq(r.status, "503 Service Unavailable");
    cr_expect(strstr(r.body, "\"serviceProxyHealthy\": false"));
}

Test(health, what_is_no_request_gets_no_answer)
{
    char got[2048], long_one[5000];
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    health_take(health, services("s", 1), NULL, true);
    cr_expect(ask(long_one, got));
    cr_expect_str_eq(got, "");
    cr_expect(ask("\r\r\n\r\n", got), "an end in pieces");
    cr_expect(strncmp(got, "HTTP/1.1 200", 12) == 0, "%s", got);
}
