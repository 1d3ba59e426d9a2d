/* args.c - see args.h. What a value is depends on the struct or interface it belongs to and on its name: the first row that matches. */
#include "args.h"

#include <stdlib.h>

#include "base/str.h"
#include "host.h"

#define LONG_NAME "a-name-as-long-as-a-name-may-be-a-name-as-long-as-a-name-may-be-a-name-as-long-as-a-name-may-be-a-name-as-long-as-a-name-may-be-" \
                  "a-name-as-long-as-a-name-may-be-a-name-as-long-as-a-name-may-be-a-name-as-long-as-a-name-may-be-a-name-as-long-as-a-name-may"
#define LONG_LABEL "a-name-as-long-as-a-label-may-be-a-name-as-long-as-a-label-may"
#define POD  "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"uid\":\"p-1\",\"resourceVersion\":\"7\"," \
             "\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"busybox\",\"resources\":{\"requests\":{\"cpu\":\"100m\"," \
             "\"memory\":\"64Mi\"}}}],\"schedulerName\":\"x\",\"serviceAccountName\":\"default\"}}"
#define POD_LEAST "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"w\",\"namespace\":\"default\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"
#define POD_MOST "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" LONG_NAME "\",\"namespace\":\"" LONG_LABEL "\",\"uid\":\"u\",\"annotations\":" \
                 "{\"a\":\"\\u0001\\\"\\\\ \\ud83d\\ude80 \xc3\xa9\",\"b\":\"\"},\"labels\":{\"app\":\"\"}},\"spec\":{\"initContainers\":[{\"name\":\"i\",\"image\":\"i\"}]," \
                 "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":65535,\"hostPort\":65535}]," \
                 "\"resources\":{\"requests\":{\"cpu\":\"1000\",\"memory\":\"1Ei\"}}}],\"tolerations\":[{\"operator\":\"Exists\"}],\"priority\":2147483647}}"
#define NODE "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"labels\":{\"zone\":\"a\"}},\"spec\":{},\"status\":{\"allocatable\":{\"cpu\":\"4\"}}}"
#define NODE_LEAST "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\"}}"
#define NET_POD "{\"namespace\":\"default\",\"name\":\"web\",\"uid\":\"p-1\",\"hostPorts\":[],\"sysctls\":{}}"
#define SERVICES "{\"node\":\"n1\",\"nodeIPs\":[\"192.0.2.1\"],\"podCIDRs\":[\"10.244.0.0/24\"],\"services\":[{\"namespace\":\"default\",\"name\":\"web\"," \
                 "\"clusterIPs\":[\"10.96.0.10\"],\"externalIPs\":[],\"sessionAffinitySeconds\":0,\"externalLocal\":false,\"internalLocal\":false,\"ports\":" \
                 "[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"nodePort\":0,\"endpoints\":[{\"ip\":\"10.244.0.7\",\"port\":8080,\"local\":true}]}]}]}"
#define CONTAINER "{\"metadata\":{\"name\":\"c\",\"attempt\":0},\"image\":{\"image\":\"busybox\"},\"command\":[\"true\"],\"labels\":{},\"annotations\":{},\"logPath\":\"c.log\",\"linux\":{}}"

#define NOTHING ((const char *)1)       /* NULL is given */

static const struct {
    const char *of, *name;              /* struct, interface, or NULL: anywhere */
    const char *values[ARGS_VARIANTS];
} samples[] = {
    { "kl_node_view", "name", { "n1", "n", LONG_NAME } },
    { "kl_node_view", "node", { NODE, NODE_LEAST, NODE } },
    { "kl_node_view", "mcpu", { "4000", "0", "1000000000" } },
    { "kl_node_view", "memory", { "8589934592", "0", "1152921504606846976" } },
    { "kl_node_view", "pods", { "110", "0", "1000000" } },
    { "kl_node_view", "used_mcpu", { "500", "0", "1000000000" } },
    { "kl_node_view", "used_memory", { "1073741824", "0", "1152921504606846976" } },
    { "kl_node_view", "used_pods", { "3", "0", "1000000" } },
    { "kl_node_view", "matching_pods", { "1", "0", "100000" } },
    { "kl_node_view", "taints", { "100", "0", "100" } },
    { "kl_node_view", "affinity", { "50", "0", "100" } },
    { "kl_node_view", "spread", { "50", "0", "100" } },
    { "kl_node_view", "unasked_spread", { "50", "0", "100" } },
    { "kl_node_view", "neighbours", { "50", "0", "100" } },
    { "kl_node_view", "images", { "10", "0", "100" } },
    { "kl_node_view", "guess_mcpu", { "600", "0", "1000000000" } },
    { "kl_node_view", "guess_memory", { "1073741824", "0", "1152921504606846976" } },
    { "kl_pod_view", "pod", { POD, POD_LEAST, POD_MOST } },
    { "kl_pod_view", "mcpu", { "100", "0", "1000000" } },
    { "kl_pod_view", "memory", { "67108864", "0", "1152921504606846976" } },
    { "kl_pod_view", "guess_mcpu", { "100", "100", "1000000" } },
    { "kl_pod_view", "guess_memory", { "67108864", "209715200", "1152921504606846976" } },
    { "kl_user", "name", { "ann", "system:anonymous", LONG_NAME } },
    { "kl_user", "uid", { "u-1", "", "" } },
    { "kl_user", "groups", { "system:authenticated", "", "a|b|system:authenticated" } },
    { "kl_user", "extra", { NOTHING, NOTHING, "key|value|key|another" } },
    { "kl_user", "audiences", { NOTHING, NOTHING, "x" } },
    { "kl_credentials", "bearer", { NOTHING, "", "eyJhbGciOiJub25lIn0.e30." } },
    { "kl_credentials", "peer", { "192.0.2.7", NOTHING, "2001:db8::1" } },
    { "kl_credentials", "path", { "/api", NOTHING, "/" LONG_NAME } },
    { "kl_credentials", "cert_der", { "", "", "" } },
    { "kl_credentials", "cert_shown", { "", "", "" } },
    { "kl_credentials", NULL, { NOTHING, NOTHING, NOTHING } },
    { "kl_request", "verb", { "create", "get", "update" } },
    { "kl_request", "path", { "/api/v1/namespaces/default/pods", "/healthz", "/" LONG_NAME } },
    { "kl_request", "is_resource", { "1", "0", "1" } },
    { "kl_request", "version", { "v1", "", "v1" } },
    { "kl_request", "resource", { "pods", "", "pods" } },
    { "kl_request", "ns", { "default", "", LONG_LABEL } },
    { "kl_request", "name", { "web", "", LONG_NAME } },
    { "kl_request", "field_selector", { "", NOTHING, "metadata.name=x" } },
    { "kl_request", "label_selector", { "", NOTHING, "a=b,c in (d,e),!f" } },
    { "kl_request", NULL, { "", "", "" } },
    { "kl_admission_review", "kind", { "Pod", "Pod", "Pod" } },
    { "kl_admission_review", "object", { POD, POD_LEAST, POD_MOST } },
    { "kl_admission_review", "old_object", { "", "", POD_MOST } },
    { "kl_admission_review", "options", { "{\"kind\":\"CreateOptions\",\"apiVersion\":\"meta.k8s.io/v1\"}", "", "{}" } },
    { "kl_admission_review", NULL, { NOTHING, NOTHING, NOTHING } },
    { "kl_store_op", "type", { "1", "2", "1" } },
    { "kl_store_op", "key", { "/pods/default/web", "/pods/d/w", "/pods/" LONG_LABEL "/" LONG_NAME } },
    { "kl_store_op", "value", { POD, "", POD_MOST } },
    { "kl_store_op", "expected", { "18446744073709551615", "18446744073709551615", "18446744073709551615" } },
    { "kl_store_record", "key", { "/pods/default/web", "/pods/d/w", "/pods/" LONG_LABEL "/" LONG_NAME } },
    { "kl_store_record", "value", { POD, "{}", POD_MOST } },
    { "kl_runtime_io", "tty", { "0", "1", "0" } },
    { "kl_log_options", "tail_lines", { "-1", "0", "1000000" } },
    { "kl_log_options", "limit_bytes", { "-1", "0", "1000000" } },
    { "kl_log_options", NULL, { "0", "0", "0" } },
    { "kl_audit", "lines", { "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\"}\n", "", "{\"a\":\"" LONG_NAME "\"}\n" } },
    { "kl_audit", "n", { "1", "0", "1" } },
    { "kl_store", "after", { "", "", "/pods/" } },
    { "kl_store", "max", { "100", "1", "1000000" } },
    { "kl_store", "n", { "1", "1", "1" } },
    { "kl_store", "last", { "1", "1", "1" } },
    { "kl_store", "repair", { "0", "0", "0" } },
    { "kl_controller", "resource", { "/pods", "/pods", "/pods" } },
    { "kl_controller", "key", { "default/web", "w", LONG_LABEL "/" LONG_NAME } },
    { "kl_controller", "old", { "", "", POD_MOST } },
    { "kl_controller", "obj", { POD, POD_LEAST, POD_MOST } },
    { "kl_network", "config", { "{\"node\":\"n1\",\"podCIDRs\":[\"10.244.0.0/24\"],\"serviceCIDRs\":[\"10.96.0.0/12\"],\"clusterCIDRs\":[\"10.244.0.0/16\"]}",
                                "{\"node\":\"n1\",\"podCIDRs\":[\"10.244.0.0/24\"]}", "{\"node\":\"n1\",\"podCIDRs\":[\"10.244.0.0/24\"],\"serviceCIDRs\":[]}" } },
    { "kl_network", "pod", { NET_POD, NET_POD, NET_POD } },
    { "kl_proxy", "generation", { "1", "2", "3" } },
    { "kl_proxy", "state", { SERVICES, "{\"node\":\"n1\"}", SERVICES } },
    { "kl_proxy", "changes", { "{\"services\":[],\"removed\":[]}", "{}", "{\"removed\":[{\"namespace\":\"default\",\"name\":\"gone\"}]}" } },
    { "kl_runtime", "config", { CONTAINER, CONTAINER, CONTAINER } },
    { "kl_runtime", "pod_uid", { NOTHING, "absent", NOTHING } },
    { "kl_runtime", "ref", { "localhost/absent:latest", "absent", "localhost/" LONG_LABEL "@sha256:0000000000000000000000000000000000000000000000000000000000000000" } },
    { "kl_runtime", "auth", { "", "", "{\"username\":\"u\",\"password\":\"p\"}" } },
    { "kl_runtime", "grace_ns", { "1000000", "0", "1000000" } },
    { "kl_node", "port", { "80", "1", "65535" } },
    { "kl_node", "container", { "c", NOTHING, LONG_LABEL } },
    { "kl_volume_spec", "name", { "pvc-0a1b", "v", "pvc-" LONG_LABEL } },
    { "kl_volume_spec", "bytes", { "1048576", "1", "1073741824" } },
    { "kl_volume_spec", "node", { "n1", NOTHING, LONG_LABEL } },
    { "kl_volume_spec", "bytes_most", { "0", "0", "1099511627776" } },
    { "kl_volume_spec", "block", { "0", "0", "0" } },
    { "kl_volume_spec", "shared", { "0", "0", "0" } },
    { "kl_volume_spec", NULL, { NOTHING, NOTHING, NOTHING } },
    { "kl_volume_use", "id", { "pvc-0a1b", "absent", LONG_LABEL } },
    { "kl_volume_use", "target", { "/nowhere/volume", "/nowhere/volume", "/nowhere/" LONG_NAME } },
    { "kl_volume_use", "read_only", { "0", "0", "1" } },
    { "kl_volume_use", "block", { "0", "0", "0" } },
    { "kl_volume_use", NULL, { NOTHING, NOTHING, NOTHING } },
    { "kl_volume", "bytes", { "2097152", "1", "1073741824" } },
    { "kl_layered", "iface", { "keelson.scheduler/0", "keelson.scheduler/0", "keelson.scheduler/0" } },
    { "kl_layered", "instance", { "binpack", "b", LONG_LABEL } },
    { NULL, "argv", { "true", "true", "sh|-c|exit 0" } },
    { NULL, "ns", { "default", "", LONG_LABEL } },
    { NULL, "request", { "77", "1", "18446744073709551615" } },
    { NULL, NULL, { "absent", "absent", LONG_NAME } },
};

static const char *sample(const char *of, const char *name, uint32_t kind, enum args_variant v)
{
    bool number = kind == KL_SIG_I32 || kind == KL_SIG_U32 || kind == KL_SIG_I64 || kind == KL_SIG_U64 || kind == KL_SIG_SIZE;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        if ((!samples[i].of || strcmp(samples[i].of, of) == 0) && (!samples[i].name || strcmp(samples[i].name, name) == 0)) {
            const char *s = samples[i].values[v];
            return number && (s == NOTHING || (*s != '-' && (*s < '0' || *s > '9'))) ? "1" : s;
        }
    return "";
}

struct building {
    struct args *a;
    enum args_variant v;
    struct kl_call *call;
    void *handle;
    bool failed;
};

static const char *const *texts(struct building *b, const char *joined)
{
    const char *all[16];
    size_t n = 0;
    for (struct str rest = str_of(joined); *joined && rest.at && n < 15; n++) {
        struct str one = str_cut(&rest, '|');
        all[n] = pen_text(b->a->in, one.at, one.len, true);
    }
    const char **at = pen_alloc(b->a->in, (n + 1) * sizeof *at);
    if (!at) {
        b->failed = true;
        return NULL;
    }
    memcpy(at, all, n * sizeof *at);
    return at;
}

static void item(struct building *b, const char *of, const struct kl_sig_item *m, void *at);

static void fill_struct(struct building *b, const struct kl_sig_struct *s, unsigned char *at, uint32_t more)
{
    uint32_t size = s->bytes + more;
    memcpy(at, &size, sizeof size);
    if (more)
        memset(at + s->bytes, 0, more);          /* a plugin may know what lies there: nothing */
    for (uint32_t i = 0; i < s->n; i++)
        item(b, s->name, &s->members[i], at + s->members[i].offset);
}

static void *new_struct(struct building *b, const struct kl_sig_struct *s, struct pen *p, bool fill)
{
    unsigned char *at = pen_alloc(p, s->bytes + b->a->more);
    if (!at) {
        b->failed = true;
        return NULL;
    }
    uint32_t size = s->bytes + b->a->more;
    memcpy(at, &size, sizeof size);
    if (fill)
        fill_struct(b, s, at, b->a->more);
    return at;
}

static void put_pointer(void *at, const void *p)
{
    memcpy(at, &p, sizeof p);
}

static void *out(struct building *b, size_t n)
{
    void *at = pen_alloc(b->a->out, n);
    b->failed |= at == NULL;
    return at;
}

static void number(uint32_t kind, const char *s, void *at)
{
    if (kind == KL_SIG_I32 || kind == KL_SIG_U32) {
        int32_t i = (int32_t)strtoll(s, NULL, 10);
        memcpy(at, &i, sizeof i);
    } else {
        uint64_t u = *s == '-' ? (uint64_t)strtoll(s, NULL, 10) : strtoull(s, NULL, 10);
        memcpy(at, &u, sizeof u);
    }
}

static void item(struct building *b, const char *of, const struct kl_sig_item *m, void *at)
{
    const char *s = sample(of, m->name, m->kind, b->v);
    struct kl_bytes bytes = { NULL, 0 };
    switch (m->kind) {
    case KL_SIG_CALL: put_pointer(at, b->call); return;
    case KL_SIG_HANDLE: put_pointer(at, b->handle); return;
    case KL_SIG_TABLE: put_pointer(at, mock_table("keelson.scheduler/0")); return;
    case KL_SIG_I32: case KL_SIG_U32: case KL_SIG_I64: case KL_SIG_U64: case KL_SIG_SIZE: number(m->kind, s, at); return;
    case KL_SIG_FD: memcpy(at, &b->a->fd, sizeof b->a->fd); return;
    case KL_SIG_STR: put_pointer(at, s == NOTHING ? NULL : pen_text(b->a->in, s, strlen(s), true)); return;
    case KL_SIG_STRS: put_pointer(at, s == NOTHING ? NULL : texts(b, s)); return;
    case KL_SIG_BYTES:
        if (s != NOTHING && *s)
            bytes = (struct kl_bytes){ pen_text(b->a->in, s, strlen(s), false), strlen(s) };
        memcpy(at, &bytes, sizeof bytes);
        return;
    /* One element: what says how many stands in the samples. */
    case KL_SIG_STRUCT: case KL_SIG_STRUCTS: put_pointer(at, new_struct(b, m->of, b->a->in, true)); return;
    case KL_SIG_OUT_STRUCT: put_pointer(at, new_struct(b, m->of, b->a->out, false)); return;
    case KL_SIG_OUT_MEMORY: put_pointer(at, out(b, 4096)); return;
    default: put_pointer(at, out(b, sizeof(struct kl_bytes))); return;         /* the other OUT_ kinds: at most a kl_bytes */
    }
}

void *args_at(struct args *a, const struct kl_sig_call *call, uint32_t i)
{
    return a->block + invoke_offset(call, i);
}

void *args_named(struct args *a, const struct kl_sig_call *call, const char *name)
{
    for (uint32_t i = 0; i < call->n; i++)
        if (strcmp(call->arguments[i].name, name) == 0)
            return args_at(a, call, i);
    return NULL;
}

bool args_build(struct args *a, const struct kl_sig_table *t, const struct kl_sig_call *call, enum args_variant v, struct kl_call *c, void *handle)
{
    struct building b = { .a = a, .v = v, .call = c, .handle = handle };
    memset(a->block, 0, sizeof a->block);
    for (uint32_t i = 0; i < call->n; i++)
        item(&b, t->name, &call->arguments[i], args_at(a, call, i));
    return !b.failed;
}
