/* policy.h - ValidatingAdmissionPolicy and MutatingAdmissionPolicy: what the policy*.c files share. [loop]
 *
 * Policies are part of the API, not something to be swapped, and their expressions read the object's tree in place: so they are a stage of
 * the kernel (a plugin links k_base alone, and would get each object as text). In each half of the chain they stand in front of the plugins that ask
 * elsewhere (webhooks). With no policy defined there is no stage.
 */
#ifndef API_POLICY_H
#define API_POLICY_H

#include "api-internal.h"
#include "cel/admission.h"
#include "object/custom.h"

#define POLICY_GROUP "admissionregistration.k8s.io"

struct expression {
    struct str name, text;
    struct cel_program *program, *message;       /* program NULL: why */
    const char *why;
    const struct val *source;
};

struct binding {
    struct binding *next;
    struct str name;
    const struct val *spec;
};

struct policy {
    struct policy *next;
    struct str name;
    const struct val *spec;
    bool mutating, ignores, reinvokes;  /* ignores: what goes wrong is let through */
    struct expression *conditions, *variables, *rules, *notes;   /* rules: validations or mutations; notes: audit annotations */
    unsigned n_conditions, n_variables, n_rules, n_notes;
    struct cel_field *fields;           /* of `variables` */
    struct binding *bindings;
};

#define POLICY_KINDS 4
struct policies {
    struct api *api;
    struct store_watch *watch[POLICY_KINDS];
    struct arena *arena;                /* of all below */
    struct policy *validating, *mutating;
    bool stale;
};

struct invoked;
struct annotation;

/* The policies at one request. */
struct walk_policies {
    struct api_stage stage;             /* first: it is this */
    const struct policies *all;
    struct api_op *op;
    struct arena *arena;
    const char *verb;                   /* "create", "update", "delete", "connect" */
    const struct schema_kind *kind;     /* of the object: the request's, or what is sent to a subresource */
    bool mutating, again, changed;      /* again: the second walk */
    bool noted;                         /* a failure is in the trail */
    bool dirty;                         /* a mutation was made, whether it changed something or not */
    struct invoked *invoked;
    struct annotation *annotations;
    const struct val *last;             /* the object behind the first walk */
    const struct val *object, *old, *namespace;
    const struct schema_kind *view;     /* the name under which a policy sees the object; object's own: shown and shown_old are object and old */
    const struct val *shown, *shown_old;
    const struct val *request;          /* of that view */
    bool has_namespace;                 /* namespace was looked up */
    bool pending;                       /* an authorizer that was asked has no answer yet: all that followed counts for nothing */
};

/* policy.c */
void policies_read(struct policies *x);                 /* anew, of what is stored */
struct policy *policy_compile(struct arena *a, const struct val *object, bool mutating);

/* policy_match.c */
const char *policy_operation(const char *verb);         /* "CREATE" */
/* MatchResources (NULL: all): the resource under the name that a rule has, the request's own first; NULL: it is not meant. */
const struct schema_kind *policy_matches(struct walk_policies *w, const struct val *resources);
/* From here on the object is seen under that name. False: it cannot be, *ret_why says why (NULL: a webhook has to convert it, w->pending). */
bool policy_view(struct walk_policies *w, const struct schema_kind *k, const char **ret_why);
const struct schema_kind *policy_kind(const struct walk_policies *w);           /* of what is seen */
struct val *policy_unview(struct walk_policies *w, struct val *v, const char **ret_why);       /* back: the object under its own name; NULL as above */
const struct val *policy_namespace(struct walk_policies *w);
/* The parameters of a binding: trees, one NULL when the policy has none. Returns how many; < 0: *ret_why. */
const struct schema_kind *policy_param_kind(const struct policy *p);             /* NULL: it is not served, or the policy has none */
int policy_params(struct walk_policies *w, const struct policy *p, const struct binding *b, const struct val ***ret, const char **ret_why);

/* policy_eval.c: one policy with one parameter. */
struct policy_run {
    struct walk_policies *w;
    const struct policy *policy;
    const struct val *params;
    int64_t budget;
    struct cel_val vars[CEL_ADMISSION_VARS];
    struct cel_val *values;             /* of variables so far */
    bool *known;
    struct cel_lazy lazy;
    struct cel_run run;
};
void policy_begin(struct policy_run *r, struct walk_policies *w, const struct policy *p, const struct val *params);
/* 1 yes, 0 no; < 0: *ret_why. */
int policy_conditions(struct policy_run *r, const char **ret_why);
/* The value; of kind CEL_ERROR with upstream's words when there is none. */
struct cel_val policy_value(struct policy_run *r, const struct expression *e, const struct cel_program *p);

/* policy_mutate.c: the tree after all mutations; NULL: *ret_why. */
struct val *policy_mutate(struct policy_run *r, struct val *v, const char **ret_why);

/* conditions.c: what is wrong with a list of match conditions over those variables; with those of a configuration of webhooks (old NULL: it is new). */
void policy_check_conditions(struct object_causes *c, const struct path *p, const struct val *list, const struct cel_var *vars);
void policy_check_webhooks(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *c);

/* devices.c: the same for selectors of devices. */
void devices_check(struct api_op *op, const struct val *v, struct object_causes *c);
/* claims.c: of a new claim (spec: with its requests), and of a write of a claim's status; op->err of KL_PENDING: who may is not known yet. */
void claim_check_admin(struct api_op *op, const struct val *spec, struct object_causes *c);
void claim_check_status(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *c);
/* policy_check.c: causes for what is wrong with a policy, a binding or a configuration of webhooks; warnings of type checking for a policy's status. */
void policy_check(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *c);
struct val *policy_type_warnings(struct arena *a, const struct val *policy);

#endif
