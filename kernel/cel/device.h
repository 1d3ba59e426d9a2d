/* device.h - selectors of devices (resource.k8s.io): expressions over `device`, as classes and claims have them. Pure, [any]. */
#ifndef CEL_DEVICE_H
#define CEL_DEVICE_H

#include "cel/cel.h"

#define CEL_DEVICE_MOST (10 << 10)      /* bytes of an expression */
#define CEL_DEVICE_COST 1000000u        /* of one evaluation; what may cost more (cel_estimate) is refused when it is written */

/* NULL: *ret_why is what upstream says ("compilation failed: ...", "must evaluate to bool ..."). The program lives in the arena. */
struct cel_program *cel_device_compile(struct arena *a, struct str text, const char **ret_why);

/* What the expressions see of one device of a ResourceSlice, made once for all of them in the arena. */
struct cel_device;
const struct cel_device *cel_device_new(struct arena *a, struct str driver, const struct val *device, const char **ret_why);
/* 1, 0; < 0: it has no value, *ret_why says why. scratch: for the evaluation alone. */
int cel_device_matches(const struct cel_program *p, const struct cel_device *d, struct arena *scratch, const char **ret_why);

#endif
