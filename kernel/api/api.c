/* api.c - the gate: who asks, may they, and which verb it is. */
#include "api-internal.h"
#include "base/env.h"
#include "base/log.h"
#include "crd.h"
#include "object/custom.h"
#include "usage.h"

int api_new(struct loop *l, struct store *s, const struct api_conf *c, const struct api_hooks *h, struct api **ret,
            struct kl_err *err)
{
    struct api *a = mem_alloc(sizeof *a);
    if (!a)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    a->loop = l;
    a->store = s;
    a->conf = *c;
    a->hooks = *h;
    api_node_gate(a);
    list_init(&a->watchers);
    a->started_wall_ns = env_wall_ns();
    metrics_init(&a->metrics);
    a->streams = streams_new(l);
    a->nodes = api_nodes_new();
    a->waits = api_waits_new(a);
    a->conversions = conversions_new(a);
    a->usage = api_usage_new(a);
    int rc = a->streams && a->nodes && a->waits && a->conversions && a->usage ? api_alloc_new(a, c->node_port_first, c->node_port_last, &a->alloc, err) :
                          kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && c->signer_file)
        rc = api_signer_new(c->signer_file, c->cluster_dns_domain, &a->signer, err);
    if (rc == 0 && c->audit_policy_file)
        rc = audit_new(a, c->audit_policy_file, c->audit_event_max, &a->audit, err);
    if (rc < 0) {
        api_free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

void api_set_ready(struct api *a, bool ready)
{
    a->ready = ready;
}

void api_check_add(struct api *a, const char *name, const char *(*reason)(void *ctx), void *ctx)
{
    if (a->n_checks < sizeof a->checks / sizeof *a->checks)
        a->checks[a->n_checks++] = (struct api_check){ name, reason, ctx };
}

void api_component_add(struct api *a, const char *name, const char *(*reason)(void *ctx), void *ctx)
{
    if (a->n_components < sizeof a->components / sizeof *a->components)
        a->components[a->n_components++] = (struct api_check){ name, reason, ctx };
}

static void set_audit_id(struct api_rq *rq)
{
    if (rq->audit_id[0])
        return;                         /* it has run before */
    struct str given = http_header(rq->http, STR("audit-id"));
    if (given.len && given.len < sizeof rq->audit_id) {
        memcpy(rq->audit_id, given.at, given.len);
        for (size_t i = 0; i < given.len; i++)
            if ((unsigned char)rq->audit_id[i] < 0x21 || (unsigned char)rq->audit_id[i] > 0x7e)
                rq->audit_id[i] = '_';
        return;
    }
    api_new_uid(rq->audit_id);
}

bool api_known_group(struct str group)
{
    for (size_t i = 0; i < schema_n_kinds(); i++)
        if (str_is(group, schema_kind_at(i)->group))
            return true;
    return false;
}

bool api_built_in_group(struct str group)
{
    for (size_t i = 0; i < schema_n_kinds(); i++)
        if (str_is(group, schema_kind_at(i)->group))
            return !(schema_kind_at(i)->flags & K_CUSTOM);
    return false;
}

/* Of a custom resource, whose handler upstream is asked for whatever a client makes up (then the verb is empty), and of lists that cannot be watched. */
static int no_verb(struct api_rq *rq, const char *verb)
{
    const struct schema_kind *k = rq->info.kind;
    api_fail(&rq->err, rq->arena, KL_METHOD_NOT_ALLOWED, "%s is not supported on resources of kind \"%s\"", verb, api_resource_text(rq->arena, k));
    rq->err.group = k->group;
    rq->err.kind = k->plural;
    return -KL_METHOD_NOT_ALLOWED;
}

/* Does the kind (or its subresource) have the verb? */
static int check_verb(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    const struct schema_kind *k = rq->info.kind;
    bool collection = strcmp(t->verb, "list") == 0 || strcmp(t->verb, "deletecollection") == 0;
    bool options = rq->info.sub && strcmp(t->subresource, "proxy") == 0 && str_is(http_method(rq->http), "OPTIONS");
    if (rq->info.watch_path && (t->subresource[0] || !(k->flags & K_STORED)))
        return api_fail_path(&rq->err, rq->arena);
    if (rq->info.watch_path && !str_is(http_method(rq->http), "GET"))
        return api_fail_method(&rq->err, rq->arena);
    if (str_is(http_method(rq->http), "HEAD") && strcmp(t->subresource, "proxy") != 0 && !(k->flags & K_CUSTOM))
        return api_fail_method(&rq->err, rq->arena);
    if (k->flags & K_CUSTOM && k->flags & K_NAMESPACED && !t->ns[0] && strcmp(t->verb, "list") != 0 && strcmp(t->verb, "watch") != 0) {
        api_fail_path(&rq->err, rq->arena);
        rq->err.plain = API_NO_PAGE;
        return -KL_NOT_FOUND;
    }
    if (!t->verb[0] && k->flags & K_CUSTOM)
        return no_verb(rq, t->verb);
    if (!t->verb[0])                    /* no verb of Kubernetes, but one that a proxied server may know */
        return options && t->name[0] ? 0 : api_fail_method(&rq->err, rq->arena);
    if (rq->info.deep && !(k->flags & K_CUSTOM) && strcmp(t->subresource, "proxy") != 0)
        return api_fail_path(&rq->err, rq->arena);
    if (t->subresource[0]) {
        if (!rq->info.sub && k->flags & K_CUSTOM)
            return api_fail_not_found(&rq->err, rq->arena, k, str_of(t->name));
        if (!rq->info.sub || !t->name[0])
            return api_fail_path(&rq->err, rq->arena);
        return strstr(rq->info.sub->verbs, t->verb) ? 0 : api_fail_method(&rq->err, rq->arena);
    }
    if (k->flags & K_CUSTOM && !t->name[0] && (strcmp(t->verb, "update") == 0 || strcmp(t->verb, "patch") == 0))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "name must be provided");
    if (t->name[0] ? strcmp(t->verb, "create") == 0 : strcmp(t->verb, "update") == 0 || strcmp(t->verb, "patch") == 0)
        return api_fail_method(&rq->err, rq->arena);
    if (k->flags & K_MEASURED && strcmp(t->verb, "watch") == 0)
        return no_verb(rq, t->verb);
    if (k->flags & K_MEASURED && strcmp(t->verb, "get") != 0 && strcmp(t->verb, "list") != 0)
        return api_fail_method(&rq->err, rq->arena);
    if (!(k->flags & (K_STORED | K_MEASURED))) {
        if (t->name[0] || (k->flags & K_NAMESPACED && !t->ns[0]))
            return api_fail_path(&rq->err, rq->arena);
        return strcmp(t->verb, "create") == 0 ? 0 : api_fail_method(&rq->err, rq->arena);
    }
    if (strcmp(t->verb, "deletecollection") == 0 && (k->flags & K_NO_DELETECOLLECTION || (k->flags & K_NAMESPACED && !t->ns[0])))
        return api_fail_method(&rq->err, rq->arena);
    if (k->flags & K_NAMESPACED && !t->ns[0] && !collection && strcmp(t->verb, "watch") != 0)
        return strcmp(t->verb, "create") == 0 ? api_fail_method(&rq->err, rq->arena) : api_fail_path(&rq->err, rq->arena);
    return 0;
}

/* "*core.ConfigMap", as upstream's Go has it. */
static const char *go_name(struct arena *a, const struct schema_kind *k, bool list)
{
    struct str group = str_of(k->group[0] && strcmp(k->group, "events.k8s.io") != 0 ? k->group : "core"), package = str_cut(&group, '.');
    return k->flags & K_CUSTOM ? list ? "*unstructured.UnstructuredList" : "*unstructured.Unstructured" :
                                 arena_printf(a, "*" STR_FMT ".%s%s", STR_ARG(package), k->kind, list ? "List" : "");
}

int api_check_partial(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    if (!rq->accept.as)
        return 0;
    bool list = strcmp(t->verb, "list") == 0, custom = rq->info.kind->flags & K_CUSTOM, scale = strcmp(t->subresource, "scale") == 0;
    if (list && rq->accept.as == AS_PARTIAL)
        return api_fail(&rq->err, rq->arena, KL_NOT_ACCEPTABLE, "you requested PartialObjectMetadata, but the requested object is a list (%s)", go_name(rq->arena, rq->info.kind, true));
    if (strcmp(t->verb, "get") != 0 || rq->accept.as != AS_PARTIAL_LIST)
        return 0;
    if (!custom || scale)
        return api_fail(&rq->err, rq->arena, KL_NOT_ACCEPTABLE, "you requested PartialObjectMetadataList, but the requested object is not a list (%s)",
                        !scale ? go_name(rq->arena, rq->info.kind, false) : custom ? "*v1.Scale" : "*autoscaling.Scale");
    api_fail(&rq->err, rq->arena, KL_INTERNAL, "content is not a list");
    rq->err.reason = NULL;              /* upstream's 500 has none */
    return -KL_INTERNAL;
}

#define MEDIA_TYPES "application/json, application/yaml, application/vnd.kubernetes.protobuf"
#define STREAM_TYPES "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"

/* In which form the answer goes out. Custom resources have no routes of their own. */
static int negotiate(struct api_rq *rq)
{
    const struct schema_kind *k = rq->info.kind;
    struct str accept = http_header(rq->http, STR("accept"));
    const char *verb = rq->info.tuple.verb;
    const char *sub = rq->info.tuple.subresource;
    bool log = sub[0] && strcmp(sub, "log") == 0, untold = log || (sub[0] && strcmp(sub, "status") == 0 && (strcmp(k->kind, "CustomResourceDefinition") == 0 || strcmp(k->kind, "APIService") == 0));
    bool custom = k->flags & K_CUSTOM, made_only = !(k->flags & K_STORED) && strcmp(verb, "create") == 0;     /* reviews have no table */
    bool watch = strcmp(verb, "watch") == 0, many = watch || strcmp(verb, "list") == 0;
    const struct api_can can = { .transforms = !made_only, .no_table = untold, .no_protobuf = custom };
    if (!custom && !log && !api_routes(accept, many ? STR(MEDIA_TYPES ", " STREAM_TYPES) : STR(MEDIA_TYPES)))
        return api_fail_route(&rq->err, rq->arena, many ? MEDIA_TYPES ", " STREAM_TYPES : MEDIA_TYPES);
    if (!api_negotiate(accept, &can, &rq->accept))
        return api_fail(&rq->err, rq->arena, KL_NOT_ACCEPTABLE, "only the following media types are accepted: " MEDIA_TYPES);
    if (watch && rq->accept.media == MEDIA_YAML)
        return api_fail(&rq->err, rq->arena, KL_NOT_ACCEPTABLE, "only the following media types are accepted: " STREAM_TYPES);
    rq->pretty |= rq->accept.pretty;
    return 0;
}

/* kubectl get --subresource=scale. */
static struct val *scale_table(struct api_rq *rq, const struct val *scale)
{
    static const char printer[] = "[{\"name\":\"Desired\",\"type\":\"integer\",\"description\":\"How many are wanted.\",\"jsonPath\":\".spec.replicas\"},"
                                  "{\"name\":\"Available\",\"type\":\"integer\",\"description\":\"How many there are.\",\"jsonPath\":\".status.replicas\"},"
                                  "{\"name\":\"Age\",\"type\":\"date\",\"description\":\"When the object was made.\",\"jsonPath\":\".metadata.creationTimestamp\"}]";
    struct arena *a = rq->arena;
    struct val *columns = json_parse(a, str_of(printer), NULL), *t = val_new(a, VAL_OBJ), *row, *meta;
    json_set_str(a, t, STR("kind"), STR("Table"));
    json_set_str(a, t, STR("apiVersion"), str_is(rq->accept.as_version, "v1beta1") ? STR("meta.k8s.io/v1beta1") : STR("meta.k8s.io/v1"));
    meta = json_obj(a, t, STR("metadata"));
    json_set_str(a, meta, STR("resourceVersion"), json_str(scale, "metadata.resourceVersion"));
    struct val *shown = custom_columns(a, columns), *cells = custom_cells(a, columns, scale, env_wall_ns());
    if (!(rq->info.kind->flags & K_CUSTOM) && shown && cells) {     /* those of upstream's own kinds are printed by code */
        json_set_str(a, shown->first, STR("format"), STR(""));
        json_set_str(a, shown->last, STR("type"), STR("string"));
        if (cells->first->next->type == VAL_NULL)
            *cells->first->next = (struct val){ .type = VAL_INT, .next = cells->first->next->next };
    }
    json_set(a, t, STR("columnDefinitions"), shown);
    row = val_push(json_arr(a, t, STR("rows")), val_new(a, VAL_OBJ));
    json_set(a, row, STR("cells"), cells);
    json_set(a, row, STR("object"), api_partial(a, rq->info.kind, scale, false, rq->accept.as_version));
    return t;
}

static void read_scale(struct api_rq *rq)
{
    struct api_op op = { .api = rq->api, .arena = rq->arena, .kind = rq->info.kind, .ns = str_of(rq->info.tuple.ns),
                         .name = str_of(rq->info.tuple.name), .request = rq->id };
    struct val *v;
    if (api_scale_get(&op, &v) < 0) {
        rq->err = op.err;
        api_send_error(rq);
        return;
    }
    if (api_check_partial(rq) < 0) {
        api_send_error(rq);
        return;
    }
    const struct schema_type *scale = schema_type_find(STR("autoscaling"), STR("v1"), STR("Scale"));
    if (rq->accept.as == AS_TABLE) {
        api_send_tree(rq, 200, NULL, scale_table(rq, v));
        return;
    }
    if (rq->accept.as)
        api_send_tree(rq, 200, schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata")),
                      api_partial(rq->arena, rq->info.kind, v, false, rq->accept.as_version));
    else
        api_send_tree(rq, 200, scale, object_encoded(rq->arena, scale, v));
}

static void warn_deprecated(struct api_rq *rq)
{
    const struct schema_kind *k = rq->info.kind;
    const char *text = k && k->flags & K_CUSTOM ? crd_deprecated(k) : NULL;
    if (text)
        api_warn(rq, text);
    if (!k || k->group[0])
        return;
    if (strcmp(k->kind, "Endpoints") == 0)
        text = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    else if (strcmp(k->kind, "ComponentStatus") == 0)
        text = "v1 ComponentStatus is deprecated in v1.19+";
    if (!text)
        return;
    api_warn(rq, text);
    audit_note(rq, "k8s.io/deprecated", "true");
}

static void dispatch(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    if (t->subresource[0] && api_is_stream(t->subresource))
        api_streams(rq);
    else if (rq->info.kind->flags & K_MEASURED)
        api_usage(rq);
    else if (api_is_review(rq->info.kind))
        api_review(rq);
    else if (strcmp(t->verb, "get") == 0 && strcmp(t->subresource, "scale") == 0)
        read_scale(rq);
    else if (strcmp(t->verb, "get") == 0)
        api_read_get(rq);
    else if (strcmp(t->verb, "list") == 0)
        api_read_list(rq);
    else if (strcmp(t->verb, "watch") == 0)
        api_watch(rq);
    else
        api_write(rq);
}

/* Browsers and the tools of people at terminals get JSON that can be read, unless they say. */
static bool wants_pretty(struct api_rq *rq)
{
    static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" }, *const people[] = { "curl", "Wget", "Mozilla/5.0" };
    struct str said = rq->info.q.pretty, agent = said.len ? STR_NONE : http_header(rq->http, STR("user-agent"));
    for (size_t i = 0; i < sizeof yes / sizeof *yes && said.len; i++)
        if (str_is(said, yes[i]))
            return true;
    for (size_t i = 0; i < sizeof people / sizeof *people && !said.len; i++)
        if (str_starts(agent, str_of(people[i])))
            return true;
    return false;
}

/* Who asks for what. */
static int arrive(struct api_rq *rq, struct http_req *r)
{
    set_audit_id(rq);
    rq->accept.media = MEDIA_JSON;
    if (api_parse_request(rq->arena, http_method(r), http_path(r), http_query(r), &rq->info, &rq->err) < 0 || api_check_timeout(rq) < 0)
        return -1;
    rq->pretty = wants_pretty(rq);
    metrics_begin(rq);
    int known = api_authenticate(rq);
    if (known == 0 || rq->err.code != KL_PENDING)
        audit_begin(rq);
    return known;
}

/* Names that no key may hold. */
static int check_names(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    const char *why = rq->info.odd ? api_bad_segment(str_of(t->name)) : NULL;
    if (why)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "Name parameter invalid: \"%s\": %s", t->name, why);
    if (!rq->info.odd || !api_bad_segment(str_of(t->ns)))
        return 0;
    api_fail(&rq->err, rq->arena, KL_INTERNAL, "invalid key: \"/%s/%s\"", t->resource, t->ns);
    rq->err.reason = NULL;              /* upstream's 500 has none */
    return -KL_INTERNAL;
}

/* No other server is asked for what this one would not look up. */
static bool is_odd(const struct api_info *info)
{
    const struct kl_request *t = &info->tuple;
    return info->odd && (api_bad_segment(str_of(t->group)) || api_bad_segment(str_of(t->name)) || api_bad_segment(str_of(t->ns)));
}

/* Behind the queue: what it may, and in which form. */
static int enter(struct api_rq *rq)
{
    const char *sub = rq->info.tuple.subresource;
    if (api_authorize(rq) < 0)
        return -1;
    if (!is_odd(&rq->info) && api_aggregated(rq))
        return 1;
    if (!rq->info.tuple.is_resource) {
        struct str path = str_of(rq->info.tuple.path);
        const struct api_can can = { .discovery = str_is(path, "/api") || str_is(path, "/apis") || str_is(path, "/api/") || str_is(path, "/apis/") };
        rq->acceptable = api_negotiate(http_header(rq->http, STR("accept")), &can, &rq->accept);
        rq->accept.media = rq->acceptable ? rq->accept.media : MEDIA_JSON;
        rq->pretty |= rq->accept.pretty;
        return 0;
    }
    if (!rq->info.kind) {
        api_fail_path(&rq->err, rq->arena);
        rq->err.plain = api_built_in_group(str_of(rq->info.tuple.group)) ? NULL : API_NO_PAGE;
        return -KL_NOT_FOUND;
    }
    bool custom = rq->info.kind->flags & K_CUSTOM;
    if (custom)
        warn_deprecated(rq);
    int rc = check_verb(rq);
    if (!custom && (rc == 0 || rq->info.q.watch))      /* what upstream has a route for */
        warn_deprecated(rq);
    if (rc == 0 && (!api_is_stream(sub) || strcmp(sub, "log") == 0))
        rc = negotiate(rq);
    return rc < 0 ? rc : check_names(rq);
}

/* What is counted and kept about a request ends here, whoever has answered it. */
static void over(void *ctx, struct http_req *r)
{
    int64_t now = env_mono_ns();
    audit_end(ctx, r);
    metrics_end(ctx, r, now);
    flow_end(ctx, r, now);
}

static void refuse(struct api_rq *rq)
{
    rq->accept.media = rq->accept.media ? rq->accept.media : MEDIA_JSON;
    api_send_error(rq);
}

static void proceed(struct api_rq *rq)
{
    int rc = enter(rq);
    if (rc > 0)
        return;                         /* another server's */
    if (rc < 0) {
        refuse(rq);
    } else if (rq->info.tuple.is_resource) {
        dispatch(rq);
    } else if (!api_documents(rq)) {
        api_fail_path(&rq->err, rq->arena);
        rq->err.plain = API_NO_PAGE;
        refuse(rq);
    }
}

void api_run(struct api_rq *rq)
{
    if (arrive(rq, rq->http) < 0)
        refuse(rq);
    else if (!flow_wait(rq, proceed))
        proceed(rq);
}

void api_handle(void *ctx, struct http_req *r)
{
    struct api *api = ctx;
    struct arena *a = http_arena(r);
    struct api_rq *rq = arena_alloc(a, sizeof *rq);
    if (!rq) {
        http_reply(r, 500, NULL, 0, (struct http_slice){ .data = STR("out of memory\n") });
        return;
    }
    rq->api = api;
    rq->http = r;
    rq->arena = a;
    rq->id = api_request_new(api);
    http_on_end(r, over, rq);
    api_run(rq);
}
