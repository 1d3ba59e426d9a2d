/* controller.c - the controller over objects in memory and a proxy that writes down what it is told. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proxy.h"

extern const struct kl_plugin kl_plugin;

static struct {
    char key[64];                       /* "/services d/s" */
    char text[1024];
} objects[16];
static unsigned n_objects;
static int64_t now = 1000000000;

static struct {
    unsigned whole, changes;
    uint64_t generation;
    char text[8192];
    int fail;                           /* the next call's result */
} told;

/* --- the host --- */

static struct arena *arena;

static void *zeroed(void *at, size_t n)
{
    return arena_alloc(at, n);
}

static struct kl_call call(void)
{
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = zeroed };
    kl_err_init(&c.err);
    return c;
}

static int find(const char *key)
{
    for (unsigned i = 0; i < n_objects; i++)
        if (strcmp(objects[i].key, key) == 0)
            return (int)i;
    return -1;
}

static int obj_get(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    char key[600];
    (void)h;
    snprintf(key, sizeof key, "%s %s/%s", k->resource, k->ns, k->name);
    int i = find(key);
    if (i < 0)
        return kl_fail(c, KL_NOT_FOUND, "no %s", key);
    *ret = (struct kl_bytes){ objects[i].text, strlen(objects[i].text) };
    return 0;
}

static int obj_list(const struct kl_host *h, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    struct kl_bytes *at = kl_alloc(c, sizeof *at * 16);
    (void)h;
    ret->n = 0;
    for (unsigned i = 0; i < n_objects; i++)
        if (strncmp(objects[i].key, o->resource, strlen(o->resource)) == 0)
            at[ret->n++] = (struct kl_bytes){ objects[i].text, strlen(objects[i].text) };
    ret->at = at;
    return 0;
}

static int64_t mono_ns(const struct kl_host *h)
{
    (void)h;
    return now;
}

static int take(struct kl_call *c, uint64_t generation, struct kl_bytes state, unsigned *count)
{
    if (told.fail) {
        int rc = told.fail;
        told.fail = 0;
        return kl_fail(c, -rc, "as the test wants");
    }
    cr_expect_eq(generation, told.generation + 1, "generations grow by one");
    told.generation = generation;
    ++*count;
    snprintf(told.text, sizeof told.text, "%.*s", (int)state.len, state.at);
    return 0;
}

static int told_apply(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes state)
{
    (void)self;
    told.generation = generation - 1;   /* a whole state may skip some */
    return take(c, generation, state, &told.whole);
}

static int told_update(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes state)
{
    (void)self;
    return take(c, generation, state, &told.changes);
}

static const struct kl_proxy proxy = { .size = sizeof proxy, .apply = told_apply, .update = told_update };

static int find_proxy(const struct kl_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret)
{
    (void)h;
    (void)c;
    (void)name;
    cr_expect_str_eq(iface, KL_PROXY_0);
    ret->table = &proxy;
    return 0;
}

static const struct kl_host_objects objects_table = { .size = sizeof objects_table, .get = obj_get, .list = obj_list };
static const struct kl_host_plugins plugins_table = { .size = sizeof plugins_table, .find = find_proxy };
static const struct kl_host_env env_table = { .size = sizeof env_table, .mono_ns = mono_ns };

static const void *service(const struct kl_host *h, const char *id)
{
    (void)h;
    return strcmp(id, KL_HOST_OBJECTS_0) == 0 ? (const void *)&objects_table : strcmp(id, KL_HOST_PLUGINS_0) == 0 ? (const void *)&plugins_table : &env_table;
}

static const struct kl_host host = { .size = sizeof host, .instance = "test", .service = service };
static const struct conf conf = { .node = "n1", .cluster_cidr = "10.244.0.0/16", .min_interval = 20000000, .check_period = 30000000000, .sync_period = 600000000000 };
static const struct kl_controller *controller;
static void *self;

/* --- the world changes --- */

static void change(const char *resource, const char *key, const char *text, bool deleted)
{
    char full[700];
    struct kl_call c = call();
    struct kl_bytes ret, old = { "", 0 };
    char before[1024] = "";
    snprintf(full, sizeof full, "%s %s", resource, key);
    int i = find(full);
    if (i >= 0) {
        snprintf(before, sizeof before, "%s", objects[i].text);
        old = (struct kl_bytes){ before, strlen(before) };
    }
    if (i < 0)
        i = (int)n_objects++;
    snprintf(objects[i].key, sizeof objects[i].key, "%s", full);
    snprintf(objects[i].text, sizeof objects[i].text, "%s", text);
    if (deleted) {
        objects[i] = objects[--n_objects];
        c.flags |= KL_CALL_DELETED;
    }
    struct kl_bytes now_text = { text, strlen(text) };
    cr_assert_eq(controller->map(self, &c, resource, old, now_text, &ret), 0);
    cr_assert_eq(ret.len, 3);
}

static void put_service(const char *name, int ip)
{
    char key[32], text[512];
    snprintf(key, sizeof key, "d/%s", name);
    snprintf(text, sizeof text, "{\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\"},\"spec\":{\"clusterIP\":\"10.96.0.%d\",\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}}", name, ip);
    change("/services", key, text, false);
}

static void put_slice(const char *name, const char *of, int ip, bool deleted)
{
    char key[32], text[512];
    snprintf(key, sizeof key, "d/%s", name);
    snprintf(text, sizeof text,
             "{\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\",\"labels\":{\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"IPv4\",\"ports\":[{\"port\":8080,"
             "\"protocol\":\"TCP\"}],\"endpoints\":[{\"addresses\":[\"10.244.0.%d\"]}]}",
             name, of, ip);
    change("discovery.k8s.io/endpointslices", key, text, deleted);
}

static void put_node(const char *ip, int heartbeat)
{
    char text[256];
    snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"%d\"},\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"%s\"}]}}",
             heartbeat, ip);
    change("/nodes", "/n1", text, false);
}

static int reconcile(void)
{
    struct kl_call c = call();
    int64_t again = 0;
    now += 50000000;
    int rc = controller->reconcile(self, &c, "all", &again);
    cr_expect(rc < 0 || again == conf.check_period, "%lld", (long long)again);
    return rc;
}

static bool said(const char *part)
{
    return strstr(told.text, part) != NULL;
}

static void set_up(void)
{
    struct kl_call c = call();
    arena = arena_new(0);
    controller = KL_AT(struct kl_provider, kl_plugin.providers, 0)->table;
    cr_assert_eq(controller->life.open(&host, &conf, &self, &c), 0);
    put_node("192.0.2.1", 1);
    put_service("s", 1);
    put_service("t", 2);
    put_slice("s-1", "s", 5, false);
    put_slice("t-1", "t", 6, false);
    cr_assert_eq(reconcile(), 0);
    cr_assert(told.whole == 1 && told.changes == 0);
}

static void tear_down(void)
{
    controller->life.close(self);
    arena_free(arena);
}

TestSuite(controller, .init = set_up, .fini = tear_down);

Test(controller, begins_with_the_whole_state)
{
    cr_expect(said("\"nodeIPs\":[\"192.0.2.1\"]"));
    cr_expect(said("10.96.0.1") && said("10.96.0.2") && said("10.244.0.5") && said("10.244.0.6"), "%s", told.text);
}

Test(controller, then_says_what_changed)
{
    put_slice("s-2", "s", 7, false);
    cr_assert_eq(reconcile(), 0);
    cr_assert(told.whole == 1 && told.changes == 1);
    cr_expect(said("10.244.0.5") && said("10.244.0.7"), "all slices of that Service: %s", told.text);
    cr_expect(!said("10.96.0.2"), "not the other Service: %s", told.text);
    put_slice("s-1", "s", 5, true);
    put_service("t", 9);
    cr_assert_eq(reconcile(), 0);
    cr_expect_eq(told.changes, 2);
    cr_expect(said("10.244.0.7") && !said("10.244.0.5") && said("10.96.0.9"), "%s", told.text);
}

Test(controller, a_slice_that_moves_to_another_service)
{
    put_slice("s-1", "t", 5, false);
    cr_assert_eq(reconcile(), 0);
    cr_expect(said("10.96.0.1") && said("10.96.0.2"), "both: %s", told.text);
    cr_expect(said("10.244.0.5"), "%s", told.text);
    put_service("s", 1);
    cr_assert_eq(reconcile(), 0);
    cr_expect(!said("10.244.0.5"), "s has none any more: %s", told.text);
}

Test(controller, a_service_that_goes)
{
    change("/services", "d/s", "{\"metadata\":{\"namespace\":\"d\",\"name\":\"s\"}}", true);
    cr_assert_eq(reconcile(), 0);
    cr_expect(said("\"removed\":[{\"namespace\":\"d\",\"name\":\"s\"}]"), "%s", told.text);
    put_service("s", 3);
    cr_assert_eq(reconcile(), 0);
    cr_expect(said("10.96.0.3") && said("10.244.0.5"), "it comes back with its slice: %s", told.text);
}

Test(controller, heartbeats_change_nothing_but_addresses_do)
{
    put_node("192.0.2.1", 2);
    cr_assert_eq(reconcile(), 0);
    cr_expect(told.whole == 1 && said("\"services\":[]"), "%s", told.text);
    put_node("192.0.2.9", 3);
    cr_assert_eq(reconcile(), 0);
    cr_expect(told.whole == 2 && said("192.0.2.9"), "%s", told.text);
}

Test(controller, doubt_is_ended_by_the_whole_state)
{
    put_slice("s-2", "s", 7, false);
    told.fail = -KL_CONFLICT;
    cr_assert_eq(reconcile(), 0, "at once");
    cr_expect(told.whole == 2 && said("10.244.0.7") && said("10.96.0.2"), "%s", told.text);
    put_slice("s-2", "s", 8, false);
    told.fail = -KL_INTERNAL;
    cr_assert_eq(reconcile(), -KL_INTERNAL);
    cr_assert_eq(reconcile(), 0, "the next try");
    cr_expect(told.whole == 3 && said("10.244.0.8"), "%s", told.text);
    now += conf.sync_period;
    cr_assert_eq(reconcile(), 0);
    cr_expect_eq(told.whole, 4, "and from time to time");
}

Test(controller, waits_between_two_applies)
{
    struct kl_call c = call();
    int64_t again = 0;
    put_slice("s-2", "s", 7, false);
    now += 1000000;
    cr_assert_eq(controller->reconcile(self, &c, "all", &again), 0);
    cr_expect_eq(again, 19000000);
    cr_expect_eq(told.changes, 0);
    cr_assert_eq(reconcile(), 0);
    cr_expect_eq(told.changes, 1);
}
