/* hostports.c - the ports of the node that its pods hold. The scheduler sees to it that two do not meet; who names the node itself has not asked it. */
#include "agent.h"

struct host_port {
    int64_t number;
    char protocol[8], ip[64];               /* ip "": any */
};

static const struct val *containers_of(const struct val *pod)
{
    const struct val *list = json_path(pod, "spec.containers");
    return val_is(list, VAL_ARR) ? list->first : NULL;
}

static const struct val *ports_of(const struct val *container)
{
    const struct val *list = json_get(container, STR("ports"));
    return val_is(list, VAL_ARR) ? list->first : NULL;
}

bool hostports_read(struct pod_mem *m, const struct val *pod)
{
    unsigned most = 0;
    for (const struct val *c = containers_of(pod); c; c = c->next)
        for (const struct val *p = ports_of(c); p; p = p->next)
            most += json_int(p, "hostPort", 0) > 0;
    if (!most)
        return true;
    if (!(m->ports = mem_alloc(most * sizeof *m->ports)))
        return false;
    for (const struct val *c = containers_of(pod); c; c = c->next)
        for (const struct val *p = ports_of(c); p; p = p->next) {
            struct str ip = json_str(p, "hostIP"), protocol = json_str(p, "protocol");
            struct host_port *h = &m->ports[m->n_ports];
            if (json_int(p, "hostPort", 0) <= 0)
                continue;
            m->n_ports++;
            h->number = json_int(p, "hostPort", 0);
            snprintf(h->protocol, sizeof h->protocol, STR_FMT, STR_ARG(protocol.len ? protocol : STR("TCP")));
            snprintf(h->ip, sizeof h->ip, STR_FMT, STR_ARG(str_is(ip, "0.0.0.0") || str_is(ip, "::") ? STR("") : ip));
        }
    return true;
}

static bool meet(const struct host_port *x, const struct host_port *y)
{
    bool same_place = !x->ip[0] || !y->ip[0] || strcmp(x->ip, y->ip) == 0;
    return x->number == y->number && strcmp(x->protocol, y->protocol) == 0 && same_place;
}

static bool pods_meet(const struct pod_mem *a, const struct pod_mem *b)
{
    for (unsigned i = 0; i < a->n_ports; i++)
        for (unsigned k = 0; k < b->n_ports; k++)
            if (meet(&a->ports[i], &b->ports[k]))
                return true;
    return false;
}

bool hostports_take(struct agent *a, struct pod_mem *m, bool whatever)
{
    size_t at = 0;
    void *other;
    bool free = true;
    if (!m->n_ports)
        return true;
    pthread_mutex_lock(&a->lock);
    while (!whatever && free && map_next(&a->pods, &at, NULL, &other))
        free = other == m || !((struct pod_mem *)other)->holds_ports || !pods_meet(m, other);
    m->holds_ports = free;
    pthread_mutex_unlock(&a->lock);
    return free;
}

void hostports_release(struct agent *a, struct pod_mem *m)
{
    pthread_mutex_lock(&a->lock);
    m->holds_ports = false;
    pthread_mutex_unlock(&a->lock);
}
