/* requests.h - what a pod asks a node for. Pure. */
#ifndef RECONCILE_REQUESTS_H
#define RECONCILE_REQUESTS_H

#include "base/json.h"

struct ledger_port {
    char ip[48];
    char protocol[8];
    int port;
};

/* Requests of a pod as the scheduler counts them: the larger of what runs together and what an init container needs. */
struct pod_requests {
    int64_t mcpu, memory;
    int64_t guess_mcpu, guess_memory;   /* the same, and 100m and 200 MiB for each container that says nothing: how full a node seems */
};
struct pod_requests pod_requests(const struct val *pod);
/* What else a pod asks for, each by name ("example.com/gpu", "ephemeral-storage", "hugepages-2Mi"): rare, so it is added up when it is asked for. */
struct ledger_amount {
    char name[128];
    int64_t value;
};
unsigned pod_amounts(const struct val *pod, struct ledger_amount *ret, unsigned max);
/* Host ports that its containers want; at most max. */
unsigned pod_host_ports(const struct val *pod, struct ledger_port *ret, unsigned max);
/* uid of its controlling owner, or STR_NONE. */
const struct val *pod_controller(const struct val *pod);       /* the reference to its controller; NULL: it has none */
struct str pod_owner_uid(const struct val *pod);

#endif
