/* validate.h - what the validate*.c files share. */
#ifndef OBJECT_VALIDATE_H
#define OBJECT_VALIDATE_H

#include "object/object-internal.h"

void check_required(struct object_causes *c, const char *field, const char *detail);      /* detail may be NULL */
void check_invalid(struct object_causes *c, const char *field, struct str value, const char *detail);
void check_invalid_int(struct object_causes *c, const char *field, int64_t value, const char *detail);
void check_choices(struct object_causes *c, const char *field, struct str value, const char *const *choices);
void check_labels(struct object_causes *c, const struct val *labels, const char *field);

bool is_dns_label(struct str s);
bool is_dns_subdomain(struct str s);
bool is_qualified_name(struct str s);
extern const char subdomain_detail[], label_detail[];

/* validate_kinds.c: rules of the kind itself, if there are any. */
void validate_kind(const struct schema_kind *k, const struct val *v, const struct val *old, struct object_causes *c);
/* validate_pod.c: field is "spec" or "spec.template.spec". */
void validate_pod_spec(struct object_causes *c, const struct val *spec, const char *field);
void validate_pod_update(struct object_causes *c, const struct val *v, const struct val *old);

#endif
