/* objects.h - keelson.host.objects/0 in a server's process: straight into the API's operations, without HTTP. */
#ifndef API_OBJECTS_H
#define API_OBJECTS_H

#include "api/api.h"
#include "reconcile/objects.h"

/* Functions of the result are [any]: on the loop they answer at once (a write is durable later, and seen by reads at once); on
 * other threads they wait, a write until it lasts. Writers are "system:keelson:<who>" of system:masters. */
int api_objects_new(struct api *api, struct objects **ret, struct kl_err *err);
/* From here on other threads are answered KL_UNAVAILABLE instead of waiting for a loop that ends. [loop] */
void api_objects_stop(struct objects *o);
void api_objects_free(struct objects *o);

#endif
