/* image.c - makes a container's image present as its pull policy says. */
#include "agent.h"

static int held(struct agent *a, struct kl_call *c, struct ctr *k, const char *reason)
{
    struct ctr_mem *m = k->mem;
    m->retry_step_ns = plan_backoff(m->retry_step_ns, 0);
    m->retry_ns = agent_mono(a) + m->retry_step_ns;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
    snprintf(m->message, sizeof m->message, "%s", c->err.msg);
    return -c->err.code;
}

static bool bad_name(struct str image)
{
    if (!image.len || image.len > 512)
        return true;
    for (size_t i = 0; i < image.len; i++)
        if ((unsigned char)image.at[i] <= ' ' || (unsigned char)image.at[i] >= 127)
            return true;
    return false;
}

/* With each login that fits, else with none. */
static int pull_with_logins(struct agent *a, struct kl_call *c, struct pod_view *v, const char *ref)
{
    const struct val *logins = pullsecret_logins(a, c, v, str_of(ref));
    struct kl_bytes got = { NULL, 0 };
    int rc = -KL_FORBIDDEN;
    for (const struct val *l = logins ? logins->first : NULL; l && rc == -KL_FORBIDDEN; l = l->next)
        rc = a->rt->image_pull(a->rt_self, c, ref, agent_text(v->arena, l), &got);
    return logins && logins->n ? rc : a->rt->image_pull(a->rt_self, c, ref, (struct kl_bytes){ "", 0 }, &got);
}

static int pull(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k, const char *ref)
{
    int64_t from = agent_mono(a);
    event_pod(a, v, k, "Pulling", "Pulling image \"%s\"", ref);
    int rc = pull_with_logins(a, c, v, ref);
    if (rc < 0) {
        event_pod(a, v, k, "Failed", "Failed to pull image \"%s\": %s", ref, c->err.msg);
        event_pod(a, v, k, "Failed", "Error: ErrImagePull");
        return held(a, c, k, "ErrImagePull");
    }
    long long ms = (long long)((agent_mono(a) - from) / NS_PER_MS);
    event_pod(a, v, k, "Pulled", "Successfully pulled image \"%s\" in %lldms (%lldms including waiting)", ref, ms, ms);
    return 0;
}

static int ensure(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k, struct str image, struct str policy, const struct val **ret)
{
    char *ref = arena_dup(v->arena, image);
    struct kl_bytes got = { NULL, 0 };
    if (!ref)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    if (bad_name(image)) {
        kl_fail(c, KL_INVALID, "Failed to apply default image tag \"%s\": invalid reference format", ref);
        return held(a, c, k, "InvalidImageName");
    }
    int rc = a->rt->image_status(a->rt_self, c, ref, &got);
    bool there = rc == 0;
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return held(a, c, k, "ErrImagePull");
    if (!there && str_is(policy, "Never")) {
        kl_fail(c, KL_NOT_FOUND, "Container image \"%s\" is not present with pull policy of Never", ref);
        event_pod(a, v, k, "ErrImageNeverPull", "%s", c->err.msg);
        return held(a, c, k, "ErrImageNeverPull");
    }
    if (!there || str_is(policy, "Always")) {
        rc = pull(a, c, v, k, ref);
        if (rc < 0)
            return rc;
        rc = a->rt->image_status(a->rt_self, c, ref, &got);
        if (rc < 0)
            return held(a, c, k, "ErrImagePull");
    } else {
        event_pod(a, v, k, "Pulled", "Container image \"%s\" already present on machine", ref);
    }
    *ret = agent_parse(v->arena, c, got);
    return *ret ? 0 : held(a, c, k, "ErrImagePull");
}

/* Images that the container mounts, beside the one that it runs. */
static int ensure_mounted(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k)
{
    const struct val *mounts = json_get(k->spec, STR("volumeMounts")), *ignored;
    int rc = 0;
    for (const struct val *m = val_is(mounts, VAL_ARR) ? mounts->first : NULL; rc == 0 && m; m = m->next) {
        const struct val *image = json_get(volumes_named(v, json_str(m, "name")), STR("image"));
        if (image)
            rc = ensure(a, c, v, k, json_str(image, "reference"), json_str(image, "pullPolicy"), &ignored);
    }
    return rc;
}

int image_ensure(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k, const struct val **ret)
{
    int rc = ensure(a, c, v, k, json_str(k->spec, "image"), json_str(k->spec, "imagePullPolicy"), ret);
    return rc == 0 ? ensure_mounted(a, c, v, k) : rc;
}
