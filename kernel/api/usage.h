/* usage.h - what is made when it is asked for: ComponentStatuses, and metrics.k8s.io: what nodes and pods use now. Nothing of it is stored: who asks makes this server ask the nodes (their stats/summary), whose
 * answers serve whoever else asks within a few seconds. An APIService for the group takes all of it over; while there is none, there is none of ours either. [loop]
 *
 * Nobody waits here: while nodes are asked, the answer is -KL_PENDING, and the request is woken (api_wake) when it can be given.
 */
#ifndef API_USAGE_H
#define API_USAGE_H

#include "api-internal.h"

struct api_usage;

/* usage_nodes.c */
struct api_usage *api_usage_new(struct api *api);       /* NULL: out of memory */
void api_usage_stop(struct api_usage *u);               /* nobody is asked any more */
void api_usage_free(struct api_usage *u);               /* after the streams have ended */
/* The node's summary, at most some seconds old; it lives until the loop's next turn. NULL with *ret_pending: request will be woken; without: it is not to be had. */
const struct val *api_usage_of(struct api *api, struct str node, uint64_t request, bool *ret_pending);

/* usage.c */
struct usage_query {
    const struct schema_kind *kind;         /* of metrics.k8s.io, or ComponentStatus */
    struct str ns, name;                    /* "": all */
    const struct selector *labels, *fields; /* NULL: all */
};
/* The metrics that are to be had, appended to `items`. -KL_PENDING, -KL_NO_MEMORY. */
int api_usage_read(struct api *api, struct arena *a, const struct usage_query *q, uint64_t request, struct val *items);
/* The list around them, or the one object. */
void api_usage(struct api_rq *rq);
/* For plugins: the text of a list, of the group's pods or nodes. As api_usage_read. sub: NULL, or '?' and a query. */
int api_usage_text(struct api *api, struct arena *a, const struct kl_object_key *k, uint64_t request, struct buf *b, struct api_error *e);

#endif
