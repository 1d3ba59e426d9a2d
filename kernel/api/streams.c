/* streams.c - subresources that reach into a node: log, exec, attach, portforward, proxy. A node is asked through api_hooks.node; without
 * one the answer is upstream's for a node that cannot be reached. */
#include "api-internal.h"

bool api_is_stream(const char *sub)
{
    static const char *const names[] = { "log", "exec", "attach", "portforward", "proxy" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], sub) == 0)
            return true;
    return false;
}

void api_streams(struct api_rq *rq)
{
    const struct schema_kind *k = rq->info.kind;
    struct str ns = k->flags & K_NAMESPACED ? str_of(rq->info.tuple.ns) : STR(""), name = str_of(rq->info.tuple.name);
    struct store_object *o = store_get(rq->api->store, str_of(k->storage->resource), ns, name);
    struct val *v = o ? api_tree(rq->arena, o, &rq->err) : NULL;
    struct str node = json_str(v, "spec.nodeName");
    if (!o)
        api_fail_not_found(&rq->err, rq->arena, k, name);
    else if (v && !node.len)
        api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "pod " STR_FMT " does not have a host assigned", STR_ARG(name));
    else if (v)
        api_fail(&rq->err, rq->arena, KL_UNAVAILABLE, "node '" STR_FMT "' cannot be reached from this server", STR_ARG(node));
    api_send_error(rq);
}
