/* reset.c - restart rules, and RestartAllContainers: a container that ends by such a rule ends the life of all of them, and the pod begins anew in its sandbox, init
 * containers first. What has to be made anew is all that was made before the agent saw that end. One that starts again sees it again if the container has not been started since: all begin anew then. */
#include "agent.h"

struct str restart_rule(const struct val *container, int64_t exit_code)
{
    const struct val *rules = json_get(container, STR("restartPolicyRules"));
    if (val_is(rules, VAL_ARR))
        val_each(r, rules)
        {
            const struct val *codes = json_path(r, "exitCodes.values");
            bool in = false;
            if (!val_is(codes, VAL_ARR))
                continue;
            val_each(n, codes)
                in |= val_is(n, VAL_INT) && n->i == exit_code;
            if (in != str_is(json_str(r, "exitCodes.operator"), "NotIn"))
                return json_str(r, "action");
        }
    return STR_NONE;
}

static bool resets(const struct ctr *k, int64_t exit_code)
{
    return str_is(restart_rule(k->spec, exit_code), RESTART_ALL);
}

bool reset_possible(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct val *rules = json_get(v->ctrs[i].spec, STR("restartPolicyRules"));
        if (val_is(rules, VAL_ARR))
            val_each(r, rules)
                if (str_is(json_str(r, "action"), RESTART_ALL))
                    return true;
    }
    return false;
}

/* The pod had done its work by then: sidecars that end after it start nothing. */
static bool over_before(const struct pod_view *v, int64_t when)
{
    size_t mains = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->kind != CTR_MAIN)
            continue;
        if (k->state != RUN_EXITED || !k->ran_here || k->finished_ns >= when || plan_restarts(v, k))
            return false;
        mains++;
    }
    return mains > 0;
}

/* When the one that ended last by such a rule, and was not started since, ended; 0: there is none. */
static int64_t told_at(const struct pod_view *v)
{
    int64_t last = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        bool tells = k->kind != CTR_EPHEMERAL && k->state == RUN_EXITED && k->ran_here && k->finished_ns > last;
        if (tells && resets(k, k->exit_code) && !over_before(v, k->finished_ns))
            last = k->finished_ns;
    }
    return last;
}

void reset_mark(struct pod_view *v)
{
    int64_t last = atomic_load(&v->mem->reset_ns);
    for (size_t i = 0; i < v->n && last; i++) {
        struct ctr *k = &v->ctrs[i];
        if (!k->now || !k->ran_here || k->kind == CTR_EPHEMERAL || json_int(k->now, "createdAt", 0) >= last)
            continue;
        k->reset = true;
        k->stale = k->state != RUN_RUNNING;         /* what runs has to be stopped first */
        k->trigger = k->state == RUN_EXITED && resets(k, k->exit_code);
    }
}

void reset_notice(struct agent *a, struct pod_view *v)
{
    int64_t told = reset_possible(v) ? told_at(v) : 0;
    pthread_mutex_lock(&a->lock);
    bool news = told > v->mem->told_ns;
    if (news) {
        v->mem->told_ns = told;
        atomic_store(&v->mem->reset_ns, agent_wall(a));     /* also what was made since that end */
    }
    pthread_mutex_unlock(&a->lock);
    if (news)
        reset_mark(v);
}

bool reset_goes_on(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->ctrs[i].reset && v->ctrs[i].state == RUN_RUNNING)
            return true;
    return false;
}
