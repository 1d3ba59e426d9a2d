/* podsecurity.h - the parts of admission-podsecurity. Trees and texts made live in the arena given. [any], without state. */
#ifndef PODSECURITY_H
#define PODSECURITY_H

#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "base/json.h"

enum level { PRIVILEGED = 0, BASELINE, RESTRICTED };

#define LATEST INT32_MAX                /* the minor version of "latest" */

struct level_version {
    enum level level;
    int32_t minor;
};

enum mode { ENFORCE = 0, AUDIT, WARN, MODES };

struct policy {
    struct level_version at[MODES];
};

struct finding {
    const char *reason, *detail;
};

struct findings {
    struct finding at[24];              /* there are fewer checks */
    unsigned n;
};

/* What is wrong with a pod (its metadata and spec) at that level. checks.c */
void check_pod(struct arena *a, struct level_version lv, const struct val *meta, const struct val *spec, struct findings *ret);
/* "reason (detail), reason (detail)"; without details: "reason, reason". */
const char *findings_text(struct arena *a, const struct findings *f, bool details);

/* policy.c */
extern const char *const mode_labels[MODES][2];                 /* level, version */
bool level_parse(struct str s, enum level *ret);
bool version_parse(struct str s, int32_t *ret);
const char *level_version_text(struct arena *a, struct level_version lv);      /* "restricted:latest" */
/* The policy of a namespace's labels (NULL: none). Faults go to causes (may be NULL): reason, field, message, one after the other;
 * what is wrong counts as upstream has it: enforce as restricted, audit and warn as privileged. */
struct policy policy_of(struct arena *a, const struct val *labels, const struct policy *defaults, struct val *causes);
bool policy_privileged(const struct policy *p);

#endif
