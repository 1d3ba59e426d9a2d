/* Storage drivers of other nodes: both ends of a call in one process. What lies between them in truth, a node's port, is a function here. */
#include "api/api.h"
#include "http/client.h"

static struct http_client *fake_client(void);
static struct http_call *fake_call(const char *path, struct str body, const struct http_result_events *ev, void *ctx);
#define api_node_client(api, arena, node, err) ((void)(api), (void)(arena), (void)(node), (void)(err), fake_client())
#define http_call_new(client, method, path, headers, n, body, timeout_ns, ev, ctx) ((void)(client), (void)(timeout_ns), fake_call(path, body, ev, ctx))
#include "plugin/elsewhere.c"

#include <criterion/criterion.h>
#include <semaphore.h>

/* --- the way between them --- */

enum way { WHOLE, NO_CLIENT, BROKEN, REFUSED, CUT, GARBAGE, OTHER_RELEASE, NEVER };

static struct plugin_host here, there;
static enum way way;
static unsigned carried;
static pthread_t thread;
static struct passage *held;            /* on its way until the end of the test */

struct passage {
    const struct http_result_events *ev;
    void *ctx;
    struct arena *arena;
    struct kl_bytes answer;
    int status;
};

static struct http_client *fake_client(void)
{
    return way == NO_CLIENT ? NULL : (struct http_client *)&way;
}

static void arrive(void *ctx)
{
    struct passage *p = ctx;
    struct kl_err err;
    kl_err_init(&err);
    if (way == BROKEN)
        kl_err_set(&err, KL_UNAVAILABLE, "connection refused");
    else
        p->ev->head(p->ctx, p->status, NULL, 0);
    if (way != BROKEN)
        p->ev->data(p->ctx, (struct str){ p->answer.at, p->answer.len });
    p->ev->end(p->ctx, err.code ? &err : NULL);
    arena_free(p->arena);
    mem_free(p);
}

/* The print follows four texts; each is its length and its bytes. A request of which it is another. */
static char *of_another_release(struct arena *a, struct str body)
{
    struct wire w = { .at = body.at, .end = body.at + body.len, .alloc = (void *(*)(void *, size_t))arena_alloc, .alloc_ctx = a };
    for (int i = 0; i < 4; i++)
        wire_get_str(&w);
    char *copy = arena_dup(a, body);
    copy[w.at - body.at] ^= 1;
    return copy;
}

static struct http_call *fake_call(const char *path, struct str body, const struct http_result_events *ev, void *ctx)
{
    struct passage *p = mem_alloc(sizeof *p);
    struct kl_call c;
    *p = (struct passage){ .ev = ev, .ctx = ctx, .arena = arena_new(0), .status = way == REFUSED ? 403 : 200 };
    cr_assert_str_eq(path, "/keelson/call");
    cr_assert(loop_here(here.conf.loop));
    host_call_init(&c, p->arena, NULL);
    carried++;
    struct kl_bytes request = { way == OTHER_RELEASE ? of_another_release(p->arena, body) : body.at, body.len };
    cr_assert_eq(plugin_host_answer(&there, &c, request, &p->answer), 0, "%s", c.err.msg);
    if (way == CUT)
        p->answer.len /= 2;
    if (way == GARBAGE)
        p->answer = (struct kl_bytes){ "nothing of the kind that was wanted", 35 };
    if (way == NEVER)
        held = p;
    else
        loop_post(here.conf.loop, arrive, p);
    return (struct http_call *)p;
}

/* --- a driver with some functions --- */

static int64_t deadline_seen;
static char user_seen[64];

static int make(void *self, struct kl_call *c, const struct kl_volume_spec *spec, struct kl_volume_made *ret)
{
    static const char *const context[] = { "where", "here", NULL };
    cr_assert_str_eq(self, "driver-self");
    deadline_seen = c->deadline_ns;
    snprintf(user_seen, sizeof user_seen, "%s", c->user ? c->user : "nobody");
    if (spec->bytes > 1000)
        return kl_fail(c, KL_STORAGE_FULL, "no room for %s of %s", spec->name, kl_volume_get(spec->parameters, "kind"));
    *ret = (struct kl_volume_made){ .size = sizeof *ret, .id = kl_dup(c, spec->name, strlen(spec->name)), .bytes = spec->bytes * 2, .context = context };
    return 0;
}

static int go(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    (void)self;
    return strcmp(v->id, "busy") == 0 ? kl_fail(c, KL_CONFLICT, "it is in use") : 0;
}

static const struct kl_volume table = { .size = sizeof table, .flags = KL_VOLUME_LOCAL | KL_VOLUME_CLONE, .create = make, .remove = go, .unpublish = go };
static const struct kl_provider volume_provider = { KL_VOLUME_0, "dir", 0, &table };

static const char *node_name(void *self)
{
    return self;
}

static const struct kl_node node_table = { .size = sizeof node_table, .name = node_name };
static const struct kl_provider node_provider = { KL_NODE_0, "node", 0, &node_table };

static void add(struct plugin_host *h, const char *name, const struct kl_provider *p, const char *self)
{
    struct plugin_instance *i = mem_alloc(sizeof *i);
    snprintf(i->name, sizeof i->name, "%s", name);
    i->provider = p;
    i->state = PLUGIN_READY;
    i->self = (void *)(uintptr_t)self;
    h->at[h->n++] = i;
}

static void *turn(void *loop)
{
    loop_run(loop);
    return NULL;
}

static struct arena *arena;

static void turns(void *sem)
{
    sem_post(sem);
}

/* From the first turn on the loop is the thread's. */
static void setup(void)
{
    sem_t begun;
    arena = arena_new(0);
    pthread_mutex_init(&here.lock, NULL);
    pthread_mutex_init(&there.lock, NULL);
    here.conf.loop = loop_new();
    here.api = (struct api *)&way;
    add(&here, "node", &node_provider, "n1");
    add(&here, "dir", &volume_provider, "driver-self");
    add(&there, "dir", &volume_provider, "driver-self");
    sem_init(&begun, 0, 0);
    loop_post(here.conf.loop, turns, &begun);
    cr_assert_eq(pthread_create(&thread, NULL, turn, here.conf.loop), 0);
    sem_wait(&begun);
}

static void teardown(void)
{
    if (held)
        loop_call(here.conf.loop, arrive, held);
    loop_stop(here.conf.loop);
    pthread_join(thread, NULL);
    loop_free(here.conf.loop);
    host_elsewhere_free(&here);
    for (unsigned i = 0; i < here.n; i++)
        mem_free(here.at[i]);
    for (unsigned i = 0; i < there.n; i++)
        mem_free(there.at[i]);
    arena_free(arena);
}

TestSuite(elsewhere, .init = setup, .fini = teardown);

static struct kl_call call;

static int find(const char *name, struct kl_instance *ret)
{
    host_call_init(&call, arena, "jane");
    return host_find_elsewhere(&here, &call, KL_VOLUME_0, name, ret);
}

/* --- */

Test(elsewhere, a_driver_of_this_node_is_taken_as_it_is)
{
    struct kl_instance i = { .size = 0 };
    cr_assert_eq(find("dir@n1", &i), 0, "%s", call.err.msg);
    cr_expect_eq(i.table, &table);
    cr_expect_str_eq(i.self, "driver-self");
    cr_expect_eq(find("other@n1", &i), -KL_NOT_FOUND);
    cr_expect_eq(carried, 0u);
}

Test(elsewhere, one_of_another_node_answers_over_its_port)
{
    struct kl_instance i = { .size = 0 }, again = { .size = 0 };
    cr_assert_eq(find("dir@n2", &i), 0, "%s", call.err.msg);
    const struct kl_volume *t = i.table;
    cr_expect_str_eq(i.name, "dir");
    cr_expect_eq(t->flags, table.flags, "what it can do is told");
    cr_expect(t->create && t->remove && t->unpublish && !t->expand && !t->grow && !t->stats, "and which functions it has");
    cr_assert_eq(find("dir@n2", &again), 0);
    cr_expect_eq(again.table, i.table, "found again it is the same");

    const char *parameters[] = { "kind", "fast", NULL };
    struct kl_volume_spec spec = { .size = sizeof spec, .name = "pvc-1", .bytes = 500, .parameters = parameters };
    struct kl_volume_made made = { .size = sizeof made };
    host_call_init(&call, arena, "jane");
    call.deadline_ns = env_mono_ns() + 60 * NS_PER_S;
    cr_assert_eq(t->create(i.self, &call, &spec, &made), 0, "%s", call.err.msg);
    cr_expect_str_eq(made.id, "pvc-1");
    cr_expect_eq(made.bytes, 1000);
    cr_expect_str_eq(kl_volume_get(made.context, "where"), "here");
    cr_expect(deadline_seen > 0 && deadline_seen <= call.deadline_ns + NS_PER_S, "the time that is left goes with it");
    spec.bytes = 5000;
    cr_expect_eq(t->create(i.self, &call, &spec, &made), -KL_STORAGE_FULL);
    cr_expect_str_eq(call.err.msg, "no room for pvc-1 of fast");
    struct kl_volume_use use = { .size = sizeof use, .id = "busy" };
    cr_expect_eq(t->remove(i.self, &call, &use), -KL_CONFLICT);
    use.id = "idle";
    cr_expect_eq(t->remove(i.self, &call, &use), 0);
}

Test(elsewhere, what_there_is_not)
{
    struct kl_instance i = { .size = 0 };
    cr_expect_eq(find("none@n2", &i), -KL_NOT_FOUND);
    cr_expect(strstr(call.err.msg, "there is no instance 'none'"), "%s", call.err.msg);
    host_call_init(&call, arena, NULL);
    cr_expect_eq(host_find_elsewhere(&here, &call, KL_NODE_0, "node@n2", &i), -KL_UNSUPPORTED, "of storage drivers only");
    here.api = NULL;
    cr_expect_eq(find("dir@n2", &i), -KL_UNSUPPORTED, "by a server only");
}

Test(elsewhere, a_way_that_does_not_carry)
{
    static const struct {
        enum way way;
        int code;
        const char *says;
    } rows[] = {
        { NO_CLIENT, KL_NO_MEMORY, "out of memory" },
        { BROKEN, KL_UNAVAILABLE, "node 'n2': connection refused" },
        { REFUSED, KL_UNAVAILABLE, "node 'n2' answers with status 403" },
        { CUT, KL_UNAVAILABLE, "node 'n2' gives no answer that makes sense" },
        { GARBAGE, KL_UNAVAILABLE, "node 'n2' gives no answer that makes sense" },
        { OTHER_RELEASE, KL_UNSUPPORTED, "this node is of another release" },
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_instance found = { .size = 0 };
        way = rows[i].way;
        cr_expect_eq(find("dir@n2", &found), -rows[i].code, "row %u: %s", i, call.err.msg);
        cr_expect(strstr(call.err.msg, rows[i].says), "row %u: %s", i, call.err.msg);
        cr_expect_null(found.table);
    }
    /* Found, then it breaks: the call fails, the next one does not. */
    struct kl_instance i = { .size = 0 };
    way = WHOLE;
    cr_assert_eq(find("dir@n2", &i), 0, "%s", call.err.msg);
    const struct kl_volume *t = i.table;
    struct kl_volume_use use = { .size = sizeof use, .id = "x" };
    for (unsigned k = 1; k < sizeof rows / sizeof *rows; k++) {
        way = rows[k].way;
        host_call_init(&call, arena, NULL);
        cr_expect_eq(t->remove(i.self, &call, &use), -rows[k].code, "row %u: %s", k, call.err.msg);
    }
    way = WHOLE;
    cr_expect_eq(t->remove(i.self, &call, &use), 0);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static bool at_once(const struct kl_call *c)
{
    (void)c;
    return true;
}

Test(elsewhere, who_waits_for_nothing_can_give_up)
{
    struct kl_instance i = { .size = 0 };
    host_call_init(&call, arena, NULL);
    call.cancelled = at_once;
    way = NEVER;
    cr_expect_eq(host_find_elsewhere(&here, &call, KL_VOLUME_0, "dir@n2", &i), -KL_CANCELLED);
    loop_call(here.conf.loop, nothing, NULL);  /* it is on its way by now; its answer comes when nobody wants it */
    cr_expect_not_null(held);
}

/* --- requests of somebody who is no keelson, or of an API server that wants what is not for it --- */

static int answers(const char *hello, const char *iface, const char *name, const char *function, uint64_t print, struct wire *ret)
{
    static struct kl_bytes out;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct wire w = { .out = &b };
    wire_put_str(&w, hello);
    wire_put_str(&w, iface);
    wire_put_str(&w, name);
    wire_put_str(&w, function);
    wire_put_u64(&w, print);
    wire_put_u64(&w, 0);
    host_call_init(&call, arena, NULL);
    int rc = plugin_host_answer(&there, &call, (struct kl_bytes){ b.at, b.len }, &out);
    *ret = (struct wire){ .at = out.at, .end = out.at + (rc == 0 ? out.len : 0), .alloc = from_call, .alloc_ctx = &call };
    return rc;
}

static void refuses(int code, const char *says, const char *iface, const char *name, const char *function, uint64_t print)
{
    struct wire w;
    cr_assert_eq(answers(HELLO, iface, name, function, print, &w), 0, "%s", call.err.msg);
    cr_expect_eq((int64_t)wire_get_u64(&w), -code);
    cr_expect_eq(wire_get_u32(&w), (uint32_t)code);
    const char *why = wire_get_str(&w);
    cr_expect(why && strstr(why, says), "wanted '%s', got '%s'", says, why);
    cr_expect_not(w.bad);
}

Test(elsewhere, what_the_other_side_refuses)
{
    struct wire w;
    init_tables();
    const struct kl_sig_table *sig = table_find(KL_VOLUME_0)->sig;
    cr_expect_eq(answers("hello", KL_VOLUME_0, "dir", "", 0, &w), -KL_BAD_REQUEST);
    cr_expect_eq(plugin_host_answer(&there, &call, (struct kl_bytes){ "x", 1 }, &(struct kl_bytes){ NULL, 0 }), -KL_BAD_REQUEST);
    refuses(KL_NOT_FOUND, "there is no such instance", KL_NODE_0, "node", "", 0);
    refuses(KL_NOT_FOUND, "'none'", KL_VOLUME_0, "none", "", 0);
    refuses(KL_UNSUPPORTED, "the driver has no function 'format'", KL_VOLUME_0, "dir", "format", 0);
    refuses(KL_UNSUPPORTED, "the driver has no function 'stats'", KL_VOLUME_0, "dir", "stats", 0);
    refuses(KL_UNSUPPORTED, "another release", KL_VOLUME_0, "dir", "create", print_of(sig, &sig->calls[1]));
    refuses(KL_BAD_REQUEST, "the call makes no sense", KL_VOLUME_0, "dir", "create", print_of(sig, &sig->calls[0]));
}
