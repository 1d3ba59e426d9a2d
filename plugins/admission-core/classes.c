/* classes.c - what a RuntimeClass, a namespace or the administrator adds to pods, and the first taint of nodes. In upstream's words. */
#include "core.h"
#include "review.h"

/* --- runtime classes --- */

static int reject(struct review *w, const char *why)
{
    return review_forbid(w, "pod rejected: %s", why);
}

/* Overhead is the class's: a pod may only repeat it. */
static int check_overhead(struct review *w, const struct val *pod, const struct val *class)
{
    const struct val *given = json_path(pod, "spec.overhead"), *fixed = json_path(class, "overhead.podFixed");
    if (given && !fixed)
        return reject(w, "Pod Overhead set without corresponding RuntimeClass defined Overhead");
    if (fixed && ((given && !val_equal(given, fixed)) || (!given && review_validates(w))))
        return reject(w, "Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    if (fixed && !given)
        review_set(w, "/spec/overhead", val_copy(w->arena, fixed));
    return 0;
}

static bool has_item(const struct val *list, const struct val *v)
{
    for (const struct val *i = val_is(list, VAL_ARR) ? list->first : NULL; i; i = i->next)
        if (val_equal(i, v))
            return true;
    return false;
}

static int set_scheduling(struct review *w, const struct val *pod, const struct val *class)
{
    const struct val *labels = json_path(class, "scheduling.nodeSelector"), *tolerations = json_path(class, "scheduling.tolerations");
    const struct val *there = json_path(pod, "spec.nodeSelector"), *tolerated = json_path(pod, "spec.tolerations");
    struct val *all = val_is(there, VAL_OBJ) ? val_copy(w->arena, there) : val_new(w->arena, VAL_OBJ);
    struct val *list = val_is(tolerated, VAL_ARR) ? val_copy(w->arena, tolerated) : val_new(w->arena, VAL_ARR);
    for (const struct val *l = val_is(labels, VAL_OBJ) ? labels->first : NULL; l; l = l->next) {
        struct str have = val_str(json_get(all, val_key(l)));
        if (json_get(all, val_key(l)) && !str_eq(have, val_str(l)))
            return review_forbid(w, "pod rejected: conflict: runtimeClass.scheduling.nodeSelector[" STR_FMT "] = " STR_FMT "; pod.spec.nodeSelector[" STR_FMT "] = " STR_FMT,
                                 STR_ARG(val_key(l)), STR_ARG(val_str(l)), STR_ARG(val_key(l)), STR_ARG(have));
        json_set(w->arena, all, val_key(l), val_copy(w->arena, l));
    }
    for (const struct val *t = val_is(tolerations, VAL_ARR) ? tolerations->first : NULL; t; t = t->next)
        if (!has_item(list, t))
            val_push(list, val_copy(w->arena, t));
    if (all && all->n != (val_is(there, VAL_OBJ) ? there->n : 0))
        review_set(w, "/spec/nodeSelector", all);
    if (list && list->n != (val_is(tolerated, VAL_ARR) ? tolerated->n : 0))
        review_set(w, "/spec/tolerations", list);
    return 0;
}

static int runtime_class_rule(struct review *w)
{
    struct val *pod = review_object(w), *class = NULL;
    struct str name = json_str(pod, "spec.runtimeClassName");
    if (!pod)
        return review_no_memory(w);
    int rc = name.len ? review_get(w, "node.k8s.io/runtimeclasses", "", name, &class) : 0;
    if (rc == 0 && name.len && !class)
        return review_forbid(w, "pod rejected: RuntimeClass \"" STR_FMT "\" not found", STR_ARG(name));
    if (rc == 0)
        rc = check_overhead(w, pod, class);
    return rc == 0 && class && !review_validates(w) ? set_scheduling(w, pod, class) : rc;
}

/* --- nodes --- */

/* Nothing runs on a node before the controller has seen it ready. */
static int taint_nodes_rule(struct review *w)
{
    struct val *node = review_object(w), *list = json_path(node, "spec.taints"), *t = val_new(w->arena, VAL_OBJ);
    if (!node || !t)
        return review_no_memory(w);
    for (const struct val *i = val_is(list, VAL_ARR) ? list->first : NULL; i; i = i->next)
        if (str_is(json_str(i, "key"), "node.kubernetes.io/not-ready") && str_is(json_str(i, "effect"), "NoSchedule"))
            return 0;
    json_set_str(w->arena, t, STR("key"), STR("node.kubernetes.io/not-ready"));
    json_set_str(w->arena, t, STR("effect"), STR("NoSchedule"));
    review_push(w, list, "/spec/taints", t);
    return 0;
}

/* Where a pod runs, it may know from its own labels: those of its node, at its binding (or when it is made for a node). */
static int pod_topology_rule(struct review *w)
{
    static const char *const keys[] = { "topology.kubernetes.io/zone", "topology.kubernetes.io/region" };
    struct val *v = review_object(w), *node;
    bool binding = w->r->request->subresource[0] != 0;
    struct str name = json_str(v, binding ? "target.name" : "spec.nodeName");
    if (!v || !name.len)
        return v ? 0 : review_no_memory(w);
    int rc = review_get(w, "/nodes", "", name, &node);
    if (rc < 0 || !node)
        return rc;
    const struct val *there = json_path(v, "metadata.labels");
    struct val *labels = val_is(there, VAL_OBJ) ? val_copy(w->arena, there) : val_new(w->arena, VAL_OBJ);
    bool changed = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct val *l = json_get(json_path(node, "metadata.labels"), str_of(keys[i]));
        changed |= l && json_set_str(w->arena, labels, str_of(keys[i]), val_str(l));
    }
    if (changed)
        review_set(w, "/metadata/labels", labels);
    return 0;
}

/* --- what an administrator may want of pods (not in the chain unless named there) --- */

static int each_container(struct review *w, const struct val *pod, int (*rule)(struct review *w, const char *list, unsigned i, const struct val *c))
{
    static const char *const lists[] = { "containers", "initContainers", "ephemeralContainers" };
    for (int l = 0; l < 3; l++) {
        const struct val *list = json_get(json_get(pod, STR("spec")), str_of(lists[l]));
        unsigned i = 0;
        for (const struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next, i++) {
            int rc = rule(w, lists[l], i, c);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int pull(struct review *w, const char *list, unsigned i, const struct val *c)
{
    if (!str_is(json_str(c, "imagePullPolicy"), "Always"))
        review_set(w, arena_printf(w->arena, "/spec/%s/%u/imagePullPolicy", list, i), val_of_str(w->arena, STR("Always")));
    return 0;
}

static int always_pull_rule(struct review *w)
{
    struct val *pod = review_object(w);
    return pod ? each_container(w, pod, pull) : review_no_memory(w);
}

static int extended_tolerations_rule(struct review *w)
{
    static const char *const lists[] = { "containers", "initContainers" };
    struct val *pod = review_object(w), *there = json_path(pod, "spec.tolerations"), *names = val_new(w->arena, VAL_OBJ);
    struct val *list = val_is(there, VAL_ARR) ? val_copy(w->arena, there) : val_new(w->arena, VAL_ARR);
    if (!pod || !names || !list)
        return review_no_memory(w);
    for (int l = 0; l < 2; l++) {
        const struct val *cs = json_get(json_get(pod, STR("spec")), str_of(lists[l]));
        for (const struct val *c = val_is(cs, VAL_ARR) ? cs->first : NULL; c; c = c->next) {
            const struct val *requests = json_path(c, "resources.requests");
            for (const struct val *q = val_is(requests, VAL_OBJ) ? requests->first : NULL; q; q = q->next)
                if (str_find(val_key(q), '/') >= 0 && !memmem(q->key, q->key_len, "kubernetes.io/", 14))
                    json_set_bool(w->arena, names, val_key(q), true);
        }
    }
    val_each(n, names) {
        struct val *t = val_new(w->arena, VAL_OBJ);
        json_set_str(w->arena, t, STR("key"), val_key(n));
        json_set_str(w->arena, t, STR("operator"), STR("Exists"));
        json_set_str(w->arena, t, STR("effect"), STR("NoSchedule"));
        if (t && !has_item(list, t))
            val_push(list, t);
    }
    if (list->n != (val_is(there, VAL_ARR) ? there->n : 0))
        review_set(w, "/spec/tolerations", list);
    return 0;
}

/* "a=b,c=d" on top of all. False: all says otherwise. */
static bool add_pairs(struct review *w, struct val *all, struct str text)
{
    while (text.at && text.len) {
        struct str value = str_trim(str_cut(&text, ',')), key = str_cut(&value, '=');
        const struct val *there = json_get(all, key);
        if (there && !str_eq(val_str(there), value))
            return false;
        if (key.len)
            json_set_str(w->arena, all, key, value);
    }
    return true;
}

static int pod_node_selector_rule(struct review *w)
{
    const struct core_conf *conf = w->core->conf;
    struct val *pod = review_object(w), *ns, *there = json_path(pod, "spec.nodeSelector");
    struct val *all = val_is(there, VAL_OBJ) ? val_copy(w->arena, there) : val_new(w->arena, VAL_OBJ);
    if (!pod || !all)
        return review_no_memory(w);
    int rc = review_get(w, "/namespaces", "", str_of(w->r->request->ns), &ns);
    if (rc < 0)
        return rc;
    const struct val *wanted = json_get(json_path(ns, "metadata.annotations"), STR("scheduler.alpha.kubernetes.io/node-selector"));
    if (!add_pairs(w, all, wanted ? val_str(wanted) : str_of(conf->node_selector ? conf->node_selector : "")))
        return review_forbid(w, "pod node label selector conflicts with its namespace node label selector");
    if (all->n != (val_is(there, VAL_OBJ) ? there->n : 0))
        review_set(w, "/spec/nodeSelector", all);
    return 0;
}

#define TABLE(ID, MUTATES, WHEN, ...) \
    static int ID##_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret) \
    { \
        return review_run(self, c, r, ret, ID##_rule); \
    } \
    static const char *const ID##_resources[] = { __VA_ARGS__, NULL }; \
    const struct kl_admission ID##_admission = { .size = sizeof(struct kl_admission), .life = { .open = core_open, .close = core_close }, \
                                                 .resources = ID##_resources, .operations = "CREATE", .mutates = MUTATES, .review = ID##_review, .when = WHEN }
static const char *const class_or_overhead[] = { "/spec/runtimeClassName", "/spec/overhead", NULL };
TABLE(runtime_class, 2, class_or_overhead, "/pods");
static const char *const on_a_node[] = { "/target/name", "/spec/nodeName", NULL };
TABLE(pod_topology, 1, on_a_node, "/pods", "/pods/binding");
TABLE(taint_nodes, 1, NULL, "/nodes");
TABLE(always_pull, 1, NULL, "/pods");
TABLE(extended_tolerations, 1, NULL, "/pods");
TABLE(pod_node_selector, 1, NULL, "/pods");
