/* mirror.h - what a node's process sees of the cluster: chosen resources kept in a store of this process by list and watch, everything else asked
 * for and written through the API. [loop] except where said.
 *
 * The store has no provider: sources of controllers, lists and selectors work over it as over a server's. Its revisions are its own; objects carry
 * the server's resourceVersion.
 *
 * Life of a held resource: LISTING (as a stream of initial events where the server offers that) -> SYNCED, watching from that revision; a watch that
 * ends goes on from where it was, with back-off and jitter while the server is away; a revision that the server has forgotten (410) -> everything is
 * listed again, and only differences become events. What was read stays readable all the time.
 */
#ifndef MIRROR_MIRROR_H
#define MIRROR_MIRROR_H

#include "base/json.h"
#include "http/client.h"
#include "reconcile/objects.h"

struct mirror;

struct mirror_conf {
    struct loop *loop;
    struct http_client *http;           /* lives longer than the mirror */
    const char *agent;                  /* User-Agent; lives as long as the mirror */
};

int mirror_new(const struct mirror_conf *c, struct mirror **ret, struct kl_err *err);
/* Holds that resource ("/pods") from now on: of all namespaces, only what the field selector matches (NULL: all). Held already with another
 * selector: all of it. */
int mirror_hold(struct mirror *m, const char *resource, const char *field_selector, struct kl_err *err);
/* fn(ctx) once everything held has been read once (or was forbidden, and is then asked for directly); maybe at once. */
void mirror_on_synced(struct mirror *m, loop_fn fn, void *ctx);
struct store *mirror_store(struct mirror *m);
/* keelson.host.objects/0 over the mirror. On the loop it answers from what is held only; what else is asked for there is held from then on, and
 * the call fails with KL_UNAVAILABLE, to be tried again. */
struct objects *mirror_objects(struct mirror *m);
/* Calls under way end with KL_CANCELLED, and so do later ones. gone(ctx): nothing of it works any more; maybe at once. */
void mirror_stop(struct mirror *m, loop_fn gone, void *ctx);
/* After gone, when no thread is in a call any more. */
void mirror_free(struct mirror *m);
/* {"resources":[{"resource","selector","state","revision","objects","lists","watches","failures","lastError"}]} */
struct val *mirror_debug(struct mirror *m, struct arena *a);

#endif
