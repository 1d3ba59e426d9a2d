/* schema.h - the API as rows: one per field of every built-in type, one per kind. Read by the interpreters in kernel/object; generated at
 * build time from the rows files in kernel/schema by kernel/schema/gen.c. Static, constant, [any]. Custom resources add kinds at run time.
 */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include "base/str.h"

enum schema_type_kind {
    T_STRUCT = 1,
    T_STRING, T_BOOL, T_INT32, T_INT64, T_DOUBLE,
    T_BYTES,                /* base64 in JSON */
    T_TIME, T_MICROTIME,    /* RFC 3339; protobuf message {1 seconds, 2 nanos} */
    T_DURATION,             /* metav1.Duration: Go text "1m0s" in JSON */
    T_QUANTITY,             /* canonical text; protobuf message {1 string} */
    T_INT_OR_STRING,
    T_RAW,                  /* runtime.RawExtension: any JSON object */
    T_JSON,                 /* apiextensions JSON, FieldsV1: any JSON value */
    T_JSON_SCHEMA_OR_BOOL, T_JSON_SCHEMA_OR_ARRAY, T_JSON_SCHEMA_OR_STRINGS,  /* unions of JSONSchemaProps */
    T_CUSTOM,               /* any JSON value that a custom resource's schema describes (schema_type.custom) */
    T_STRINGS               /* a list of strings that is a message of its own in protobuf (ExtraValue, Verbs) */
};

enum schema_shape { SHAPE_ONE = 1, SHAPE_LIST, SHAPE_MAP };     /* map: keys are strings */

#define F_OMITEMPTY   0x0001u
#define F_POINTER     0x0002u           /* *T upstream: absent differs from zero */
#define F_REQUIRED    0x0004u
#define F_PACKED      0x0008u
#define F_LIST_SET    0x0010u           /* +listType=set */
#define F_LIST_MAP    0x0020u           /* +listType=map; keys in list_keys */
#define F_LIST_ATOMIC 0x0040u
#define F_PATCH_MERGE 0x0080u           /* patchStrategy merge; key in patch_key (NULL: list of primitives) */
#define F_PATCH_RETAINKEYS 0x0100u
#define F_PATCH_REPLACE    0x0200u
#define F_STRUCT_ATOMIC    0x0400u
#define F_OMITZERO    0x0800u
#define F_INLINE_STRUCT 0x1000u         /* protobuf nests it (tag), JSON has its members in place */
#define F_OPTIONAL 0x2000u              /* marked +optional upstream */
#define F_PRESERVE 0x4000u              /* of a type: members that no field names are kept */
#define F_SHOWN 0x4000u                 /* of a field: JSON shows its zero when it is absent (no omitempty, or a struct by value) */
#define F_GRANULAR 0x8000u              /* merged member by member though its type is F_STRUCT_ATOMIC */
/* Of documents alone: */
#define F_DEFAULT_SET   0x10000u        /* fallback is set by code, and documents do not tell it */
#define F_UNLISTED      0x20000u        /* documents do not list choices */
#define F_LISTED        0x40000u        /* choices are for documents: checked elsewhere */
#define F_BARE          0x80000u        /* documents have no words for it */
#define F_TOLD_GRANULAR 0x100000u
#define F_TOLD_ATOMIC   0x200000u

struct schema_type;
struct custom_schema;
struct crd_kinds;
struct val;

struct schema_field {
    const char *json;                   /* member name */
    const struct schema_type *type;
    const char *patch_key;              /* strategic merge key, or NULL */
    const char *const *list_keys;       /* NULL-terminated, or NULL */
    const char *fallback;               /* default as JSON text, or NULL */
    const char *const *choices;         /* enum values, NULL-terminated, or NULL */
    const char *doc;                    /* one line of our own, or NULL */
    const char *go;                     /* text that has a type of its own upstream ("v1.PullPolicy"; of a list or a map, its elements), or NULL */
    uint16_t tag;                       /* protobuf number; 0: not in protobuf */
    uint8_t json_len, shape;
    uint32_t flags;
};

struct schema_type {
    const char *name;                   /* "io.k8s.api.core.v1.PodSpec", or the scalar's name */
    const char *go;                     /* "PodSpec" */
    const char *doc;
    const struct schema_field *fields;  /* by protobuf number: F_INLINE_STRUCT fields nest */
    const struct schema_field *const *flat;      /* in declaration order, as JSON sees them: members of inline structs in their place */
    const uint8_t *sorted;              /* indexes into flat, by name */
    const uint8_t *hashed;              /* SCHEMA_HASHED places: 1 + index into flat of a name with that schema_hash, 0 none; NULL: no table */
    uint64_t shown;                     /* a bit for each of flat that is F_SHOWN; none stands behind the 64th */
    uint16_t n_fields, n_flat;
    uint8_t kind;                       /* enum schema_type_kind */
    uint8_t has_typemeta;               /* apiVersion and kind are members too, before the others; not among the fields */
    uint16_t flags;                     /* F_STRUCT_ATOMIC, F_PRESERVE */
    const char *one_of;                 /* "DISCRIMINATOR:FIELD,...": one of these is there, or NULL */
    const struct custom_schema *custom; /* T_CUSTOM, and the root type of a custom resource: see object/custom.h */
};

#define SCHEMA_HASHED 64u
static inline unsigned schema_hash(struct str name)
{
    return name.len ? ((unsigned char)name.at[0] * 5u + (unsigned char)name.at[name.len - 1] * 3u + (unsigned char)name.at[name.len / 2] * 7u +
                       (unsigned)name.len) % SCHEMA_HASHED : 0;
}

#define K_NAMESPACED 0x01u
#define K_STORED     0x02u              /* else a review or an option kind: never stored */
#define K_LIST       0x04u              /* XxxList exists */
#define K_STATUS     0x08u              /* has the status subresource */
#define K_SCALE      0x10u
#define K_UNCONDITIONAL_UPDATE 0x20u    /* PUT without resourceVersion */
#define K_CREATE_ON_UPDATE     0x40u
#define K_GENERATION 0x80u              /* metadata.generation is kept */
#define K_GRACEFUL   0x100u             /* Pod */
#define K_ORPHAN_DEFAULT 0x200u         /* Job, ReplicationController: delete orphans when nothing is said */
#define K_NO_DELETECOLLECTION 0x400u
#define K_RETURNS_OBJECT_ON_DELETE 0x800u
#define K_CUSTOM     0x1000u            /* of a CustomResourceDefinition: JSON and YAML only */
#define K_TERMINATING 0x2000u           /* its definition is being deleted: nothing new is made */
#define K_MEASURED   0x8000u            /* made when asked for: get and list, nothing else */
#define K_REVISED    0x4000u            /* its definition was changed: what is stored may be of an earlier schema */

struct schema_subresource {
    const char *name;                   /* "status", "scale", "exec" */
    const char *group, *version, *kind; /* of the body */
    const char *verbs;                  /* "get,patch,update" */
};

struct schema_kind {
    const char *group, *version, *kind, *plural, *singular;
    const char *resource;               /* "group/plural": the name in store and plugins; of the storage version */
    const char *short_names, *categories;       /* comma-separated, or NULL */
    const char *selectable;             /* field selector paths beside metadata.name and .namespace, comma-separated, or NULL */
    const struct schema_type *type, *list_type;
    const struct schema_subresource *sub;
    uint32_t flags;
    uint16_t n_sub;
    uint16_t index;                     /* dense, 0..schema_n_kinds()-1 */
    const struct schema_kind *storage;  /* the kind it is stored as (itself, mostly; autoscaling/v1 HPA -> v2) */
    const char *list_kind;              /* NULL: kind and "List" */
    const struct val *columns;          /* K_CUSTOM: additionalPrinterColumns, or NULL */
    const char *scale_spec, *scale_status, *scale_selector;      /* K_CUSTOM: ".spec.replicas"; NULL: as everywhere */
    const struct crd_kinds *definition; /* K_CUSTOM: all its versions, and who converts between them (api/crd.h) */
};

size_t schema_n_kinds(void);                                            /* [loop], as those of custom resources come and go */
const struct schema_kind *schema_kind_at(size_t i);                     /* [loop] grouped: all kinds of one group/version together, in upstream's order of groups */
const struct schema_kind *schema_kind_find(struct str group, struct str version, struct str kind);
/* By URL: version empty = preferred. */
const struct schema_kind *schema_resource_find(struct str group, struct str version, struct str plural);
const struct schema_kind *schema_resource_by_name(struct str resource);         /* "group/plural" */
/* Any type that has apiVersion and kind, also options and lists ("DeleteOptions", "PodList"); group "" version "v1" for meta too. */
const struct schema_type *schema_type_find(struct str group, struct str version, struct str kind);
const struct schema_type *schema_type_by_name(struct str name);                 /* "io.k8s.api.core.v1.PodSpec" */
size_t schema_n_types(void);
const struct schema_type *schema_type_at(size_t i);
/* O(1) by perfect order or binary search. */
/* Index into t->flat, or -1. guess: where to look first (the index after the last hit: members mostly come in order). */
int schema_flat_find(const struct schema_type *t, struct str json, unsigned guess);
const struct schema_field *schema_field_find(const struct schema_type *t, struct str json);
const struct schema_field *schema_field_by_tag(const struct schema_type *t, uint32_t tag);

/* --- kinds made at run time. [loop] --- */
/* k must live until a while after schema_remove: requests under way hold it. False: out of memory. Kinds of another version than the storage
 * version point to one that may not be among the look-ups (a version that is stored but not served). */
bool schema_add(const struct schema_kind *k);
void schema_remove(const struct schema_kind *k);
uint64_t schema_generation(void);                                       /* grows with each change */
/* Kubernetes' order of versions, the preferred first: v2 v1 v1beta2 v1beta1 v1alpha1, then others by name. */
int schema_version_cmp(const char *a, const char *b);

#endif
