/* gen-tables.h - words of the rows files, for gen.c. */
#ifndef SCHEMA_GEN_TABLES_H
#define SCHEMA_GEN_TABLES_H

static const struct {
    const char *row, *kind, *name;
} scalars[] = {
    { "string", "T_STRING", "string" },
    { "bool", "T_BOOL", "boolean" },
    { "int32", "T_INT32", "int32" },
    { "int64", "T_INT64", "int64" },
    { "double", "T_DOUBLE", "double" },
    { "bytes", "T_BYTES", "bytes" },
    { "Time", "T_TIME", "io.k8s.apimachinery.pkg.apis.meta.v1.Time" },
    { "MicroTime", "T_MICROTIME", "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime" },
    { "Duration", "T_DURATION", "io.k8s.apimachinery.pkg.apis.meta.v1.Duration" },
    { "Quantity", "T_QUANTITY", "io.k8s.apimachinery.pkg.api.resource.Quantity" },
    { "IntOrString", "T_INT_OR_STRING", "io.k8s.apimachinery.pkg.util.intstr.IntOrString" },
    { "RawExtension", "T_RAW", "io.k8s.apimachinery.pkg.runtime.RawExtension" },
    { "FieldsV1", "T_JSON", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1" },
    { "JSON", "T_JSON", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON" },
    { "SchemaOrBool", "T_JSON_SCHEMA_OR_BOOL", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool" },
    { "SchemaOrArray", "T_JSON_SCHEMA_OR_ARRAY", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray" },
    { "SchemaOrStrings", "T_JSON_SCHEMA_OR_STRINGS",
      "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray" },
    { "strings", "T_STRINGS", "strings" },
};
#define N_SCALARS (sizeof scalars / sizeof *scalars)

static const struct {
    const char *word, *bits;
} kind_flags[] = {
    { "ns", "K_NAMESPACED" }, { "status", "K_STATUS" }, { "scale", "K_SCALE" }, { "uncond", "K_UNCONDITIONAL_UPDATE" },
    { "put", "K_CREATE_ON_UPDATE" }, { "gen", "K_GENERATION" }, { "graceful", "K_GRACEFUL" }, { "orphan", "K_ORPHAN_DEFAULT" },
    { "nodc", "K_NO_DELETECOLLECTION" }, { "ret", "K_RETURNS_OBJECT_ON_DELETE" },
};

#endif
