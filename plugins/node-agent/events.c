/* events.c - Events about pods, their containers and the node. */
#include "agent.h"

#include <stdarg.h>

static const char *const warnings[] = {
    "BackOff", "Unhealthy", "Failed", "FailedMount", "FailedCreatePodSandBox", "FailedPostStartHook", "FailedPreStopHook",
    "ErrImageNeverPull", "FailedToken", "DeadlineExceeded", "FailedKillPod", "ProbeUnsupported", "InvalidDiskCapacity",
    "FailedToRetrieveImagePullSecret", "ResizeInfeasible", "ResizeDeferred", "ResizeError", "SysctlForbidden", "NodeAffinity", "NodeNotReady",
    "VolumeResizeFailed", "Evicted", "EvictionThresholdMet", "FreeDiskSpaceFailed", "ProbeWarning",
    "NodePorts", "OutOfcpu", "OutOfmemory", "OutOfpods", "PodOSNotSupported",
};

static const char *type_of(const char *reason, const char *message)
{
    if (strncmp(message, "Back-off pulling", 16) == 0)
        return "Normal";                    /* as upstream: a restart's back-off is a warning, an image's is not */
    for (size_t i = 0; i < sizeof warnings / sizeof *warnings; i++)
        if (strcmp(warnings[i], reason) == 0)
            return "Warning";
    return "Normal";
}

static void send(struct agent *a, struct arena *ar, struct val *about, const char *reason, const char *message)
{
    struct kl_bytes text = agent_text(ar, about);
    if (text.at)
        a->objects->event(a->host, text, type_of(reason, message), reason, message);
}

void event_pod(struct agent *a, const struct pod_view *v, const struct ctr *k, const char *reason, const char *fmt, ...)
{
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    struct val *about = val_new(v->arena, VAL_OBJ);
    set_z(v->arena, about, "apiVersion", "v1");
    set_z(v->arena, about, "kind", "Pod");
    set_s(v->arena, about, "namespace", v->ns);
    set_s(v->arena, about, "name", v->name);
    set_s(v->arena, about, "uid", v->uid);
    if (k)
        set_z(v->arena, about, "fieldPath", arena_printf(v->arena, "spec.%s{" STR_FMT "}",
                                                         k->kind == CTR_MAIN ? "containers" : k->kind == CTR_EPHEMERAL ? "ephemeralContainers" : "initContainers", STR_ARG(k->name)));
    send(a, v->arena, about, reason, message);
}

void event_node(struct agent *a, const char *reason, const char *fmt, ...)
{
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    _cleanup_arena_ struct arena *ar = arena_new(0);
    if (!ar)
        return;
    struct val *about = val_new(ar, VAL_OBJ);
    set_z(ar, about, "apiVersion", "v1");
    set_z(ar, about, "kind", "Node");
    set_z(ar, about, "name", a->node);
    set_z(ar, about, "uid", a->node);
    send(a, ar, about, reason, message);
}
