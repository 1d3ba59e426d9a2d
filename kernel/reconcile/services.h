/* services.h - which pods belong together, as Services and controllers say: for who spreads them without being asked. [loop] */
#ifndef RECONCILE_SERVICES_H
#define RECONCILE_SERVICES_H

#include "base/json.h"
#include "store/store.h"

struct services;

int services_new(struct store *s, struct services **ret, struct kl_err *err);
void services_free(struct services *x);
/* The LabelSelector of all Services that select the pod and of its controller (a ReplicationController, ReplicaSet or StatefulSet); NULL: there is none. In the arena. */
const struct val *services_selector(struct services *x, struct arena *a, const struct val *pod);

#endif
