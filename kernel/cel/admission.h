/* admission.h - the variables that expressions of admission see: policies, match conditions. */
#ifndef CEL_ADMISSION_H
#define CEL_ADMISSION_H

#include "cel/cel.h"

enum cel_admission_var {
    CEL_VAR_OBJECT = 0, CEL_VAR_OLD_OBJECT, CEL_VAR_REQUEST, CEL_VAR_NAMESPACE, CEL_VAR_PARAMS, CEL_VAR_AUTHORIZER, CEL_VAR_REQUEST_RESOURCE,
    CEL_VAR_VARIABLES, CEL_ADMISSION_VARS
};

#define CEL_WITH_PARAMS     1u
#define CEL_WITH_AUTHORIZER 2u

/* object, oldObject, request, namespaceObject and what `with` adds; variables (NULL: none) is the type of the variable of that name. */
void cel_admission_vars(struct cel_var ret[CEL_ADMISSION_VARS], unsigned with, const struct cel_type *variables);
/* An expression over them whose value is of that kind. NULL: *ret_why is what upstream says of it. */
struct cel_program *cel_admission_compile(struct arena *a, struct str text, const struct cel_var *vars, unsigned flags, enum cel_kind kind,
                                          const char **ret_why);
/* `request`, from the members of an AdmissionRequest. */
struct cel_val cel_of_request(const struct val *request);
/* `authorizer`, and `authorizer.requestResource`, which asks about what is in `ask`. */
struct cel_val cel_of_authorizer(struct arena *a);
struct cel_val cel_of_resource_check(struct arena *a, const struct cel_ask *ask);

#endif
