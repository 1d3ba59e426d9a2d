/* audit.h - the trail of requests: events of audit.k8s.io/v1, a line of JSON each, given to the hooks once per turn. [loop]
 *
 * Life: who asks is known -> audit_begin asks the policy; from here on rq->audit is set when anything is kept -> audit_decided (authorization) ->
 * audit_started (headers of what takes long) -> audit_answer (what goes out, as far as it is kept) -> audit_end. Without a policy all of them
 * return at once.
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include "api/audit_policy.h"
#include "base/prom.h"
#include "loop/loop.h"

struct api;
struct api_rq;
struct http_req;
struct schema_type;
struct val;
struct audit;

int audit_new(struct api *api, const char *policy_file, size_t event_max, struct audit **ret, struct kl_err *err);
void audit_free(struct audit *a);                       /* hands over what is left; NULL is fine */

/* asker: when rq->user is impersonated. */
void audit_begin(struct api_rq *rq);
void audit_decided(struct api_rq *rq, bool allowed, const char *reason);
/* An annotation of the event, of this run of the request; a key that is there gets the new value. Both are copied. */
void audit_note(struct api_rq *rq, const char *key, const char *value);
bool audit_keeps_objects(const struct api_rq *rq);      /* level Request and more */
/* What the request is about was understood: an object of that type (it is copied), or a patch. Not called: nothing is told of what came with it. */
void audit_asked(struct api_rq *rq, const char *group_version, const char *kind, const struct schema_type *t, const struct val *v);
void audit_asked_patch(struct api_rq *rq);
void audit_started(struct api_rq *rq);
/* The whole answer as text of that media type, or as a tree. Copies the text. */
void audit_answer(struct api_rq *rq, const char *media, struct str text);
void audit_answer_tree(struct api_rq *rq, struct val *v);
bool audit_wants_answer(const struct api_rq *rq);       /* of lists: whole, please */
void audit_end(struct api_rq *rq, struct http_req *r);
void audit_metrics(struct audit *a, struct prom *p);

#endif
