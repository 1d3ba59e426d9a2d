/* openapi-internal.h - what the openapi*.c files share: a document of one of two forms in the making. */
#ifndef API_OPENAPI_INTERNAL_H
#define API_OPENAPI_INTERNAL_H

#include "api-internal.h"

struct openapi {
    struct arena *a;
    int form;                           /* 2: swagger 2.0, 3: OpenAPI 3.0 */
    struct val *paths, *schemas;
    struct map done;                    /* types that are in schemas */
};

/* openapi_schema.c: the type and all that it is made of become schemas (once). */
void openapi_add_type(struct openapi *d, const struct schema_type *t);
/* {"$ref": ...} to the type, which is added. */
struct val *openapi_ref(struct openapi *d, const struct schema_type *t);
struct val *openapi_gvk(struct arena *a, const char *group, const char *version, const char *kind);

/* openapi_custom.c: the root of a custom resource, from its definition's own schema. */
struct val *openapi_custom(struct openapi *d, const struct schema_type *t);

/* openapi_paths.c: the paths of a kind, with what they take and answer. */
void openapi_add_kind(struct openapi *d, const struct schema_kind *k);

/* openapi_gnostic.c: a form 2 document as the protobuf message openapi.v2.Document. */
void openapi_write_gnostic(struct buf *b, const struct val *document);

static inline void openapi_put(struct arena *a, struct val *obj, const char *key, const char *text)
{
    json_set_str(a, obj, str_of(key), str_of(text));
}

#endif
