/* openapi_gnostic.c - a swagger 2.0 document as openapi.v2.Document, the message that client-go asks for. The messages are rows too: a JSON
 * member, the tags it is wrapped in (outermost first), and what stands inside. */
#include <stdlib.h>

#include "base/varint.h"
#include "openapi-internal.h"

enum how { STRING = 1, BOOLEAN, INTEGER, NUMBER, STRINGS, ANY, ANYS, MESSAGE, MESSAGES, PARAMETERS, SHARED };

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
    size_t sizes[5], n = 0;
    while (n < 4 && tags[n])
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
    write_message(&inner, m, v);
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

void openapi_write_gnostic(struct buf *b, const struct val *document)
{
    write_message(b, &document_message, document);
}
