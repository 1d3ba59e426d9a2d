/* custom.h - schemas of custom resources (openAPIV3Schema of a CustomResourceDefinition, structural) and their interpreters.
 *
 * A schema is kept as the text it came as and parsed when it is first needed: a cluster may define thousands of kinds and use ten. The
 * interpreters walk the parsed JSON itself. [loop], since the parsed form is made in place.
 */
#ifndef OBJECT_CUSTOM_H
#define OBJECT_CUSTOM_H

#include "object/object.h"

struct custom_schema;

/* The text lives until custom_schema_free. NULL: out of memory. */
struct custom_schema *custom_schema_new(struct str text);
void custom_schema_free(struct custom_schema *s);                       /* NULL is fine */
/* A part of another: property `name` of its root. Made in the arena, needs no free; it may not outlive root. */
struct custom_schema *custom_schema_part(struct arena *a, struct custom_schema *root, struct str name);

/* The same text elsewhere, from now on. False: it was parsed where it is, and has to stay there. */
bool custom_schema_move(struct custom_schema *s, struct str text);
bool custom_schema_parsed(const struct custom_schema *s);
/* A copy that is the caller's to change, in a: what only documents look at is not kept parsed. */
struct val *custom_schema_copy(struct arena *a, const struct custom_schema *s);

/* The schema as JSON; NULL: none, or out of memory. */
const struct val *custom_schema_tree(const struct custom_schema *s);

/* A place for whatever others make of the schema once, in the schema's own arena. NULL: there is no tree. */
void **custom_schema_slot(const struct custom_schema *s, struct arena **ret_arena);

/* Drops what the schema does not know; strict gets `unknown field "spec.x"` for each. NULL knows everything. Of members of one name the last stays. */
struct path;
void custom_prune(const struct val *schema, struct val *v, const struct path *p, struct object_strict *strict);
void custom_unique(struct val *v, const struct path *p, struct object_strict *strict);
void custom_strict_order(struct object_strict *s);     /* as upstream finds it: what came twice, as it came, then what is not known, sorted */
void custom_default(struct arena *a, const struct val *schema, struct val *v);
/* Types, limits, patterns, lists and unions, with upstream's words. */
void custom_validate(const struct custom_schema *s, struct object_causes *c, const struct val *v, const struct val *old, const struct path *p);

/* Of a write of the status alone: nothing else is looked at. */
void custom_validate_status(const struct custom_schema *s, struct object_causes *c, const struct val *v, const struct val *old);

/* The number at a path such as ".spec.replicas"; NULL: none, or *ret_why (else NULL) says that it is something else. */
const struct val *custom_scale_at(struct arena *a, const struct val *v, const char *path, const char **ret_why);
/* Are the numbers of its scale such? status: of a write of the status. */
void custom_validate_scale(const struct schema_kind *k, struct object_causes *c, const struct val *v, bool status);

/* Is a definition's schema structural? Causes name the field below `field`. */
void custom_schema_check(struct object_causes *c, const struct val *schema, const char *field);

/* Have all of a definition's spec.versions (at least one) the same schema? Upstream then speaks of it as of the definition's own. */
bool custom_one_schema(const struct val *versions);

/* Columns of `kubectl get`: additionalPrinterColumns (NULL or empty: Age). */
struct val *custom_columns(struct arena *a, const struct val *printer_columns);
struct val *custom_cells(struct arena *a, const struct val *printer_columns, const struct val *v, int64_t now_wall_ns);
/* The first of the values at a path such as ".spec.items[*].name" or ".metadata.labels['a\\.b']"; NULL: there is none, or the path does not suit them. */
const struct val *custom_json_path(struct arena *a, const struct val *v, struct str path);

#endif
