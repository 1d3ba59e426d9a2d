/* older.c - an admission rule, an authorizer and a scheduler for an older host: its headers lack the last members of what this host knows. */
#include <keelson/iface/auth.h>
#include <keelson/iface/scheduler.h>

static int older_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    (void)self;
    (void)c;
    return 0;
}

static int older_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    (void)self;
    (void)ret;
    return memchr(r->object.at, '!', r->object.len) ? kl_fail(c, KL_FORBIDDEN, "older: not so loud") : 0;
}

static int older_authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    (void)self;
    (void)c;
    (void)r;
    return strcmp(user->name, "older") == 0;
}

static int older_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)self;
    (void)c;
    (void)cycle;
    (void)pod;
    return node->used_pods > 50 ? 0 : 50;
}

static const char *const resources[] = { "/configmaps", NULL };
static const struct kl_admission admission = {
    .size = sizeof admission, .life = { .open = older_open }, .resources = resources, .operations = "CREATE", .review = older_review,
};
static const struct kl_authz authz = { .size = sizeof authz, .life = { .open = older_open }, .authorize = older_authorize };
static const struct kl_scheduler scheduler = { .size = sizeof scheduler, .life = { .open = older_open }, .score = older_score };
static const struct kl_provider provides[] = {
    { KL_ADMISSION_0, "older", 0, &admission }, { KL_AUTHZ_0, "older", 0, &authz }, { KL_SCHEDULER_0, "older", 0, &scheduler },
};
KL_PLUGIN_DEFINE("org.example.older", "0.0.1", "keelson.admission/0:older keelson.authz/0:older keelson.scheduler/0:older", "", .providers = KL_ARRAY_OF(provides));
