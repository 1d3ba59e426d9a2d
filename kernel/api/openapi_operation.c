/* openapi_operation.c - what an operation takes and answers, in both forms. */
#include <stdlib.h>

#include "openapi-internal.h"

#define put openapi_put

const char *const openapi_any[] = { "*/*", NULL };
const char *const openapi_built_in[] = { "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", NULL };
const char *const openapi_json[] = { "application/json", NULL };

static void put_list(struct openapi *d, struct val *op, const char *key, const char *const *texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        val_push(json_arr(d->a, op, str_of(key)), val_of_str(d->a, str_of(texts[i])));
}

struct val *openapi_operation_new(struct openapi *d, struct val *path, const struct openapi_operation *o)
{
    static const char *const schemes[] = { "https", NULL };
    struct val *op = json_obj(d->a, path, str_of(o->method));
    if (o->says)
        put(d->a, op, "description", o->says);
    if (d->form == 2) {
        put_list(d, op, "consumes", o->consumes);
        put_list(d, op, "produces", o->produces);
        put_list(d, op, "schemes", schemes);
    }
    put_list(d, op, "tags", (const char *const[]){ o->tag, NULL });
    put(d->a, op, "operationId", o->id);
    return op;
}

struct val *openapi_parameter_new(struct openapi *d, const char *in, const char *name, const char *type, const char *says)
{
    struct val *p = val_new(d->a, VAL_OBJ);
    put(d->a, p, "name", name);
    put(d->a, p, "in", in);
    if (says)
        put(d->a, p, "description", says);
    if (strcmp(in, "path") == 0)
        json_set_bool(d->a, p, STR("required"), true);
    struct val *typed = d->form == 3 ? json_obj(d->a, p, STR("schema")) : p;
    put(d->a, typed, "type", type);
    json_set_bool(d->a, typed, STR("uniqueItems"), true);
    return p;
}

static int by_name(const void *x, const void *y)
{
    const struct val *a = *(const struct val *const *)x, *b = *(const struct val *const *)y;
    int c = str_cmp(json_str(a, "name"), json_str(b, "name"));
    return c ? c : str_cmp(json_str(a, "in"), json_str(b, "in"));
}

void openapi_sort_parameters(struct val *list)
{
    struct val *at[64];
    size_t n = 0;
    val_each(p, list) if (n < sizeof at / sizeof *at) at[n++] = p;
    qsort(at, n, sizeof *at, by_name);
    list->first = list->last = NULL;
    list->n = 0;
    for (size_t i = 0; i < n; i++) {
        at[i]->next = NULL;
        val_push(list, at[i]);
    }
}

void openapi_body(struct openapi *d, struct val *op, const struct openapi_operation *o, struct val *schema, bool required)
{
    struct arena *a = d->a;
    struct val *holder;
    if (d->form == 3) {
        struct val *content = json_obj(a, holder = json_obj(a, op, STR("requestBody")), STR("content"));
        for (size_t i = 0; o->consumes[i]; i++)
            json_set(a, json_obj(a, content, str_of(o->consumes[i])), STR("schema"), val_copy(a, schema));
        json_sort(a, content);
    } else {
        holder = val_new(a, VAL_OBJ);
        val_unshift(json_arr(a, op, STR("parameters")), holder);
        put(a, holder, "name", "body");
        put(a, holder, "in", "body");
        json_set(a, holder, STR("schema"), schema);
    }
    if (required)
        json_set_bool(a, holder, STR("required"), true);
}

static struct val *schema_of(struct openapi *d, const struct openapi_answer *answer)
{
    struct val *text;
    if (answer->type)
        return openapi_ref(d, answer->type);
    if (answer->named)
        return openapi_ref_to(d, answer->named);
    text = val_new(d->a, VAL_OBJ);
    put(d->a, text, "type", "string");
    return text;
}

void openapi_response(struct openapi *d, struct val *op, const struct openapi_operation *o, const char *code, const struct openapi_answer *answer)
{
    static const char *const words[][2] = { { "200", "OK" }, { "201", "Created" }, { "202", "Accepted" }, { "401", "Unauthorized" } };
    struct val *r = json_obj(d->a, json_obj(d->a, op, STR("responses")), str_of(code));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], code) == 0)
            put(d->a, r, "description", words[i][1]);
    if (!answer)
        return;
    if (d->form == 2) {
        json_set(d->a, r, STR("schema"), schema_of(d, answer));
        return;
    }
    struct val *content = json_obj(d->a, r, STR("content"));
    for (size_t i = 0; o->produces[i]; i++)
        json_set(d->a, json_obj(d->a, content, str_of(o->produces[i])), STR("schema"), schema_of(d, answer));
    json_sort(d->a, content);
}
