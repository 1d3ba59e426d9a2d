/* mem.c - what the agent remembers of a pod between synchronisations. All of it may be lost. */
#include "counts.h"
#include "evict.h"

static void mem_free_pod(struct pod_mem *m)
{
    for (char **u = m->uses; u && *u; u++)
        mem_free(*u);
    while (m->tokens) {
        struct token *t = m->tokens;
        m->tokens = t->next;
        mem_free(t->audience);
        mem_free(t->text);
        mem_free(t);
    }
    mem_free(m->uses);
    mem_free(m->ports);
    for (struct ctr_mem *k = m->ctrs, *next; k; k = next) {
        next = k->next;
        mem_free(k);
    }
    mem_free(m->key);
    mem_free(m->uid);
    mem_free(m);
}

struct pod_mem *mem_get(struct agent *a, struct str uid)
{
    pthread_mutex_lock(&a->lock);
    struct pod_mem *m = uid.len ? map_get(&a->pods, uid) : NULL;
    if (m)
        m->refs++;
    pthread_mutex_unlock(&a->lock);
    return m;
}

struct pod_mem *mem_by_key(struct agent *a, struct str key)
{
    size_t at = 0;
    void *v;
    struct pod_mem *found = NULL;
    pthread_mutex_lock(&a->lock);
    while (!found && map_next(&a->pods, &at, NULL, &v))
        if (str_is(key, ((struct pod_mem *)v)->key))
            found = v;
    if (found)
        found->refs++;
    pthread_mutex_unlock(&a->lock);
    return found;
}

static bool copy_uses(struct pod_mem *m, const struct val *pod)
{
    _cleanup_arena_ struct arena *ar = arena_new(0);
    struct val *names = ar ? val_new(ar, VAL_ARR) : NULL;
    if (!names)
        return false;
    volumes_uses(pod, ar, names);
    m->uses = mem_alloc((names->n + 1) * sizeof *m->uses);
    size_t n = 0;
    val_each(v, names)
        if (m->uses && !(m->uses[n++] = mem_dup(v->s, v->n)))
            return false;
    return m->uses != NULL;
}

static struct pod_mem *mem_build(const struct val *pod)
{
    struct pod_mem *m = mem_alloc(sizeof *m);
    if (!m)
        return NULL;
    struct str ns = json_str(pod, "metadata.namespace"), name = json_str(pod, "metadata.name"), uid = json_str(pod, "metadata.uid");
    m->refs = 1;
    m->uid = mem_dup(uid.at, uid.len);
    m->key = mem_alloc(ns.len + name.len + 2);
    if (!m->uid || !m->key || !copy_uses(m, pod) || !hostports_read(m, pod)) {
        mem_free_pod(m);
        return NULL;
    }
    snprintf(m->key, ns.len + name.len + 2, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    m->disk_limited = local_limited(pod);
    return m;
}

struct pod_mem *mem_make(struct agent *a, const struct val *pod)
{
    struct pod_mem *m = mem_get(a, json_str(pod, "metadata.uid"));
    if (m)
        return m;
    m = mem_build(pod);
    if (!m)
        return NULL;
    pthread_mutex_lock(&a->lock);
    bool kept = map_put(&a->pods, str_of(m->uid), m);
    m->refs += kept;
    pthread_mutex_unlock(&a->lock);
    if (kept)
        return m;
    mem_free_pod(m);
    return NULL;
}

void mem_put(struct agent *a, struct pod_mem *m)
{
    pthread_mutex_lock(&a->lock);
    bool last = --m->refs == 0;
    pthread_mutex_unlock(&a->lock);
    if (last)
        mem_free_pod(m);
}

void mem_forget(struct agent *a, struct str uid)
{
    pthread_mutex_lock(&a->lock);
    struct pod_mem *m = map_del(&a->pods, uid);
    pthread_mutex_unlock(&a->lock);
    if (m) {
        counts_forget(m->uid);
        mem_put(a, m);
    }
}

/* The pod's own worker, its probes' and its stops' threads ask at the same time. */
struct ctr_mem *mem_ctr(struct pod_mem *m, struct str name)
{
    struct ctr_mem *fresh = NULL, *first = m->ctrs, *end = NULL;
    for (;;) {
        for (struct ctr_mem *k = first; k != end; k = k->next)
            if (str_is(name, k->name)) {
                mem_free(fresh);
                return k;
            }
        if (!fresh && !(fresh = mem_alloc(sizeof *fresh)))
            return NULL;
        snprintf(fresh->name, sizeof fresh->name, STR_FMT, STR_ARG(name));
        fresh->next = end = first;
        if (atomic_compare_exchange_strong(&m->ctrs, &first, fresh))
            return fresh;
    }
}

void mem_free_all(struct agent *a)
{
    size_t at = 0;
    void *m;
    while (map_next(&a->pods, &at, NULL, &m))
        mem_free_pod(m);
    map_free(&a->pods);
}
