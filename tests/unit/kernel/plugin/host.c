/* The host's decisions, over instances that are made here: the order of opening, needs, who is the default, chains. */
#include "plugin/host-internal.h"

#include <criterion/criterion.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/scheduler.h>

#include "object/object.h"
#include "reconcile/call.h"

/* --- fakes --- */

static char opened[64], closed[64];

static int open_well(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)conf;
    (void)c;
    *self = (void *)h->instance;
    snprintf(opened + strlen(opened), sizeof opened - strlen(opened), "%s ", h->instance);
    return 0;
}

static int open_badly(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    (void)self;
    return kl_fail(c, KL_UNAVAILABLE, "it rains");
}

static void note_close(void *self)
{
    snprintf(closed + strlen(closed), sizeof closed - strlen(closed), "%s ", (const char *)self);
}

static const struct plugin_table well = { sizeof well, { .open = open_well, .close = note_close } };
static const struct plugin_table badly = { sizeof badly, { .open = open_badly, .close = note_close } };

struct fake {
    struct plugin_instance i;
    struct kl_plugin plugin;
    struct kl_provider provider;
    struct kl_need needs[3];
};

static struct plugin_host *host_new(void)
{
    struct plugin_host *h = mem_alloc(sizeof *h);
    h->arena = arena_new(0);
    h->conf.roles = ROLE_SERVER;
    opened[0] = closed[0] = '\0';
    return h;
}

static struct fake *add(struct plugin_host *h, const char *name, const char *iface, const void *table, const char *need, bool optional)
{
    struct fake *f = arena_alloc(h->arena, sizeof *f);
    snprintf(f->i.name, sizeof f->i.name, "%s", name);
    f->needs[0] = (struct kl_need){ need, optional };
    f->provider = (struct kl_provider){ iface, name, 0, table };
    f->plugin = (struct kl_plugin){ .size = sizeof f->plugin, .id = name, .version = "1", .needs = { f->needs, need != NULL, sizeof *f->needs } };
    f->i.plugin = &f->plugin;
    f->i.provider = &f->provider;
    f->i.state = PLUGIN_LOADED;
    f->i.roles = ROLE_SERVER;
    f->i.owner = h;
    f->i.host = (struct kl_host){ .size = sizeof f->i.host, .instance = f->i.name, .ctx = &f->i, .log = host_log, .service = host_service };
    h->at[h->n++] = &f->i;
    return f;
}

Test(host, opens_in_the_order_of_needs_and_closes_in_reverse)
{
    struct plugin_host *h = host_new();
    struct kl_err err;
    kl_err_init(&err);
    add(h, "c", "x.c/0", &well, "x.b/0", false);
    add(h, "b", "x.b/0", &well, "x.a/0", false);
    add(h, "a", "x.a/0", &well, NULL, false);
    add(h, "d", "x.d/0", &well, "x.nobody/0", true);
    add(h, "e", "x.e/0", &well, "x.b/0", true);
    cr_assert_eq(host_check_cycles(h, &err), 0, "%s", err.msg);
    cr_assert_eq(plugin_host_open(h, NULL, &err), 0, "%s", err.msg);
    cr_expect_str_eq(opened, "a d b e c ");
    plugin_host_free(h);
    cr_expect_str_eq(closed, "c e b d a ");
}

Test(host, failures_reach_those_who_need_them_and_no_others)
{
    struct plugin_host *h = host_new();
    struct kl_err err;
    kl_err_init(&err);
    struct fake *b = add(h, "b", "x.b/0", &badly, NULL, false), *c = add(h, "c", "x.c/0", &well, "x.b/0", false);
    struct fake *d = add(h, "d", "x.d/0", &well, "x.b/0", true), *e = add(h, "e", "x.e/0", &well, "x.nobody/0", false);
    struct fake *f = add(h, "f", "x.f/0", &well, NULL, false);
    f->i.roles = ROLE_NODE;
    cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
    cr_expect_eq(b->i.state, PLUGIN_FAILED);
    cr_expect_str_eq(b->i.reason, "it rains");
    cr_expect_eq(c->i.state, PLUGIN_FAILED);
    cr_expect(strstr(c->i.reason, "it needs 'x.b/0', which nobody here provides"));
    cr_expect_eq(d->i.state, PLUGIN_READY);
    cr_expect_eq(e->i.state, PLUGIN_FAILED);
    cr_expect_eq(f->i.state, PLUGIN_LOADED, "what runs elsewhere is not opened");
    cr_expect_str_eq(opened, "d ");
    plugin_host_free(h);
    cr_expect_str_eq(closed, "d ", "a failed open is never closed");
}

Test(host, what_is_required_stops_the_start)
{
    struct plugin_host *h = host_new();
    struct kl_err err;
    kl_err_init(&err);
    struct fake *b = add(h, "b", "x.b/0", &badly, NULL, false);
    b->i.required = true;
    cr_expect_lt(plugin_host_open(h, NULL, &err), 0);
    cr_expect_str_eq(err.msg, "plugin instance 'b' is required but FAILED: it rains");
    b->i.roles = ROLE_NODE;
    cr_expect_eq(plugin_host_open(h, NULL, &err), 0, "of this process");
    plugin_host_free(h);
}

Test(host, cycles)
{
    struct plugin_host *h = host_new();
    struct kl_err err;
    kl_err_init(&err);
    add(h, "lead", "x.lead/0", &well, "x.a/0", false);
    add(h, "a", "x.a/0", &well, "x.b/0", false);
    struct fake *b = add(h, "b", "x.b/0", &well, "x.a/0", true);
    cr_expect_lt(host_check_cycles(h, &err), 0);
    cr_expect(strstr(err.msg, "instances wait for each other: 'a' needs 'x.b/0' of 'b', 'b' needs 'x.a/0' of 'a'"), "%s", err.msg);
    struct fake *a2 = add(h, "a2", "x.a/0", &well, NULL, false);
    cr_expect_eq(host_check_cycles(h, &err), 0, "another provider breaks it: %s", err.msg);
    a2->i.roles = ROLE_NODE;
    cr_expect_lt(host_check_cycles(h, &err), 0, "but not from elsewhere");
    b->needs[0].id = "x.b/0";
    cr_expect_lt(host_check_cycles(h, &err), 0);
    cr_expect(strstr(err.msg, ": 'b' needs 'x.b/0' of 'b'"), "%s", err.msg);
    plugin_host_free(h);
}

Test(host, the_default_is_the_highest_rank_that_is_ready)
{
    struct plugin_host *h = host_new();
    struct kl_err err;
    kl_err_init(&err);
    struct fake *low = add(h, "low", "x/0", &well, NULL, false), *high = add(h, "high", "x/0", &well, NULL, false);
    high->provider.rank = 5;
    low->i.state = PLUGIN_READY;
    cr_expect_eq(plugin_host_find(h, "x/0", NULL, &err), &low->i);
    cr_expect_null(plugin_host_find(h, "x/0", "high", &err));
    cr_expect_eq(err.code, KL_UNAVAILABLE);
    high->i.state = PLUGIN_READY;
    cr_expect_eq(plugin_host_find(h, "x/0", NULL, &err), &high->i);
    cr_expect_eq(plugin_host_find(h, "x/0", "low", &err), &low->i);
    cr_expect_null(plugin_host_find(h, "y/0", NULL, &err));
    cr_expect_eq(err.code, KL_NOT_FOUND);
    low->i.state = high->i.state = PLUGIN_LOADED;
    plugin_host_free(h);
}

Test(host, services_only_for_those_who_need_them)
{
    struct plugin_host *h = host_new();
    struct fake *a = add(h, "a", "x/0", &well, KL_HOST_ENV_0, false), *b = add(h, "b", "x/0", &well, NULL, false);
    cr_expect(host_service(&a->i.host, KL_HOST_ENV_0));
    cr_expect_null(host_service(&a->i.host, KL_HOST_QUEUE_0));
    cr_expect_null(host_service(&b->i.host, KL_HOST_ENV_0));
    a->needs[0].id = KL_HOST_OBJECTS_0;
    cr_expect_null(host_service(&a->i.host, KL_HOST_OBJECTS_0), "before there is a store");
    plugin_host_free(h);
}

/* --- chains --- */

static int verdicts[2];

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    int v = verdicts[((const char *)self)[0] - '0'];
    (void)cred;
    if (v > 0)
        ret->name = self;
    return v < 0 ? kl_fail(c, KL_UNAUTHORIZED, "bad") : v;
}

static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)c;
    (void)user;
    (void)r;
    return verdicts[((const char *)self)[0] - '0'];
}

static const struct kl_authn authn = { .size = sizeof authn, .life = { .open = open_well }, .authenticate = authenticate };
static const struct kl_authz authz = { .size = sizeof authz, .life = { .open = open_well }, .authorize = authorize };

Test(chain, the_first_opinion_counts)
{
    static const struct {
        int one, two, authn, authz;     /* what the two say, and what comes of it */
    } rows[] = { { 0, 0, 0, 0 }, { 1, 0, 1, 1 }, { 0, 1, 1, 1 }, { -KL_UNAUTHORIZED, 1, 1, -KL_UNAUTHORIZED }, { 1, -KL_UNAUTHORIZED, 1, 1 },
                 { -KL_UNAUTHORIZED, 0, -KL_UNAUTHORIZED, -KL_UNAUTHORIZED }, { 0, -KL_UNAUTHORIZED, -KL_UNAUTHORIZED, -KL_UNAUTHORIZED } };
    struct plugin_host *h = host_new();
    struct api_hooks hooks;
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 0; i < 2; i++) {
        h->authn.at[h->authn.n++] = &add(h, i ? "1" : "0", KL_AUTHN_0, &authn, NULL, false)->i;
        h->authz.at[h->authz.n++] = &add(h, i ? "1" : "0", KL_AUTHZ_0, &authz, NULL, false)->i;
    }
    cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
    plugin_host_hooks(h, &hooks);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_call c;
        struct kl_credentials cred = { .size = sizeof cred };
        struct kl_user user = { .size = sizeof user };
        struct kl_request r = { .size = sizeof r };
        host_call_init(&c, h->arena, "test");
        verdicts[0] = rows[i].one;
        verdicts[1] = rows[i].two;
        cr_expect_eq(hooks.authenticate(hooks.ctx, &c, &cred, &user), rows[i].authn, "row %zu", i);
        cr_expect_eq(hooks.authorize(hooks.ctx, &c, &user, &r), rows[i].authz, "row %zu", i);
    }
    h->authn.at[0]->state = h->authz.at[0]->state = PLUGIN_FAILED;
    verdicts[0] = 1;
    verdicts[1] = 0;
    struct kl_call c;
    struct kl_user user = { .size = sizeof user };
    host_call_init(&c, h->arena, "test");
    cr_expect_eq(hooks.authenticate(hooks.ctx, &c, NULL, &user), 0, "what is not READY is not asked");
    h->authn.at[0]->state = h->authz.at[0]->state = PLUGIN_READY;    /* to be closed */
    plugin_host_free(h);
}

static const char *const all[] = { "*", NULL }, *const pods[] = { "/pods", "apps/deployments/scale", NULL };

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    static const char *const first[] = { "one", NULL }, *const second[] = { "two", "three", NULL };
    bool one = strcmp(self, "one") == 0;
    ret->warnings = one ? first : second;
    if (strcmp(self, "no") == 0)
        return kl_fail(c, KL_FORBIDDEN, "no");
    static const char add_label[] = "[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"a\":\"1\"}}]", change[] = "[{\"op\":\"replace\",\"path\":\"/metadata/labels/a\",\"value\":\"2\"}]";
    if (one)
        ret->patch = (struct kl_bytes){ add_label, sizeof add_label - 1 };
    else if (memmem(r->object.at, r->object.len, "\"a\":\"1\"", 7))      /* it sees what the one before it made */
        ret->patch = (struct kl_bytes){ change, sizeof change - 1 };
    return 0;
}

static const struct kl_admission mutates = { .size = sizeof mutates, .life = { .open = open_well }, .resources = pods, .operations = "CREATE, UPDATE", .mutates = 1, .review = review };
static const struct kl_admission validates = { .size = sizeof validates, .life = { .open = open_well }, .resources = all, .operations = "DELETE", .review = review };

Test(chain, admission)
{
    struct plugin_host *h = host_new();
    struct api_hooks hooks;
    struct kl_err err;
    struct kl_call c;
    kl_err_init(&err);
    h->admission.at[h->admission.n++] = &add(h, "one", KL_ADMISSION_0, &mutates, NULL, false)->i;
    h->admission.at[h->admission.n++] = &add(h, "no", KL_ADMISSION_0, &validates, NULL, false)->i;
    h->admission.at[h->admission.n++] = &add(h, "two", KL_ADMISSION_0, &mutates, NULL, false)->i;
    cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
    plugin_host_hooks(h, &hooks);
    host_call_init(&c, h->arena, "test");
    const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    struct val *object = object_decode_json(h->arena, pod->type, STR("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}"), NULL, &err);
    struct kl_request request = { .size = sizeof request, .verb = "create", .group = "", .version = "v1", .resource = "pods", .subresource = "", .ns = "n", .name = "p" };
    struct kl_admission_review r = { .size = sizeof r, .request = &request, .kind = "Pod" };
    struct kl_admission_verdict v = { .size = sizeof v };
    cr_assert_eq(hooks.admit(hooks.ctx, &c, true, &r, h->arena, pod, &object, NULL, &v), 0, "%s", c.err.msg);
    cr_expect(str_is(json_str(object, "metadata.labels.a"), "2"));
    cr_assert(v.warnings && v.warnings[0] && v.warnings[1] && v.warnings[2]);
    cr_expect(strcmp(v.warnings[0], "one") == 0 && strcmp(v.warnings[1], "two") == 0 && strcmp(v.warnings[2], "three") == 0 && !v.warnings[3]);
    cr_expect_eq(hooks.admit(hooks.ctx, &c, false, &r, h->arena, pod, &object, NULL, &v), 0, "the refusing one is for DELETE");
    request.verb = "delete";
    cr_expect_eq(hooks.admit(hooks.ctx, &c, false, &r, h->arena, pod, &object, NULL, &v), -KL_FORBIDDEN);
    request.verb = "create";
    request.resource = "podtemplates";
    struct kl_admission_verdict none = { .size = sizeof none };
    cr_expect_eq(hooks.admit(hooks.ctx, &c, true, &r, h->arena, pod, &object, NULL, &none), 0);
    cr_expect_null(none.warnings, "no plugin is concerned");
    plugin_host_free(h);
}

/* What a plugin was shown: is the label there that the plugin before it put in? */
static unsigned saw;

static int look(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    (void)self;
    (void)c;
    (void)ret;
    saw = memmem(r->object.at, r->object.len, "\"a\":\"1\"", 7) ? 1 : 2;
    return 0;
}

Test(chain, a_plugin_sees_what_it_reads_as_it_is_now)
{
    static const struct {
        const char *reads[3];
        unsigned saw;                   /* 1: must see the change; 0: may see either */
    } rows[] = { { { "/metadata/labels" }, 1 },      { { "/metadata/labels/a" }, 1 }, { { "/metadata" }, 1 },
                 { { "" }, 1 },                      { { "/spec", "/metadata" }, 1 }, { { "/spec" }, 0 },
                 { { "/metadata/labelsOfMine" }, 0 }, { { "/metadata/label" }, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_admission reader = { .size = sizeof reader, .life = { .open = open_well }, .resources = pods, .operations = "CREATE", .mutates = 1,
                                       .review = look, .reads = rows[i].reads };
        struct plugin_host *h = host_new();
        struct api_hooks hooks;
        struct kl_err err;
        struct kl_call c;
        kl_err_init(&err);
        h->admission.at[h->admission.n++] = &add(h, "one", KL_ADMISSION_0, &mutates, NULL, false)->i;
        h->admission.at[h->admission.n++] = &add(h, "reader", KL_ADMISSION_0, &reader, NULL, false)->i;
        cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
        plugin_host_hooks(h, &hooks);
        host_call_init(&c, h->arena, "test");
        const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
        struct val *object = object_decode_json(h->arena, pod->type, STR("{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}"), NULL, &err);
        struct kl_request request = { .size = sizeof request, .verb = "create", .group = "", .version = "v1", .resource = "pods", .subresource = "", .ns = "n", .name = "p" };
        struct kl_admission_review r = { .size = sizeof r, .request = &request, .kind = "Pod" };
        struct kl_admission_verdict v = { .size = sizeof v };
        saw = 0;
        cr_assert_eq(hooks.admit(hooks.ctx, &c, true, &r, h->arena, pod, &object, NULL, &v), 0, "%s", c.err.msg);
        cr_expect(saw && (!rows[i].saw || saw == rows[i].saw), "row %zu: %u", i, saw);
        cr_expect(str_is(json_str(object, "metadata.labels.a"), "1"));
        plugin_host_free(h);
    }
}

/* Who is asked first whether it cares is not shown the object when it does not; what a refusal says in length comes through. */
static int wanted;

static int wants(void *self, struct kl_call *c, const struct kl_request *r, const struct kl_user *user)
{
    (void)self;
    (void)user;
    cr_expect_str_eq(r->resource, "pods");
    return wanted < 0 ? kl_fail(c, -wanted, "not asked for") : wanted;
}

static int refuse_at_length(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    (void)self;
    cr_expect(r->object.len != 0);
    ret->refusal = "at length";
    return kl_fail(c, KL_FORBIDDEN, "at");
}

Test(chain, wants)
{
    static const struct kl_admission asks = { .size = sizeof asks, .life = { .open = open_well }, .resources = pods, .operations = "CREATE", .review = refuse_at_length, .wants = wants };
    struct plugin_host *h = host_new();
    struct api_hooks hooks;
    struct kl_err err;
    struct kl_call c;
    kl_err_init(&err);
    h->admission.at[h->admission.n++] = &add(h, "one", KL_ADMISSION_0, &asks, NULL, false)->i;
    cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
    plugin_host_hooks(h, &hooks);
    const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    struct val *object = object_decode_json(h->arena, pod->type, STR("{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}"), NULL, &err);
    struct kl_request request = { .size = sizeof request, .verb = "create", .group = "", .version = "v1", .resource = "pods", .subresource = "", .ns = "n", .name = "p" };
    static const struct { int wanted, rc; const char *said; } rows[] = { { 0, 0, NULL }, { 1, -KL_FORBIDDEN, "at length" }, { -KL_INTERNAL, -KL_INTERNAL, NULL } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_admission_review r = { .size = sizeof r, .request = &request, .kind = "Pod" };
        struct kl_admission_verdict v = { .size = sizeof v };
        host_call_init(&c, h->arena, "test");
        wanted = rows[i].wanted;
        cr_expect_eq(hooks.admit(hooks.ctx, &c, false, &r, h->arena, pod, &object, NULL, &v), rows[i].rc, "row %zu", i);
        cr_expect_eq(v.refusal != NULL, rows[i].said != NULL, "row %zu", i);
        cr_expect(rows[i].wanted == 1 || !r.object.len, "row %zu: it was written out for nothing", i);
    }
    plugin_host_free(h);
}

/* One that works in both halves is told which one it is; in the second its patch counts no more. */
static int both_halves(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    static const char change[] = "[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"half\":\"first\"}}]", late[] = "[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"half\":\"second\"}}]";
    bool validating = c->flags & KL_CALL_VALIDATING;
    (void)self;
    (void)r;
    saw++;
    ret->patch = validating ? (struct kl_bytes){ late, sizeof late - 1 } : (struct kl_bytes){ change, sizeof change - 1 };
    return 0;
}

Test(chain, a_plugin_of_both_halves)
{
    static const struct kl_admission twice = { .size = sizeof twice, .life = { .open = open_well }, .resources = pods, .operations = "CREATE", .mutates = 2, .review = both_halves };
    struct plugin_host *h = host_new();
    struct api_hooks hooks;
    struct kl_err err;
    kl_err_init(&err);
    h->admission.at[h->admission.n++] = &add(h, "one", KL_ADMISSION_0, &twice, NULL, false)->i;
    cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
    plugin_host_hooks(h, &hooks);
    const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    struct val *object = object_decode_json(h->arena, pod->type, STR("{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}"), NULL, &err);
    struct kl_request request = { .size = sizeof request, .verb = "create", .group = "", .version = "v1", .resource = "pods", .subresource = "", .ns = "n", .name = "p" };
    saw = 0;
    for (int half = 0; half < 2; half++) {
        struct kl_admission_review r = { .size = sizeof r, .request = &request, .kind = "Pod" };
        struct kl_admission_verdict v = { .size = sizeof v };
        struct kl_call c;
        host_call_init(&c, h->arena, "test");
        cr_assert_eq(hooks.admit(hooks.ctx, &c, half == 0, &r, h->arena, pod, &object, NULL, &v), 0);
        cr_expect(str_is(json_str(object, "metadata.labels.half"), "first"), "half %d", half);
    }
    cr_expect_eq(saw, 2u);
    plugin_host_free(h);
}

/* A plugin that names places is asked only about objects that have a member there. */
Test(chain, when)
{
    static const struct { const char *when[3]; unsigned asked; } rows[] = { { { "/spec/hostname" }, 1 }, { { "/spec/subdomain" }, 0 }, { { "/spec/subdomain", "/metadata/name" }, 1 }, { { "/metadata/name/x" }, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_admission picky = { .size = sizeof picky, .life = { .open = open_well }, .resources = pods, .operations = "CREATE", .mutates = 2, .review = both_halves, .when = rows[i].when };
        struct plugin_host *h = host_new();
        struct api_hooks hooks;
        struct kl_err err;
        struct kl_call c;
        kl_err_init(&err);
        h->admission.at[h->admission.n++] = &add(h, "one", KL_ADMISSION_0, &picky, NULL, false)->i;
        cr_assert_eq(plugin_host_open(h, NULL, &err), 0);
        plugin_host_hooks(h, &hooks);
        host_call_init(&c, h->arena, "test");
        const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
        struct val *object = object_decode_json(h->arena, pod->type, STR("{\"metadata\":{\"name\":\"p\"},\"spec\":{\"hostname\":\"h\",\"containers\":[]}}"), NULL, &err);
        struct kl_request request = { .size = sizeof request, .verb = "create", .group = "", .version = "v1", .resource = "pods", .subresource = "", .ns = "n", .name = "p" };
        struct kl_admission_review r = { .size = sizeof r, .request = &request, .kind = "Pod" };
        struct kl_admission_verdict v = { .size = sizeof v };
        saw = 0;
        cr_assert_eq(hooks.admit(hooks.ctx, &c, false, &r, h->arena, pod, &object, NULL, &v), 0);
        cr_expect_eq(saw, rows[i].asked, "row %zu", i);
        plugin_host_free(h);
    }
}
