/* discovery.c - what is served: /api, /apis and below, in the older form and aggregated (v2) with ETags. */
#include <gnutls/crypto.h>

#include "aggregate.h"
#include "object/base64.h"

static const char verbs_all[] = "create,delete,deletecollection,get,list,patch,update,watch";
static const char verbs_custom[] = "delete,deletecollection,get,list,patch,create,update,watch";
static const char verbs_no_collection[] = "create,delete,get,list,patch,update,watch";

static const char *verbs_of(const struct schema_kind *k)
{
    if (k->flags & K_MEASURED)
        return "get,list";
    if (!(k->flags & K_STORED))
        return "create";
    if (k->flags & K_CUSTOM)
        return verbs_custom;
    return k->flags & K_NO_DELETECOLLECTION ? verbs_no_collection : verbs_all;
}

static void put_list(struct arena *a, struct val *obj, const char *key, const char *list)
{
    struct str rest = str_of(list);
    if (!list)
        return;
    struct val *arr = json_arr(a, obj, str_of(key));
    while (rest.at)
        val_push(arr, val_of_str(a, str_cut(&rest, ',')));
}

static void put(struct arena *a, struct val *obj, const char *key, const char *text)
{
    json_set_str(a, obj, str_of(key), str_of(text));
}

/* --- the older form --- */

/* Which version is stored, as eight bytes of a sum. */
static const char *version_hash(struct arena *a, const struct schema_kind *k)
{
    static const char *const older[] = { "CustomResourceDefinition", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding" };
    const char *version = k->version;
    for (size_t i = 0; i < sizeof older / sizeof *older; i++)
        if (strcmp(k->kind, older[i]) == 0 && !(k->flags & K_CUSTOM))
            version = "v1beta1";        /* in which upstream still stores it: clients compare the sum with what they know */
    const char *text = arena_printf(a, "%s/%s/%s", k->group, version, k->kind);
    char sum[32];
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    if (!text || gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), sum) < 0)
        return "";
    base64_encode(&b, str_n(sum, 8));
    const char *ret = arena_dup(a, buf_str(&b));
    return ret ? ret : "";
}

static struct val *legacy_entry(struct arena *a, const struct schema_kind *k, const struct schema_subresource *s)
{
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, "name", s ? arena_printf(a, "%s/%s", k->plural, s->name) : k->plural);
    put(a, v, "singularName", s ? "" : k->singular);
    json_set_bool(a, v, STR("namespaced"), k->flags & K_NAMESPACED);
    if (s && (strcmp(s->group, k->group) != 0 || strcmp(s->version, k->version) != 0)) {
        put(a, v, "group", s->group);
        put(a, v, "version", s->version);
    }
    put(a, v, "kind", s ? s->kind : k->kind);
    put_list(a, v, "verbs", s ? s->verbs : verbs_of(k));
    if (!s) {
        put_list(a, v, "shortNames", k->short_names);
        put_list(a, v, "categories", k->categories);
        if (k->flags & K_STORED && !(k->flags & K_MEASURED))
            put(a, v, "storageVersionHash", version_hash(a, k->storage ? k->storage : k));
    }
    return v;
}

static struct val *resource_list(struct arena *a, struct str group, struct str version)
{
    struct val *v = val_new(a, VAL_OBJ), *list;
    bool found = false;
    put(a, v, "kind", "APIResourceList");
    if (group.len)                      /* the core group's has none, nor has APIVersions */
        put(a, v, "apiVersion", "v1");
    json_set_str(a, v, STR("groupVersion"), group.len ? str_of(arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(version))) : version);
    list = json_arr(a, v, STR("resources"));
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (!str_is(group, k->group) || !str_is(version, k->version))
            continue;
        found = true;
        val_push(list, legacy_entry(a, k, NULL));
        for (unsigned s = 0; s < k->n_sub; s++)
            val_push(list, legacy_entry(a, k, &k->sub[s]));
    }
    return found ? v : NULL;
}

static struct val *group_version(struct arena *a, const struct schema_kind *k)
{
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, "groupVersion", api_group_version(a, k));
    put(a, v, "version", k->version);
    return v;
}

/* The first version of a group in the rows is the preferred one. */
static struct val *group_tree(struct arena *a, struct str group, bool typed)
{
    struct val *v = val_new(a, VAL_OBJ), *versions = NULL;
    const char *last = "";
    if (typed) {
        put(a, v, "kind", "APIGroup");
        put(a, v, "apiVersion", "v1");
    }
    json_set_str(a, v, STR("name"), group);
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (!str_is(group, k->group) || strcmp(last, k->version) == 0)
            continue;
        if (!versions)
            versions = json_arr(a, v, STR("versions"));
        val_push(versions, group_version(a, k));
        if (!last[0])
            json_set(a, v, STR("preferredVersion"), group_version(a, k));
        last = k->version;
    }
    return versions ? v : NULL;
}

static struct val *group_list(struct api *api, struct arena *a)
{
    struct val *list = val_new(a, VAL_ARR);
    const char *last = "";
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const char *g = schema_kind_at(i)->group;
        if (!g[0] || strcmp(g, last) == 0)
            continue;
        val_push(list, group_tree(a, str_of(g), false));
        last = g;
    }
    api_aggregate_groups(api, a, list);
    return list;
}

static struct val *versions_tree(struct arena *a, const struct api *api)
{
    struct val *v = val_new(a, VAL_OBJ), *cidr;
    put(a, v, "kind", "APIVersions");
    val_push(json_arr(a, v, STR("versions")), val_of_str(a, STR("v1")));
    cidr = val_push(json_arr(a, v, STR("serverAddressByClientCIDRs")), val_new(a, VAL_OBJ));
    put(a, cidr, "clientCIDR", "0.0.0.0/0");
    put(a, cidr, "serverAddress", arena_printf(a, "%s:%d", api->conf.advertise_address ? api->conf.advertise_address : "127.0.0.1",
                                               api->conf.advertise_port));
    return v;
}

/* --- aggregated --- */

/* Group and version only where they are not those of what it stands in, or of custom resources. */
static struct val *response_kind(struct arena *a, const struct schema_kind *k, const char *group, const char *version, const char *kind)
{
    struct val *v = val_new(a, VAL_OBJ);
    bool same = !(k->flags & K_CUSTOM) && strcmp(group, k->group) == 0 && strcmp(version, k->version) == 0;
    put(a, v, "group", same ? "" : group);
    put(a, v, "version", same ? "" : version);
    put(a, v, "kind", kind);
    return v;
}

static struct val *resource_entry(struct arena *a, const struct schema_kind *k)
{
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, "resource", k->plural);
    json_set(a, v, STR("responseKind"), response_kind(a, k, k->group, k->version, k->kind));
    put(a, v, "scope", k->flags & K_NAMESPACED ? "Namespaced" : "Cluster");
    put(a, v, "singularResource", k->singular);
    put_list(a, v, "verbs", verbs_of(k));
    put_list(a, v, "shortNames", k->short_names);
    put_list(a, v, "categories", k->categories);
    for (unsigned i = 0; i < k->n_sub; i++) {
        struct val *s = val_push(json_arr(a, v, STR("subresources")), val_new(a, VAL_OBJ));
        put(a, s, "subresource", k->sub[i].name);
        json_set(a, s, STR("responseKind"), response_kind(a, k, k->sub[i].group, k->sub[i].version, k->sub[i].kind));
        put_list(a, s, "verbs", k->sub[i].verbs);
    }
    return v;
}

static struct val *aggregated(struct api *api, struct arena *a, bool core)
{
    struct val *v = val_new(a, VAL_OBJ), *items, *group = NULL, *version = NULL;
    const char *last_group = NULL, *last_version = "";
    put(a, v, "kind", "APIGroupDiscoveryList");
    put(a, v, "apiVersion", "apidiscovery.k8s.io/v2");
    json_obj(a, v, STR("metadata"));
    items = json_arr(a, v, STR("items"));
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (core != !k->group[0] || (k->flags & K_MEASURED && aggregate_find(api, str_of(k->group), str_of(k->version))))
            continue;
        if (!last_group || strcmp(last_group, k->group) != 0) {
            group = val_push(items, val_new(a, VAL_OBJ));
            struct val *meta = json_obj(a, group, STR("metadata"));
            if (!core)
                put(a, meta, "name", k->group);
            last_group = k->group;
            last_version = "";
        }
        if (strcmp(last_version, k->version) != 0) {
            version = val_push(json_arr(a, group, STR("versions")), val_new(a, VAL_OBJ));
            put(a, version, "version", k->version);
            json_arr(a, version, STR("resources"));
            put(a, version, "freshness", "Current");
            last_version = k->version;
        }
        val_push(json_arr(a, version, STR("resources")), resource_entry(a, k));
    }
    if (!core)
        api_aggregate_discovery(api, a, items);
    return v;
}

static void send_aggregated(struct api_rq *rq, bool core)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    unsigned char digest[64];
    char etag[140];
    struct val *v = aggregated(rq->api, rq->arena, core);
    const char *type = "application/json";
    struct kl_err err;
    kl_err_init(&err);
    if (!v)
        b.failed = true;
    else if (rq->accept.media == MEDIA_YAML)
        object_write_yaml(&b, v);
    else if (rq->accept.media == MEDIA_PROTOBUF)
        b.failed |= object_encode_protobuf(&b, schema_type_find(STR("apidiscovery.k8s.io"), STR("v2"), STR("APIGroupDiscoveryList")), v, &err) < 0;
    else
        json_write(&b, v);
    if (rq->accept.media == MEDIA_JSON)
        buf_add_c(&b, '\n');
    else
        type = rq->accept.media == MEDIA_YAML ? "application/yaml" : "application/vnd.kubernetes.protobuf";
    if (b.failed) {
        api_fail(&rq->err, rq->arena, KL_INTERNAL, "discovery: %s", err.code ? err.msg : "out of memory");
        api_send_error(rq);
        return;
    }
    gnutls_hash_fast(GNUTLS_DIG_SHA512, b.at, b.len, digest);
    etag[0] = '"';
    for (int i = 0; i < 64; i++)
        snprintf(etag + 1 + 2 * i, 4, "%02X\"", digest[i]);
    struct http_header h[API_HEADERS];
    unsigned n = api_headers(rq, h, arena_printf(rq->arena, "%s;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", type));
    h[API_CACHE_CONTROL].value = STR("public");
    h[n++] = (struct http_header){ STR("etag"), str_of(etag) };
    h[n++] = (struct http_header){ STR("vary"), STR("Accept") };
    if (str_is(http_header(rq->http, STR("if-none-match")), etag))
        http_reply(rq->http, 304, h, n, (struct http_slice){ .data = STR("") });
    else
        http_reply(rq->http, 200, h, n, (struct http_slice){ .data = arena_str(rq->arena, buf_str(&b)) });
}

static void send(struct api_rq *rq, struct val *v, const char *kind, bool plain)
{
    if (!v) {
        api_fail_path(&rq->err, rq->arena);
        rq->err.plain = plain ? API_NO_PAGE : NULL;
        api_send_error(rq);
        return;
    }
    if (!rq->acceptable) {
        api_fail(&rq->err, rq->arena, KL_NOT_ACCEPTABLE,
                 "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf");
        api_send_error(rq);
        return;
    }
    api_send_tree(rq, 200, schema_type_find(STR(""), STR("v1"), str_of(kind)), v);
}

/* What the route of a document produces; NULL: it has none, as those of groups that come and go. */
const char *api_discovery_produces(const struct api_rq *rq, struct str path)
{
    struct str rest = str_skip(path, 1), head = str_cut(&rest, '/'), group = STR("");
    while (rest.len && rest.at[rest.len - 1] == '/')
        rest.len--;
    if (str_is(path, "/openid/v1/jwks"))
        return "application/jwk-set+json";
    if (str_is(path, "/.well-known/openid-configuration"))
        return "application/json";
    if (str_is(head, "apis"))
        group = str_cut(&rest, '/');
    bool routed = str_is(head, "api") ? !rq->accept.discovery : str_is(head, "apis") && rest.len && api_built_in_group(group);
    return routed ? "application/json, application/yaml, application/vnd.kubernetes.protobuf" : NULL;
}

bool api_discovery(struct api_rq *rq)
{
    struct str path = str_of(rq->info.tuple.path), rest = path;
    while (path.len > 1 && path.at[path.len - 1] == '/')
        path.len--;
    rest = str_skip(path, 1);
    struct str head = str_cut(&rest, '/');
    bool core = str_is(head, "api");
    if ((!core && !str_is(head, "apis")) || str_starts(rest, STR("/")))
        return false;
    if (!str_is(http_method(rq->http), "GET") && api_discovery_produces(rq, path)) {    /* what has no route asks for no method */
        api_fail_method(&rq->err, rq->arena);
        api_send_error(rq);
    } else if (!rest.at && rq->accept.discovery)
        send_aggregated(rq, core);
    else if (!rest.at && core)
        send(rq, versions_tree(rq->arena, rq->api), "APIVersions", false);
    else if (!rest.at) {
        struct val *v = val_new(rq->arena, VAL_OBJ);
        put(rq->arena, v, "kind", "APIGroupList");
        put(rq->arena, v, "apiVersion", "v1");
        json_set(rq->arena, v, STR("groups"), group_list(rq->api, rq->arena));
        send(rq, v, "APIGroupList", false);
    } else if (core) {
        send(rq, resource_list(rq->arena, STR(""), rest), "APIResourceList", false);
    } else {
        struct str group = str_cut(&rest, '/');
        if (rest.at)
            send(rq, resource_list(rq->arena, group, rest), "APIResourceList", !api_known_group(group));
        else
            send(rq, api_aggregate_group(rq->api, rq->arena, group, group_tree(rq->arena, group, true)), "APIGroup", true);
    }
    return true;
}
