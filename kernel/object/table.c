/* table.c - columns for `kubectl get`: a table of columns per kind, each cell a function and what it looks at. */
#include "object/table.h"

#include "object/custom.h"

struct column {
    const char *name, *type, *format;
    int priority;                       /* 1: only with -o wide */
    cell_fn cell;
    const char *arg;
};

#define NAME { "Name", "string", "name", 0, cell_plain, "metadata.name" }
#define AGE  C("Age", cell_age, "metadata.creationTimestamp")
#define C(name, fn, arg)    { name, "string", "", 0, fn, arg }
#define S(name, path)       C(name, cell_path, path)
#define P(name, path)       C(name, cell_plain, path)
#define WIDE(name, fn, arg) { name, "string", "", 1, fn, arg }
#define N(name, path)       { name, "integer", "", 0, cell_number, path }
#define D(name, path)       { name, "string", "", 0, cell_number, path }        /* a number whose column says otherwise, as upstream's does */
#define B(name, path)       { name, "boolean", "", 0, cell_boolean, path }
#define END { NULL, NULL, NULL, 0, NULL, NULL }
#define TEMPLATE(path) WIDE("Containers", cell_names, path ".spec.containers"), WIDE("Images", cell_images, path ".spec.containers")
#define TABLE(name, ...) static const struct column name[] = { __VA_ARGS__, END }

TABLE(generic, NAME, AGE);

/* --- core --- */
TABLE(pods, NAME, C("Ready", cell_pod_ready, NULL), C("Status", cell_pod_status, NULL), C("Restarts", cell_pod_restarts, NULL), AGE,
      WIDE("IP", cell_path, "status.podIP"), WIDE("Node", cell_path, "spec.nodeName"), WIDE("Nominated Node", cell_path, "status.nominatedNodeName"),
      WIDE("Readiness Gates", cell_pod_gates, NULL));
TABLE(pod_templates, NAME, C("Containers", cell_names, "template.spec.containers"), C("Images", cell_images, "template.spec.containers"),
      C("Pod Labels", cell_labels, "template.metadata.labels"));
TABLE(controllers, NAME, N("Desired", "spec.replicas"), N("Current", "status.replicas"), N("Ready", "status.readyReplicas"), AGE,
      TEMPLATE("spec.template"), WIDE("Selector", cell_labels, "spec.selector"));
TABLE(services, NAME, P("Type", "spec.type"), S("Cluster-IP", "spec.clusterIP"), C("External-IP", cell_external_ip, NULL),
      C("Port(s)", cell_service_ports, NULL), AGE, WIDE("Selector", cell_labels, "spec.selector"));
TABLE(endpoints, NAME, C("Endpoints", cell_endpoints, NULL), AGE);
TABLE(nodes, NAME, C("Status", cell_node_status, NULL), C("Roles", cell_node_roles, NULL), AGE, P("Version", "status.nodeInfo.kubeletVersion"),
      WIDE("Internal-IP", cell_node_ip, "InternalIP"), WIDE("External-IP", cell_node_ip, "ExternalIP"),
      WIDE("OS-Image", cell_unknown, "status.nodeInfo.osImage"), WIDE("Kernel-Version", cell_node_kernel, NULL),
      WIDE("Container-Runtime", cell_unknown, "status.nodeInfo.containerRuntimeVersion"));
TABLE(events, C("Last Seen", cell_event_age, "last"), P("Type", "type"), P("Reason", "reason"), C("Object", cell_event_object, NULL),
      WIDE("Subobject", cell_event_part, "involvedObject.fieldPath"), WIDE("Source", cell_event_source, NULL), C("Message", cell_event_part, NULL),
      WIDE("First Seen", cell_event_age, "first"), WIDE("Count", cell_event_count, NULL), { "Name", "string", "name", 1, cell_plain, "metadata.name" });
TABLE(namespaces, NAME, P("Status", "status.phase"), AGE);
TABLE(config_maps, NAME, C("Data", cell_data_count, NULL), AGE);
TABLE(secrets, NAME, P("Type", "type"), C("Data", cell_data_count, NULL), AGE);
TABLE(quotas, NAME, C("Request", cell_quota, "requests"), C("Limit", cell_quota, "limits"), AGE);
TABLE(volumes, NAME, P("Capacity", "spec.capacity.storage"), C("Access Modes", cell_access_modes, "spec.accessModes"),
      P("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"), C("Status", cell_phase, NULL), C("Claim", cell_claim, NULL),
      P("StorageClass", "spec.storageClassName"), C("VolumeAttributesClass", cell_unset, "spec.volumeAttributesClassName"),
      P("Reason", "status.reason"), AGE, WIDE("VolumeMode", cell_unset, "spec.volumeMode"));
TABLE(claims, NAME, C("Status", cell_phase, NULL), P("Volume", "spec.volumeName"), C("Capacity", cell_claim_capacity, NULL),
      C("Access Modes", cell_claim_modes, NULL), P("StorageClass", "spec.storageClassName"),
      C("VolumeAttributesClass", cell_unset, "spec.volumeAttributesClassName"), AGE, WIDE("VolumeMode", cell_unset, "spec.volumeMode"));

/* --- apps, batch, autoscaling, policy --- */
TABLE(deployments, NAME, C("Ready", cell_ready, "status.readyReplicas|spec.replicas"), D("Up-to-date", "status.updatedReplicas"),
      D("Available", "status.availableReplicas"), AGE, TEMPLATE("spec.template"), WIDE("Selector", cell_selector, "spec.selector"));
TABLE(replica_sets, NAME, N("Desired", "spec.replicas"), N("Current", "status.replicas"), N("Ready", "status.readyReplicas"), AGE,
      TEMPLATE("spec.template"), WIDE("Selector", cell_selector, "spec.selector"));
TABLE(stateful_sets, NAME, C("Ready", cell_ready, "status.readyReplicas|spec.replicas"), AGE, TEMPLATE("spec.template"));
TABLE(daemon_sets, NAME, N("Desired", "status.desiredNumberScheduled"), N("Current", "status.currentNumberScheduled"), N("Ready", "status.numberReady"),
      N("Up-to-date", "status.updatedNumberScheduled"), N("Available", "status.numberAvailable"),
      C("Node Selector", cell_labels, "spec.template.spec.nodeSelector"), AGE, TEMPLATE("spec.template"), WIDE("Selector", cell_selector, "spec.selector"));
TABLE(revisions, NAME, C("Controller", cell_controller, NULL), D("Revision", "revision"), AGE);
TABLE(jobs, NAME, C("Status", cell_job_status, NULL), C("Completions", cell_job_completions, NULL), C("Duration", cell_job_duration, NULL), AGE,
      TEMPLATE("spec.template"), WIDE("Selector", cell_selector, "spec.selector"));
TABLE(cron_jobs, NAME, P("Schedule", "spec.schedule"), S("Timezone", "spec.timeZone"), { "Suspend", "boolean", "", 0, cell_flag, "spec.suspend" },
      { "Active", "integer", "", 0, cell_count, "status.active" }, C("Last Schedule", cell_since, "status.lastScheduleTime"), AGE,
      TEMPLATE("spec.jobTemplate.spec.template"), WIDE("Selector", cell_selector, "spec.jobTemplate.spec.selector"));
TABLE(autoscalers, NAME, C("Reference", cell_reference, "spec.scaleTargetRef"), C("Targets", cell_hpa_targets, NULL), C("MinPods", cell_maybe_text, "spec.minReplicas"),
      D("MaxPods", "spec.maxReplicas"), D("Replicas", "status.currentReplicas"), AGE);
TABLE(budgets, NAME, C("Min Available", cell_int_or_string, "spec.minAvailable"), C("Max Unavailable", cell_int_or_string, "spec.maxUnavailable"),
      N("Allowed Disruptions", "status.disruptionsAllowed"), AGE);

/* --- networking, discovery, rbac, storage and the rest --- */
TABLE(ingresses, NAME, S("Class", "spec.ingressClassName"), C("Hosts", cell_ingress_hosts, NULL), C("Address", cell_ingress_address, NULL),
      C("Ports", cell_ingress_ports, NULL), AGE);
TABLE(ingress_classes, { "Name", "string", "name", 0, cell_class_name, "ingressclass.kubernetes.io/is-default-class" }, P("Controller", "spec.controller"),
      C("Parameters", cell_class_parameters, NULL), AGE);
TABLE(network_policies, NAME, C("Pod-Selector", cell_selector, "spec.podSelector"), AGE);
TABLE(service_cidrs, NAME, C("CIDRs", cell_strings, "spec.cidrs"), AGE);
TABLE(slices, NAME, P("AddressType", "addressType"), C("Ports", cell_slice_ports, NULL), C("Endpoints", cell_slice_endpoints, NULL), AGE);
TABLE(bindings, NAME, C("Role", cell_reference, "roleRef"), AGE, WIDE("Users", cell_subjects, "User"), WIDE("Groups", cell_subjects, "Group"),
      WIDE("ServiceAccounts", cell_subjects, "ServiceAccount"));
TABLE(generic_dated, NAME, { "Created At", "date", "", 0, cell_plain, "metadata.creationTimestamp" });     /* upstream has no printer for these */
TABLE(ip_addresses, NAME, C("ParentRef", cell_parent, "spec.parentRef"));
TABLE(api_services, NAME, C("Service", cell_api_service, NULL), C("Available", cell_api_available, NULL), AGE);
TABLE(leases, NAME, P("Holder", "spec.holderIdentity"), AGE);
TABLE(storage_classes, { "Name", "string", "name", 0, cell_class_name, "storageclass.kubernetes.io/is-default-class" }, P("Provisioner", "provisioner"),
      P("ReclaimPolicy", "reclaimPolicy"), P("VolumeBindingMode", "volumeBindingMode"), C("AllowVolumeExpansion", cell_boolean, "allowVolumeExpansion"), AGE);
TABLE(attributes_classes, { "Name", "string", "name", 0, cell_class_name, "storageclass.kubernetes.io/is-default-class" },
      P("DriverName", "driverName"), AGE);
TABLE(attachments, NAME, { "Attacher", "string", "name", 0, cell_plain, "spec.attacher" }, P("PV", "spec.source.persistentVolumeName"), P("Node", "spec.nodeName"),
      B("Attached", "status.attached"), AGE);
TABLE(csi_nodes, NAME, { "Drivers", "integer", "", 0, cell_count, "spec.drivers" }, AGE);
TABLE(csi_drivers, NAME, B("AttachRequired", "spec.attachRequired"), B("PodInfoOnMount", "spec.podInfoOnMount"), B("StorageCapacity", "spec.storageCapacity"),
      C("TokenRequests", cell_audiences, "spec.tokenRequests"), B("RequiresRepublish", "spec.requiresRepublish"),
      C("Modes", cell_strings, "spec.volumeLifecycleModes"), AGE);
TABLE(priorities, NAME, N("Value", "value"), B("Global-Default", "globalDefault"), AGE, P("PreemptionPolicy", "preemptionPolicy"));
TABLE(flow_schemas, NAME, P("PriorityLevel", "spec.priorityLevelConfiguration.name"), D("MatchingPrecedence", "spec.matchingPrecedence"),
      S("DistinguisherMethod", "spec.distinguisherMethod.type"), AGE, C("MissingPL", cell_condition, "Dangling"));
TABLE(priority_levels, NAME, P("Type", "spec.type"), C("NominalConcurrencyShares", cell_maybe, "spec.limited.nominalConcurrencyShares"),
      C("Queues", cell_maybe, "spec.limited.limitResponse.queuing.queues"), C("HandSize", cell_maybe, "spec.limited.limitResponse.queuing.handSize"),
      C("QueueLengthLimit", cell_maybe, "spec.limited.limitResponse.queuing.queueLengthLimit"), AGE);
TABLE(runtime_classes, NAME, P("Handler", "handler"), AGE);
TABLE(requests, NAME, AGE, S("SignerName", "spec.signerName"), P("Requestor", "spec.username"), C("RequestedDuration", cell_seconds, "spec.expirationSeconds"),
      C("Condition", cell_csr_condition, NULL));
TABLE(webhooks, NAME, { "Webhooks", "integer", "", 0, cell_count, "webhooks" }, AGE);
TABLE(validating_policies, NAME, { "Validations", "integer", "", 0, cell_count, "spec.validations" }, C("ParamKind", cell_param_kind, "spec.paramKind"), AGE);
TABLE(mutating_policies, NAME, { "Mutations", "integer", "", 0, cell_count, "spec.mutations" }, C("ParamKind", cell_param_kind, "spec.paramKind"), AGE);
TABLE(policy_bindings, NAME, P("PolicyName", "spec.policyName"), C("ParamRef", cell_param_ref, "spec.paramRef"), AGE);
TABLE(device_claims, NAME, C("State", cell_claim_state, NULL), AGE);
TABLE(device_slices, NAME, P("Node", "spec.nodeName"), P("Driver", "spec.driver"), P("Pool", "spec.pool.name"), AGE);
TABLE(components, NAME, C("Status", cell_component, "status"), C("Message", cell_component, "message"), C("Error", cell_component, "error"));
TABLE(usages, NAME, C("cpu", cell_usage, "cpu"), C("memory", cell_usage, "memory"), P("Window", "window"));

static const struct {
    const char *resource;
    const struct column *columns;
} kinds[] = {
    { "/pods", pods }, { "/podtemplates", pod_templates }, { "/replicationcontrollers", controllers }, { "/services", services },
    { "/endpoints", endpoints }, { "/nodes", nodes }, { "/events", events }, { "/namespaces", namespaces }, { "/configmaps", config_maps },
    { "/secrets", secrets }, { "/resourcequotas", quotas }, { "/persistentvolumes", volumes }, { "/persistentvolumeclaims", claims },
    { "apps/deployments", deployments }, { "apps/replicasets", replica_sets }, { "apps/statefulsets", stateful_sets },
    { "apps/daemonsets", daemon_sets }, { "apps/controllerrevisions", revisions }, { "batch/jobs", jobs }, { "batch/cronjobs", cron_jobs },
    { "autoscaling/horizontalpodautoscalers", autoscalers }, { "policy/poddisruptionbudgets", budgets },
    { "networking.k8s.io/ingresses", ingresses }, { "networking.k8s.io/ingressclasses", ingress_classes },
    { "networking.k8s.io/networkpolicies", network_policies }, { "networking.k8s.io/servicecidrs", service_cidrs },
    { "networking.k8s.io/ipaddresses", ip_addresses }, { "apiregistration.k8s.io/apiservices", api_services },
    { "discovery.k8s.io/endpointslices", slices }, { "rbac.authorization.k8s.io/roles", generic_dated },
    { "rbac.authorization.k8s.io/clusterroles", generic_dated },
    { "rbac.authorization.k8s.io/rolebindings", bindings }, { "rbac.authorization.k8s.io/clusterrolebindings", bindings },
    { "coordination.k8s.io/leases", leases }, { "storage.k8s.io/storageclasses", storage_classes },
    { "storage.k8s.io/volumeattributesclasses", attributes_classes }, { "storage.k8s.io/volumeattachments", attachments },
    { "storage.k8s.io/csinodes", csi_nodes }, { "storage.k8s.io/csidrivers", csi_drivers }, { "scheduling.k8s.io/priorityclasses", priorities },
    { "flowcontrol.apiserver.k8s.io/flowschemas", flow_schemas }, { "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations", priority_levels },
    { "node.k8s.io/runtimeclasses", runtime_classes }, { "certificates.k8s.io/certificatesigningrequests", requests },
    { "/limitranges", generic_dated }, { "apiextensions.k8s.io/customresourcedefinitions", generic_dated },
    { "storage.k8s.io/csistoragecapacities", generic_dated }, { "/componentstatuses", components },
    { "admissionregistration.k8s.io/mutatingwebhookconfigurations", webhooks }, { "admissionregistration.k8s.io/validatingwebhookconfigurations", webhooks },
    { "admissionregistration.k8s.io/validatingadmissionpolicies", validating_policies },
    { "admissionregistration.k8s.io/mutatingadmissionpolicies", mutating_policies },
    { "admissionregistration.k8s.io/validatingadmissionpolicybindings", policy_bindings },
    { "admissionregistration.k8s.io/mutatingadmissionpolicybindings", policy_bindings },
    { "resource.k8s.io/resourceclaims", device_claims }, { "resource.k8s.io/resourceslices", device_slices },
    { "metrics.k8s.io/nodes", usages }, { "metrics.k8s.io/pods", usages },
};

static const struct column *columns_of(const struct schema_kind *k)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].resource, k->resource) == 0)
            return kinds[i].columns;
    return generic;
}

/* What a column shows: what is said of the field, else of columns of that name. */
static const char *described(const struct schema_kind *k, const struct column *c)
{
    static const char *const rows[][2] = {
        { "Ready", "How many of those that are wanted are ready." }, { "Status", "Where it is in its life." }, { "Restarts", "How often its containers were started again." },
        { "Readiness Gates", "How many of its readiness gates are true." }, { "External-IP", "Addresses that are reachable from outside the cluster." },
        { "Port(s)", "Ports that it serves." }, { "Ports", "Ports that it serves." }, { "Endpoints", "Addresses of what is behind it." }, { "Roles", "Roles that its labels give it." },
        { "Internal-IP", "Address within the cluster." }, { "Kernel-Version", "Kernel that it runs." }, { "Last Seen", "When it happened last." }, { "First Seen", "When it happened first." },
        { "Count", "How often it happened." }, { "Object", "What it is about." }, { "Source", "Who reported it." }, { "Data", "How many entries it has." },
        { "Request", "Requests that are used, of those that are allowed." }, { "Limit", "Limits that are used, of those that are allowed." }, { "Claim", "The claim that it is bound to." },
        { "Capacity", "Size of the volume." }, { "Access Modes", "Ways in which it can be mounted." }, { "Containers", "Names of the containers." }, { "Images", "Images of the containers." },
        { "Controller", "Who controls it." }, { "Completions", "How many have succeeded, of those that are wanted." }, { "Duration", "How long it ran, or has been running." },
        { "Targets", "Metrics and what they should be." }, { "Hosts", "Hosts that its rules name." }, { "Address", "Addresses where it can be reached." }, { "Parameters", "More that its controller needs to know." },
        { "Users", "Users that it binds." }, { "Groups", "Groups that it binds." }, { "ServiceAccounts", "Service accounts that it binds." }, { "Service", "The service that answers for it." },
        { "Available", "Can it be asked?" }, { "MissingPL", "Is its priority level missing?" }, { "Condition", "What was decided about it." }, { "State", "Where it is in its life." },
        { "Message", "What there is to say." }, { "Error", "What went wrong." }, { "ParamRef", "Where its parameters are." }, { "cpu", "Processor time in use." }, { "memory", "Memory in use." },
    };
    const struct schema_type *t = k->type;
    const char *doc = NULL;
    if (strcmp(k->kind, "RuntimeClass") == 0 && strcmp(c->name, "Handler") == 0)
        return "";                      /* upstream looks it up where it is not */
    for (struct str path = str_of(c->arg && !strchr(c->arg, '|') ? c->arg : ""); path.at && t;) {
        int at = schema_flat_find(t, str_cut(&path, '.'), 0);
        doc = at < 0 ? NULL : t->flat[at]->doc;
        t = at < 0 ? NULL : t->flat[at]->type;
    }
    for (size_t i = 0; !doc && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i][0], c->name) == 0)
            doc = rows[i][1];
    return doc ? doc : c->name;
}

struct val *object_table_columns(struct arena *a, const struct schema_kind *k)
{
    if (k->flags & K_CUSTOM)
        return custom_columns(a, k->columns);
    struct val *list = val_new(a, VAL_ARR);
    for (const struct column *c = columns_of(k); c->name; c++) {
        struct val *v = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, v, STR("name"), str_of(c->name));
        json_set_str(a, v, STR("type"), str_of(c->type));
        json_set_str(a, v, STR("format"), str_of(c->format));
        json_set_str(a, v, STR("description"), str_of(described(k, c)));
        json_set_int(a, v, STR("priority"), c->priority);
    }
    return list;
}

struct val *object_table_conditions(struct arena *a, const struct schema_kind *k, const struct val *v)
{
    static const char *const rows[][2] = { { "Succeeded", "The pod has completed successfully." }, { "Failed", "The pod failed." } };
    if (strcmp(k->resource, "/pods") != 0)
        return NULL;
    struct str phase = json_str(v, "status.phase");
    for (size_t i = 0; i < 2; i++) {
        if (!str_is(phase, rows[i][0]))
            continue;
        struct val *list = val_new(a, VAL_ARR), *c = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), STR("Completed"));
        json_set_str(a, c, STR("status"), STR("True"));
        json_set_str(a, c, STR("reason"), str_of(rows[i][0]));
        json_set_str(a, c, STR("message"), str_of(rows[i][1]));
        return list;
    }
    return NULL;
}

struct val *object_table_cells(struct arena *a, const struct schema_kind *k, const struct val *v, int64_t now_ns)
{
    struct cell_in in = { a, v, now_ns };
    if (k->flags & K_CUSTOM)
        return custom_cells(a, k->columns, v, now_ns);
    struct val *list = val_new(a, VAL_ARR);
    for (const struct column *c = columns_of(k); c->name; c++)
        val_push(list, c->cell(&in, c->arg));
    return list;
}
