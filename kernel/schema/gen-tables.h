/* gen-tables.h - words of the rows files and what is read from them, for gen.c. */
#ifndef SCHEMA_GEN_TABLES_H
#define SCHEMA_GEN_TABLES_H

#include <stdbool.h>

static const struct {
    const char *row, *kind, *name;
    bool is_struct;                     /* to Go, whose encoder finds it never empty */
} scalars[] = {
    { "string", "T_STRING", "string" },
    { "bool", "T_BOOL", "boolean" },
    { "int32", "T_INT32", "int32" },
    { "int64", "T_INT64", "int64" },
    { "double", "T_DOUBLE", "double" },
    { "bytes", "T_BYTES", "bytes" },
    { "Time", "T_TIME", "io.k8s.apimachinery.pkg.apis.meta.v1.Time", true },
    { "MicroTime", "T_MICROTIME", "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", true },
    { "Duration", "T_DURATION", "io.k8s.apimachinery.pkg.apis.meta.v1.Duration", true },
    { "Quantity", "T_QUANTITY", "io.k8s.apimachinery.pkg.api.resource.Quantity", true },
    { "IntOrString", "T_INT_OR_STRING", "io.k8s.apimachinery.pkg.util.intstr.IntOrString", true },
    { "RawExtension", "T_RAW", "io.k8s.apimachinery.pkg.runtime.RawExtension", true },
    { "FieldsV1", "T_JSON", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", true },
    { "JSON", "T_JSON", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", true },
    { "SchemaOrBool", "T_JSON_SCHEMA_OR_BOOL", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool" },
    { "SchemaOrArray", "T_JSON_SCHEMA_OR_ARRAY", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray" },
    { "SchemaOrStrings", "T_JSON_SCHEMA_OR_STRINGS",
      "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray" },
    { "strings", "T_STRINGS", "strings" },
};
#define N_SCALARS (sizeof scalars / sizeof *scalars)

static const struct {
    const char *word;
    unsigned bit;
} field_flags[] = {
    { "omitempty", 1 }, { "required", 4 }, { "set", 0x10 }, { "atomic", 0x40 }, { "merge", 0x80 },
    { "retainkeys", 0x100 }, { "replace", 0x200 }, { "structatomic", 0x400 }, { "omitzero", 0x800 },
    { "inline", 0x1000 }, { "optional", 0x2000 }, { "granular", 0x8000 },
};

/* Of documents.rows. */
static const struct {
    const char *word;
    unsigned set, clear;
} document_flags[] = {
    { "unlisted", 0x20000, 0 }, { "bare", 0x80000, 0 }, { "granular", 0x100000, 0 }, { "atomic", 0x200000, 0 }, { "default", 0, 0x10000 },
};

static const struct {
    const char *word, *bits;
} kind_flags[] = {
    { "measured", "K_MEASURED" }, { "ns", "K_NAMESPACED" }, { "status", "K_STATUS" }, { "scale", "K_SCALE" }, { "uncond", "K_UNCONDITIONAL_UPDATE" },
    { "put", "K_CREATE_ON_UPDATE" }, { "gen", "K_GENERATION" }, { "graceful", "K_GRACEFUL" }, { "orphan", "K_ORPHAN_DEFAULT" },
    { "nodc", "K_NO_DELETECOLLECTION" }, { "ret", "K_RETURNS_OBJECT_ON_DELETE" },
};

#define MOST_TYPES  1200
#define MOST_FIELDS 64                  /* flat ones too: schema_type.shown has a bit for each */
#define MOST_KINDS  128

struct field {
    char *json, *type, *doc, *fallback, *patch_key, *list_keys, *choices, *go;
    const char *shape;
    unsigned tag, flags, declared;      /* declared: place in the row order, which is JSON's */
    int type_at;                        /* index in types, or -1 - index of a scalar */
};

struct type {
    char *package, *key, *name, *doc, *one_of;
    bool typemeta, atomic;
    struct field f[MOST_FIELDS];
    unsigned n;
};

struct kind {
    char *group, *version, *line;
};

struct kind_row {
    char *kind, *plural, *short_names, *categories, *fields, *sub, *as;
    char flags[512];
    bool review, measured, status, scale;
};

struct package {
    char *key, *name, *group, *version;
};

/* gen_read.c */
extern struct type types[MOST_TYPES];
extern struct kind kinds[MOST_KINDS];
extern struct package packages[64];
extern unsigned n_types, n_kinds, n_packages;
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...);        /* with file and line */
char *word(char **at);                  /* the next one of a line; NULL at its end */
char *need(char **at, const char *what);
char *base_name(const char *path);
struct type *type_find(const char *key, const char *name);       /* NULL: none */
int pass_of(const char *key);
void read_file(const char *path);
void resolve(void);                     /* once all is read: types by name become places */

#endif
