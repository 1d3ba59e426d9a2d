/* usage.c - NodeMetrics and PodMetrics, made of what nodes told (usage_nodes.c) and of who is there in the store; and ComponentStatuses, which are
 * this server's own checks. */
#include "usage.h"

#include "base/clock.h"
#include "base/env.h"
#include "base/quantity.h"

struct gathering {
    struct api *api;
    struct arena *arena;
    const struct usage_query *q;
    uint64_t request;
    struct val *items;
    bool pending;
};

static bool is_pods(const struct schema_kind *k)
{
    return k->flags & K_NAMESPACED;
}

/* --- one of them --- */

/* As Go prints a duration, to the millisecond. */
static char *duration(struct arena *a, int64_t ns)
{
    long long ms = (long long)((ns + NS_PER_MS / 2) / NS_PER_MS), s = ms / 1000 % 60, m = ms / 60000;
    char part[8] = "";
    if (ms % 1000) {
        snprintf(part, sizeof part, ".%03lld", ms % 1000);
        for (size_t n = strlen(part); part[n - 1] == '0'; n--)
            part[n - 1] = '\0';
    }
    return m ? arena_printf(a, "%lldm%lld%ss", m, s, part) : arena_printf(a, "%lld%ss", s, part);
}

static void put_quantity(struct arena *a, struct val *to, const char *key, __int128 nano, enum quantity_format f)
{
    char text[QUANTITY_TEXT];
    size_t n = quantity_format((struct quantity){ nano, f }, text);
    json_set_str(a, to, str_of(key), arena_str(a, str_n(text, n)));
}

static void put_usage(struct arena *a, struct val *to, const struct val *stats)
{
    struct val *u = json_obj(a, to, STR("usage"));
    put_quantity(a, u, "cpu", json_int(stats, "cpu.usageNanoCores", 0), QUANTITY_DECIMAL);
    put_quantity(a, u, "memory", (__int128)(json_int(stats, "memory.workingSetBytes", 0) / 1024 * 1024) * 1000000000, QUANTITY_BINARY);
}

static bool measured(const struct val *stats)
{
    return json_int(stats, "cpu.windowNanoSeconds", 0) > 0;
}

static struct val *item_new(struct gathering *g, const struct val *object, const struct val *stats)
{
    struct arena *a = g->arena;
    char now[CLOCK_TEXT];
    struct val *v = val_new(a, VAL_OBJ), *meta = json_obj(a, v, STR("metadata")), *labels = json_path(object, "metadata.labels");
    clock_format(env_wall_ns(), now);
    json_set_str(a, meta, STR("name"), json_str(object, "metadata.name"));
    if (is_pods(g->q->kind))
        json_set_str(a, meta, STR("namespace"), json_str(object, "metadata.namespace"));
    json_set_str(a, meta, STR("creationTimestamp"), arena_str(a, str_of(now)));
    if (labels)
        json_set(a, meta, STR("labels"), val_copy(a, labels));
    json_set_str(a, v, STR("timestamp"), arena_str(a, json_str(stats, "cpu.time")));
    json_set_str(a, v, STR("window"), str_of(duration(a, json_int(stats, "cpu.windowNanoSeconds", 0))));
    return v;
}

static void add_node(struct gathering *g, const struct val *node)
{
    bool pending;
    const struct val *stats = json_get(api_usage_of(g->api, json_str(node, "metadata.name"), g->request, &pending), STR("node"));
    g->pending |= pending;
    if (!measured(stats))
        return;
    struct val *v = item_new(g, node, stats);
    put_usage(g->arena, v, stats);
    val_push(g->items, v);
}

static const struct val *stats_of(const struct val *summary, struct str uid)
{
    const struct val *pods = json_get(summary, STR("pods"));
    if (val_is(pods, VAL_ARR))
        val_each(p, pods)
            if (str_eq(json_str(p, "podRef.uid"), uid))
                return p;
    return NULL;
}

/* A pod of which a container is not known yet is left out: half of it would pass for the whole. */
static void add_pod(struct gathering *g, const struct val *pod)
{
    struct arena *a = g->arena;
    struct str node = json_str(pod, "spec.nodeName"), phase = json_str(pod, "status.phase");
    bool pending = false;
    if (!node.len || str_is(phase, "Succeeded") || str_is(phase, "Failed"))
        return;
    const struct val *stats = stats_of(api_usage_of(g->api, node, g->request, &pending), json_str(pod, "metadata.uid"));
    const struct val *containers = json_get(stats, STR("containers"));
    g->pending |= pending;
    if (!val_is(containers, VAL_ARR) || !containers->n)
        return;
    val_each(c, containers)
        if (!measured(c))
            return;
    struct val *v = item_new(g, pod, measured(stats) ? stats : containers->first), *list = json_arr(a, v, STR("containers"));
    val_each(c, containers)
    {
        struct val *o = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, o, STR("name"), arena_str(a, json_str(c, "name")));
        put_usage(a, o, c);
    }
    val_push(g->items, v);
}

/* --- all of them --- */

static bool each(void *ctx, struct store_object *o)
{
    struct gathering *g = ctx;
    struct str text = store_object_json(o);
    if ((g->q->labels && !selector_matches_text(g->q->labels, text)) || (g->q->fields && !selector_matches_text(g->q->fields, text)))
        return true;
    struct val *v = json_parse(g->arena, arena_str(g->arena, text), NULL);
    if (v)
        (is_pods(g->q->kind) ? add_pod : add_node)(g, v);
    return !arena_exhausted(g->arena);
}

static bool is_component(const struct schema_kind *k)
{
    return !k->group[0];
}

static void add_component(struct gathering *g, const struct api_check *check)
{
    struct arena *a = g->arena;
    const char *why = check->reason(check->ctx);
    struct val *v = val_new(a, VAL_OBJ), *condition = val_new(a, VAL_OBJ);
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), str_of(check->name));
    json_set_str(a, condition, STR("type"), STR("Healthy"));
    json_set_str(a, condition, STR("status"), why ? STR("False") : STR("True"));
    json_set_str(a, condition, STR("message"), why ? arena_str(a, str_of(why)) : STR("ok"));
    val_push(json_arr(a, v, STR("conditions")), condition);
    if (!g->q->labels && (!g->q->name.len || str_is(g->q->name, check->name)))
        val_push(g->items, v);
}

int api_usage_read(struct api *api, struct arena *a, const struct usage_query *q, uint64_t request, struct val *items)
{
    struct gathering g = { api, a, q, request, items, false };
    struct str resource = is_pods(q->kind) ? STR("/pods") : STR("/nodes");
    if (is_component(q->kind)) {
        for (unsigned i = 0; i < api->n_components; i++)
            add_component(&g, &api->components[i]);
    } else if (q->name.len) {
        struct store_object *o = store_get(api->store, resource, q->ns, q->name);
        if (o)
            each(&g, o);
    } else {
        struct store_range r = { .resource = resource, .ns = q->ns.len ? q->ns : STR_NONE };
        store_list(api->store, &r, each, &g);
    }
    return arena_exhausted(a) ? -KL_NO_MEMORY : g.pending ? -KL_PENDING : 0;
}

/* --- answers --- */

static struct val *list_around(struct arena *a, const struct schema_kind *k, struct val *items)
{
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), str_of(api_list_kind(a, k)));
    json_set_str(a, v, STR("apiVersion"), str_of(api_group_version(a, k)));
    json_obj(a, v, STR("metadata"));
    json_set(a, v, STR("items"), items);
    return v;
}

/* In front of the others. */
static void set_type(struct arena *a, struct val *v, const struct schema_kind *k)
{
    struct val *rest = val_copy(a, v), *typed = val_new(a, VAL_OBJ);
    if (!rest || !typed)
        return;
    json_set_str(a, typed, STR("kind"), str_of(k->kind));
    json_set_str(a, typed, STR("apiVersion"), str_of(api_group_version(a, k)));
    val_each(m, rest) json_set(a, typed, val_key(m), val_copy(a, m));
    v->first = typed->first;
    v->last = typed->last;
    v->n = typed->n;
    v->names = typed->names;
}

static void send_list(struct api_rq *rq, struct val *items)
{
    struct arena *a = rq->arena;
    const struct schema_kind *k = rq->info.kind;
    const struct schema_type *t = k->list_type;
    struct val *v = list_around(a, k, items);
    if (rq->accept.as == AS_TABLE) {
        v = api_table(a, k, true, rq->accept.as_version);
        t = NULL;
        for (struct val *i = items->first, *next; i; i = next) {
            next = i->next;
            set_type(a, i, k);
            api_table_row(a, v, k, i, api_include_object(rq));
        }
    } else if (rq->accept.as) {
        struct val *partial = val_new(a, VAL_ARR);
        val_each(i, items)
            val_push(partial, api_partial(a, k, i, rq->accept.media == MEDIA_PROTOBUF, rq->accept.as_version));
        v = list_around(a, k, partial);
        json_set_str(a, v, STR("kind"), STR("PartialObjectMetadataList"));
        json_set_str(a, v, STR("apiVersion"), STR("meta.k8s.io/v1"));
        t = schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList"));
    }
    api_send_tree(rq, 200, t, v);
}

static void send_one(struct api_rq *rq, struct val *items)
{
    struct arena *a = rq->arena;
    const struct schema_kind *k = rq->info.kind;
    const struct kl_request *t = &rq->info.tuple;
    struct buf b = BUF_INIT(0);
    if (!items->n) {
        char *name = is_pods(k) ? arena_printf(a, "%s/%s", t->ns, t->name) : arena_dup(a, str_of(t->name));
        struct schema_kind as = *k;
        as.plural = is_component(k) ? "componentstatus" : is_pods(k) ? "podmetrics" : "nodemetrics";
        api_fail_not_found(&rq->err, a, &as, str_of(name));
        api_send_error(rq);
        return;
    }
    set_type(a, items->first, k);
    json_write(&b, items->first);
    struct str text = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    api_send_json(rq, 200, k, text.at ? text : STR("{}"));
}

void api_usage(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    struct usage_query q = { .kind = rq->info.kind, .ns = str_of(is_pods(rq->info.kind) ? t->ns : ""), .name = str_of(t->name) };
    struct val *items = val_new(rq->arena, VAL_ARR);
    struct selector *labels = NULL, *fields = NULL;
    int rc = items ? 0 : -KL_NO_MEMORY;
    bool one = strcmp(t->verb, "get") == 0;
    if (rc == 0 && !one && (rc = api_compile_selectors(rq, &labels, &fields)) < 0) {
        api_send_error(rq);
        return;
    }
    q.labels = labels;
    q.fields = fields;
    if (rc == 0)
        rc = api_usage_read(rq->api, rq->arena, &q, rq->id, items);
    if (rc < 0) {
        api_fail(&rq->err, rq->arena, -rc, rc == -KL_PENDING ? "the nodes are being asked" : "out of memory");
        api_send_error(rq);
    } else if (one) {
        send_one(rq, items);
    } else {
        send_list(rq, items);
    }
}

int api_usage_text(struct api *api, struct arena *a, const struct kl_object_key *k, uint64_t request, struct buf *b, struct api_error *e)
{
    struct usage_query q = { .kind = schema_resource_by_name(str_of(k->resource)), .ns = str_of(k->ns ? k->ns : ""), .name = str_of(k->name ? k->name : "") };
    struct str query = str_of(k->subresource ? k->subresource : ""), key, value;
    struct val *items = val_new(a, VAL_ARR);
    struct kl_err err;
    kl_err_init(&err);
    str_cut(&query, '?');
    while (query.at && http_query_next(a, &query, &key, &value))
        if (str_is(key, "labelSelector") && value.len && !(q.labels = selector_parse_labels(a, value, &err, NULL)))
            return api_fail_err(e, a, &err);
    int rc = items ? api_usage_read(api, a, &q, request, items) : -KL_NO_MEMORY;
    if (rc < 0)
        return api_fail(e, a, -rc, rc == -KL_PENDING ? "the nodes are being asked" : "out of memory");
    if (q.name.len && !items->n)
        return api_fail_not_found(e, a, q.kind, q.name);
    json_write(b, q.name.len ? items->first : list_around(a, q.kind, items));
    return b->failed ? api_fail(e, a, KL_NO_MEMORY, "out of memory") : 0;
}
