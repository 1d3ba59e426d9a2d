/* bootstrap.c - what every cluster starts with: namespaces, priority classes, the kubernetes Service. Made once; what is there stays. */
#include "api-internal.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "usage.h"

static int make(struct api *api, const char *group, const char *version, const char *kind, const char *ns, const char *text, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    const struct schema_kind *k = schema_kind_find(str_of(group), str_of(version), str_of(kind));
    struct api_op op = { .api = api, .arena = a, .kind = k, .ns = str_of(ns) };
    struct val *v = NULL;
    if (!a || !k)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (api_op_decode(&op, k->type, MEDIA_JSON, str_of(text), &v) < 0 || api_op_create(&op, v) < 0) {
        if (op.err.code == KL_ALREADY_EXISTS)
            return 0;
        return kl_err_set(err, op.err.code, "bootstrap of %s: %s", kind, op.err.message);
    }
    return 0;
}

static int make_range(struct api *api, struct kl_err *err)
{
    char text[256];
    struct store_object *o = store_head(api->store, STR("networking.k8s.io/servicecidrs"), STR(""), STR("kubernetes"));
    struct str list = o ? json_scan_open(store_object_json(o), "spec.cidrs") : STR_NONE, first = STR_NONE;
    snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{\"cidrs\":[\"%s\"]}}", api->conf.service_cidr);
    if (o && list.at && json_scan_item(&list, &first) && !str_is(json_scan_text(first), api->conf.service_cidr))
        log_warn("api", "the default ServiceCIDR " STR_FMT " is not the configured %s; addresses come from what the object says", STR_ARG(first),
                 api->conf.service_cidr);
    return make(api, "networking.k8s.io", "v1", "ServiceCIDR", "", text, err);
}

static int make_service(struct api *api, struct kl_err *err)
{
    struct str cidr = str_of(api->conf.service_cidr), base = str_cut(&cidr, '/');
    char ip[64], text[512];
    unsigned a, b, c, d;
    snprintf(ip, sizeof ip, STR_FMT, STR_ARG(base));
    if (sscanf(ip, "%u.%u.%u.%u", &a, &b, &c, &d) != 4)
        return kl_err_set(err, KL_INVALID, "service CIDR '%s' is not IPv4", api->conf.service_cidr);
    snprintf(text, sizeof text,
             "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"component\":\"apiserver\",\"provider\":\"kubernetes\"}},\"spec\":{\"clusterIP\":"
             "\"%u.%u.%u.%u\",\"ports\":[{\"name\":\"https\",\"port\":443,\"targetPort\":%d}]}}", a, b, c, d + 1, api->conf.advertise_port);
    return make(api, "", "v1", "Service", "default", text, err);
}

static bool add_file(struct arena *a, struct val *data, const char *key, const char *path)
{
    char text[64 << 10];
    _cleanup_file_ FILE *f = path ? fopen(path, "re") : NULL;
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (n && n < sizeof text)
        json_set_str(a, data, str_of(key), arena_str(a, str_n(text, n)));
    return n && n < sizeof text;
}

/* Whom servers of aggregated groups may believe: they read it before they serve. */
static int make_trust(struct api *api, struct kl_err *err)
{
    static const char *const fixed[][2] = {
        { "requestheader-allowed-names", "[\"front-proxy-client\"]" }, { "requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]" },
        { "requestheader-group-headers", "[\"X-Remote-Group\"]" },     { "requestheader-uid-headers", "[\"X-Remote-Uid\"]" },
        { "requestheader-username-headers", "[\"X-Remote-User\"]" },
    };
    static const char name[] = "extension-apiserver-authentication";
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    const struct schema_kind *k = schema_kind_find(STR(""), STR("v1"), STR("ConfigMap"));
    struct api_op op = { .api = api, .arena = a, .kind = k, .ns = STR("kube-system"), .name = str_of(name) };
    struct store_object *o = store_head(api->store, STR("/configmaps"), op.ns, op.name);
    struct val *v = a && o ? json_parse(a, store_object_json(o), NULL) : NULL, *data;
    if (!api->conf.front_proxy_ca_file)
        return 0;
    if (!v && api_op_decode(&op, k->type, MEDIA_JSON, STR("{\"metadata\":{\"name\":\"extension-apiserver-authentication\"}}"), &v) < 0)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    data = json_obj(a, v, STR("data"));
    add_file(a, data, "client-ca-file", api->conf.client_ca_file);
    if (!add_file(a, data, "requestheader-client-ca-file", api->conf.front_proxy_ca_file))
        return kl_err_set(err, KL_INVALID, "'%s' cannot be read", api->conf.front_proxy_ca_file);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        json_set_str(a, data, str_of(fixed[i][0]), str_of(fixed[i][1]));
    int rc = o ? api_op_update(&op, v) : api_op_create(&op, v);
    return rc < 0 ? kl_err_set(err, op.err.code, "bootstrap of ConfigMap '%s': %s", name, op.err.message) : 0;
}

int api_bootstrap(struct api *api, struct kl_err *err)
{
    static const char *const namespaces[] = { "default", "kube-system", "kube-public", "kube-node-lease" };
    char text[128];
    int rc = make_range(api, err);
    if (rc == 0)
        rc = api_service_ips_record(api, err);
    api_ports_fill(api);
    for (size_t i = 0; i < 4 && rc == 0; i++) {
        snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%s\"}}", namespaces[i]);
        rc = make(api, "", "v1", "Namespace", "", text, err);
    }
    if (rc == 0)
        rc = make(api, "scheduling.k8s.io", "v1", "PriorityClass", "",
                  "{\"metadata\":{\"name\":\"system-cluster-critical\"},\"value\":2000000000,\"description\":\"For pods that the cluster needs.\"}", err);
    if (rc == 0)
        rc = make(api, "scheduling.k8s.io", "v1", "PriorityClass", "",
                  "{\"metadata\":{\"name\":\"system-node-critical\"},\"value\":2000001000,\"description\":\"For pods that their node needs.\"}", err);
    if (rc == 0)
        rc = make_service(api, err);
    if (rc == 0)
        rc = make_trust(api, err);
    if (rc == 0 && api->conf.seats)
        rc = flow_new(api, api->conf.seats, &api->flow, err);
    if (rc == 0)
        rc = api_policies_new(api, &api->policies, err);
    if (rc == 0)
        rc = api_crds_new(api, &api->crds, err);
    return rc == 0 ? api_aggregates_new(api, err) : rc;
}

void api_free(struct api *a)
{
    if (a) {
        streams_free(a->streams);
        api_usage_free(a->usage);
        api_nodes_free(a->nodes);
        api_proxies_free(a->proxies);
        api_alloc_free(a->alloc);
        api_docs_free(a->docs);
        api_aggregates_free(a->aggregates);
        conversions_free(a->conversions);
        api_crds_free(a->crds);
        api_policies_free(a->policies);
        api_signer_free(a->signer);
        api_waits_free(a->waits);
        metrics_free(&a->metrics);
        audit_free(a->audit);
        flow_free(a->flow);
    }
    mem_free(a);
}
