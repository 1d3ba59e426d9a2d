/* The port of a node in the server's process: its gate asks the chains themselves, also those that wait for somebody. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api-internal.h"
#include "node.h"

static struct buf get(const char *path, const char *headers)
{
    struct buf b = BUF_INIT(0);
    int fd = dial();
    buf_printf(&b, "GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-port: node\r\n%s\r\n", path, headers);
    put(fd, buf_str(&b));
    buf_clear(&b);
    for (char c; take(fd, &c, 1);)
        buf_add_c(&b, c);
    buf_add_c(&b, '\0');
    close(fd);
    return b;
}

#define answers(path, headers, text) \
    do { \
        struct buf got = get(path, headers); \
        cr_assert(strstr(got.at, text), "%s: %s", path, got.at); \
        buf_free(&got); \
    } while (0)

static const char known[] = "authorization: Bearer a token?\r\n";

/* --- somebody who may get, and nothing else --- */

static int only_get(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)ctx, (void)c, (void)user;
    return strcmp(r->resource, "nodes") != 0 || !r->subresource[0] || strcmp(r->verb, "get") == 0;
}

static void ask_as_reader(void)
{
    int before = node_calls;
    answers("/healthz", "", " 401 ");
    answers("/healthz", "authorization: Bearer wrong\r\n", " 401 ");
    answers("/healthz", "authorization: Basic a token?\r\n", " 401 ");
    answers("/healthz", known, "\r\n\r\nok");
    answers("/pods", known, "\"name\":\"local\"");
    answers("/containerLogs/default/p/main", known, "first");
    answers("/exec/default/p/main?command=where", known, "Forbidden (user=tester, verb=create, resource=nodes, subresource(s)=[proxy])");
    struct buf head = BUF_INIT(0);
    int fd = upgrade("GET", "/exec/default/p/main?command=where&output=1", "x-port: node\r\nauthorization: Bearer a token?\r\n", &head);
    cr_assert(strstr(head.at, " 403 "), "%s", head.at);
    close(fd);
    buf_clear(&head);
    struct buf made = ask("POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n1\"}}");
    cr_assert(strstr(made.at, " 201 "), "%s", made.at);
    buf_free(&made);
    fd = upgrade("GET", "/api/v1/nodes/n1/proxy/exec/default/p/main?command=where&output=1", "", &head);
    cr_assert(strstr(head.at, " 403 "), "through the API: %s", head.at);
    close(fd);
    buf_free(&head);
    cr_assert_eq(node_calls, before + 1, "only the log was read");
}

Test(node_here, who_may_only_look_runs_nothing)
{
    more_hooks.authorize = only_get;
    serve(ask_as_reader);
}

/* --- a decision that takes a while --- */

static atomic_int asked, overs;
static atomic_ullong waits;

static int later(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)ctx, (void)user;
    if (strcmp(r->resource, "nodes") != 0 || strcmp(r->subresource, "proxy") != 0)
        return strcmp(r->resource, "nodes") != 0;       /* not by nodes/pods */
    cr_expect_neq(c->request, 0);
    waits = c->request;
    return ++asked == 1 ? -KL_PENDING : 1;
}

static void is_over(void *ctx, uint64_t request)
{
    (void)ctx;
    overs += request == waits;
}

static void *wake(void *ctx)
{
    while (!asked)
        usleep(1000);
    for (int i = 0; i < 100 && asked == 1; i++, usleep(20000))
        api_wake(served_api, waits);
    return ctx;
}

static void ask_and_wait(void)
{
    pthread_t t;
    pthread_create(&t, NULL, wake, NULL);
    answers("/pods", known, "\"name\":\"local\"");
    pthread_join(t, NULL);
    cr_assert_eq(asked, 2);
    cr_assert_eq(overs, 1);
}

Test(node_here, a_decision_is_waited_for)
{
    more_hooks.authorize = later;
    more_hooks.over = is_over;
    serve(ask_and_wait);
}

static void leave(void)
{
    int fd = dial();
    put(fd, STR("GET /pods HTTP/1.1\r\nhost: x\r\nx-port: node\r\nauthorization: Bearer a token?\r\n\r\n"));
    while (!asked)
        usleep(1000);
    close(fd);
    while (!overs)                      /* or the test's alarm says that nobody was told */
        usleep(1000);
}

Test(node_here, who_waits_may_leave)
{
    more_hooks.authorize = later;
    more_hooks.over = is_over;
    serve(leave);
    cr_assert_eq(asked, 1);
}
