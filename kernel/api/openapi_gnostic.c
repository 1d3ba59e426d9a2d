/* openapi_gnostic.c - a swagger 2.0 document as openapi.v2.Document, the message that client-go asks for, and one of form 3 as openapi.v3.Document.
 * The messages are rows too: a JSON member, the tags it is wrapped in (outermost first), and what stands inside. */
#include <stdlib.h>

#include "base/varint.h"
#include "openapi-internal.h"

enum how { STRING = 1, BOOLEAN, INTEGER, NUMBER, STRINGS, ANY, ANYS, MESSAGE, MESSAGES, PARAMETERS, SHARED, DEFAULT };

struct message;
struct row {
    const char *json;
    enum how how;
    uint8_t tags[4];                    /* zero-terminated */
    const struct message *of;
};
struct message {
    const struct row *rows;
    size_t n;
    const struct message *map_of;       /* members that no row names: {1 name, 2 value} under map_tag */
    uint8_t map_tag, extension_tag;     /* 0: there are none */
    uint8_t map_wrap;                   /* the value of a map member is wrapped in this tag too; 0: not */
    bool or_reference;                  /* stands where a reference may: {1 the message, 2 Reference} */
};
#define ROWS(r) .rows = (r), .n = sizeof(r) / sizeof *(r)

static const struct message schema, properties = { .map_of = &schema, .map_tag = 1 };
static const struct row external_docs_rows[] = { { "description", STRING, { 1 }, NULL }, { "url", STRING, { 2 }, NULL } };
static const struct message external_docs = { ROWS(external_docs_rows), .extension_tag = 3 };
static const struct row schema_rows[] = {
    { "$ref", STRING, { 1 }, NULL },
    { "format", STRING, { 2 }, NULL },
    { "title", STRING, { 3 }, NULL },
    { "description", STRING, { 4 }, NULL },
    { "default", ANY, { 5 }, NULL },
    { "multipleOf", NUMBER, { 6 }, NULL },
    { "maximum", NUMBER, { 7 }, NULL },
    { "exclusiveMaximum", BOOLEAN, { 8 }, NULL },
    { "minimum", NUMBER, { 9 }, NULL },
    { "exclusiveMinimum", BOOLEAN, { 10 }, NULL },
    { "maxLength", INTEGER, { 11 }, NULL },
    { "minLength", INTEGER, { 12 }, NULL },
    { "pattern", STRING, { 13 }, NULL },
    { "maxItems", INTEGER, { 14 }, NULL },
    { "minItems", INTEGER, { 15 }, NULL },
    { "uniqueItems", BOOLEAN, { 16 }, NULL },
    { "maxProperties", INTEGER, { 17 }, NULL },
    { "minProperties", INTEGER, { 18 }, NULL },
    { "required", STRINGS, { 19 }, NULL },
    { "enum", ANYS, { 20 }, NULL },
    { "additionalProperties", MESSAGE, { 21, 1 }, &schema },
    { "type", STRING, { 22, 1 }, NULL },
    { "items", MESSAGE, { 23, 1 }, &schema },
    { "allOf", MESSAGES, { 24 }, &schema },
    { "properties", MESSAGE, { 25 }, &properties },
    { "externalDocs", MESSAGE, { 29 }, &external_docs },
    { "example", ANY, { 30 }, NULL },
};
static const struct message schema = { ROWS(schema_rows), .extension_tag = 31 };

/* QueryParameterSubSchema and PathParameterSubSchema differ from "type" on. */
static const struct row query_rows[] = {
    { "required", BOOLEAN, { 1 }, NULL }, { "in", STRING, { 2 }, NULL },   { "description", STRING, { 3 }, NULL }, { "name", STRING, { 4 }, NULL },
    { "type", STRING, { 6 }, NULL },      { "format", STRING, { 7 }, NULL }, { "uniqueItems", BOOLEAN, { 20 }, NULL },
};
static const struct row path_rows[] = {
    { "required", BOOLEAN, { 1 }, NULL }, { "in", STRING, { 2 }, NULL },   { "description", STRING, { 3 }, NULL }, { "name", STRING, { 4 }, NULL },
    { "type", STRING, { 5 }, NULL },      { "format", STRING, { 6 }, NULL }, { "uniqueItems", BOOLEAN, { 19 }, NULL },
};
static const struct row body_rows[] = {
    { "description", STRING, { 1 }, NULL }, { "name", STRING, { 2 }, NULL }, { "in", STRING, { 3 }, NULL }, { "required", BOOLEAN, { 4 }, NULL },
    { "schema", MESSAGE, { 5 }, &schema },
};
static const struct {
    const char *in;
    uint8_t tags[4];                    /* ParametersItem, Parameter, NonBodyParameter */
    struct message of;
} parameter_forms[] = {
    { "body", { 1, 1 }, { ROWS(body_rows), .extension_tag = 6 } },
    { "query", { 1, 2, 3 }, { ROWS(query_rows), .extension_tag = 23 } },
    { "path", { 1, 2, 4 }, { ROWS(path_rows), .extension_tag = 22 } },
};

static const struct row response_rows[] = { { "description", STRING, { 1 }, NULL }, { "schema", MESSAGE, { 2, 1 }, &schema } };
static const struct message response = { ROWS(response_rows), .extension_tag = 5 };
static const struct message responses = { .map_of = &response, .map_tag = 1, .map_wrap = 1, .extension_tag = 2 };
static const struct row operation_rows[] = {
    { "tags", STRINGS, { 1 }, NULL },        { "description", STRING, { 3 }, NULL }, { "operationId", STRING, { 5 }, NULL },
    { "produces", STRINGS, { 6 }, NULL },    { "consumes", STRINGS, { 7 }, NULL },   { "parameters", PARAMETERS, { 8 }, NULL },
    { "responses", MESSAGE, { 9 }, &responses }, { "schemes", STRINGS, { 10 }, NULL },
};
static const struct message operation = { ROWS(operation_rows), .extension_tag = 13 };
static const struct row path_item_rows[] = {
    { "get", MESSAGE, { 2 }, &operation },    { "put", MESSAGE, { 3 }, &operation },   { "post", MESSAGE, { 4 }, &operation },
    { "delete", MESSAGE, { 5 }, &operation }, { "options", MESSAGE, { 6 }, &operation }, { "head", MESSAGE, { 7 }, &operation },
    { "patch", MESSAGE, { 8 }, &operation },  { "parameters", PARAMETERS, { 9 }, NULL },
};
static const struct message path_item = { ROWS(path_item_rows), .extension_tag = 10 };
static const struct message paths = { .map_of = &path_item, .map_tag = 2 };
static const struct message definitions = { .map_of = &schema, .map_tag = 1 };
static const struct row info_rows[] = { { "title", STRING, { 1 }, NULL }, { "version", STRING, { 2 }, NULL } };
static const struct message info = { ROWS(info_rows) };
static const struct message no_scopes = { .n = 0 };
static const struct message security = { .map_of = &no_scopes, .map_tag = 1 };
static const struct row api_key_rows[] = { { "type", STRING, { 1 }, NULL }, { "name", STRING, { 2 }, NULL }, { "in", STRING, { 3 }, NULL },
                                           { "description", STRING, { 4 }, NULL } };
static const struct message api_key = { ROWS(api_key_rows), .extension_tag = 5 };
static const struct message security_definitions = { .map_of = &api_key, .map_tag = 1, .map_wrap = 2 };
static const struct row document_rows[] = {
    { "swagger", STRING, { 1 }, NULL },
    { "info", MESSAGE, { 2 }, &info },
    { "paths", MESSAGE, { 8 }, &paths },
    { "definitions", MESSAGE, { 9 }, &definitions },
    { "parameters", SHARED, { 10 }, NULL },
    { "security", MESSAGES, { 12 }, &security },
    { "securityDefinitions", MESSAGE, { 13 }, &security_definitions },
};
static const struct message document_message = { ROWS(document_rows), .extension_tag = 16 };

/* --- form 3: what may be referred to is of one shape --- */

static const struct row reference_rows[] = { { "$ref", STRING, { 1 }, NULL }, { "summary", STRING, { 2 }, NULL }, { "description", STRING, { 3 }, NULL } };
static const struct message reference = { ROWS(reference_rows) };
static const struct message schema3, schema3_itself, properties3 = { .map_of = &schema3, .map_tag = 1 };
static const struct row schema3_rows[] = {
    { "nullable", BOOLEAN, { 1 }, NULL },
    { "externalDocs", MESSAGE, { 6 }, &external_docs },
    { "example", ANY, { 7 }, NULL },
    { "title", STRING, { 9 }, NULL },
    { "multipleOf", NUMBER, { 10 }, NULL },
    { "maximum", NUMBER, { 11 }, NULL },
    { "exclusiveMaximum", BOOLEAN, { 12 }, NULL },
    { "minimum", NUMBER, { 13 }, NULL },
    { "exclusiveMinimum", BOOLEAN, { 14 }, NULL },
    { "maxLength", INTEGER, { 15 }, NULL },
    { "minLength", INTEGER, { 16 }, NULL },
    { "pattern", STRING, { 17 }, NULL },
    { "maxItems", INTEGER, { 18 }, NULL },
    { "minItems", INTEGER, { 19 }, NULL },
    { "uniqueItems", BOOLEAN, { 20 }, NULL },
    { "maxProperties", INTEGER, { 21 }, NULL },
    { "minProperties", INTEGER, { 22 }, NULL },
    { "required", STRINGS, { 23 }, NULL },
    { "enum", ANYS, { 24 }, NULL },
    { "type", STRING, { 25 }, NULL },
    { "allOf", MESSAGES, { 26 }, &schema3 },
    { "oneOf", MESSAGES, { 27 }, &schema3 },
    { "anyOf", MESSAGES, { 28 }, &schema3 },
    { "not", MESSAGE, { 29 }, &schema3_itself },
    { "items", MESSAGE, { 30, 1 }, &schema3 },
    { "properties", MESSAGE, { 31 }, &properties3 },
    { "additionalProperties", MESSAGE, { 32, 1 }, &schema3 },
    { "default", DEFAULT, { 33 }, NULL },
    { "description", STRING, { 34 }, NULL },
    { "format", STRING, { 35 }, NULL },
};
static const struct message schema3_itself = { ROWS(schema3_rows), .extension_tag = 36 };
static const struct message schema3 = { ROWS(schema3_rows), .extension_tag = 36, .or_reference = true };
static const struct row media_type_rows[] = { { "schema", MESSAGE, { 1 }, &schema3 } };
static const struct message media_type = { ROWS(media_type_rows), .extension_tag = 5 };
static const struct message content = { .map_of = &media_type, .map_tag = 1 };
static const struct row parameter3_rows[] = {
    { "name", STRING, { 1 }, NULL }, { "in", STRING, { 2 }, NULL }, { "description", STRING, { 3 }, NULL }, { "required", BOOLEAN, { 4 }, NULL },
    { "schema", MESSAGE, { 10 }, &schema3 },
};
static const struct message parameter3 = { ROWS(parameter3_rows), .extension_tag = 14, .or_reference = true };
static const struct row request_body_rows[] = { { "description", STRING, { 1 }, NULL }, { "content", MESSAGE, { 2 }, &content }, { "required", BOOLEAN, { 3 }, NULL } };
static const struct message request_body = { ROWS(request_body_rows), .extension_tag = 4, .or_reference = true };
static const struct row response3_rows[] = { { "description", STRING, { 1 }, NULL }, { "content", MESSAGE, { 3 }, &content } };
static const struct message response3 = { ROWS(response3_rows), .extension_tag = 5, .or_reference = true };
static const struct message responses3 = { .map_of = &response3, .map_tag = 2, .extension_tag = 3 };
static const struct row operation3_rows[] = {
    { "tags", STRINGS, { 1 }, NULL },         { "description", STRING, { 3 }, NULL },          { "operationId", STRING, { 5 }, NULL },
    { "parameters", MESSAGES, { 6 }, &parameter3 }, { "requestBody", MESSAGE, { 7 }, &request_body }, { "responses", MESSAGE, { 8 }, &responses3 },
    { "deprecated", BOOLEAN, { 10 }, NULL },
};
static const struct message operation3 = { ROWS(operation3_rows), .extension_tag = 13 };
static const struct row path_item3_rows[] = {
    { "get", MESSAGE, { 4 }, &operation3 },     { "put", MESSAGE, { 5 }, &operation3 },  { "post", MESSAGE, { 6 }, &operation3 },
    { "delete", MESSAGE, { 7 }, &operation3 },  { "options", MESSAGE, { 8 }, &operation3 }, { "head", MESSAGE, { 9 }, &operation3 },
    { "patch", MESSAGE, { 10 }, &operation3 },  { "parameters", MESSAGES, { 13 }, &parameter3 },
};
static const struct message path_item3 = { ROWS(path_item3_rows), .extension_tag = 14 };
static const struct message paths3 = { .map_of = &path_item3, .map_tag = 1, .extension_tag = 2 };
static const struct message schemas = { .map_of = &schema3, .map_tag = 1 };
static const struct row scheme_rows[] = { { "type", STRING, { 1 }, NULL }, { "description", STRING, { 2 }, NULL }, { "name", STRING, { 3 }, NULL },
                                          { "in", STRING, { 4 }, NULL } };
static const struct message scheme = { ROWS(scheme_rows), .extension_tag = 9, .or_reference = true };
static const struct message schemes = { .map_of = &scheme, .map_tag = 1 };
static const struct row component_rows[] = { { "schemas", MESSAGE, { 1 }, &schemas }, { "securitySchemes", MESSAGE, { 7 }, &schemes } };
static const struct message components = { ROWS(component_rows), .extension_tag = 10 };
static const struct row info3_rows[] = { { "title", STRING, { 1 }, NULL }, { "version", STRING, { 6 }, NULL } };
static const struct message info3 = { ROWS(info3_rows) };
static const struct row document3_rows[] = {
    { "openapi", STRING, { 1 }, NULL },
    { "info", MESSAGE, { 2 }, &info3 },
    { "paths", MESSAGE, { 4 }, &paths3 },
    { "components", MESSAGE, { 5 }, &components },
};
static const struct message document3_message = { ROWS(document3_rows), .extension_tag = 9 };

/* --- writing --- */

static size_t head_size(uint8_t tag, size_t n)
{
    size_t size = (tag > 15 ? 2 : 1) + 1;
    for (; n >= 0x80; n >>= 7)
        size++;
    return size;
}

/* payload within the tags, outermost first. */
static void put(struct buf *b, const uint8_t *tags, struct str payload)
{
    size_t sizes[6], n = 0;
    while (n < 5 && tags[n])
        n++;
    sizes[n] = payload.len;
    for (size_t i = n; i-- > 1;)
        sizes[i] = sizes[i + 1] + head_size(tags[i], sizes[i + 1]);
    for (size_t i = 0; i < n; i++) {
        varint_put(b, (uint64_t)tags[i] << 3 | 2);
        varint_put(b, sizes[i + 1]);
    }
    buf_add_str(b, payload);
}

static void put_any(struct buf *b, const uint8_t *tags, const struct val *v)
{
    _cleanup_buf_ struct buf text = BUF_INIT(0), any = BUF_INIT(0);
    json_write(&text, v);               /* JSON is YAML */
    put(&any, (const uint8_t[]){ 2, 0 }, buf_str(&text));
    put(b, tags, buf_str(&any));
    b->failed |= text.failed || any.failed;
}

static void put_number(struct buf *b, uint8_t tag, const struct val *v)
{
    char bytes[8], text[64];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(v->type == VAL_NUM ? str_n(v->s, v->n) : STR("0")));
    double d = v->type == VAL_INT ? (double)v->i : strtod(text, NULL);
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(bits >> (8 * i));
    varint_put(b, (uint64_t)tag << 3 | 1);
    buf_add_str(b, str_n(bytes, sizeof bytes));
}

static void write_message(struct buf *b, const struct message *m, const struct val *v);

static void put_message(struct buf *b, const uint8_t *tags, const struct message *m, const struct val *v)
{
    _cleanup_buf_ struct buf inner = BUF_INIT(0);
    uint8_t all[6] = { 0 };
    if (m->or_reference) {
        size_t n = strlen((const char *)tags);
        bool refers = json_get(v, STR("$ref")) != NULL;
        memcpy(all, tags, n);
        all[n] = refers ? 2 : 1;
        m = refers ? &reference : m;
        tags = all;
    }
    write_message(&inner, m, v);
    put(b, tags, buf_str(&inner));
    b->failed |= inner.failed;
}

/* DefaultType: one of 1 number, 2 boolean, 3 string; a list or an object is none of them, and leaves it empty. */
static void put_default(struct buf *b, const uint8_t *tags, const struct val *v)
{
    _cleanup_buf_ struct buf inner = BUF_INIT(0);
    if (v->type == VAL_BOOL)
        buf_add_str(&inner, str_n(v->i ? "\x10\1" : "\x10\0", 2));
    else if (v->type == VAL_INT || v->type == VAL_NUM)
        put_number(&inner, 1, v);
    else if (v->type == VAL_STR)
        put(&inner, (const uint8_t[]){ 3, 0 }, val_str(v));
    put(b, tags, buf_str(&inner));
    b->failed |= inner.failed;
}

/* One of an operation; of those that are shared (named) the name comes first, and they are no item of a list. */
static void put_parameter(struct buf *b, uint8_t tag, const struct val *v, bool named)
{
    struct str ref = json_str(v, "$ref");
    if (ref.len) {
        _cleanup_buf_ struct buf inner = BUF_INIT(0);
        put(&inner, (const uint8_t[]){ 2, 1, 0 }, ref);
        put(b, (const uint8_t[]){ tag, 0 }, buf_str(&inner));
        b->failed |= inner.failed;
        return;
    }
    for (size_t i = 0; i < sizeof parameter_forms / sizeof *parameter_forms; i++) {
        _cleanup_buf_ struct buf inner = BUF_INIT(0);
        if (!str_is(json_str(v, "in"), parameter_forms[i].in))
            continue;
        if (named) {
            put(&inner, (const uint8_t[]){ 1, 0 }, val_key(v));
            _cleanup_buf_ struct buf value = BUF_INIT(0);
            put_message(&value, parameter_forms[i].tags + 1, &parameter_forms[i].of, v);
            put(&inner, (const uint8_t[]){ 2, 0 }, buf_str(&value));
            inner.failed |= value.failed;
        } else {
            put_message(&inner, parameter_forms[i].tags, &parameter_forms[i].of, v);
        }
        put(b, (const uint8_t[]){ tag, 0 }, buf_str(&inner));
        b->failed |= inner.failed;
    }
}

static void write_member(struct buf *b, const struct row *r, const struct val *v)
{
    switch (r->how) {
    case STRING: put(b, r->tags, val_str(v)); break;
    case BOOLEAN:
        varint_put(b, (uint64_t)r->tags[0] << 3);
        buf_add_c(b, v->i ? 1 : 0);
        break;
    case INTEGER:
        varint_put(b, (uint64_t)r->tags[0] << 3);
        varint_put(b, (uint64_t)v->i);
        break;
    case NUMBER: put_number(b, r->tags[0], v); break;
    case STRINGS:
        val_each(s, v) put(b, r->tags, val_str(s));
        break;
    case ANY: put_any(b, r->tags, v); break;
    case DEFAULT: put_default(b, r->tags, v); break;
    case ANYS:
        val_each(x, v) put_any(b, r->tags, x);
        break;
    case MESSAGE:
        if (v->type == VAL_BOOL)        /* additionalProperties: the other one of two */
            put(b, (const uint8_t[]){ r->tags[0], 0 }, str_n(v->i ? "\x10\1" : "\x10\0", 2));
        else
            put_message(b, r->tags, r->of, v);
        break;
    case MESSAGES:
        val_each(x, v) put_message(b, r->tags, r->of, x);
        break;
    case PARAMETERS:
        val_each(x, v) put_parameter(b, r->tags[0], x, false);
        break;
    case SHARED: {
        _cleanup_buf_ struct buf all = BUF_INIT(0);
        val_each(x, v) put_parameter(&all, 1, x, true);
        put(b, r->tags, buf_str(&all));
        b->failed |= all.failed;
        break;
    }
    }
}

static void write_named(struct buf *b, const struct message *m, const struct val *v)
{
    _cleanup_buf_ struct buf pair = BUF_INIT(0);
    const uint8_t one[] = { 1, 0 }, value[] = { 2, m->map_wrap, 0 }, two[] = { 2, 0 };
    bool extension = m->extension_tag && str_starts(val_key(v), STR("x-"));      /* properties may have such names too */
    uint8_t tag[] = { extension ? m->extension_tag : m->map_tag, 0 };
    if (!tag[0])
        return;
    put(&pair, one, val_key(v));
    if (extension)
        put_any(&pair, two, v);
    else
        put_message(&pair, value, m->map_of, v);
    put(b, tag, buf_str(&pair));
    b->failed |= pair.failed;
}

static void write_message(struct buf *b, const struct message *m, const struct val *v)
{
    val_each(x, v) {
        const struct row *r = NULL;
        for (size_t i = 0; i < m->n && !r; i++)
            if (str_is(val_key(x), m->rows[i].json))
                r = &m->rows[i];
        if (r)
            write_member(b, r, x);
        else
            write_named(b, m, x);
    }
}

void openapi_write_gnostic(struct buf *b, int form, const struct val *document)
{
    write_message(b, form == 2 ? &document_message : &document3_message, document);
}
