/* review.h - what is asked, as JSON. */
#ifndef AUTH_WEBHOOK_REVIEW_H
#define AUTH_WEBHOOK_REVIEW_H

#include <keelson/iface/auth.h>

#include "base/json.h"

/* A SubjectAccessReview; version "v1" or "v1beta1". Appended to b. */
void review_access(struct buf *b, struct arena *a, const char *version, const struct kl_user *u, const struct kl_request *r);
/* A TokenReview. */
void review_token(struct buf *b, struct arena *a, const char *version, const char *token, const char *const *audiences);

#endif
