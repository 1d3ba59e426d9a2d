/* schema-internal.h - the generated tables, as schema.c sees them. */
#ifndef SCHEMA_INTERNAL_H
#define SCHEMA_INTERNAL_H

#include "schema/schema.h"

struct schema_package {
    const char *name, *group, *version;
};

extern const struct schema_type schema_types[], schema_scalars[];
extern const struct schema_kind schema_kinds[];
extern const struct schema_package schema_packages[];
extern const size_t schema_type_count, schema_kind_count, schema_package_count;

#endif
