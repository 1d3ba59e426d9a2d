/* claims.h - pods and their claims on devices. */
#ifndef CORE_CLAIMS_H
#define CORE_CLAIMS_H

#include "core.h"

#define CLAIMS "resource.k8s.io/resourceclaims"

/* The name of the claim behind an entry of spec.resourceClaims; STR_NONE: it has none (yet). */
struct str claim_of(const struct val *pod, const struct val *entry);
/* The entry of status.reservedFor of whoever has that uid, or NULL. */
const struct val *claim_user(const struct val *claim, struct str uid);
/* The device of an allocation's result, in its pool's newest slices; NULL: it is in none. */
const struct val *device_of(const struct ctl_list *slices, const struct val *result);
/* Until when whoever got that result bears the device's NoExecute taints, wall ns: INT64_MAX: for ever. device may be NULL. */
int64_t device_bears_until(const struct val *result, const struct val *device);

#endif
