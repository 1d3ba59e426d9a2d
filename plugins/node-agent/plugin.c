/* plugin.c - the descriptor of node-agent: a controller over this node's pods, and the node as the API server asks it. */
#include "serve.h"

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), "/pods", "spec.nodeName=$(node)", NULL },
    { sizeof(struct kl_watch), "/configmaps", NULL, "map" },
    { sizeof(struct kl_watch), "/secrets", NULL, "map" },
    { sizeof(struct kl_watch), "/persistentvolumeclaims", NULL, "map" },
    { sizeof(struct kl_watch), "/nodes", "metadata.name=$(node)", NULL },
    { sizeof(struct kl_watch), "/namespaces", "metadata.name=" AGENT_LEASES, NULL },
};

static const struct kl_controller controller = {
    .size = sizeof controller,
    .life = { .open = agent_controller_open, .close = agent_close },
    .flags = KL_CONTROLLER_BLOCKING,
    .workers = 8,
    .watches = KL_ARRAY_OF(watches),
    .map = agent_map,
    .reconcile = agent_reconcile,
};

const char *node_name(void *self)
{
    return ((const struct agent *)self)->node;
}

static const struct kl_node node = {
    .size = sizeof node,
    .life = { .open = agent_open, .close = agent_close },
    .name = node_name,
    .logs = node_logs,
    .exec = node_exec,
    .attach = node_attach,
    .dial = node_dial,
    .stats = node_stats,
    .page = node_page,
};

static const struct kl_provider provides[] = {
    { KL_CONTROLLER_0, "node-agent", 0, &controller },
    { KL_NODE_0, "node-agent", 0, &node },
};

static const struct kl_need needs[] = {
    { KL_HOST_ENV_0, 0 },
    { KL_HOST_OBJECTS_0, 0 },
    { KL_HOST_QUEUE_0, 0 },
    { KL_HOST_PLUGINS_0, 0 },
};

#define FIELD(KEY, TYPE, FALLBACK, MIN, MAX, DOC) \
    { .key = #KEY, .type = KL_CONF_##TYPE, .offset = offsetof(struct agent_conf, KEY), .fallback = FALLBACK, .min = MIN, \
      .max = MAX, .doc = DOC }

static const struct kl_conf_field fields[] = {
    FIELD(node, STR, NULL, 0, 0, "name of the Node object; unset: the host's name"),
    FIELD(node_ip, STR, NULL, 0, 0, "address that the node shows; unset: its first IPv4 address"),
    FIELD(state_dir, STR, "/var/lib/keelson/node", 0, 0, "volumes and files of pods"),
    FIELD(log_dir, STR, "/var/log/keelson/pods", 0, 0, "container logs"),
    FIELD(version, STR, "v1.36.0", 0, 0, "kubeletVersion that the node shows"),
    FIELD(pod_cidr, STR, NULL, 0, 0, "pod addresses of this node, when the Node object names none; unset: a controller gives it some"),
    FIELD(service_cidr, STR, "10.96.0.0/12", 0, 0, "addresses of Services"),
    FIELD(cluster_cidr, STR, "10.244.0.0/16", 0, 0, "pod addresses of all nodes"),
    FIELD(cluster_domain, STR, "cluster.local", 0, 0, "domain of cluster names in resolv.conf"),
    FIELD(cluster_dns, LIST, NULL, 0, 0, "name servers of pods; unset: the host's"),
    FIELD(runtime, STR, NULL, 0, 0, "instance of keelson.runtime; unset: the default one"),
    FIELD(network, STR, NULL, 0, 0, "instance of keelson.network; unset: the default one"),
    FIELD(max_pods, INT, "110", 1, 10000, "most pods of this node"),
    FIELD(log_max_bytes, QUANTITY, "10Mi", 1024, INT64_MAX, "size at which a container log is rotated"),
    FIELD(log_files, INT, "5", 2, 100, "files kept of a container log"),
    FIELD(image_dir, STR, NULL, 0, 0, "where images are kept, whose file system imagefs.* is about; unset: state_dir"),
    FIELD(eviction_hard, STR, "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%", 0, 0,
          "what must be left: below it pods are evicted at once; also pid.available; empty: never"),
    FIELD(eviction_soft, STR, "", 0, 0, "the same, with a grace period"),
    FIELD(eviction_soft_grace, STR, "", 0, 0, "for how long a soft threshold must be met, \"memory.available=1m30s\""),
    FIELD(eviction_minimum_reclaim, STR, "", 0, 0, "how much more must be left for a threshold to be over, \"nodefs.available=500Mi\""),
    FIELD(eviction_max_pod_grace, INT, "0", 0, 86400, "most seconds that a pod evicted for a soft threshold gets"),
    FIELD(eviction_pressure_transition, DURATION, "5m", 0, INT64_MAX, "how long a condition of pressure stays after its cause"),
    FIELD(image_gc_high, INT, "85", 0, 100, "percent of the images' file system above which unused images are removed; 100: never"),
    FIELD(image_gc_low, INT, "80", 0, 100, "percent down to which they are removed"),
    FIELD(image_min_age, DURATION, "2m", 0, INT64_MAX, "an image younger than this stays"),
    FIELD(image_max_age, DURATION, "0s", 0, INT64_MAX, "an image that was not used for so long is removed; 0: never for that"),
    FIELD(port, INT, "10250", 0, 65535, "port of the node's own API, as the Node object shows it; 0: it has none"),
};

KL_PLUGIN_DEFINE("dev.keelson.node-agent", "0.1.0", "keelson.controller/0:node-agent keelson.node/0:node-agent",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0 keelson.host.plugins/0",
                 .summary = "runs the pods of one node through a runtime and a network", .license = "Apache-2.0",
                 .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct agent_conf));
