/* jobs.c - stops of containers, which may last as long as the grace period: each on a thread of its own, so that no worker
 * waits. A stop survives nothing: after a restart of the agent the synchronisation finds the pod and stops it again.
 */
#include "probes.h"

#include <signal.h>

#define JOBS_MOST 256
#define JOB_STACK (256u << 10)

struct job {
    struct agent *agent;
    struct own_call own;
    struct kl_bytes pod, list;              /* copies, to run the hook from */
    char key[640], uid[64], name[64], id[160];
    int64_t grace_ns;
};

static void run_hook(struct job *j)
{
    struct arena *ar = j->own.arena.arena;
    struct pod_view v;
    struct val *pod = agent_parse(ar, &j->own.call, j->pod), *list = agent_parse(ar, &j->own.call, j->list);
    struct pod_mem *m = mem_get(j->agent, str_of(j->uid));
    struct ctr *k = m && pod && list && view_make(&v, ar, pod, list, m) ? view_ctr(&v, str_of(j->name)) : NULL;
    const struct val *hook = k ? json_path(k->spec, "lifecycle.preStop") : NULL;
    if (hook) {
        struct kl_call sub = call_within(j->agent, &j->own.call, j->grace_ns > 0 ? j->grace_ns : NS_PER_S);
        if (handler_run(j->agent, &sub, &v, k, hook, true) != 0)
            event_pod(j->agent, &v, k, "FailedPreStopHook", "PreStopHook failed: %s", sub.err.msg);
    }
    if (m)
        mem_put(j->agent, m);
}

static void forget_stop(struct job *j, int rc)
{
    struct pod_mem *m = mem_get(j->agent, str_of(j->uid));
    if (m) {
        struct ctr_mem *k = mem_ctr(m, str_of(j->name));
        pthread_mutex_lock(&j->agent->lock);
        if (rc < 0 && k && strcmp(k->stop_id, j->id) == 0)
            k->stop_id[0] = '\0';
        pthread_mutex_unlock(&j->agent->lock);
        mem_put(j->agent, m);
    }
    j->agent->queue->add(j->agent->host, j->key, rc < 0 ? NS_PER_S : 0);
}

static void run(struct job *j)
{
    struct agent *a = j->agent;
    int64_t from = agent_mono(a);
    if (j->pod.len)
        run_hook(j);
    int64_t left = j->grace_ns - (agent_mono(a) - from);
    if (j->pod.len && left < 2 * NS_PER_S && j->grace_ns > 0)
        left = 2 * NS_PER_S;                /* as upstream: a slow hook still leaves a moment for SIGTERM */
    int rc = a->rt->container_stop(a->rt_self, &j->own.call, j->id, left > 0 ? left : 0);
    if (rc < 0 && rc != -KL_CANCELLED)
        kl_log(a->host, KL_WARN, "stopping container '%s' of pod '%s': %s", j->name, j->key, j->own.call.err.msg);
    forget_stop(j, rc);
    own_call_done(&j->own);
    mem_free(j);
}

static void *run_thread(void *ctx)
{
    struct agent *a = ((struct job *)ctx)->agent;
    run(ctx);
    pthread_mutex_lock(&a->lock);
    a->jobs--;
    pthread_cond_broadcast(&a->idle);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static bool spawn(struct agent *a, struct job *j)
{
    pthread_attr_t attr;
    pthread_t t;
    sigset_t all, old;
    pthread_mutex_lock(&a->lock);
    bool room = a->jobs < JOBS_MOST && !a->inline_jobs;
    a->jobs += room;
    pthread_mutex_unlock(&a->lock);
    if (!room)
        return false;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, JOB_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    bool ok = pthread_create(&t, &attr, run_thread, j) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (!ok) {
        pthread_mutex_lock(&a->lock);
        a->jobs--;
        pthread_mutex_unlock(&a->lock);
    }
    return ok;
}

/* Who gets no time gets no hook. */
static bool copy_hook(struct job *j, const struct pod_view *v, const struct ctr *k, int64_t grace_s)
{
    struct arena *ar = j->own.arena.arena;
    if (!grace_s || !json_path(k->spec, "lifecycle.preStop"))
        return true;
    struct val *list = val_new(ar, VAL_OBJ);
    set_v(ar, list, "sandboxes", val_new(ar, VAL_ARR));
    val_push(json_get(list, STR("sandboxes")), val_copy(ar, v->sandbox));
    set_v(ar, list, "containers", val_new(ar, VAL_ARR));
    val_push(json_get(list, STR("containers")), val_copy(ar, k->now));
    j->pod = agent_text(ar, v->pod);
    j->list = agent_text(ar, list);
    return j->pod.at && j->list.at;
}

bool job_stop(struct agent *a, struct kl_call *c, const struct pod_view *v, struct ctr *k, int64_t grace_s)
{
    struct job *j = mem_alloc(sizeof *j);
    if (!j || !own_call_init(&j->own, a) || !copy_hook(j, v, k, grace_s)) {
        if (j)
            own_call_done(&j->own);
        mem_free(j);
        kl_fail(c, KL_NO_MEMORY, "no memory to stop container '" STR_FMT "'", STR_ARG(k->name));
        return false;
    }
    j->agent = a;
    j->grace_ns = grace_s * NS_PER_S;
    snprintf(j->key, sizeof j->key, "%s", v->mem->key);
    snprintf(j->uid, sizeof j->uid, "%s", v->mem->uid);
    snprintf(j->name, sizeof j->name, STR_FMT, STR_ARG(k->name));
    snprintf(j->id, sizeof j->id, STR_FMT, STR_ARG(ctr_id(k)));
    pthread_mutex_lock(&a->lock);
    snprintf(k->mem->stop_id, sizeof k->mem->stop_id, "%s", j->id);
    k->mem->stop_by_ns = agent_mono(a) + j->grace_ns;
    pthread_mutex_unlock(&a->lock);
    if (!spawn(a, j))
        run(j);
    return true;
}

void jobs_wait(struct agent *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->jobs)
        pthread_cond_wait(&a->idle, &a->lock);
    pthread_mutex_unlock(&a->lock);
}
