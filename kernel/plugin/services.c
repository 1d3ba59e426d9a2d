/* services.c - what the host gives to an instance: log, environment, objects, queue, other instances. Each call finds its instance through
 * the kl_host it was given. */
#include <keelson/iface/auth.h>
#include <keelson/iface/node.h>

#include "base/env.h"
#include "base/log.h"
#include "host-internal.h"
#include "reconcile/call.h"

static struct plugin_instance *me(const struct kl_host *h)
{
    return h->ctx;
}

void host_log(const struct kl_host *h, int32_t level, const char *line)
{
    if (log_on((enum kl_level)level))
        log_line((enum kl_level)level, h->instance, "%s", line);
}

/* --- keelson.host.objects/0 --- */

static struct objects *objects(const struct kl_host *h)
{
    return me(h)->owner->objects;
}

static bool is_node_agent(const struct plugin_instance *i)
{
    for (uint32_t k = 0; k < i->plugin->providers.n; k++)
        if (strcmp(KL_AT(struct kl_provider, i->plugin->providers, k)->iface, KL_NODE_0) == 0)
            return true;
    return false;
}

#define COMPONENT 96

/* What is written carries upstream's component names ("deployment-controller", "kubelet"): people and tools know them. */
static const char *component(const struct kl_host *h, char who[COMPONENT])
{
    bool controller = strcmp(me(h)->provider->iface, "keelson.controller/0") == 0 && me(h)->roles == ROLE_SERVER;
    snprintf(who, COMPONENT, "%s%s", is_node_agent(me(h)) ? "kubelet" : h->instance, controller ? "-controller" : "");
    return who;
}

/* Those whose Events upstream signs with another name than the instance's. */
static const char *source(const struct kl_host *h, char who[COMPONENT])
{
    static const char *const rows[][2] = {
        { "disruption", "controllermanager" },
        { "endpoints", "endpoint-controller" },
        { "endpointslice", "endpoint-slice-controller" },
        { "endpointslicemirroring", "endpoint-slice-mirroring-controller" },
        { "ephemeral-volume", "ephemeral_volume" },
        { "horizontal-pod-autoscaler", "horizontal-pod-autoscaler" },
        { "node-ipam", "cidrAllocator" },
        { "node-lifecycle", "node-controller" },
        { "replicationcontroller", "replication-controller" },
        { "resourceclaim", "resource_claim" },
        { "service-cidr", "service-cidr-controller" },
        { "service-ip-repair", "ipallocator-repair-controller" },
        { "volume-provisioner", "persistentvolume-controller" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(h->instance, rows[i][0]) == 0)
            return rows[i][1];
    return component(h, who);
}

static int get(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    return objects(h)->ops->get(objects(h), h->instance, c, k, ret);
}

static int list(const struct kl_host *h, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    return objects(h)->ops->list(objects(h), h->instance, c, o, ret);
}

static int create(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    char who[COMPONENT];
    return objects(h)->ops->create(objects(h), component(h, who), c, k, obj, ret);
}

static int update(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    char who[COMPONENT];
    return objects(h)->ops->update(objects(h), component(h, who), c, k, obj, ret);
}

static int patch(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes p,
                 struct kl_bytes *ret)
{
    char who[COMPONENT];
    return objects(h)->ops->patch(objects(h), component(h, who), c, k, type, p, ret);
}

static int remove_object(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, const struct kl_delete_options *o)
{
    return objects(h)->ops->remove(objects(h), h->instance, c, k, o);
}

static void event(const struct kl_host *h, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    char who[COMPONENT];
    objects(h)->ops->event(objects(h), source(h, who), about, type, reason, message);
}

static int resources(const struct kl_host *h, struct kl_call *c, const char *const **ret)
{
    return objects(h)->ops->resources(objects(h), h->instance, c, ret);
}

static int kind(const struct kl_host *h, struct kl_call *c, const char *resource, const char *api_version, const char *name, struct kl_kind *ret)
{
    (void)h;
    return objects_kind(c, resource, api_version, name, ret);
}

static const struct kl_host_objects objects_table = { sizeof objects_table, get, list, create, update, patch, remove_object, event, resources,
                                                      kind };

/* --- keelson.host.queue/0 --- */

static void queue_key_add(const struct kl_host *h, const char *key, int64_t delay_ns)
{
    if (me(h)->runner)                  /* none yet: the first pass over all objects is still to come */
        runner_add(me(h)->runner, key, delay_ns);
}

static const struct kl_host_queue queue_table = { sizeof queue_table, queue_key_add };

/* --- keelson.host.plugins/0 --- */

/* Instances that are made with the asking one come first: they are what it will work with. Those of one file know each other by their tables: they meet
 * behind gates and layers. */
static int find(const struct kl_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret)
{
    struct plugin_instance *x = me(h), *i = NULL;
    struct plugin_host *o = x->owner;
    int rc = 0;
    if (name && strchr(name, '@'))
        return host_find_elsewhere(o, c, iface, name, ret);
    pthread_mutex_lock(&o->lock);
    if (x->batch)
        i = host_find_locked(&x->batch->made, iface, name, NULL);
    if (!i || i->plugin != x->plugin)
        i = host_find_locked(o, iface, name, &c->err);
    if (i) {
        bool kin = i->bare && i->plugin == x->plugin;
        i->lent |= kin && i != x;
        *ret = (struct kl_instance){ sizeof *ret, i->gate ? gate_name(i->gate) : i->name, kin ? i->bare->table : i->provider->table, kin ? i->bare_self : i->self };
    } else {
        rc = -c->err.code;
    }
    pthread_mutex_unlock(&o->lock);
    return rc;
}

static const struct kl_host_plugins plugins_table = { sizeof plugins_table, find };

/* --- keelson.host.wait/0 --- */

static void wake(const struct kl_host *h, uint64_t request)
{
    api_wake(me(h)->owner->api, request);
}

static const struct kl_host_wait wait_table = { sizeof wait_table, wake };

/* --- keelson.host.authz/0 --- */

static int may(const struct kl_host *h, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    return host_authorize(me(h)->owner, c, user, r);
}

static const struct kl_host_authz authz_table = { sizeof authz_table, may };

/* --- by id --- */

static const struct {
    const char *id;
    const void *table;
    enum { EVERYWHERE, OBJECTS, SERVER } where;         /* what it stands on */
} services[] = {
    { KL_HOST_ENV_0, &host_env, EVERYWHERE },
    { KL_HOST_OBJECTS_0, &objects_table, OBJECTS },
    { KL_HOST_QUEUE_0, &queue_table, EVERYWHERE },
    { KL_HOST_PLUGINS_0, &plugins_table, EVERYWHERE },
    { KL_HOST_WAIT_0, &wait_table, SERVER },
    { KL_HOST_HTTP_0, &host_http_table, SERVER },
    { KL_HOST_VERSIONS_0, &host_versions_table, SERVER },
    { KL_HOST_AUTHZ_0, &authz_table, SERVER },
    { KL_HOST_CEL_0, &host_cel_table, EVERYWHERE },
};

bool host_offers(const struct plugin_host *h, const char *id)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i].id, id) == 0)
            return services[i].where == EVERYWHERE || (services[i].where == OBJECTS ? h->objects != NULL : h->api != NULL);
    return false;
}

bool host_knows(const char *id)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i].id, id) == 0)
            return true;
    return false;
}

bool plugin_host_knows(const char *id)
{
    return host_knows(id);
}

const void *host_service(const struct kl_host *host, const char *id)
{
    const struct plugin_instance *i = me(host);
    bool listed = false;
    for (uint32_t k = 0; k < i->plugin->needs.n; k++)
        listed |= strcmp(KL_AT(struct kl_need, i->plugin->needs, k)->id, id) == 0;
    if (!listed || !host_offers(i->owner, id))
        return NULL;
    for (size_t k = 0; k < sizeof services / sizeof *services; k++)
        if (strcmp(services[k].id, id) == 0)
            return services[k].table;
    return NULL;
}
