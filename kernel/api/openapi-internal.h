/* openapi-internal.h - what the openapi*.c files share: a document of one of two forms in the making. */
#ifndef API_OPENAPI_INTERNAL_H
#define API_OPENAPI_INTERNAL_H

#include "api-internal.h"

struct openapi {
    struct arena *a;
    int form;                           /* 2: swagger 2.0, 3: OpenAPI 3.0 */
    struct str group, version;          /* form 3: of which it is */
    bool custom;                        /* form 3: of custom resources */
    struct val *paths, *schemas;
    struct map done;                    /* types that are in schemas */
};

/* openapi_schema.c: the type and all that it is made of become schemas (once). */
void openapi_add_type(struct openapi *d, const struct schema_type *t);
/* {"$ref": ...} to the type, which is added. */
struct val *openapi_ref(struct openapi *d, const struct schema_type *t);
struct val *openapi_ref_to(struct openapi *d, const char *name);        /* of what is in schemas, or will be */

/* openapi_gvk.c */
struct val *openapi_gvk(struct arena *a, const char *group, const char *version, const char *kind);
void openapi_add_gvks(struct openapi *d, const struct schema_type *t, struct val *v);

/* openapi_custom.c: the root of a custom resource, from its definition's own schema. */
struct val *openapi_custom(struct openapi *d, const struct schema_type *t);
/* The name of the definition of its list, which is added. */
const char *openapi_custom_list(struct openapi *d, const struct schema_kind *k);
void openapi_add_selectable(struct openapi *d, const struct schema_kind *k, struct val *v);

/* openapi_operation.c: what an operation takes and answers. */
struct openapi_operation {
    const char *method, *tag, *says, *id;
    const char *const *consumes, *const *produces;      /* media types; consumes at NULL: it takes nothing */
};
extern const char *const openapi_any[], *const openapi_built_in[], *const openapi_json[];
struct openapi_answer {                 /* one of them; none: text */
    const struct schema_type *type;
    const char *named;                  /* a definition */
};
struct val *openapi_operation_new(struct openapi *d, struct val *path, const struct openapi_operation *o);
struct val *openapi_parameter_new(struct openapi *d, const char *in, const char *name, const char *type, const char *says);
void openapi_sort_parameters(struct val *list);         /* by name */
void openapi_body(struct openapi *d, struct val *op, const struct openapi_operation *o, struct val *schema, bool required);
/* answer at NULL: without a body. */
void openapi_response(struct openapi *d, struct val *op, const struct openapi_operation *o, const char *code, const struct openapi_answer *answer);

/* openapi_paths.c: the paths of a kind, with what they take and answer. */
void openapi_add_kind(struct openapi *d, const struct schema_kind *k);
const char *openapi_group_title(struct arena *a, const char *group);    /* "RbacAuthorization": the group without its domain */
const char *openapi_tag(struct arena *a, const char *group, const char *version);      /* "apps_v1"; version at NULL: of a group */
#define OPENAPI_PRETTY "true: JSON that people can read. Browsers and curl get it anyway."

/* openapi_connect.c: a subresource that is a stream of bytes: exec, attach, portforward, proxy, log. */
void openapi_add_stream(struct openapi *d, const struct schema_kind *k, const struct schema_subresource *s, const char *url);

/* openapi_roots.c: what is not of a group's version: /api/, /apis/, /apis/GROUP/, /version/ ... Those of the key in the index ("apis/apps"), in
 * form 2 all. False: there is none. */
bool openapi_add_roots(struct openapi *d, struct str key, bool issues);
void openapi_index_roots(struct arena *a, bool issues, void (*add)(void *ctx, const char *key), void *ctx);

/* openapi_share.c: parameters that operations have in common, as form 2 has them: below a name of their own. */
void openapi_share_parameters(struct openapi *d, struct val *document);

/* openapi_gnostic.c: a document as the protobuf message openapi.v2.Document or openapi.v3.Document. */
void openapi_write_gnostic(struct buf *b, int form, const struct val *document);

static inline void openapi_put(struct arena *a, struct val *obj, const char *key, const char *text)
{
    json_set_str(a, obj, str_of(key), str_of(text));
}

#endif
