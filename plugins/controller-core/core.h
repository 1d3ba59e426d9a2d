/* core.h - what the files of controller-core share. */
#ifndef CORE_H
#define CORE_H

#include "ctl.h"
#include "meta.h"
#include "pods.h"

#define CORE_CONTROLLERS(X) X(endpointslice) X(endpoints) X(endpointslicemirroring)

#define DECLARE(ID) extern const struct kl_controller ID##_controller;
CORE_CONTROLLERS(DECLARE)

#define PODS       "/pods"
#define SERVICES   "/services"
#define ENDPOINTS  "/endpoints"
#define SLICES     "discovery.k8s.io/endpointslices"
#define NAMESPACES "/namespaces"
#define NODES      "/nodes"

#endif
