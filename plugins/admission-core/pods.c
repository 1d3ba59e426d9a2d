/* pods.c - what every new Pod is given: an account and its token, tolerations, a priority. In upstream's words. */
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "core.h"

#define TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"

struct pods {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
    uint64_t key[2];                    /* of what is drawn for a request */
};

static int pods_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct pods *x = mem_alloc(sizeof *x);
    (void)conf;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    x->env->random(h, x->key, sizeof x->key);
    *self = x;
    return 0;
}

static void pods_close(void *self)
{
    mem_free(self);
}

/* --- patches: JSON text, written as the rules go --- */

struct patch {
    struct buf b;
};

/* What follows is the operation's value. */
static void begin_op(struct patch *p, const char *path, bool at_end)
{
    buf_add_z(&p->b, p->b.len ? ",{\"op\":\"add\",\"path\":\"" : "[{\"op\":\"add\",\"path\":\"");
    buf_add_z(&p->b, path);
    buf_add_z(&p->b, at_end ? "/-\",\"value\":" : "\",\"value\":");
}

static void end_op(struct patch *p)
{
    buf_add_c(&p->b, '}');
}

static void set_text(struct patch *p, const char *path, struct str json)
{
    begin_op(p, path, false);
    buf_add_str(&p->b, json);
    end_op(p);
}

static void set_string(struct patch *p, const char *path, struct str s)
{
    begin_op(p, path, false);
    json_write_str(&p->b, s);
    end_op(p);
}

/* An item at the end of a list, which need not be there yet. Between the two calls its text is written. */
static void begin_item(struct patch *p, const char *path, bool has_list)
{
    begin_op(p, path, has_list);
    if (!has_list)
        buf_add_c(&p->b, '[');
}

static void end_item(struct patch *p, bool has_list)
{
    if (!has_list)
        buf_add_c(&p->b, ']');
    end_op(p);
}

static int hand_out(struct patch *p, struct kl_call *c, struct kl_admission_verdict *ret)
{
    if (!p->b.len)
        return 0;
    buf_add_c(&p->b, ']');
    char *text = p->b.failed ? NULL : kl_dup(c, p->b.at, p->b.len);
    ret->patch = (struct kl_bytes){ text, p->b.len };
    ret->flags |= KL_VERDICT_SETTLED;   /* accounts' pull secrets were settled with the account, the rest are constants */
    return text ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* What a rule reads of the pod, as text; the index is that of the pointer in its list. Most of a pod is never looked at. */
#define READS_MOST 8

static void read_members(struct str object, const char *const *reads, struct str ret[READS_MOST])
{
    static const char *const groups[] = { "metadata", "spec" };
    struct str name, value;
    memset(ret, 0, READS_MOST * sizeof *ret);
    for (int i = 0; i < 2; i++) {
        size_t skip = strlen(groups[i]) + 2;    /* "/spec/" */
        unsigned left = 0;
        for (const char *const *r = reads; *r; r++)
            left += strncmp(*r + 1, groups[i], skip - 2) == 0;
        struct str part = left ? json_scan_open(object, groups[i]) : STR_NONE;
        while (left && part.at && json_scan_next(&part, &name, &value))
            for (unsigned k = 0; reads[k]; k++)
                if (strncmp(reads[k] + 1, groups[i], skip - 2) == 0 && str_is(name, reads[k] + skip)) {
                    ret[k] = value;
                    left--;
                }
    }
}

typedef int (*pod_rule)(struct pods *x, struct kl_call *c, const struct kl_admission_review *r, const struct str *pod, struct patch *p);

static int review_pod(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret,
                      const char *const *reads, pod_rule rule)
{
    struct patch p = { BUF_INIT(1 << 20) };
    struct str pod[READS_MOST];
    read_members(str_n(r->object.at, r->object.len), reads, pod);
    int rc = rule(self, c, r, pod, &p);
    if (rc == 0)
        rc = hand_out(&p, c, ret);
    buf_free(&p.b);
    return rc;
}

/* --- serviceaccount --- */

enum { SA_ANNOTATIONS, SA_NAME, SA_PULL, SA_AUTOMOUNT, SA_CONTAINERS, SA_INIT, SA_VOLUMES };
static const char *const serviceaccount_reads[] = { "/metadata/annotations", "/spec/serviceAccountName", "/spec/imagePullSecrets",
                                                    "/spec/automountServiceAccountToken", "/spec/containers", "/spec/initContainers",
                                                    "/spec/volumes", NULL };

static bool mounts_token(struct str mounts)
{
    struct str m;
    while (mounts.len && json_scan_item(&mounts, &m))
        if (str_is(json_scan_text(json_scan_member(m, STR("mountPath"))), TOKEN_PATH))
            return true;
    return false;
}

/* A mount for each container that has none at that path. How many? */
static unsigned mount_token(struct patch *p, struct str containers, const char *list, const char *volume)
{
    struct str k;
    unsigned n = 0;
    char path[64];
    for (unsigned i = 0; containers.len && json_scan_item(&containers, &k); i++) {
        struct str mounts = json_scan_member(k, STR("volumeMounts"));
        if (mounts_token(mounts))
            continue;
        snprintf(path, sizeof path, "/spec/%s/%u/volumeMounts", list, i);
        begin_item(p, path, mounts.len > 0);
        buf_add_z(&p->b, "{\"name\":\"");
        buf_add_z(&p->b, volume);
        buf_add_z(&p->b, "\",\"readOnly\":true,\"mountPath\":\"" TOKEN_PATH "\"}");
        end_item(p, mounts.len > 0);
        n++;
    }
    return n;
}

/* A volume with the token that an earlier walk, or the client, put in; NULL: none. */
static const char *token_volume(struct kl_call *c, struct str volumes)
{
    struct str v;
    while (volumes.len && json_scan_item(&volumes, &v)) {
        struct str name = json_scan_text(json_scan_member(v, STR("name")));
        if (str_starts(name, STR("kube-api-access-")))
            return kl_dup(c, name.at, name.len);
    }
    return NULL;
}

/* The account's token, renewed by the node, the CA and the namespace: what clients in a pod look for. */
static void add_token(struct pods *x, struct kl_call *c, const struct str *pod, struct patch *p)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    static const char projected[] =
        "\",\"projected\":{\"defaultMode\":420,\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},"
        "{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},"
        "{\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.namespace\"}}]}}]}}";
    uint64_t drawn = hash_sip(x->key, &c->request, sizeof c->request);       /* asked again it must say the same */
    const unsigned char *salt = (const unsigned char *)&drawn;
    char name[] = "kube-api-access-.....";
    if (!c->request)
        x->env->random(x->host, &drawn, sizeof drawn);
    for (int i = 0; i < 5; i++)
        name[sizeof name - 6 + i] = letters[salt[i] % (sizeof letters - 1)];
    const char *there = token_volume(c, pod[SA_VOLUMES]), *volume = there ? there : name;
    if (mount_token(p, pod[SA_INIT], "initContainers", volume) + mount_token(p, pod[SA_CONTAINERS], "containers", volume) == 0 || there)
        return;
    begin_item(p, "/spec/volumes", pod[SA_VOLUMES].len > 0);
    buf_add_z(&p->b, "{\"name\":\"");
    buf_add_z(&p->b, name);
    buf_add_z(&p->b, projected);
    end_item(p, pod[SA_VOLUMES].len > 0);
}

static int serviceaccount_rule(struct pods *x, struct kl_call *c, const struct kl_admission_review *r, const struct str *pod, struct patch *p)
{
    struct str name = json_scan_text(pod[SA_NAME]), account = STR_NONE;
    struct kl_bytes text;
    if (json_scan_member(pod[SA_ANNOTATIONS], STR("kubernetes.io/config.mirror")).at)
        return 0;                       /* a mirror of a pod that the node runs by itself */
    const char *wanted = name.len ? kl_dup(c, name.at, name.len) : "default";
    if (!wanted)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct kl_object_key k = { sizeof k, "/serviceaccounts", r->request->ns, wanted, NULL };
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND && strcmp(wanted, "default") != 0)
        return kl_fail(c, KL_FORBIDDEN, "error looking up service account %s/%s: serviceaccount \"%s\" not found", r->request->ns, wanted, wanted);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&c->err);
    if (!name.len) {
        set_string(p, "/spec/serviceAccountName", str_of(wanted));
        set_string(p, "/spec/serviceAccount", str_of(wanted));
    }
    if (rc == 0)
        account = str_n(text.at, text.len);
    struct str secrets = json_scan_member(account, STR("imagePullSecrets")), mount = json_scan_member(account, STR("automountServiceAccountToken"));
    if (secrets.len > 2 && pod[SA_PULL].len <= 2)
        set_text(p, "/spec/imagePullSecrets", secrets);
    if (pod[SA_AUTOMOUNT].len)
        mount = pod[SA_AUTOMOUNT];
    if (!str_is(mount, "false"))
        add_token(x, c, pod, p);
    return 0;
}

static int serviceaccount_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_pod(self, c, r, ret, serviceaccount_reads, serviceaccount_rule);
}

/* --- default-toleration-seconds --- */

static const char *const tolerations_reads[] = { "/spec/tolerations", NULL };

static bool tolerates(struct str list, const char *key)
{
    struct str t;
    while (list.len && json_scan_item(&list, &t)) {
        struct str k = json_scan_text(json_scan_member(t, STR("key"))), effect = json_scan_text(json_scan_member(t, STR("effect")));
        if ((!k.len || str_is(k, key)) && (!effect.len || str_is(effect, "NoExecute")))
            return true;
    }
    return false;
}

static int tolerations_rule(struct pods *x, struct kl_call *c, const struct kl_admission_review *r, const struct str *pod, struct patch *p)
{
    static const char *const keys[] = { "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable" };
    bool list = pod[0].len > 2;
    (void)x;
    (void)c;
    (void)r;
    for (int i = 0; i < 2; i++) {
        if (tolerates(pod[0], keys[i]))
            continue;
        begin_item(p, "/spec/tolerations", list);
        buf_add_z(&p->b, "{\"key\":\"");
        buf_add_z(&p->b, keys[i]);
        buf_add_z(&p->b, "\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}");
        end_item(p, list);
        list = true;
    }
    return 0;
}

static int tolerations_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_pod(self, c, r, ret, tolerations_reads, tolerations_rule);
}

/* --- priority --- */

enum { PRIO_CLASS, PRIO_VALUE, PRIO_POLICY };
static const char *const priority_reads[] = { "/spec/priorityClassName", "/spec/priority", "/spec/preemptionPolicy", NULL };

static int class_named(struct pods *x, struct kl_call *c, struct str name, struct str *ret)
{
    struct kl_bytes text;
    const char *z = kl_dup(c, name.at, name.len);
    if (!z)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct kl_object_key k = { sizeof k, "scheduling.k8s.io/priorityclasses", "", z, NULL };
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND)
        return kl_fail(c, KL_FORBIDDEN, "no PriorityClass with name %s was found", z);
    if (rc == 0)
        *ret = str_n(text.at, text.len);
    return rc;
}

static int64_t class_value(struct str class)
{
    int64_t value = 0;
    str_int(json_scan_member(class, STR("value")), &value);
    return value;
}

/* Of several global defaults the one with the lowest value counts, as upstream has it. */
static int class_default(struct pods *x, struct kl_call *c, struct str *ret)
{
    struct kl_object_list list = { .size = sizeof list };
    struct kl_list_options o = { .size = sizeof o, .resource = "scheduling.k8s.io/priorityclasses" };
    int rc = x->objects->list(x->host, c, &o, &list);
    for (uint32_t i = 0; rc == 0 && i < list.n; i++) {
        struct str text = str_n(list.at[i].at, list.at[i].len);
        if (str_is(json_scan_member(text, STR("globalDefault")), "true") && (!ret->at || class_value(text) < class_value(*ret)))
            *ret = text;
    }
    return rc;
}

static int priority_rule(struct pods *x, struct kl_call *c, const struct kl_admission_review *r, const struct str *pod, struct patch *p)
{
    struct str name = json_scan_text(pod[PRIO_CLASS]), class = STR_NONE;
    int rc = name.len ? class_named(x, c, name, &class) : class_default(x, c, &class);
    int64_t value = class_value(class), given;
    (void)r;
    if (rc < 0)
        return rc;
    if (str_int(pod[PRIO_VALUE], &given) && given != value)
        return kl_fail(c, KL_FORBIDDEN, "the integer value of priority (%lld) must not be provided in pod spec; priority admission controller computed %lld from the given PriorityClass name",
                       (long long)given, (long long)value);
    if (class.at && !name.len)
        set_text(p, "/spec/priorityClassName", json_scan_path(class, "metadata.name"));
    begin_op(p, "/spec/priority", false);
    buf_add_int(&p->b, value);
    end_op(p);
    struct str policy = json_scan_member(class, STR("preemptionPolicy"));
    if (!pod[PRIO_POLICY].len)
        set_text(p, "/spec/preemptionPolicy", policy.len > 2 ? policy : STR("\"PreemptLowerPriority\""));
    return 0;
}

static int priority_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_pod(self, c, r, ret, priority_reads, priority_rule);
}

static const char *const pods[] = { "/pods", NULL };

#define TABLE(NAME, OPERATIONS) \
    const struct kl_admission NAME##_admission = { .size = sizeof(struct kl_admission), .life = { .open = pods_open, .close = pods_close }, .resources = pods, \
                                                   .operations = OPERATIONS, .mutates = 1, .review = NAME##_review, .reads = NAME##_reads }
TABLE(serviceaccount, "CREATE");
TABLE(tolerations, "CREATE,UPDATE");
TABLE(priority, "CREATE");
