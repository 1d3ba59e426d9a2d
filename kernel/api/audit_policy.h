/* audit_policy.h - audit.k8s.io/v1 Policy: of which requests is kept how much. Read once, then constant. */
#ifndef API_AUDIT_POLICY_H
#define API_AUDIT_POLICY_H

#include <keelson/iface/auth.h>

#include "base/json.h"

enum audit_level { AUDIT_NONE = 0, AUDIT_METADATA, AUDIT_REQUEST, AUDIT_REQUEST_RESPONSE };
enum audit_stage { STAGE_RECEIVED = 1, STAGE_STARTED = 2, STAGE_COMPLETE = 4, STAGE_PANIC = 8 };
extern const char *const audit_level_texts[4];
const char *audit_stage_text(enum audit_stage s);

struct audit_policy;

/* What the first rule that matches says; without one: AUDIT_NONE. */
struct audit_decision {
    uint8_t level;                      /* enum audit_level */
    uint8_t omit;                       /* enum audit_stage bits */
    bool omit_managed;                  /* objects are kept without metadata.managedFields */
};

/* KL_INVALID: "file:line: field: what is wrong". */
int audit_policy_load(const char *path, struct audit_policy **ret, struct kl_err *err);
void audit_policy_free(struct audit_policy *p);         /* NULL is fine */
struct audit_decision audit_policy_ask(const struct audit_policy *p, const struct kl_user *user, const struct kl_request *r);

#endif
