/* addresses.h - ServiceCIDRs and the IPAddresses out of them. */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include "core.h"

#define RANGES    "networking.k8s.io/servicecidrs"
#define ADDRESSES "networking.k8s.io/ipaddresses"

/* Does one of the ServiceCIDR's ranges hold that address? */
bool range_holds(const struct val *cidr, struct str ip);

#endif
