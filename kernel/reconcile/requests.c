/* requests.c - see requests.h. */
#include "reconcile/requests.h"

#include <stdio.h>

#include "base/quantity.h"

#define GUESS_MCPU   100
#define GUESS_MEMORY (200LL << 20)

static void take_larger(struct pod_requests *r, struct pod_requests o)
{
    r->mcpu = o.mcpu > r->mcpu ? o.mcpu : r->mcpu;
    r->memory = o.memory > r->memory ? o.memory : r->memory;
    r->guess_mcpu = o.guess_mcpu > r->guess_mcpu ? o.guess_mcpu : r->guess_mcpu;
    r->guess_memory = o.guess_memory > r->guess_memory ? o.guess_memory : r->guess_memory;
}

static void add_up(struct pod_requests *r, struct pod_requests o)
{
    r->mcpu += o.mcpu;
    r->memory += o.memory;
    r->guess_mcpu += o.guess_mcpu;
    r->guess_memory += o.guess_memory;
}

static struct pod_requests amounts(const struct val *list, bool guess)
{
    const struct val *cpu = json_get(list, STR("cpu")), *memory = json_get(list, STR("memory"));
    struct pod_requests r = { .mcpu = quantity_text_milli(val_str(cpu), 0), .memory = quantity_text_value(val_str(memory), 0) };
    r.guess_mcpu = cpu || !guess ? r.mcpu : GUESS_MCPU;
    r.guess_memory = memory || !guess ? r.memory : GUESS_MEMORY;
    return r;
}

/* Is it resized to what its node will never have? Then that counts for nothing. */
static bool infeasible(const struct val *pod)
{
    const struct val *c, *list = json_path(pod, "status.conditions");
    for (c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next)
        if (str_is(json_str(c, "type"), "PodResizePending") && str_is(json_str(c, "reason"), "Infeasible"))
            return true;
    return false;
}

/* What a container wants, and while it is resized what it was given and still has, whichever is more. */
static void add_requests(struct pod_requests *r, const struct val *container, const struct val *statuses, bool wish)
{
    const struct val *has = statuses ? json_named(statuses, json_str(container, "name")) : NULL;
    struct pod_requests one = wish || !has ? amounts(json_path(container, "resources.requests"), true) : (struct pod_requests){ 0 };
    if (has) {
        take_larger(&one, amounts(json_get(has, STR("allocatedResources")), false));
        take_larger(&one, amounts(json_path(has, "resources.requests"), false));
    }
    add_up(r, one);
}

struct pod_requests pod_requests(const struct val *pod)
{
    struct pod_requests sum = { 0 }, most = { 0 }, sidecars = { 0 };
    struct val *spec = json_get(pod, STR("spec")), *list = json_get(spec, STR("containers")), *status = json_get(pod, STR("status"));
    const struct val *now = json_get(status, STR("containerStatuses")), *init = json_get(status, STR("initContainerStatuses"));
    bool wish = !(now || init) || !infeasible(pod);
    if (val_is(list, VAL_ARR))
        val_each(c, list) add_requests(&sum, c, now, wish);
    list = json_get(spec, STR("initContainers"));
    if (val_is(list, VAL_ARR))
        val_each(c, list) {
            struct pod_requests one = sidecars;
            bool sidecar = str_is(json_str(c, "restartPolicy"), "Always");
            add_requests(&one, c, sidecar ? init : NULL, wish);
            take_larger(&most, one);
            if (sidecar)
                sidecars = one;
        }
    add_up(&sum, sidecars);
    take_larger(&sum, most);
    struct val *whole = json_path(spec, "resources.requests");          /* of the pod as a whole: then it counts, not what its containers say */
    if (json_get(whole, STR("cpu")))
        sum.mcpu = sum.guess_mcpu = quantity_text_milli(json_str(whole, "cpu"), 0);
    if (json_get(whole, STR("memory")))
        sum.memory = sum.guess_memory = quantity_text_value(json_str(whole, "memory"), 0);
    add_up(&sum, amounts(json_get(spec, STR("overhead")), false));
    return sum;
}

unsigned pod_host_ports(const struct val *pod, struct ledger_port *ret, unsigned max)
{
    struct val *list = json_path(pod, "spec.containers");
    bool host_network = json_bool(pod, "spec.hostNetwork", false);
    unsigned n = 0;
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(c, list) {
        struct val *ports = json_get(c, STR("ports"));
        if (!val_is(ports, VAL_ARR))
            continue;
        val_each(p, ports) {
            int64_t port = json_int(p, "hostPort", host_network ? json_int(p, "containerPort", 0) : 0);
            struct str ip = json_str(p, "hostIP"), proto = json_str(p, "protocol");
            if (port <= 0 || n == max)
                continue;
            ret[n].port = (int)port;
            snprintf(ret[n].ip, sizeof ret[n].ip, STR_FMT, STR_ARG(ip.len ? ip : STR("0.0.0.0")));
            snprintf(ret[n].protocol, sizeof ret[n].protocol, STR_FMT, STR_ARG(proto.len ? proto : STR("TCP")));
            n++;
        }
    }
    return n;
}

static struct ledger_amount *amount_named(struct ledger_amount *list, unsigned *n, unsigned max, struct str name)
{
    for (unsigned i = 0; i < *n; i++)
        if (str_is(name, list[i].name))
            return &list[i];
    if (*n == max || name.len >= sizeof list->name)
        return NULL;
    memcpy(list[*n].name, name.at, name.len);
    list[*n].name[name.len] = '\0';
    list[*n].value = 0;
    return &list[(*n)++];
}

/* One list of containers: those that run together are added up, of those that run one after the other the largest counts. */
static void take_amounts(const struct val *containers, bool init, struct ledger_amount *list, unsigned *n, unsigned max)
{
    if (!val_is(containers, VAL_ARR))
        return;
    val_each(c, containers) {
        const struct val *asks = json_path(c, "resources.requests");
        if (!val_is(asks, VAL_OBJ))
            continue;
        bool apart = init && !str_is(json_str(c, "restartPolicy"), "Always");
        val_each(r, asks) {
            struct str name = val_key(r);
            struct ledger_amount *one = str_is(name, "cpu") || str_is(name, "memory") ? NULL : amount_named(list, n, max, name);
            int64_t value = one ? quantity_text_value(val_str(r), 0) : 0;
            if (one && apart)
                one->value = value > one->value ? value : one->value;
            else if (one)
                one->value += value;
        }
    }
}

unsigned pod_amounts(const struct val *pod, struct ledger_amount *ret, unsigned max)
{
    unsigned n = 0;
    take_amounts(json_path(pod, "spec.containers"), false, ret, &n, max);
    take_amounts(json_path(pod, "spec.initContainers"), true, ret, &n, max);
    return n;
}

const struct val *pod_controller(const struct val *pod)
{
    const struct val *refs = json_path(pod, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(r, refs)
            if (json_bool(r, "controller", false))
                return r;
    return NULL;
}

struct str pod_owner_uid(const struct val *pod)
{
    return json_str(pod_controller(pod), "uid");
}
