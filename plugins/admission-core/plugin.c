/* plugin.c - admission-core: three small plugins for new Pods, in upstream's words. */
#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_scan.h"

#define TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"

struct core {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
};

static int core_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct core *x = mem_alloc(sizeof *x);
    (void)conf;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    *self = x;
    return 0;
}

static void core_close(void *self)
{
    mem_free(self);
}

/* --- patches --- */

struct patch {
    struct arena *arena;
    struct val *ops;
};

static void set_value(struct patch *p, const char *path, struct val *v)
{
    struct val *op = val_push(p->ops, val_new(p->arena, VAL_OBJ));
    json_set_str(p->arena, op, STR("op"), STR("add"));
    json_set_str(p->arena, op, STR("path"), str_of(path));
    json_set(p->arena, op, STR("value"), v);
}

/* At the end of a list that may not be there yet. */
static void add_item(struct patch *p, const struct val *list, const char *path, struct val *v)
{
    if (val_is(list, VAL_ARR)) {
        set_value(p, arena_printf(p->arena, "%s/-", path), v);
        return;
    }
    struct val *one = val_new(p->arena, VAL_ARR);
    val_push(one, v);
    set_value(p, path, one);
}

static int hand_out(struct patch *p, struct kl_call *c, struct kl_admission_verdict *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    if (!p->ops->n)
        return 0;
    json_write(&b, p->ops);
    char *text = b.failed || arena_exhausted(p->arena) ? NULL : kl_dup(c, b.at, b.len);
    ret->patch = (struct kl_bytes){ text, b.len };
    return text ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* Only what a rule reads becomes a tree: most of a pod is its containers. reads: members of metadata and spec, as in the tables below. */
static struct val *pick(struct arena *a, struct str object, const char *const *reads, struct kl_err *err)
{
    static const char *const groups[] = { "metadata", "spec" };
    struct val *pod = val_new(a, VAL_OBJ);
    struct str name, value;
    for (int i = 0; i < 2; i++) {
        size_t skip = strlen(groups[i]) + 2;    /* "/spec/" */
        struct str part = json_scan_open(object, groups[i]);
        struct val *group = json_obj(a, pod, str_of(groups[i]));
        while (json_scan_next(&part, &name, &value))
            for (const char *const *r = reads; *r; r++)
                if (strncmp(*r + 1, groups[i], skip - 2) == 0 && str_is(name, *r + skip) && !json_set(a, group, name, json_parse(a, value, err)))
                    return NULL;
    }
    return pod;
}

typedef int (*pod_rule)(struct core *x, struct kl_call *c, const struct kl_admission_review *r, struct val *pod, struct patch *p);

static int review_pod(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret,
                      const char *const *reads, pod_rule rule)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *pod = a ? pick(a, str_n(r->object.at, r->object.len), reads, &c->err) : NULL;
    struct patch p = { a, pod ? val_new(a, VAL_ARR) : NULL };
    if (!p.ops)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = rule(self, c, r, pod, &p);
    return rc < 0 ? rc : hand_out(&p, c, ret);
}

/* --- serviceaccount --- */

static bool starts_with_pod(const struct val *pod)
{
    return json_path(pod, "metadata.annotations") &&
           json_get(json_path(pod, "metadata.annotations"), STR("kubernetes.io/config.mirror")) != NULL;
}

static bool mounts_token(const struct val *container)
{
    const struct val *mounts = json_get(container, STR("volumeMounts"));
    if (val_is(mounts, VAL_ARR))
        val_each(m, mounts)
            if (str_is(json_str(m, "mountPath"), TOKEN_PATH))
                return true;
    return false;
}

/* A mount for each container that has none at that path. How many? */
static unsigned mount_token(struct patch *p, const struct val *pod, const char *list, const char *volume)
{
    const struct val *all = json_get(json_get(pod, STR("spec")), str_of(list));
    unsigned i = 0, n = 0;
    for (const struct val *k = val_is(all, VAL_ARR) ? all->first : NULL; k; k = k->next, i++) {
        if (mounts_token(k))
            continue;
        struct val *m = val_new(p->arena, VAL_OBJ);
        json_set_str(p->arena, m, STR("name"), str_of(volume));
        json_set_bool(p->arena, m, STR("readOnly"), true);
        json_set_str(p->arena, m, STR("mountPath"), STR(TOKEN_PATH));
        add_item(p, json_get(k, STR("volumeMounts")), arena_printf(p->arena, "/spec/%s/%u/volumeMounts", list, i), m);
        n++;
    }
    return n;
}

/* The account's token, renewed by the node, the CA and the namespace: what clients in a pod look for. */
static int add_token(struct core *x, struct kl_call *c, struct val *pod, struct patch *p)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    static const char projected[] =
        "{\"defaultMode\":420,\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},{\"configMap\":{\"name\":"
        "\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{\"downwardAPI\":{\"items\":[{\"path\":\"namespace\","
        "\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.namespace\"}}]}}]}";
    unsigned char salt[5];
    char name[] = "kube-api-access-.....";
    x->env->random(x->host, salt, sizeof salt);
    for (int i = 0; i < 5; i++)
        name[sizeof name - 6 + i] = letters[salt[i] % (sizeof letters - 1)];
    const char *volume = arena_dup(p->arena, str_of(name));
    unsigned n = mount_token(p, pod, "initContainers", volume) + mount_token(p, pod, "containers", volume);
    if (!n)
        return 0;
    struct val *v = val_new(p->arena, VAL_OBJ);
    json_set_str(p->arena, v, STR("name"), str_of(volume));
    json_set(p->arena, v, STR("projected"), json_parse(p->arena, str_of(projected), &c->err));
    add_item(p, json_path(pod, "spec.volumes"), "/spec/volumes", v);
    return 0;
}

static int serviceaccount_rule(struct core *x, struct kl_call *c, const struct kl_admission_review *r, struct val *pod, struct patch *p)
{
    struct arena *a = p->arena;
    struct str name = json_str(pod, "spec.serviceAccountName");
    struct kl_bytes text;
    if (starts_with_pod(pod))           /* a mirror of a pod that the node runs by itself */
        return 0;
    const char *wanted = arena_dup(a, name.len ? name : STR("default"));
    struct kl_object_key k = { sizeof k, "/serviceaccounts", r->request->ns, wanted, NULL };
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND && name.len && strcmp(wanted, "default") != 0)
        return kl_fail(c, KL_FORBIDDEN, "error looking up service account %s/%s: serviceaccount \"%s\" not found", r->request->ns, wanted, wanted);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&c->err);
    if (!name.len) {
        set_value(p, "/spec/serviceAccountName", val_of_str(a, str_of(wanted)));
        set_value(p, "/spec/serviceAccount", val_of_str(a, str_of(wanted)));
    }
    struct val *account = rc == 0 ? json_parse(a, str_n(text.at, text.len), &c->err) : NULL;
    struct val *secrets = json_get(account, STR("imagePullSecrets"));
    if (secrets && secrets->n && !json_path(pod, "spec.imagePullSecrets"))
        set_value(p, "/spec/imagePullSecrets", val_copy(a, secrets));
    bool mount = json_bool(account, "automountServiceAccountToken", true);
    return json_bool(pod, "spec.automountServiceAccountToken", mount) ? add_token(x, c, pod, p) : 0;
}

static const char *const serviceaccount_reads[] = { "/metadata/annotations", "/spec/serviceAccountName", "/spec/imagePullSecrets",
                                                    "/spec/automountServiceAccountToken", "/spec/containers", "/spec/initContainers",
                                                    "/spec/volumes", NULL };

static int serviceaccount_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_pod(self, c, r, ret, serviceaccount_reads, serviceaccount_rule);
}

/* --- default-toleration-seconds --- */

static bool tolerates(const struct val *list, const char *key)
{
    if (val_is(list, VAL_ARR))
        val_each(t, list) {
            struct str k = json_str(t, "key"), effect = json_str(t, "effect");
            if ((!k.len || str_is(k, key)) && (!effect.len || str_is(effect, "NoExecute")))
                return true;
        }
    return false;
}

static int tolerations_rule(struct core *x, struct kl_call *c, const struct kl_admission_review *r, struct val *pod, struct patch *p)
{
    static const char *const keys[] = { "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable" };
    struct arena *a = p->arena;
    struct val *have = json_path(pod, "spec.tolerations");
    bool list = val_is(have, VAL_ARR) && have->n;
    (void)x;
    (void)c;
    (void)r;
    for (int i = 0; i < 2; i++) {
        if (tolerates(have, keys[i]))
            continue;
        struct val *t = val_new(a, VAL_OBJ);
        json_set_str(a, t, STR("key"), str_of(keys[i]));
        json_set_str(a, t, STR("operator"), STR("Exists"));
        json_set_str(a, t, STR("effect"), STR("NoExecute"));
        json_set_int(a, t, STR("tolerationSeconds"), 300);
        if (list) {
            set_value(p, "/spec/tolerations/-", t);
            continue;
        }
        struct val *one = val_new(a, VAL_ARR);
        val_push(one, t);
        set_value(p, "/spec/tolerations", one);
        list = true;
    }
    return 0;
}

static const char *const tolerations_reads[] = { "/spec/tolerations", NULL };

static int tolerations_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_pod(self, c, r, ret, tolerations_reads, tolerations_rule);
}

/* --- priority --- */

static int class_named(struct core *x, struct kl_call *c, struct arena *a, struct str name, struct val **ret)
{
    struct kl_bytes text;
    struct kl_object_key k = { sizeof k, "scheduling.k8s.io/priorityclasses", "", arena_dup(a, name), NULL };
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND)
        return kl_fail(c, KL_FORBIDDEN, "no PriorityClass with name " STR_FMT " was found", STR_ARG(name));
    if (rc < 0)
        return rc;
    *ret = json_parse(a, str_n(text.at, text.len), &c->err);
    return *ret ? 0 : -c->err.code;
}

/* Of several global defaults the one with the lowest value counts, as upstream has it. */
static int class_default(struct core *x, struct kl_call *c, struct arena *a, struct val **ret)
{
    struct kl_object_list list = { .size = sizeof list };
    struct kl_list_options o = { .size = sizeof o, .resource = "scheduling.k8s.io/priorityclasses" };
    int rc = x->objects->list(x->host, c, &o, &list);
    for (uint32_t i = 0; rc == 0 && i < list.n; i++) {
        struct str text = str_n(list.at[i].at, list.at[i].len);
        if (!str_is(json_scan_member(text, STR("globalDefault")), "true"))
            continue;
        struct val *v = json_parse(a, text, &c->err);
        if (json_bool(v, "globalDefault", false) && (!*ret || json_int(v, "value", 0) < json_int(*ret, "value", 0)))
            *ret = v;
    }
    return rc;
}

static int priority_rule(struct core *x, struct kl_call *c, const struct kl_admission_review *r, struct val *pod, struct patch *p)
{
    struct arena *a = p->arena;
    struct str name = json_str(pod, "spec.priorityClassName");
    struct val *found = NULL, *given = json_path(pod, "spec.priority");
    int rc = name.len ? class_named(x, c, a, name, &found) : class_default(x, c, a, &found);
    (void)r;
    if (rc < 0)
        return rc;
    int64_t value = json_int(found, "value", 0);
    struct str policy = json_str(found, "preemptionPolicy");
    if (given && json_int(pod, "spec.priority", 0) != value)
        return kl_fail(c, KL_FORBIDDEN, "the integer value of priority (%lld) must not be provided in pod spec; priority admission controller computed %lld from the given PriorityClass name",
                       (long long)json_int(pod, "spec.priority", 0), (long long)value);
    if (found && !name.len)
        set_value(p, "/spec/priorityClassName", val_of_str(a, json_str(found, "metadata.name")));
    set_value(p, "/spec/priority", val_of_int(a, value));
    if (!json_path(pod, "spec.preemptionPolicy"))
        set_value(p, "/spec/preemptionPolicy", val_of_str(a, policy.len ? policy : STR("PreemptLowerPriority")));
    return 0;
}

static const char *const priority_reads[] = { "/spec/priorityClassName", "/spec/priority", "/spec/preemptionPolicy", NULL };

static int priority_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_pod(self, c, r, ret, priority_reads, priority_rule);
}

/* --- descriptor --- */

static const char *const pods[] = { "/pods", NULL };

#define TABLE(NAME) \
    static const struct kl_admission NAME = { .size = sizeof NAME, .life = { .open = core_open, .close = core_close }, .resources = pods, \
                                              .operations = "CREATE", .mutates = 1, .review = NAME##_review, .reads = NAME##_reads }
TABLE(serviceaccount);
TABLE(tolerations);
TABLE(priority);

static const struct kl_provider provides[] = {
    { KL_ADMISSION_0, "priority", 0, &priority },
    { KL_ADMISSION_0, "serviceaccount", 0, &serviceaccount },
    { KL_ADMISSION_0, "default-toleration-seconds", 0, &tolerations },
};

static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_ENV_0, 0 } };

KL_PLUGIN_DEFINE("dev.keelson.admission-core", "0.1.0",
                 "keelson.admission/0:priority keelson.admission/0:serviceaccount keelson.admission/0:default-toleration-seconds",
                 "keelson.host.objects/0 keelson.host.env/0", .summary = "what every new Pod is given", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides));
