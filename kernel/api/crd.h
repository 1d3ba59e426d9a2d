/* crd.h - custom resources: what crd.c and crd_kind.c share. [loop] */
#ifndef API_CRD_H
#define API_CRD_H

#include "api-internal.h"
#include "conversion.h"
#include "object/custom.h"

#define CRD_RESOURCE "apiextensions.k8s.io/customresourcedefinitions"
#define CRD_MEMBERS 200                 /* most members of a root */

struct crd_version {
    struct schema_kind kind;
    struct custom_schema *schema;
    bool served, storage;
    const char *deprecated;             /* what its clients are told; NULL: nothing */
};

/* The kinds of one state of a definition. */
struct crd_kinds {
    struct crd_kinds *next;
    struct store_object *source;        /* the definition: schemas point into its bytes */
    struct arena *arena;
    struct crd_version *at;
    unsigned n;
    struct crd_webhook *webhook;        /* who converts between the versions; NULL: they differ by name alone */
    int64_t retired_ns;                 /* no longer looked up since; requests under way may still hold it */
};

/* NULL: out of memory, the definition has no stored version, or its caBundle holds no certificate. */
struct crd_kinds *crd_kinds_new(struct store_object *source, const struct val *crd);
void crd_kinds_free(struct crd_kinds *d);
/* Of a custom resource's kind: what whoever uses that version is told. NULL: nothing. */
const char *crd_deprecated(const struct schema_kind *k);
/* The definition was written again with the same spec: its former bytes need not be held for the schemas, while nobody has parsed them. */
void crd_kinds_move(struct crd_kinds *d, struct store_object *source);

/* Names that definitions hold (status.acceptedNames), in memory: each new one is compared with all of its group. */
struct crd_names {
    struct list link;
    struct str definition, group, accepted;     /* accepted: JSON */
    char text[];
};

/* crd_status.c: the status that a definition should have, given what else is defined. ret_established: what it has says so already. */
struct val *crd_status(const struct list *names, struct arena *a, const struct val *crd, bool *ret_established);

#endif
