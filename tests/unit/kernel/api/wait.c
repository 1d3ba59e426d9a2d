/* Decisions from elsewhere by replay: what is pending has no effect, others are served meanwhile, and the same object comes again. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

#include "api/api-internal.h"
#include "api/objects.h"
#include "base/env.h"
#include "node.h"
#include "reconcile/call.h"

#define CONFIG_MAPS "/api/v1/namespaces/default/configmaps"

/* --- a gate: what goes through it is pending until it is opened --- */

static struct {
    atomic_int asked, overs, closed;    /* closed: how many times each request must be woken */
    char first[4096], last[4096];       /* the object at the first and at the last time */
    atomic_ullong request;
} gate;

static bool concerned(const struct kl_request *r)
{
    return strcmp(r->resource, "configmaps") == 0 && strcmp(r->ns, "default") == 0;
}

static int pass(void *ctx, struct kl_call *c, bool mutating, struct kl_admission_review *r, struct arena *a, const struct schema_kind *kind,
                struct val **object, struct api_stage *stage, struct kl_admission_verdict *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    (void)ctx, (void)a, (void)kind, (void)stage, (void)ret;
    if (!concerned(r->request) || mutating || !c->request)
        return 0;
    if (*object)
        json_write(&b, *object);
    snprintf(gate.request ? gate.last : gate.first, sizeof gate.first, STR_FMT, STR_ARG(buf_str(&b)));
    gate.asked++;
    gate.request = c->request;
    if (strcmp(r->request->name, "never") == 0)
        return kl_fail(c, KL_FORBIDDEN, "not this one");
    return gate.closed > 0 ? -KL_PENDING : 0;
}

static void on_over(void *ctx, uint64_t request)
{
    (void)ctx;
    cr_expect_eq(request, gate.request);
    gate.overs++;
}

static void until(const atomic_int *n, int least)
{
    while (*n < least)
        usleep(1000);
}

struct asked {
    pthread_t thread;
    const char *method, *path, *body;
    struct buf answer;
};

static void *ask_main(void *ctx)
{
    struct asked *a = ctx;
    a->answer = ask(a->method, a->path, a->body);
    return NULL;
}

static void start(struct asked *a)
{
    cr_assert_eq(pthread_create(&a->thread, NULL, ask_main, a), 0);
}

static const char *answer(struct asked *a)
{
    pthread_join(a->thread, NULL);
    return a->answer.at;
}

static void with_gate(void (*client)(void))
{
    more_hooks.admit = pass;
    more_hooks.over = on_over;
    gate.closed = 1;
    serve(client);
}

static void open_gate(void)
{
    gate.closed = 0;
    api_wake(served_api, gate.request);
}

static void expect(const char *method, const char *path, const char *body, const char *want)
{
    _cleanup_buf_ struct buf b = ask(method, path, body);
    cr_assert(strstr(b.at, want), "%s %s: %s", method, path, b.at);
}

/* --- over HTTP --- */

static void one_create(void)
{
    struct asked a = { .method = "POST", .path = CONFIG_MAPS, .body = "{\"metadata\":{\"generateName\":\"c-\"}}" };
    start(&a);
    until(&gate.asked, 1);
    expect("GET", CONFIG_MAPS, "", "\"items\":[]");
    expect("POST", "/api/v1/namespaces/kube-system/configmaps", "{\"metadata\":{\"name\":\"other\"}}", " 201 ");
    cr_expect_eq(gate.overs, 0);
    api_wake(served_api, gate.request);         /* too early: it waits on */
    until(&gate.asked, 2);
    open_gate();
    cr_expect(strstr(answer(&a), " 201 "), "%s", a.answer.at);
    cr_expect_eq(gate.overs, 1);
    cr_expect_eq(gate.asked, 3);
    cr_expect_str_eq(gate.first, gate.last, "uid, name and time are drawn once");
    cr_expect(strstr(gate.first, "\"uid\":\""));
    expect("GET", CONFIG_MAPS, "", "\"name\":\"c-");
    buf_free(&a.answer);
}

Test(wait, a_create_waits_and_others_do_not)
{
    with_gate(one_create);
}

static void changed_meanwhile(void)
{
    gate.closed = 0;
    expect("POST", CONFIG_MAPS, "{\"metadata\":{\"name\":\"c\"}}", " 201 ");
    gate.closed = 1;
    int before = gate.asked;
    struct asked a = { .method = "PATCH", .path = CONFIG_MAPS "/c", .body = "{\"data\":{\"a\":\"1\"}}" };
    start(&a);
    until(&gate.asked, before + 1);
    uint64_t waits = gate.request;
    gate.closed = 0;
    expect("PATCH", CONFIG_MAPS "/c", "{\"data\":{\"b\":\"2\"}}", " 200 ");
    gate.request = waits;
    open_gate();
    cr_expect(strstr(answer(&a), " 200 "), "%s", a.answer.at);
    cr_expect(strstr(a.answer.at, "\"data\":{\"a\":\"1\",\"b\":\"2\"}"), "what the other wrote is there: %s", a.answer.at);
    buf_free(&a.answer);
}

Test(wait, a_replay_starts_from_what_is_stored_now)
{
    with_gate(changed_meanwhile);
}

static void gone(void)
{
    static const char text[] = "POST " CONFIG_MAPS " HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n"
                               "{\"metadata\":{\"name\":\"c\"}}";
    int fd = dial();
    put(fd, str_of(text));
    until(&gate.asked, 1);
    close(fd);
    until(&gate.overs, 1);
    open_gate();
    expect("GET", CONFIG_MAPS, "", "\"items\":[]");
}

Test(wait, a_client_that_leaves_ends_it)
{
    with_gate(gone);
}

static struct asked left = { .method = "POST", .path = CONFIG_MAPS, .body = "{\"metadata\":{\"name\":\"c\"}}" };

static void leave(void)
{
    start(&left);
    until(&gate.asked, 1);
}

Test(wait, the_end_of_the_server_answers)
{
    serve_grace_ns = 5 * NS_PER_S;
    with_gate(leave);
    cr_expect(strstr(answer(&left), " 503 "), "%s", left.answer.at);
    cr_expect_eq(gate.overs, 1);
    buf_free(&left.answer);
}

static void collection(void)
{
    gate.closed = 0;
    expect("POST", CONFIG_MAPS, "{\"metadata\":{\"name\":\"a\"}}", " 201 ");
    expect("POST", CONFIG_MAPS, "{\"metadata\":{\"name\":\"b\"}}", " 201 ");
    gate.closed = 1;
    int before = gate.asked;
    struct asked a = { .method = "DELETE", .path = CONFIG_MAPS, .body = "" };
    start(&a);
    until(&gate.asked, before + 2);
    expect("GET", CONFIG_MAPS, "", "\"name\":\"a\"");
    open_gate();
    cr_expect(strstr(answer(&a), " 200 "), "%s", a.answer.at);
    expect("GET", CONFIG_MAPS, "", "\"items\":[]");
    buf_free(&a.answer);
}

Test(wait, all_of_a_collection_are_asked_about_before_one_goes)
{
    with_gate(collection);
}

static void refused(void)
{
    struct asked a = { .method = "POST", .path = CONFIG_MAPS, .body = "{\"metadata\":{\"name\":\"never\"}}" };
    start(&a);
    cr_expect(strstr(answer(&a), "configmaps \\\"never\\\" is forbidden: not this one"), "%s", a.answer.at);
    cr_expect_eq(gate.overs, 0, "it has never waited");
    buf_free(&a.answer);
}

Test(wait, what_never_waited_is_never_told_over)
{
    with_gate(refused);
}

/* --- authorization --- */

static int may_later(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)ctx, (void)user;
    if (!concerned(r))
        return 1;
    gate.asked++;
    gate.request = c->request;
    return gate.closed ? -KL_PENDING : 1;
}

static void authorized(void)
{
    struct asked a = { .method = "GET", .path = CONFIG_MAPS, .body = "" };
    start(&a);
    until(&gate.asked, 1);
    expect("GET", "/api/v1/nodes", "", " 200 ");
    open_gate();
    cr_expect(strstr(answer(&a), "\"items\":[]"), "%s", a.answer.at);
    cr_expect_eq(gate.overs, 1);
    buf_free(&a.answer);
}

Test(wait, authorization_may_wait_too)
{
    more_hooks.authorize = may_later;
    more_hooks.over = on_over;
    gate.closed = 1;
    serve(authorized);
}

/* --- writers within the process --- */

struct writer {
    struct objects *objects;
    struct kl_call call;
    struct arena *arena;
    const char *name;
    int rc;
};

static void write_it(void *ctx)
{
    struct writer *w = ctx;
    struct kl_object_key k = { sizeof k, "/configmaps", "default", w->name, NULL };
    char body[128];
    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"}}", w->name);
    host_call_init(&w->call, w->arena, "t");
    w->rc = w->objects->ops->create(w->objects, "t", &w->call, &k, (struct kl_bytes){ body, strlen(body) }, NULL);
}

static void make_objects(void *ctx)
{
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(api_objects_new(served_api, &((struct writer *)ctx)->objects, &err), 0);
}

static void free_objects(void *ctx)
{
    api_objects_stop(((struct writer *)ctx)->objects);
    api_objects_free(((struct writer *)ctx)->objects);
}

static void *writer_main(void *ctx)
{
    write_it(ctx);
    return NULL;
}

static void within(void)
{
    struct writer w = { .arena = arena_new(0), .name = "threaded" };
    pthread_t t;
    loop_call(served_api->loop, make_objects, &w);
    cr_assert_eq(pthread_create(&t, NULL, writer_main, &w), 0);
    until(&gate.asked, 1);
    open_gate();
    pthread_join(t, NULL);
    cr_expect_eq(w.rc, 0, "a thread waits: %s", w.call.err.msg);

    gate.closed = 1;
    w.name = "on-loop";
    int asked = gate.asked, overs = gate.overs;
    loop_call(served_api->loop, write_it, &w);
    cr_expect_eq(w.rc, -KL_PENDING);
    loop_call(served_api->loop, write_it, &w);
    cr_expect_eq(w.rc, -KL_PENDING);
    cr_expect_eq(gate.asked, asked + 1, "the same write is not begun twice");
    open_gate();
    until(&gate.overs, overs + 1);
    expect("GET", CONFIG_MAPS "/on-loop", "", " 200 ");
    loop_call(served_api->loop, write_it, &w);
    cr_expect_eq(w.rc, -KL_ALREADY_EXISTS, "it was done: %d", w.rc);
    loop_call(served_api->loop, free_objects, &w);
    arena_free(w.arena);
}

Test(wait, writers_within_the_process)
{
    with_gate(within);
}
