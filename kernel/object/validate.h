/* validate.h - what the validate*.c files share: places, complaints in upstream's words, and the grammars of names.
 *
 * A place is a chain of frames on the stack; IN, ITEM and KEY make one below another for the length of the block they stand in.
 */
#ifndef OBJECT_VALIDATE_H
#define OBJECT_VALIDATE_H

#include "base/map.h"
#include "object/object-internal.h"

#define IN(up, member) (&(struct path){ (up), str_of(member), 0 })
#define ITEM(up, i)    (&(struct path){ (up), STR_NONE, (i) })
#define KEY(up, k)     (&(struct path){ (up), (k), PATH_KEY })

typedef struct object_causes *causes;

/* Texts that were met: lists are as long as a client makes them, so nobody compares each with each. Keys are borrowed. */
struct met {
    struct map m;
};
bool met_again(struct met *s, struct str key);          /* met before? It is now. */
bool met(const struct met *s, struct str key);
void met_all(struct met *s, const struct val *list, const char *member);
void met_end(struct met *s);
#define _cleanup_met_ __attribute__((cleanup(met_end)))

/* --- validate_say.c: one complaint each --- */
void say_required(causes c, const struct path *p, const char *detail);                  /* detail may be NULL or "" */
void say_invalid(causes c, const struct path *p, struct str value, const char *detail); /* value in quotes */
void say_invalid_int(causes c, const struct path *p, int64_t value, const char *detail);
void say_invalid_val(causes c, const struct path *p, const struct val *v, const char *detail);   /* v as JSON; NULL: null */
void say_forbidden(causes c, const struct path *p, const char *detail);
void say_duplicate(causes c, const struct path *p, struct str value);
void say_duplicate_val(causes c, const struct path *p, const struct val *v, const char *detail);
void say_not_found(causes c, const struct path *p, struct str value);
void say_too_long(causes c, const struct path *p, size_t most, const char *unit);
void say_too_many(causes c, const struct path *p, long n, long most, const char *what);
/* choices in the order in which upstream lists them: mostly sorted. */
void say_unsupported(causes c, const struct path *p, struct str value, const char *const *choices);
void say_unsupported_val(causes c, const struct path *p, const struct val *v, const char *const *choices);
void say_immutable(causes c, const struct path *p, const struct val *now);
void say_with(causes c, const char *reason, const struct path *p, const char *head, const char *detail);        /* "HEAD: DETAIL" */
/* validate_shown.c: a value of that type ("io.k8s.api.policy.v1.PodDisruptionBudgetSpec"), or a list of such, as upstream's internal types show it. */
const char *shown_as(causes c, const char *type, const struct val *v);                         /* "" when the type is not known */
/* validate_diff.c: what is no more and what is new, as lines with some around them, behind a new line; "": none to show. */
const char *changed_lines(causes c, const char *type, const struct val *old, const struct val *now);
void say_invalid_as(causes c, const struct path *p, const char *type, const struct val *v, const char *detail);
bool check_immutable_as(causes c, const struct path *p, const char *type, const struct val *now, const struct val *old);
__attribute__((format(printf, 2, 3))) const char *words(causes c, const char *fmt, ...);        /* a detail made up */

/* validate_order.c: complaints in the order of sections ("spec.validations"), then of items, then of an item's members; what no section is about comes first. */
struct cause_section {
    const char *field;                  /* NULL ends the list */
    const char *const *members;         /* NULL: as they were found; "": all that have no name here */
};
void causes_order(causes c, const struct cause_section *sections);

/* --- checks of one value; each false when it complained --- */
bool check_choice(causes c, const struct path *p, struct str value, const char *const *choices);
bool check_required_str(causes c, const struct path *p, struct str value);
bool check_at_least(causes c, const struct path *p, int64_t n, int64_t least);          /* "must be greater than or equal to N" */
bool check_positive(causes c, const struct path *p, int64_t n);                         /* "must be greater than 0" */
bool check_between(causes c, const struct path *p, int64_t n, int64_t least, int64_t most);
bool check_port(causes c, const struct path *p, int64_t n);
bool check_nonnegative(causes c, const struct path *up, const struct val *v, const char *member);       /* absent is fine */
bool check_immutable(causes c, const struct path *up, const struct val *now, const struct val *old, const char *member);
bool check_immutable_str(causes c, const struct path *up, const struct val *now, const struct val *old, const char *member);  /* absent is "" */
bool check_ip(causes c, const struct path *p, struct str s);                            /* v4 or v6 */
bool check_ip_strict(causes c, const struct path *p, struct str s);
bool check_cidr(causes c, const struct path *p, struct str s);
bool is_ip(struct str s, bool *ret_v6);                                                 /* ret_v6 may be NULL */
bool is_ip_of_old(struct str s, bool *ret_v6);                                          /* 010.0.0.1 was one once */
bool is_cidr(struct str s, bool *ret_v6);
/* 010.2.3.4: the same as 10.2.3.4 to some, 8.2.3.4 to others. Of an address of v4: without such zeros, and how long that is. */
size_t ip_without_zeros(struct str s, char ret[64]);

/* --- validate_names.c: grammars --- */
enum grammar {
    G_SUBDOMAIN = 1, G_LABEL, G_LABEL_1035, G_QUALIFIED, G_LABEL_VALUE, G_CONFIG_KEY, G_ENV_NAME, G_HTTP_HEADER, G_PATH_SEGMENT,
    G_SUBDOMAIN_UNDERSCORE, G_WILDCARD_SUBDOMAIN, G_PORT_NAME, G_FQDN, G_PERCENT, G_DOMAIN_PREFIXED_PATH, G_PATH,
    G_ANY                               /* upstream does not look */
};
/* A complaint for each thing that is wrong with s. */
bool check_name(causes c, const struct path *p, struct str s, enum grammar g);
bool check_name_caseless(causes c, const struct path *p, struct str s, enum grammar g);         /* as if it were in lower case */
bool check_driver(causes c, const struct path *p, struct str name);     /* of a storage or device driver; required */
/* The same complaints as texts: at most `most` into ret; returns how many. */
const char *name_wrong(causes c, struct str s, enum grammar g);          /* all of them in one text, with commas; NULL: none */
unsigned name_errors(struct arena *a, struct str s, enum grammar g, const char **ret, unsigned most);
bool is_name(struct str s, enum grammar g);

/* --- validate_meta.c: parts that many kinds have --- */
enum grammar name_grammar(const struct schema_kind *k);
/* old: of an update, or NULL; status: of the object's status. */
void check_metadata(causes c, const struct schema_kind *k, bool status, const struct val *v, const struct val *old);
void check_only_name(causes c, const struct val *m, const char *wanted, const char *why);       /* there is one that this object may have */
void check_embedded_meta(causes c, const struct path *p, const struct val *m);                  /* of an object within another */
const char *metadata_ways(const struct schema_kind *k, bool status);    /* validate_meta_ways.c */
void check_labels(causes c, const struct path *p, const struct val *labels);
void check_annotations(causes c, const struct path *p, const struct val *annotations);
/* metav1.LabelSelector. */
void check_selector(causes c, const struct path *p, const struct val *selector);
bool selector_is_empty(const struct val *selector);
bool selects(causes c, const struct val *selector, const struct val *labels);
bool selector_is_good(causes c, const struct val *selector);            /* can it be asked at all? */
const struct val *selector_shown(causes c, const struct val *selector); /* without its empty members */

/* --- the rest, by what it is about --- */
/* validate_pod.c: of a pod or a template. */
struct pod_place {
    const struct val *meta, *spec;      /* the pod's or the template's */
    bool is_template;
    struct met volumes;                 /* without those that were complained about: nothing can mount them */
    struct met claims;
};
void check_pod_spec(causes c, const struct path *p, struct pod_place *where);
void check_template(causes c, const struct path *p, const struct val *t);
void check_preemption(causes c, const struct path *p, struct str policy);
void check_pod(causes c, const struct val *v);         /* all but what creating or updating one may not */
void check_pod_update(causes c, const struct val *v, const struct val *old);
/* validate_container.c */
void check_containers(causes c, const struct path *p, const struct pod_place *where);
void check_env_value(causes c, const struct path *p, const struct val *from);
/* validate_resources.c */
void check_resource_name(causes c, const struct path *p, struct str name);
void check_container_resource_name(causes c, const struct path *p, struct str name);
bool check_quantity(causes c, const struct path *p, struct str name, struct str value);         /* not negative; whole where it must be */
bool is_native_resource(struct str name);
bool is_extended_resource(struct str name);
bool is_integer_resource(struct str name);
void check_resources(causes c, const struct path *p, const struct val *res, const struct met *claims);
/* validate_volume.c */
void check_volumes(causes c, const struct path *p, struct pod_place *where);
bool volume_known(const struct pod_place *where, struct str name);
void check_volume_spec(causes c, const struct path *p, const struct val *spec, bool inlined);   /* validate_storage.c; inlined: of an attachment without a volume */
void check_old_source(causes c, const struct path *p, const char *member, const struct val *v, bool persistent);       /* validate_sources.c */
void check_claim_spec(causes c, const struct path *p, const struct val *spec);
void check_field_ref(causes c, const struct path *p, const struct val *ref, const char *const *allowed);
void check_resource_field_ref(causes c, const struct path *p, const struct val *ref, bool volume);
void check_host_path(causes c, const struct path *p, const struct val *v);       /* of a pod or of a PersistentVolume */
bool check_backsteps(causes c, const struct path *p, struct str path);          /* has it no ".."? */
void check_local_path(causes c, const struct path *p, struct str path, bool reserved);
/* validate_webhooks.c: which requests a webhook or a policy is about. */
void check_admission_rule(causes c, const struct path *p, const struct val *rule);
/* validate_definition_parts.c */
void check_definition_names(causes c, const struct path *p, const struct val *names);
void check_definition_version(causes c, const struct path *p, const struct val *version);       /* its parts; one of definition_versions() */
void check_definition_parts(causes c, const struct path *spec, const struct val *versions);     /* those that all share */
struct val *definition_versions(struct arena *a, const struct val *versions);                   /* without what all share */
/* validate_claims.c: names and parts that claims and slices of devices share. */
bool check_too_many(causes c, const struct path *p, const struct val *list, unsigned most);    /* false: nobody looks into it any more */
void check_request_name(causes c, const struct path *p, struct str name, const struct val *requests);
void check_request_names(causes c, const struct path *p, const struct val *list, const struct val *requests);
void check_template_meta(causes c, const struct path *p, const struct val *meta);        /* of what is made of a template: labels and annotations alone */
void check_opaque(causes c, const struct path *p, const struct val *config);
void check_raw(causes c, const struct path *p, const struct val *v, size_t most);              /* an object of at most so many bytes */
void check_pool_name(causes c, const struct path *p, struct str name);                          /* validate_devices.c */
void check_binding_conditions(causes c, const struct path *p, const struct val *device);                   /* bindingConditions and bindingFailureConditions */
void check_attribute_name(causes c, const struct path *p, struct str name, bool full);          /* validate_devices.c; full: with its domain */
/* validate_placement.c: affinity, tolerations, spreading, node selectors. */
void check_affinity(causes c, const struct path *p, const struct val *spec);
void check_spreading(causes c, const struct path *p, const struct val *spec);
void check_node_selector(causes c, const struct path *p, const struct val *selector);
void check_tolerations(causes c, const struct path *p, const struct val *list);
/* validate_security.c */
void check_pod_system(causes c, const struct path *p, const struct val *spec, struct str system);       /* "linux" or "windows" */
void check_pod_security(causes c, const struct path *p, const struct val *security, const struct val *spec);
void check_container_security(causes c, const struct path *p, const struct val *security);

/* validate_kinds.c: rules of the kind itself. False: there are none, the rows say all there is. */
bool validate_kind(const struct schema_kind *k, const struct val *v, const struct val *old, causes c);

/* validate_status.c: of a write of the status. */
void validate_status(const struct schema_kind *k, const struct val *v, const struct val *old, causes c);
void check_meta_conditions(causes c, const struct path *p, const struct val *list);         /* of metav1 */

/* The same of a subresource that writes a part of the object. */
bool validate_part(const struct schema_kind *k, const char *subresource, const struct val *v, const struct val *old, causes c);

#define KIND_RULES(name) void name(causes c, const struct val *v, const struct val *old)
KIND_RULES(kind_pod);
KIND_RULES(kind_pod_template);
KIND_RULES(part_ephemeral);             /* validate_pod_parts.c */
KIND_RULES(part_resize);
KIND_RULES(kind_service);               /* validate_service.c */
KIND_RULES(kind_endpoints);
KIND_RULES(kind_endpoint_slice);
KIND_RULES(kind_config_map);            /* validate_core.c */
KIND_RULES(kind_secret);
KIND_RULES(kind_namespace);
KIND_RULES(kind_node);
KIND_RULES(kind_service_account);
KIND_RULES(kind_event);
KIND_RULES(kind_dated_event);           /* validate_event.c: of events.k8s.io */
KIND_RULES(kind_quota);                 /* validate_limits.c */
KIND_RULES(kind_limit_range);
KIND_RULES(kind_volume);                /* validate_storage.c */
KIND_RULES(kind_claim);
KIND_RULES(kind_storage_class);
KIND_RULES(kind_replication_controller); /* validate_apps.c */
KIND_RULES(kind_deployment);
KIND_RULES(kind_replica_set);
KIND_RULES(kind_stateful_set);
KIND_RULES(kind_daemon_set);
KIND_RULES(kind_controller_revision);
KIND_RULES(kind_job);                   /* validate_batch.c */
KIND_RULES(kind_cron_job);
KIND_RULES(kind_ingress);               /* validate_network.c */
KIND_RULES(kind_ingress_class);
KIND_RULES(kind_network_policy);
KIND_RULES(kind_ip_address);            /* validate_addresses.c */
KIND_RULES(kind_service_cidr);
KIND_RULES(kind_api_service);
KIND_RULES(kind_budget);                /* validate_groups.c */
KIND_RULES(kind_autoscaler);
KIND_RULES(kind_role);
KIND_RULES(kind_role_binding);
KIND_RULES(kind_cluster_role);
KIND_RULES(kind_cluster_role_binding);
KIND_RULES(kind_priority_class);
KIND_RULES(kind_lease);
KIND_RULES(kind_flow_schema);           /* validate_flow.c */
KIND_RULES(kind_priority_level);
KIND_RULES(kind_definition);           /* validate_definition.c */
KIND_RULES(kind_webhooks);              /* validate_webhooks.c */
KIND_RULES(kind_validating_policy);     /* validate_policies.c */
KIND_RULES(kind_mutating_policy);
KIND_RULES(kind_validating_binding);
KIND_RULES(kind_mutating_binding);
KIND_RULES(kind_signing_request);       /* validate_signing.c */
KIND_RULES(status_signing_request);
KIND_RULES(kind_runtime_class);         /* validate_drivers.c */
KIND_RULES(kind_csi_driver);
KIND_RULES(kind_csi_node);
KIND_RULES(kind_csi_capacity);
KIND_RULES(kind_attachment);
KIND_RULES(kind_attributes_class);
KIND_RULES(kind_device_class);          /* validate_claims.c */
KIND_RULES(kind_device_claim);
KIND_RULES(kind_device_claim_template);
KIND_RULES(kind_device_slice);          /* validate_devices.c */
KIND_RULES(status_device_claim);        /* validate_claim_status.c */
KIND_RULES(status_pod);                 /* validate_pod_status.c */
KIND_RULES(status_quota);               /* validate_limits.c */
KIND_RULES(status_job);                 /* validate_status_work.c */
void check_counts(const struct schema_kind *k, const struct val *v, const struct val *old, causes c);
void check_webhook_client(causes c, const struct path *p, const struct val *conf);

/* For lists that may not be there: for (item, index). */
#define LIST_EACH(item, index, list) \
    for (struct { const struct val *at; long i; } index = { val_is((list), VAL_ARR) ? (list)->first : NULL, 0 }; index.at; \
         index.at = index.at->next, index.i++) \
        for (const struct val *item = index.at, *once_##item = item; once_##item; once_##item = NULL)

#endif
