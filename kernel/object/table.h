/* table.h - cells of kubectl's tables: what the table*.c files share. */
#ifndef OBJECT_TABLE_H
#define OBJECT_TABLE_H

#include "object/object-internal.h"

struct cell_in {
    struct arena *arena;
    const struct val *v;
    int64_t now_ns;
};

typedef struct val *(*cell_fn)(const struct cell_in *in, const char *arg);

/* table_cells.c: cells that many kinds have; arg is a path, or what the name says. */
struct val *cell_text(const struct cell_in *in, const char *s);         /* s itself */
struct val *cell_str(const struct cell_in *in, struct str s);           /* copied */
struct val *cell_path(const struct cell_in *in, const char *path);      /* "<none>" when absent */
struct val *cell_maybe_text(const struct cell_in *in, const char *path); /* a number as text, "<unset>" when absent */
struct val *cell_unset(const struct cell_in *in, const char *path);     /* "<unset>" when absent */
struct val *cell_unknown(const struct cell_in *in, const char *path);   /* "<unknown>" when absent */
struct val *cell_plain(const struct cell_in *in, const char *path);
struct val *cell_number(const struct cell_in *in, const char *path);
struct val *cell_count(const struct cell_in *in, const char *path);
struct val *cell_boolean(const struct cell_in *in, const char *path);
struct val *cell_flag(const struct cell_in *in, const char *path);      /* "True", "False", "<unset>" */
struct val *cell_age(const struct cell_in *in, const char *path);       /* "<unknown>" when absent */
struct val *cell_since(const struct cell_in *in, const char *path);     /* "<none>" when absent */
struct val *cell_ready(const struct cell_in *in, const char *paths);    /* "a|b": "1/3" */
struct val *cell_names(const struct cell_in *in, const char *path);     /* .name of each, joined */
struct val *cell_images(const struct cell_in *in, const char *path);
struct val *cell_selector(const struct cell_in *in, const char *path);  /* a label selector */
struct val *cell_labels(const struct cell_in *in, const char *path);    /* a map of labels */
struct val *cell_joined(const struct cell_in *in, const char *list_path, const char *member);
struct val *cell_strings(const struct cell_in *in, const char *path);
struct val *cell_audiences(const struct cell_in *in, const char *path);
struct val *cell_seconds(const struct cell_in *in, const char *path);
/* A set of texts: members of an object that nobody sees. Joined by commas, sorted. */
void table_set_add(struct arena *a, struct val *set, struct str s);
void table_set_join(struct arena *a, struct buf *b, struct val *set);
/* Where a status's load balancer is reached. */
struct val *table_balancer(struct arena *a, const struct val *v);
const char *table_human(struct arena *a, int64_t s);                    /* upstream's HumanDuration */

/* table_policies.c: what admission and devices are about */
struct val *cell_param_kind(const struct cell_in *in, const char *path);
struct val *cell_param_ref(const struct cell_in *in, const char *path);
struct val *cell_claim_state(const struct cell_in *in, const char *arg);
struct val *cell_component(const struct cell_in *in, const char *member);

/* table_pod.c */
struct val *cell_pod_ready(const struct cell_in *in, const char *arg);
struct val *cell_pod_status(const struct cell_in *in, const char *arg);
struct val *cell_pod_restarts(const struct cell_in *in, const char *arg);
struct val *cell_pod_gates(const struct cell_in *in, const char *arg);

/* table_core.c: of core's other kinds */
struct val *cell_data_count(const struct cell_in *in, const char *arg);
struct val *cell_service_ports(const struct cell_in *in, const char *arg);
struct val *cell_external_ip(const struct cell_in *in, const char *arg);
struct val *cell_endpoints(const struct cell_in *in, const char *arg);
struct val *cell_node_status(const struct cell_in *in, const char *arg);
struct val *cell_node_roles(const struct cell_in *in, const char *arg);
struct val *cell_node_kernel(const struct cell_in *in, const char *arg);
struct val *cell_node_ip(const struct cell_in *in, const char *type);
struct val *cell_event_part(const struct cell_in *in, const char *arg); /* its message, else (any arg) the part of the object */
struct val *cell_event_object(const struct cell_in *in, const char *arg);
struct val *cell_event_age(const struct cell_in *in, const char *arg);  /* "first" or "last" */
struct val *cell_event_count(const struct cell_in *in, const char *arg);
struct val *cell_event_source(const struct cell_in *in, const char *arg);
struct val *cell_quota(const struct cell_in *in, const char *arg);      /* "limits" or "requests" */
struct val *cell_access_modes(const struct cell_in *in, const char *path);
struct val *cell_phase(const struct cell_in *in, const char *arg);      /* of volumes and claims */
struct val *cell_claim(const struct cell_in *in, const char *arg);
struct val *cell_claim_capacity(const struct cell_in *in, const char *arg);
struct val *cell_claim_modes(const struct cell_in *in, const char *arg);

/* table_groups.c: of other groups' kinds */
struct val *cell_job_status(const struct cell_in *in, const char *arg);
struct val *cell_job_completions(const struct cell_in *in, const char *arg);
struct val *cell_job_duration(const struct cell_in *in, const char *arg);
struct val *cell_int_or_string(const struct cell_in *in, const char *path);     /* "N/A" when absent */
struct val *cell_ingress_hosts(const struct cell_in *in, const char *arg);
struct val *cell_ingress_address(const struct cell_in *in, const char *arg);
struct val *cell_ingress_ports(const struct cell_in *in, const char *arg);
struct val *cell_class_name(const struct cell_in *in, const char *annotation);  /* with " (default)" */
struct val *cell_class_parameters(const struct cell_in *in, const char *arg);
struct val *cell_slice_ports(const struct cell_in *in, const char *arg);
struct val *cell_slice_endpoints(const struct cell_in *in, const char *arg);
struct val *cell_hpa_targets(const struct cell_in *in, const char *arg);
struct val *cell_reference(const struct cell_in *in, const char *path);         /* "Kind/name" */
struct val *cell_subjects(const struct cell_in *in, const char *kind);
struct val *cell_controller(const struct cell_in *in, const char *arg);
struct val *cell_parent(const struct cell_in *in, const char *path);    /* of an IPAddress */
struct val *cell_api_service(const struct cell_in *in, const char *arg);
struct val *cell_api_available(const struct cell_in *in, const char *arg);
struct val *cell_maybe(const struct cell_in *in, const char *path);     /* a number; "<none>" when absent */
struct val *cell_condition(const struct cell_in *in, const char *type); /* its status, "?" when absent */
struct val *cell_usage(const struct cell_in *in, const char *resource); /* of a node, or of all containers of a pod */
struct val *cell_csr_condition(const struct cell_in *in, const char *arg);

#endif
