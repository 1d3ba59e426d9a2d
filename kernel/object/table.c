/* table.c - columns and cells for `kubectl get`: a table of columns per kind, each cell a path or a function. */
#include "base/clock.h"
#include "object-internal.h"

struct cell_in {
    struct arena *arena;
    const struct val *v;
    int64_t now_ns;
};

typedef struct val *(*cell_fn)(const struct cell_in *in, const char *arg);

struct column {
    const char *name, *type, *format;
    int priority;
    cell_fn cell;
    const char *arg;
};

static struct val *text(const struct cell_in *in, const char *s)
{
    return val_of_str(in->arena, str_of(s));
}

/* Upstream's HumanDuration. */
static const char *human(struct arena *a, int64_t s)
{
    if (s < 0)
        return s < -1 ? "<invalid>" : "0s";
    if (s < 120)
        return arena_printf(a, "%llds", (long long)s);
    int64_t m = s / 60, h = s / 3600, d = h / 24;
    if (m < 10)
        return s % 60 ? arena_printf(a, "%lldm%llds", (long long)m, (long long)(s % 60)) : arena_printf(a, "%lldm", (long long)m);
    if (m < 180)
        return arena_printf(a, "%lldm", (long long)m);
    if (h < 8)
        return m % 60 ? arena_printf(a, "%lldh%lldm", (long long)h, (long long)(m % 60)) : arena_printf(a, "%lldh", (long long)h);
    if (h < 48)
        return arena_printf(a, "%lldh", (long long)h);
    if (d < 8)
        return h % 24 ? arena_printf(a, "%lldd%lldh", (long long)d, (long long)(h % 24)) : arena_printf(a, "%lldd", (long long)d);
    if (d < 730)
        return arena_printf(a, "%lldd", (long long)d);
    if (d < 365 * 8)
        return d % 365 ? arena_printf(a, "%lldy%lldd", (long long)(d / 365), (long long)(d % 365)) : arena_printf(a, "%lldy", (long long)(d / 365));
    return arena_printf(a, "%lldy", (long long)(d / 365));
}

static struct val *age(const struct cell_in *in, const char *path)
{
    int64_t ns;
    struct str s = json_str(in->v, path);
    if (!s.len || !clock_parse(s, &ns))
        return text(in, "<unknown>");
    return text(in, human(in->arena, (in->now_ns - ns) / 1000000000LL));
}

static struct val *path_text_cell(const struct cell_in *in, const char *path)
{
    struct str s = json_str(in->v, path);
    return val_of_str(in->arena, s.len ? s : STR("<none>"));
}

static struct val *plain(const struct cell_in *in, const char *path)
{
    return val_of_str(in->arena, json_str(in->v, path));
}

static struct val *number(const struct cell_in *in, const char *path)
{
    return val_of_int(in->arena, json_int(in->v, path, 0));
}

static struct val *count(const struct cell_in *in, const char *path)
{
    struct val *v = json_path(in->v, path);
    return val_of_int(in->arena, v && v->type >= VAL_ARR ? v->n : 0);
}

static struct val *boolean(const struct cell_in *in, const char *path)
{
    return text(in, json_bool(in->v, path, false) ? "True" : "False");
}

static struct val *data_count(const struct cell_in *in, const char *arg)
{
    struct val *d = json_get(in->v, STR("data")), *b = json_get(in->v, STR("binaryData"));
    (void)arg;
    return val_of_int(in->arena, (d ? d->n : 0) + (b ? b->n : 0));
}

static struct val *ready_of(const struct cell_in *in, const char *arg)
{
    struct str want = str_of(arg), ready = str_cut(&want, '|');
    int64_t a = json_int(in->v, arena_dup(in->arena, ready), 0), b = json_int(in->v, arena_dup(in->arena, want), 0);
    return text(in, arena_printf(in->arena, "%lld/%lld", (long long)a, (long long)b));
}

static struct val *each_joined(const struct cell_in *in, const char *list_path, const char *member)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct val *list = json_path(in->v, list_path);
    if (val_is(list, VAL_ARR))
        val_each(x, list) {
            buf_add_z(&b, b.len ? "," : "");
            buf_add_str(&b, member ? json_str(x, member) : val_str(x));
        }
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

static struct val *containers(const struct cell_in *in, const char *path)
{
    return each_joined(in, path, "name");
}

static struct val *images(const struct cell_in *in, const char *path)
{
    return each_joined(in, path, "image");
}

static struct val *selector(const struct cell_in *in, const char *path)
{
    struct kl_err err;
    kl_err_init(&err);
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct val *v = json_path(in->v, path), *wrap = v;
    if (v && !json_get(v, STR("matchLabels")) && !json_get(v, STR("matchExpressions"))) {
        wrap = val_new(in->arena, VAL_OBJ);
        json_set(in->arena, wrap, STR("matchLabels"), val_copy(in->arena, v));
    }
    struct selector *s = v ? selector_of_tree(in->arena, wrap, &err) : NULL;
    if (s)
        selector_write(&b, s);
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

/* --- pods --- */

static struct val *pod_ready(const struct cell_in *in, const char *arg)
{
    struct val *list = json_path(in->v, "spec.containers"), *st = json_path(in->v, "status.containerStatuses");
    int ready = 0;
    (void)arg;
    if (val_is(st, VAL_ARR))
        val_each(s, st)
            ready += json_bool(s, "ready", false);
    return text(in, arena_printf(in->arena, "%d/%u", ready, val_is(list, VAL_ARR) ? list->n : 0));
}

static const char *container_reason(struct arena *a, const struct val *s)
{
    struct str why = json_str(s, "state.waiting.reason");
    if (why.len)
        return arena_dup(a, why);
    struct val *t = json_path(s, "state.terminated");
    if (!t)
        return NULL;
    why = json_str(t, "reason");
    if (why.len)
        return arena_dup(a, why);
    int64_t sig = json_int(t, "signal", 0);
    return sig ? arena_printf(a, "Signal:%lld", (long long)sig) : arena_printf(a, "ExitCode:%lld", (long long)json_int(t, "exitCode", 0));
}

static const char *init_reason(const struct cell_in *in)
{
    struct val *list = json_path(in->v, "status.initContainerStatuses"), *spec = json_path(in->v, "spec.initContainers");
    int i = 0;
    if (!val_is(list, VAL_ARR))
        return NULL;
    val_each(s, list) {
        struct val *t = json_path(s, "state.terminated");
        i++;
        if ((t && json_int(t, "exitCode", 0) == 0) || json_bool(s, "started", false))
            continue;
        const char *why = container_reason(in->arena, s);
        if (why && strcmp(why, "PodInitializing") != 0)
            return arena_printf(in->arena, "Init:%s", why);
        return arena_printf(in->arena, "Init:%d/%u", i - 1, val_is(spec, VAL_ARR) ? spec->n : 0);
    }
    return NULL;
}

static struct val *pod_status(const struct cell_in *in, const char *arg)
{
    struct val *list = json_path(in->v, "status.containerStatuses");
    struct str phase = json_str(in->v, "status.phase"), why = json_str(in->v, "status.reason");
    const char *out = arena_dup(in->arena, why.len ? why : phase), *init = init_reason(in);
    bool running = false;
    (void)arg;
    if (init) {
        out = init;
    } else if (val_is(list, VAL_ARR)) {
        const char *last = NULL;
        val_each(s, list) {
            const char *r = container_reason(in->arena, s);
            if (r)
                last = r;
            running |= json_path(s, "state.running") && json_bool(s, "ready", false);
        }
        if (last)
            out = last;
        if (last && strcmp(last, "Completed") == 0 && running)
            out = "Running";
    }
    if (json_path(in->v, "metadata.deletionTimestamp"))
        out = str_is(why, "NodeLost") ? "Unknown" : "Terminating";
    return text(in, out);
}

static struct val *pod_restarts(const struct cell_in *in, const char *arg)
{
    struct val *list = json_path(in->v, "status.containerStatuses");
    int64_t n = 0, last = 0, ns;
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(s, list) {
            struct str f = json_str(s, "lastState.terminated.finishedAt");
            n += json_int(s, "restartCount", 0);
            if (f.len && clock_parse(f, &ns) && ns > last)
                last = ns;
        }
    if (n && last)
        return text(in, arena_printf(in->arena, "%lld (%s ago)", (long long)n, human(in->arena, (in->now_ns - last) / 1000000000LL)));
    return text(in, arena_printf(in->arena, "%lld", (long long)n));
}

static struct val *readiness_gates(const struct cell_in *in, const char *arg)
{
    struct val *g = json_path(in->v, "spec.readinessGates"), *cs = json_path(in->v, "status.conditions");
    int ok = 0;
    (void)arg;
    if (!val_is(g, VAL_ARR) || !g->n)
        return text(in, "<none>");
    val_each(x, g)
        if (val_is(cs, VAL_ARR))
            val_each(c, cs)
                ok += str_eq(json_str(c, "type"), json_str(x, "conditionType")) && str_is(json_str(c, "status"), "True");
    return text(in, arena_printf(in->arena, "%d/%u", ok, g->n));
}

/* --- services, nodes, events --- */

static struct val *service_ports(const struct cell_in *in, const char *arg)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct val *list = json_path(in->v, "spec.ports");
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(p, list) {
            buf_printf(&b, "%s%lld", b.len ? "," : "", (long long)json_int(p, "port", 0));
            if (json_int(p, "nodePort", 0))
                buf_printf(&b, ":%lld", (long long)json_int(p, "nodePort", 0));
            buf_printf(&b, "/" STR_FMT, STR_ARG(json_str(p, "protocol")));
        }
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

static struct val *external_ip(const struct cell_in *in, const char *arg)
{
    struct str type = json_str(in->v, "spec.type");
    (void)arg;
    if (str_is(type, "ExternalName"))
        return plain(in, "spec.externalName");
    if (str_is(type, "LoadBalancer")) {
        struct val *v = each_joined(in, "status.loadBalancer.ingress", "ip");
        return str_is(val_str(v), "<none>") ? text(in, "<pending>") : v;
    }
    return each_joined(in, "spec.externalIPs", NULL);
}

static struct val *node_status(const struct cell_in *in, const char *arg)
{
    struct val *list = json_path(in->v, "status.conditions");
    const char *s = "Unknown";
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Ready"))
                s = str_is(json_str(c, "status"), "True") ? "Ready" : "NotReady";
    return text(in, json_bool(in->v, "spec.unschedulable", false) ? arena_printf(in->arena, "%s,SchedulingDisabled", s) : s);
}

static struct val *node_roles(const struct cell_in *in, const char *arg)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    struct val *labels = json_path(in->v, "metadata.labels");
    (void)arg;
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels)
            if (str_starts(val_key(l), STR("node-role.kubernetes.io/"))) {
                buf_add_z(&b, b.len ? "," : "");
                buf_add_str(&b, str_skip(val_key(l), 24));
            }
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

static struct val *node_ip(const struct cell_in *in, const char *type)
{
    struct val *list = json_path(in->v, "status.addresses");
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if (str_is(json_str(x, "type"), type))
                return val_of_str(in->arena, json_str(x, "address"));
    return text(in, "<none>");
}

static struct val *event_object(const struct cell_in *in, const char *arg)
{
    struct str kind = json_str(in->v, "involvedObject.kind"), name = json_str(in->v, "involvedObject.name");
    char *s = arena_printf(in->arena, STR_FMT "/" STR_FMT, STR_ARG(kind), STR_ARG(name));
    (void)arg;
    for (size_t i = 0; s && i < kind.len; i++)
        s[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
    return text(in, s);
}

static struct val *event_age(const struct cell_in *in, const char *arg)
{
    (void)arg;
    return age(in, json_str(in->v, "lastTimestamp").len ? "lastTimestamp" : "eventTime");
}

#define NAME { "Name", "string", "name", 0, plain, "metadata.name" }
#define AGE  { "Age", "string", "", 0, age, "metadata.creationTimestamp" }
#define S(name, path)      { name, "string", "", 0, path_text_cell, path }
#define WIDE(name, fn, arg) { name, "string", "", 1, fn, arg }
#define N(name, path)      { name, "integer", "", 0, number, path }
#define END { NULL, NULL, NULL, 0, NULL, NULL }
#define T "spec.template.spec.containers"

static const struct column generic[] = { NAME, AGE, END };
static const struct column pods[] = { NAME, { "Ready", "string", "", 0, pod_ready, NULL }, { "Status", "string", "", 0, pod_status, NULL },
    { "Restarts", "string", "", 0, pod_restarts, NULL }, AGE, WIDE("IP", path_text_cell, "status.podIP"),
    WIDE("Node", path_text_cell, "spec.nodeName"), WIDE("Nominated Node", path_text_cell, "status.nominatedNodeName"),
    WIDE("Readiness Gates", readiness_gates, NULL), END };
static const struct column deployments[] = { NAME, { "Ready", "string", "", 0, ready_of, "status.readyReplicas|spec.replicas" },
    N("Up-to-date", "status.updatedReplicas"), N("Available", "status.availableReplicas"), AGE, WIDE("Containers", containers, T),
    WIDE("Images", images, T), WIDE("Selector", selector, "spec.selector"), END };
static const struct column replica_sets[] = { NAME, N("Desired", "spec.replicas"), N("Current", "status.replicas"),
    N("Ready", "status.readyReplicas"), AGE, WIDE("Containers", containers, T), WIDE("Images", images, T), WIDE("Selector", selector, "spec.selector"), END };
static const struct column stateful_sets[] = { NAME, { "Ready", "string", "", 0, ready_of, "status.readyReplicas|spec.replicas" }, AGE,
    WIDE("Containers", containers, T), WIDE("Images", images, T), END };
static const struct column daemon_sets[] = { NAME, N("Desired", "status.desiredNumberScheduled"), N("Current", "status.currentNumberScheduled"),
    N("Ready", "status.numberReady"), N("Up-to-date", "status.updatedNumberScheduled"), N("Available", "status.numberAvailable"),
    { "Node Selector", "string", "", 0, selector, "spec.template.spec.nodeSelector" }, AGE, WIDE("Containers", containers, T),
    WIDE("Images", images, T), WIDE("Selector", selector, "spec.selector"), END };
static const struct column jobs[] = { NAME, { "Completions", "string", "", 0, ready_of, "status.succeeded|spec.completions" }, AGE,
    WIDE("Containers", containers, T), WIDE("Images", images, T), WIDE("Selector", selector, "spec.selector"), END };
static const struct column cron_jobs[] = { NAME, S("Schedule", "spec.schedule"), S("Timezone", "spec.timeZone"),
    { "Suspend", "boolean", "", 0, boolean, "spec.suspend" }, { "Active", "integer", "", 0, count, "status.active" },
    { "Last Schedule", "string", "", 0, age, "status.lastScheduleTime" }, AGE, END };
static const struct column services[] = { NAME, S("Type", "spec.type"), S("Cluster-IP", "spec.clusterIP"),
    { "External-IP", "string", "", 0, external_ip, NULL }, { "Port(s)", "string", "", 0, service_ports, NULL }, AGE,
    WIDE("Selector", selector, "spec.selector"), END };
static const struct column nodes[] = { NAME, { "Status", "string", "", 0, node_status, NULL }, { "Roles", "string", "", 0, node_roles, NULL }, AGE,
    S("Version", "status.nodeInfo.kubeletVersion"), WIDE("Internal-IP", node_ip, "InternalIP"), WIDE("External-IP", node_ip, "ExternalIP"),
    WIDE("OS-Image", path_text_cell, "status.nodeInfo.osImage"), WIDE("Kernel-Version", path_text_cell, "status.nodeInfo.kernelVersion"),
    WIDE("Container-Runtime", path_text_cell, "status.nodeInfo.containerRuntimeVersion"), END };
static const struct column namespaces[] = { NAME, S("Status", "status.phase"), AGE, END };
static const struct column config_maps[] = { NAME, { "Data", "integer", "", 0, data_count, NULL }, AGE, END };
static const struct column secrets[] = { NAME, S("Type", "type"), { "Data", "integer", "", 0, data_count, NULL }, AGE, END };
static const struct column service_accounts[] = { NAME, AGE, END };
static const struct column events[] = { { "Last Seen", "string", "", 0, event_age, NULL }, S("Type", "type"), S("Reason", "reason"),
    { "Object", "string", "", 0, event_object, NULL }, WIDE("Subobject", path_text_cell, "involvedObject.fieldPath"),
    WIDE("Source", path_text_cell, "source.component"), { "Message", "string", "", 0, plain, "message" },
    WIDE("First Seen", age, "firstTimestamp"), { "Count", "string", "", 1, number, "count" }, { "Name", "string", "name", 1, plain, "metadata.name" }, END };
static const struct column volumes[] = { NAME, S("Capacity", "spec.capacity.storage"), S("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
    S("Status", "status.phase"), S("StorageClass", "spec.storageClassName"), AGE, END };
static const struct column claims[] = { NAME, S("Status", "status.phase"), S("Volume", "spec.volumeName"), S("Capacity", "status.capacity.storage"),
    S("StorageClass", "spec.storageClassName"), AGE, END };
static const struct column leases[] = { NAME, S("Holder", "spec.holderIdentity"), AGE, END };
static const struct column classes[] = { NAME, S("Provisioner", "provisioner"), S("ReclaimPolicy", "reclaimPolicy"),
    S("VolumeBindingMode", "volumeBindingMode"), { "AllowVolumeExpansion", "boolean", "", 0, boolean, "allowVolumeExpansion" }, AGE, END };
static const struct column priorities[] = { NAME, N("Value", "value"), { "Global-Default", "boolean", "", 0, boolean, "globalDefault" }, AGE, END };

static const struct {
    const char *resource;
    const struct column *columns;
} kinds[] = {
    { "/pods", pods }, { "/services", services }, { "/nodes", nodes }, { "/namespaces", namespaces }, { "/configmaps", config_maps },
    { "/secrets", secrets }, { "/serviceaccounts", service_accounts }, { "/events", events }, { "/persistentvolumes", volumes },
    { "/persistentvolumeclaims", claims }, { "/replicationcontrollers", replica_sets }, { "apps/deployments", deployments },
    { "apps/replicasets", replica_sets }, { "apps/statefulsets", stateful_sets }, { "apps/daemonsets", daemon_sets },
    { "batch/jobs", jobs }, { "batch/cronjobs", cron_jobs }, { "coordination.k8s.io/leases", leases },
    { "storage.k8s.io/storageclasses", classes }, { "scheduling.k8s.io/priorityclasses", priorities },
};

static const struct column *columns_of(const struct schema_kind *k)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].resource, k->resource) == 0)
            return kinds[i].columns;
    return generic;
}

struct val *object_table_columns(struct arena *a, const struct schema_kind *k)
{
    struct val *list = val_new(a, VAL_ARR);
    for (const struct column *c = columns_of(k); c->name; c++) {
        struct val *v = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, v, STR("name"), str_of(c->name));
        json_set_str(a, v, STR("type"), str_of(c->type));
        json_set_str(a, v, STR("format"), str_of(c->format));
        json_set_str(a, v, STR("description"), str_of(""));
        json_set_int(a, v, STR("priority"), c->priority);
    }
    return list;
}

struct val *object_table_cells(struct arena *a, const struct schema_kind *k, const struct val *v, int64_t now_ns)
{
    struct cell_in in = { a, v, now_ns };
    struct val *list = val_new(a, VAL_ARR);
    for (const struct column *c = columns_of(k); c->name; c++)
        val_push(list, c->cell(&in, c->arg));
    return list;
}
