/* connect.c - admission of CONNECT: exec, attach, portforward and proxy are asked about with their options, before anything is looked for. */
#include "api-internal.h"

/* One value of the query, in the form that its field has. */
static struct val *value_of(struct arena *a, const struct schema_field *f, struct str text)
{
    int64_t n;
    if (f->type->kind == T_BOOL)
        return val_of_bool(a, !str_eq_nocase(text, STR("false")) && !str_is(text, "0"));
    if (f->type->kind == T_INT32 || f->type->kind == T_INT64)
        return str_int(text, &n) ? val_of_int(a, n) : NULL;
    return val_of_str(a, text);
}

static void take(struct arena *a, struct val *options, const struct schema_field *f, struct str text)
{
    struct str name = str_of(f->json);
    if (f->shape != SHAPE_LIST) {
        if (!json_get(options, name))
            json_set(a, options, name, value_of(a, f, text));
        return;
    }
    bool numbers = f->type->kind == T_INT32;            /* "ports=1,2&ports=3" */
    for (struct str rest = text, part; rest.at;) {
        part = numbers ? str_cut(&rest, ',') : rest;
        rest = numbers ? rest : STR_NONE;
        val_push(json_arr(a, options, name), value_of(a, f, part));
    }
}

/* What is behind /proxy, with its slash. */
static void set_path(struct api_rq *rq, struct val *options)
{
    struct str rest = rq->info.rest.at ? http_decode(rq->arena, rq->info.rest, false) : STR_NONE;
    char *path = rest.at ? arena_printf(rq->arena, "/" STR_FMT, STR_ARG(rest)) : NULL;
    if (path)
        json_set_str(rq->arena, options, STR("path"), str_of(path));
}

static struct val *options_of(struct api_rq *rq, const struct schema_kind *k)
{
    struct arena *a = rq->arena;
    struct str query = http_query(rq->http), key, value;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), str_of(k->kind));
    json_set_str(a, v, STR("apiVersion"), str_of(k->version));
    if (schema_field_find(k->type, STR("path"))) {
        set_path(rq, v);
        return v;
    }
    while (http_query_next(a, &query, &key, &value)) {
        const struct schema_field *f = schema_field_find(k->type, key);
        if (f)
            take(a, v, f, value);
    }
    return v;
}

int api_connect(struct api_rq *rq, struct val **ret)
{
    const struct kl_request *t = &rq->info.tuple;
    const struct schema_subresource *sub = rq->info.sub;
    struct schema_kind shown = { .group = sub->group, .version = sub->version, .kind = sub->kind, .plural = "",
                                 .type = schema_type_find(str_of(sub->group), str_of(sub->version), str_of(sub->kind)) };
    struct api_op op = { .api = rq->api, .arena = rq->arena, .user = &rq->user, .kind = rq->info.kind, .ns = str_of(t->ns), .name = str_of(t->name),
                         .subresource = t->subresource, .request = rq->id, .kept = &rq->kept, .options = { "null", 4 } };
    api_op_tell(rq, &op);
    struct val *v = shown.type ? options_of(rq, &shown) : NULL;
    *ret = v;
    if (!v || arena_exhausted(rq->arena))
        return api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    int rc = api_admit_as(&op, true, "connect", &shown, ret, STR_NONE);
    if (rc == 0)
        rc = api_admit_as(&op, false, "connect", &shown, ret, STR_NONE);
    rq->err = op.err;
    return rc;
}
