/* webhook.h - what the files of admission-webhook share.
 *
 * config.c keeps the two kinds of configurations as lists of hooks; match.c says which hooks a request concerns; exchange.c writes an
 * AdmissionReview and reads the answer; target.c says where a hook is called; memory.c remembers for a waiting request what was asked and
 * answered; review.c walks the hooks. All [loop].
 */
#ifndef WEBHOOK_H
#define WEBHOOK_H

#include <keelson/cel.h>
#include <keelson/iface/controller.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

#define WEBHOOK_GROUP "admissionregistration.k8s.io"

/* --- configurations --- */
struct hook {
    const struct config *config;
    const struct val *v;                /* the entry of webhooks[] */
    struct str name;
    const char *id;                     /* kind, configuration, its revision and the place in it: one set of words, one id */
    bool ignore, exact, reinvoke;       /* failurePolicy Ignore, matchPolicy Exact, reinvocationPolicy IfNeeded */
    bool dry_run;                       /* sideEffects allow it */
    int64_t timeout_s;
    void *conditions;                   /* of matchConditions; NULL: there are none */
};

struct config {
    struct list link;                   /* by name */
    struct str name;
    struct arena *arena;
    struct hook *hooks;
    unsigned n;
};

enum { MUTATING = 0, VALIDATING = 1 };
struct configs {
    struct list at[2];                  /* struct config, by name: the order in which they are asked */
    unsigned n[2];                      /* hooks */
    const struct kl_host *host;
    const struct kl_host_cel *cel;
};
void configs_init(struct configs *x, const struct kl_host *h, const struct kl_host_cel *cel);
/* v NULL: it is gone. False: out of memory. */
bool configs_set(struct configs *x, int kind, struct str name, const struct val *v, struct kl_call *c);
void configs_free(struct configs *x);
extern const struct kl_controller webhook_controller;
/* Of the controller's instance; NULL: it is not there. */
const struct configs *webhook_configs(const struct kl_host *h, struct kl_call *c);

/* --- what is asked about --- */
struct subject {
    const struct kl_request *r;
    const struct kl_admission_review *review;
    const char *operation;              /* "CREATE" ... */
    const char *ns;                     /* of a Namespace: its own name */
    struct val *object, *old;           /* trees, NULL: none */
    const struct val *ns_labels;        /* of the namespace */
    bool ns_known, ns_missing;          /* ns_labels was looked for; there is none */
    const char *const *others;          /* other names of the resource: group, version, resource, ..., NULL; NULL: not asked for yet */
    const char *const *as;              /* the three of those under which the hook is asked; NULL: as the client sent it */
    struct kl_bytes object_as, old_as;  /* the objects under that name */
};

/* match.c: pure */
const char *match_operation(const char *verb);
bool match_exempt(const struct kl_request *r);          /* kinds that no webhook is asked about */
bool match_rules(const struct val *rules, const char *operation, const struct kl_request *r, const char *ns);
/* The first of the other names that a rule has, in the rules' order; NULL: none. */
const char *const *match_others(const struct val *rules, const char *operation, const struct kl_request *r, const char *ns, const char *const *others);
/* Would a rule fit if the resource had other names? */
bool match_any_name(const struct val *rules, const char *operation, const struct kl_request *r, const char *ns);
bool match_labels(const struct val *selector, const struct val *labels);
bool match_object(const struct val *selector, const struct val *object, const struct val *old);

/* --- exchange.c --- */
/* {"kind":"AdmissionReview",...,"request":{"uid":"UID", and the rest. *ret_rest is where what follows the uid begins. */
#define REVIEW_HEAD "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\""
void exchange_write(struct buf *b, const char *uid, const struct subject *s, bool dry_run);
/* The request alone without the objects, as match conditions see it. */
void exchange_request(struct buf *b, const struct subject *s, bool dry_run);
struct answer {
    bool allowed;
    struct str patch;                   /* JSON; at NULL: none */
    const struct val *warnings, *status, *annotations;
};
/* NULL, or what is wrong with it. */
const char *exchange_read(struct arena *a, struct str body, const char *uid, bool mutating, struct answer *ret);
/* The Status of a refusal, as upstream completes it. */
struct val *exchange_status(struct arena *a, const struct val *status, struct str hook);

/* --- target.c --- */
struct target {
    struct kl_http_target http;
    const char *path, *shown;           /* shown: the URL as upstream has it in messages */
};
/* < 0: the reason is in c->err. */
int target_of(const struct kl_host *h, const struct kl_host_objects *objects, struct kl_call *c, struct arena *a, const struct hook *hook,
              struct target *ret);

/* --- memory.c --- */
struct question {
    struct list link;
    uint64_t digest[2];                 /* of the hook's id and all that is shown to it */
    uint64_t ticket;                    /* 0: it could not be asked */
    char uid[37];
    const char *failure;                /* why it could not be asked */
    const char *shown;
};

struct asked {                          /* one waiting request */
    struct list link;
    uint64_t request;
    struct arena *arena;
    struct list questions;
    unsigned next;                      /* hook to go on with behind a patch */
    struct str patch;                   /* what that was, for the audit trail */
    bool going_on;
    /* mutating: what reinvocation needs, made anew in each run */
    bool *invoked, *due;                /* of hooks: may be asked again; is to be */
    unsigned n;
    uint64_t last[2];                   /* digest of the object behind the last hook */
};

struct memory {
    struct list at[64];                 /* struct asked, by request */
};
void memory_init(struct memory *m);
struct asked *memory_find(struct memory *m, uint64_t request);
/* Found or made; NULL: out of memory. n: hooks. */
struct asked *memory_of(struct memory *m, uint64_t request, unsigned n);
struct question *memory_question(struct asked *k, const uint64_t digest[2]);
struct question *memory_ask(struct asked *k, const uint64_t digest[2]);
void memory_drop(struct asked *k, const struct kl_host *h, const struct kl_host_http *http);
void memory_free(struct memory *m, const struct kl_host *h, const struct kl_host_http *http);

/* --- one review at work --- */
struct webhooks {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_http *http;
    const struct kl_host_env *env;
    const struct kl_host_cel *cel;
    const struct kl_host_versions *versions;
    int kind;
    const struct configs *configs;      /* NULL: not looked for yet */
    struct memory memory;
    uint64_t key[4];                    /* of digests */
};

struct inquiry {
    struct webhooks *x;
    struct kl_call *call;
    struct arena *arena;
    struct asked *asked;
    struct subject subject;
    struct kl_admission_verdict *ret;
    unsigned n_warnings, n_notes, cap_notes;
    unsigned index;                     /* of the hook that is asked, among all */
    struct str request;                 /* as match conditions see it; at NULL: not written yet */
};

/* --- view.c --- */
/* Names of the resource beside the request's own; they are of interest only where a rule would fit but for group and version. */
const char *const *view_others(struct inquiry *q);
/* From here on the subject is seen under that name; NULL: as it was sent. < 0: q->call->err, or pending. */
int view_as(struct inquiry *q, const char *const *name);
/* The patch that a hook made for what it saw, as one for what the client sent. */
int view_patch(struct inquiry *q, struct str patch, struct kl_bytes *ret);

/* --- review.c --- */
extern const struct kl_admission mutating_webhook, validating_webhook;

#endif
