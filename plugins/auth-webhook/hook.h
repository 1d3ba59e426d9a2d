/* hook.h - one server that is asked by POST, as a kubeconfig describes it, and what it has answered. All [loop] but hook_open. */
#ifndef AUTH_WEBHOOK_HOOK_H
#define AUTH_WEBHOOK_HOOK_H

#include <keelson/iface/auth.h>

#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

#define ENTRIES_MOST 4096u

struct hook {
    const struct kl_host *host;
    const struct kl_host_http *http;
    const struct kl_host_env *env;
    struct arena *arena;
    struct kl_http_target to;
    const char *path, *bearer;          /* bearer: "Bearer ..." or NULL */
    int64_t timeout_ns;
    struct map entries;                 /* struct entry, by digest of what was asked */
    struct list by_age;
    unsigned n;
};

/* How long an answer counts, by its status; < 0: it is no answer. */
typedef int64_t (*hook_ttl)(const void *ctx, const struct val *answer);

/* kubeconfig: a file that tells where the server is, and what to show it. */
int hook_open(struct hook *h, const struct kl_host *host, const char *kubeconfig, int64_t timeout_ns, struct kl_err *err);
void hook_close(struct hook *h);
/* What the server says to the body: from what it said before, or -KL_PENDING while it is asked. < 0: there is no answer (c->err). The tree
 * is in the arena. An answer is kept for a second even where it may not be kept at all: every request that waits for it sees it. */
int hook_ask(struct hook *h, struct kl_call *c, struct arena *a, struct str body, hook_ttl ttl, const void *ctx, struct val **ret);

#endif
