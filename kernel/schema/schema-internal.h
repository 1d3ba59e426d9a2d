/* schema-internal.h - the generated tables, as schema.c sees them. */
#ifndef SCHEMA_INTERNAL_H
#define SCHEMA_INTERNAL_H

#include <pthread.h>

#include "schema/schema.h"

struct schema_package {
    const char *name, *group, *version;
};

extern const struct schema_type schema_types[], schema_scalars[];
extern const struct schema_kind schema_kinds[];
extern const struct schema_package schema_packages[];
extern const size_t schema_type_count, schema_kind_count, schema_package_count;

/* custom.c. resource.at set: by resource name; else by group, version (empty: the preferred one) and kind or plural. */
struct custom_query {
    struct str group, version, kind, plural, resource;
};
size_t custom_count(void);
const struct schema_kind *custom_at(size_t i);
const struct schema_kind *custom_find(const struct custom_query *q);

#endif
