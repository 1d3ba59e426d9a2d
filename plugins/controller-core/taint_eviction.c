/* taint_eviction.c - pods leave a node whose NoExecute taints they do not bear, or no longer. The key is the node's name. */
#include "base/hash.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "nodes.h"

static int evict(struct ctl_run *r, struct val *pod)
{
    int rc = pod_set_condition(r, &pod, "DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    if (rc < 0)
        return rc;
    ctl_event(r, pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod " STR_FMT "/" STR_FMT, STR_ARG(meta_ns(pod)), STR_ARG(meta_name(pod)));
    return ctl_delete(r, PODS, pod, NULL);
}

/* --- who waits to be evicted --- */

/* Remembered under "NODE/NAMESPACE/NAME", since it is worth a word when it will not happen. */
static struct str wait_key(struct ctl_run *r, struct str node, const struct val *pod)
{
    return str_of(arena_printf(r->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(node), STR_ARG(meta_ns(pod)), STR_ARG(meta_name(pod))));
}

static void wait_begins(struct ctl_run *r, struct str node, const struct val *pod)
{
    struct str key = wait_key(r, node, pod);
    char *note = map_get(&r->ctl->memory, key) ? NULL : mem_dup(key.at, key.len);
    if (note && !map_put(&r->ctl->memory, str_n(note, key.len), note))
        mem_free(note);
}

static void wait_ends(struct ctl_run *r, struct str node, const struct val *pod)
{
    void *note = map_del(&r->ctl->memory, wait_key(r, node, pod));
    if (note && !meta_deleting(pod))
        ctl_event(r, pod, "Normal", "TaintManagerEviction", "Cancelling deletion of Pod " STR_FMT "/" STR_FMT, STR_ARG(meta_ns(pod)), STR_ARG(meta_name(pod)));
    mem_free(note);
}

/* Of pods that have gone, nothing is kept. True: some wait. */
static bool any_waits(struct ctl_run *r, struct str node, const struct ctl_list *pods)
{
    struct map there = { 0 };
    struct str *gone = arena_alloc(r->arena, (r->ctl->memory.n + 1) * sizeof *gone), key;
    size_t at = 0, n = 0;
    void *note;
    bool any = false;
    for (uint32_t i = 0; pods && i < pods->n; i++)
        map_put(&there, wait_key(r, node, pods->at[i]), pods->at[i]);
    while (gone && map_next(&r->ctl->memory, &at, &key, &note)) {
        struct str rest = key, of = str_cut(&rest, '/');
        if (!rest.len || !str_eq(of, node))
            continue;
        if (!pods || map_get(&there, key))
            any = true;
        else
            gone[n++] = key;
    }
    for (size_t i = 0; i < n; i++)
        mem_free(map_del(&r->ctl->memory, gone[i]));
    map_free(&there);
    return any;
}

/* --- since when --- */

/* Who taints a node by hand says no time: then what counts is when it was noticed, which only this instance knows. */
#define TAINTS_MOST 16
struct noticed {
    int64_t at[TAINTS_MOST];
    uint64_t digest[TAINTS_MOST];
    unsigned n;
    char node[];                        /* its key */
};

static bool timeless(const struct val *t)
{
    return str_is(json_str(t, "effect"), "NoExecute") && !meta_time(t, "timeAdded");
}

static uint64_t digest_of(struct ctl_run *r, const struct val *t)
{
    static const uint64_t key[2] = { 0x7461696e, 0x74 };
    struct str text = ctl_text(r, t);
    return hash_sip(key, text.at, text.len);
}

/* The node's entry with its present taints; those that were there keep their time. */
static void notice(struct ctl_run *r, struct str node, struct val *taints)
{
    struct noticed *old = map_del(&r->ctl->memory, node), *now = NULL;
    val_each(t, taints) {
        if (!timeless(t))
            continue;
        if (!now && (now = mem_alloc(sizeof *now + node.len + 1)))
            memcpy(now->node, node.at, node.len);
        if (!now || now->n == TAINTS_MOST)
            break;
        uint64_t digest = digest_of(r, t);
        int64_t at = r->now_ns;
        for (unsigned i = 0; old && i < old->n; i++)
            if (old->digest[i] == digest)
                at = old->at[i];
        now->digest[now->n] = digest;
        now->at[now->n++] = at;
        char text[CLOCK_TEXT];
        clock_format(at + NS_S - 1, text);       /* seconds: not too early */
        json_set_str(r->arena, t, STR("timeAdded"), arena_str(r->arena, str_of(text)));
    }
    mem_free(old);
    if (now && !map_put(&r->ctl->memory, str_n(now->node, node.len), now))
        mem_free(now);
}

/* A copy of the node's taints in which each NoExecute one has a time. */
static struct val *timed(struct ctl_run *r, struct str node, const struct val *taints)
{
    struct val *v = val_is(taints, VAL_ARR) ? val_copy(r->arena, taints) : val_new(r->arena, VAL_ARR);
    if (v)
        notice(r, node, v);
    return v;
}

/* --- reconcile --- */

static bool any_no_execute(const struct val *taints)
{
    if (val_is(taints, VAL_ARR))
        val_each(t, taints)
            if (str_is(json_str(t, "effect"), "NoExecute"))
                return true;
    return false;
}

/* until: as long as it bears the taints. */
static int judge(struct ctl_run *r, struct str node, struct val *pod, int64_t until)
{
    if (meta_deleting(pod) || until == INT64_MAX || !until)
        wait_ends(r, node, pod);
    if (meta_deleting(pod) || until == INT64_MAX)
        return 0;
    if (until <= r->now_ns) {
        mem_free(map_del(&r->ctl->memory, wait_key(r, node, pod)));
        return evict(r, pod);
    }
    wait_begins(r, node, pod);
    ctl_again(r, until - r->now_ns);
    return 0;
}

static int run(struct ctl_run *r, struct str none, struct str name)
{
    struct val *node, *taints;
    struct ctl_list pods;
    (void)none;
    int rc = ctl_get(r, NODES, STR(""), name, &node);
    taints = rc == 0 ? timed(r, name, json_path(node, "spec.taints")) : NULL;
    if (rc < 0 || (!any_no_execute(taints) && !any_waits(r, name, NULL)))
        return rc;
    rc = pods_on_node(r, name, &pods);
    if (rc == 0)
        any_waits(r, name, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++)
        rc = judge(r, name, pods.at[i], pod_bears_until(pods.at[i], taints));
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    static const char *const parts[] = { "spec.nodeName", "spec.tolerations" };
    bool deleted = r->call->flags & KL_CALL_DELETED;
    if (deleted && strcmp(resource, NODES) != 0)
        return 0;
    if (strcmp(resource, NODES) == 0) {
        if (deleted || !old.len || !str_eq(json_scan_path(old, "spec.taints"), json_scan_path(obj, "spec.taints")))
            ctl_key_add(keys, STR(""), json_scan_text(json_scan_path(obj, "metadata.name")));
        return 0;
    }
    struct str was[2], is[2], node = ctl_node(r);
    if (!node.len)
        return 0;
    json_scan_paths(obj, parts, 2, is);
    json_scan_paths(old, parts, 2, was);
    if (!old.len || !str_eq(was[0], is[0]) || !str_eq(was[1], is[1]))
        ctl_key_add(keys, STR(""), node);
    return 0;
}

CTL_RUN(taint_eviction, run)
CTL_MAP(taint_eviction, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), NODES, NULL, "map" },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(taint_eviction, watches, taint_eviction_map);
