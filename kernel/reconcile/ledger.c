/* ledger.c - see ledger.h. */
#include "reconcile/ledger.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/quantity.h"

#define PORTS_MAX 64
#define AMOUNTS_MAX 16

/* Pods of one controlling owner. */
struct owner {
    unsigned refs;
    struct tally nodes;
    char uid[];
};

struct booking {
    struct list link;                   /* in its node's */
    struct guest guest;
    struct ledger_node *node;
    struct owner *owner;                /* NULL: it has none */
    char uid[64];
    char *ns, *name;                    /* one allocation */
    int64_t priority;
    bool promised;
    struct pod_requests requests;
    struct ledger_port *ports;
    struct ledger_amount *amounts;
    unsigned n_ports, n_amounts;
};

struct ledger {
    struct store *store;
    struct store_watch *nodes_watch, *pods_watch;
    struct list nodes;
    struct map by_name, by_uid, owners;
    struct topology *topology;
    struct images *images;
    struct ledger_node **array;         /* NULL: to be made */
    unsigned n_present;
    unsigned n_promised;
    int64_t lowest;                     /* of all that were ever booked: only falls */
    loop_fn changed;
    void (*woken)(void *ctx, void *who);
    void *ctx;
};

/* --- nodes --- */

static struct ledger_node *node_named(struct ledger *l, struct str name)
{
    struct ledger_node *n = map_get(&l->by_name, name);
    if (n || name.len >= sizeof n->name)
        return n;
    n = mem_alloc(sizeof *n);
    if (!n)
        return NULL;
    memcpy(n->name, name.at, name.len);
    list_init(&n->bookings);
    n->lowest = INT64_MAX;
    struct list *at = l->nodes.next;
    while (at != &l->nodes && strcmp(list_item(at, struct ledger_node, link)->name, n->name) < 0)
        at = at->next;
    list_add_before(at, &n->link);
    if (!map_put(&l->by_name, str_of(n->name), n)) {
        list_remove(&n->link);
        mem_free(n);
        return NULL;
    }
    return n;
}

static void node_drop(struct ledger *l, struct ledger_node *n)
{
    map_del(&l->by_name, str_of(n->name));
    list_remove(&n->link);
    n->present = false;
    images_forget(l->images, n);
    topology_place(l->topology, n);
    store_object_unref(n->object);
    arena_free(n->arena);
    mem_free(n);
}

static bool is_ready(const struct val *tree)
{
    struct val *list = json_path(tree, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Ready"))
                return str_is(json_str(c, "status"), "True");
    return false;
}

/* Its place has changed: its guests are counted where they are now. */
static void node_moves(struct ledger *l, struct ledger_node *n, bool present)
{
    list_each(at, &n->bookings) topology_aside(l->topology, &list_item(at, struct booking, link)->guest, true);
    l->n_present += (unsigned)present - (unsigned)n->present;
    n->present = present;
    mem_free(l->array);
    l->array = NULL;
    topology_place(l->topology, n);
    list_each(at, &n->bookings) topology_aside(l->topology, &list_item(at, struct booking, link)->guest, false);
}

static void node_gone(struct ledger *l, struct ledger_node *n)
{
    if (n->present)
        node_moves(l, n, false);
    images_forget(l->images, n);
    if (list_empty(&n->bookings))
        node_drop(l, n);
}

static void node_set(struct ledger *l, struct store_object *o)
{
    struct kl_err err;
    kl_err_init(&err);
    struct ledger_node *n = node_named(l, store_object_name(o));
    struct arena *a = arena_new(8 << 20);
    struct val *tree = n && a ? json_parse(a, store_object_json(o), &err) : NULL;
    if (!tree) {
        arena_free(a);
        return;
    }
    arena_free(n->arena);
    store_object_unref(n->object);
    n->arena = a;
    n->object = store_object_ref(o);
    n->tree = tree;
    n->labels = json_path(tree, "metadata.labels");
    n->taints = json_path(tree, "spec.taints");
    images_of_node(l->images, n);
    if (!n->present || !topology_places_same(l->topology, n))
        node_moves(l, n, true);
    n->ready = is_ready(tree);
    n->unschedulable = json_bool(tree, "spec.unschedulable", false);
    struct val *room = json_path(tree, "status.allocatable");
    n->mcpu = quantity_text_milli(json_str(room, "cpu"), 0);
    n->memory = quantity_text_value(json_str(room, "memory"), 0);
    n->pods = quantity_text_value(json_str(room, "pods"), 0);
}

/* --- bookings --- */

static struct owner *owner_of(struct ledger *l, struct str uid)
{
    struct owner *o = uid.len ? map_get(&l->owners, uid) : NULL;
    if (!uid.len || o || !(o = mem_alloc(sizeof *o + uid.len + 1)))
        return o;
    str_copy(o->uid, uid.at, uid.len);
    if (map_put(&l->owners, str_n(o->uid, uid.len), o))
        return o;
    mem_free(o);
    return NULL;
}

static void owner_done(struct ledger *l, struct owner *o)
{
    if (!o || o->refs)
        return;
    map_del(&l->owners, str_of(o->uid));
    tally_free(&o->nodes);
    mem_free(o);
}

static void account(struct booking *b, int sign)
{
    b->node->used_mcpu += sign * b->requests.mcpu;
    b->node->used_memory += sign * b->requests.memory;
    b->node->guess_mcpu += sign * b->requests.guess_mcpu;
    b->node->guess_memory += sign * b->requests.guess_memory;
    b->node->used_pods += sign;
    if (b->owner)
        tally_add(&b->owner->nodes, b->node, sign);     /* a preference: what there was no memory to count is missed */
}

static void book_end(struct ledger *l, struct booking *b)
{
    struct ledger_node *n = b->node;
    account(b, -1);
    topology_leave(l->topology, &b->guest);
    if (b->owner && !--b->owner->refs)
        owner_done(l, b->owner);
    l->n_promised -= b->promised;
    list_remove(&b->link);
    if (list_empty(&n->bookings))
        n->lowest = INT64_MAX;
    map_del(&l->by_uid, str_of(b->uid));
    mem_free(b->ports);
    mem_free(b->amounts);
    mem_free(b->ns);
    mem_free(b);
    if (!n->present && list_empty(&n->bookings))
        node_drop(l, n);
}

static bool keep_name(struct booking *b, const struct val *pod)
{
    struct str ns = json_str(pod, "metadata.namespace"), name = json_str(pod, "metadata.name");
    if (!(b->ns = mem_alloc(ns.len + name.len + 2)))
        return false;
    memcpy(b->ns, ns.at ? ns.at : "", ns.len);
    b->name = b->ns + ns.len + 1;
    memcpy(b->name, name.at ? name.at : "", name.len);
    return true;
}

/* What it holds beside cpu and memory. */
static bool keep_lists(struct booking *b, const struct val *pod)
{
    struct ledger_port ports[PORTS_MAX];
    struct ledger_amount amounts[AMOUNTS_MAX];
    b->n_ports = pod_host_ports(pod, ports, PORTS_MAX);
    b->n_amounts = pod_amounts(pod, amounts, AMOUNTS_MAX);
    if (b->n_ports)
        b->ports = (struct ledger_port *)(void *)mem_dup(ports, b->n_ports * sizeof *ports);
    if (b->n_amounts)
        b->amounts = (struct ledger_amount *)(void *)mem_dup(amounts, b->n_amounts * sizeof *amounts);
    return (!b->n_ports || b->ports) && (!b->n_amounts || b->amounts);
}

/* o: the pod as it is stored. */
static bool book(struct ledger *l, const struct val *pod, struct store_object *o, struct ledger_node *n, bool promised)
{
    struct str uid = json_str(pod, "metadata.uid");
    struct booking *b = map_get(&l->by_uid, uid);
    if (b && b->node == n && b->promised == promised)
        return true;
    if (b)
        book_end(l, b);
    b = mem_alloc(sizeof *b);
    if (!b)
        return false;
    if (!keep_name(b, pod) || !keep_lists(b, pod)) {
        mem_free(b->ports);
        mem_free(b->amounts);
        mem_free(b->ns);
        mem_free(b);
        return false;
    }
    snprintf(b->uid, sizeof b->uid, STR_FMT, STR_ARG(uid));
    if ((b->owner = owner_of(l, pod_owner_uid(pod))))
        b->owner->refs++;
    b->node = b->guest.node = n;
    b->promised = b->guest.promised = promised;
    b->priority = json_int(pod, "spec.priority", 0);
    b->requests = pod_requests(pod);
    n->lowest = b->priority < n->lowest ? b->priority : n->lowest;
    l->lowest = b->priority < l->lowest ? b->priority : l->lowest;
    list_push(&n->bookings, &b->link);
    l->n_promised += promised;
    account(b, 1);
    topology_enter(l->topology, &b->guest, pod, o);
    if (!map_put(&l->by_uid, str_of(b->uid), b)) {
        book_end(l, b);
        return false;
    }
    return true;
}

static struct store_object *stored(struct ledger *l, const struct val *pod)
{
    return store_head(l->store, STR("/pods"), json_str(pod, "metadata.namespace"), json_str(pod, "metadata.name"));
}

bool ledger_assume(struct ledger *l, const struct val *pod, struct ledger_node *n)
{
    return book(l, pod, stored(l, pod), n, false);
}

bool ledger_promise(struct ledger *l, const struct val *pod, struct ledger_node *n)
{
    return book(l, pod, stored(l, pod), n, true);
}

struct topology *ledger_topology(struct ledger *l)
{
    return l->topology;
}

const struct images *ledger_images(const struct ledger *l)
{
    return l->images;
}

struct ledger_node *ledger_promised(const struct ledger *l, struct str pod_uid)
{
    struct booking *b = map_get(&l->by_uid, pod_uid);
    return b && b->promised ? b->node : NULL;
}

void ledger_forget(struct ledger *l, struct str pod_uid)
{
    struct booking *b = map_get(&l->by_uid, pod_uid);
    if (b)
        book_end(l, b);
}

unsigned ledger_matching(const struct ledger *l, const struct ledger_node *n, struct str owner_uid)
{
    const struct owner *o = owner_uid.len ? map_get(&l->owners, owner_uid) : NULL;
    return o ? (unsigned)tally_get(&o->nodes, n) : 0;
}

bool ledger_port_free(const struct ledger_node *n, const struct ledger_port *p)
{
    list_each(at, (struct list *)&n->bookings)
    {
        const struct booking *b = list_item(at, struct booking, link);
        for (unsigned i = 0; i < b->n_ports; i++) {
            const struct ledger_port *o = &b->ports[i];
            bool same_ip = strcmp(o->ip, p->ip) == 0 || strcmp(o->ip, "0.0.0.0") == 0 || strcmp(p->ip, "0.0.0.0") == 0;
            if (o->port == p->port && same_ip && strcmp(o->protocol, p->protocol) == 0)
                return false;
        }
    }
    return true;
}

int64_t ledger_lowest(const struct ledger *l)
{
    return l->lowest;
}

int64_t ledger_used(const struct ledger_node *n, const char *amount)
{
    int64_t sum = 0;
    list_each(at, (struct list *)&n->bookings)
    {
        const struct booking *b = list_item(at, struct booking, link);
        for (unsigned i = 0; i < b->n_amounts; i++)
            if (strcmp(b->amounts[i].name, amount) == 0)
                sum += b->amounts[i].value;
    }
    return sum;
}

static int by_priority(const void *a, const void *b)
{
    const struct ledger_guest *x = a, *y = b;
    return x->priority != y->priority ? (x->priority > y->priority ? -1 : 1) : strcmp(x->uid, y->uid);
}

struct ledger_guest *ledger_guests(const struct ledger_node *n, int64_t below, struct arena *a, unsigned *ret_n)
{
    unsigned most = 0;
    *ret_n = 0;
    list_each(at, (struct list *)&n->bookings)
        most += list_item(at, struct booking, link)->priority < below;
    struct ledger_guest *all = most ? arena_alloc(a, most * sizeof *all) : NULL;
    if (!all)
        return NULL;
    list_each(at, (struct list *)&n->bookings)
    {
        struct booking *b = list_item(at, struct booking, link);
        if (b->priority < below)
            all[(*ret_n)++] = (struct ledger_guest){ b->uid, b->ns, b->name, b->priority, b->promised, b, &b->guest };
    }
    qsort(all, *ret_n, sizeof *all, by_priority);
    return all;
}

void ledger_set_aside(struct ledger *l, struct ledger_node *n, const struct ledger_guest *g, bool aside)
{
    struct booking *b = g->booking;
    account(b, aside ? -1 : 1);
    topology_aside(l->topology, &b->guest, aside);
    if (aside)
        list_remove(&b->link);
    else
        list_push(&n->bookings, &b->link);
}

void ledger_promises_aside(struct ledger *l, int64_t below, bool aside)
{
    size_t at = 0;
    struct str uid;
    void *value;
    while (l->n_promised && map_next(&l->by_uid, &at, &uid, &value)) {
        struct booking *b = value;
        if (b->promised && b->priority < below)
            ledger_set_aside(l, b->node, &(struct ledger_guest){ .booking = b }, aside);
    }
}

/* --- following the store --- */

/* A pod whose spec has never changed asks for what it asked for. True: it asks for less now, or more. */
static bool rebook(struct booking *b, struct str json)
{
    struct str generation = json_scan_path(json, "metadata.generation");
    if (!generation.len || str_is(generation, "1"))
        return false;
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *pod = a ? json_parse(a, json, NULL) : NULL;
    struct pod_requests now = pod ? pod_requests(pod) : b->requests;
    if (now.mcpu == b->requests.mcpu && now.memory == b->requests.memory && now.guess_mcpu == b->requests.guess_mcpu && now.guess_memory == b->requests.guess_memory)
        return false;
    account(b, -1);
    b->requests = now;
    account(b, 1);
    return true;
}

/* True: room may have appeared. */
static bool pod_set(struct ledger *l, struct store_object *o, bool deleted)
{
    const struct kl_places *p = store_object_places(o);
    struct str node = json_scan_text(json_scan_value(store_object_from(o, p->node)));
    struct booking *b = map_get(&l->by_uid, store_object_uid(o));
    struct str phase = deleted || b || node.len ? json_scan_text(json_scan_member(store_object_from(o, p->status), STR("phase"))) : STR_NONE;
    if (deleted || str_is(phase, "Succeeded") || str_is(phase, "Failed")) {
        if (b)
            book_end(l, b);
        return b != NULL;
    }
    if (b && (!b->promised || !node.len)) {
        topology_changed(l->topology, &b->guest, o);
        return rebook(b, store_object_json(o));
    }
    if (!node.len)
        return false;
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *pod = a ? json_parse(a, store_object_json(o), NULL) : NULL;
    struct ledger_node *n = pod ? node_named(l, node) : NULL;
    if (n)
        book(l, pod, o, n, false);
    return false;
}

static bool first_node(void *ctx, struct store_object *o)
{
    node_set(ctx, o);
    return true;
}

/* What it was promised by the process before this one, it is promised still. */
static void promise_again(struct ledger *l, struct store_object *o)
{
    struct str json = store_object_json(o), node = json_scan_text(json_scan_path(json, "status.nominatedNodeName"));
    _cleanup_arena_ struct arena *a = node.len ? arena_new(16 << 20) : NULL;
    struct val *pod = a ? json_parse(a, json, NULL) : NULL;
    bool waits = pod && !json_path(pod, "metadata.deletionTimestamp") && str_is(json_str(pod, "status.phase"), "Pending");
    struct ledger_node *n = waits ? node_named(l, node) : NULL;
    if (n)
        book(l, pod, o, n, true);
}

static bool first_pod(void *ctx, struct store_object *o)
{
    pod_set(ctx, o, false);
    if (!store_object_places(o)->node)
        promise_again(ctx, o);
    return true;
}

/* A heartbeat, or another image on it: nobody waits for that. */
static bool says_the_same(const struct ledger_node *n, const struct store_event *e)
{
    static const char *const paths[] = { "metadata.labels", "status.allocatable" };
    struct str is = store_object_json(e->object), was = e->old ? store_object_json(e->old) : STR_NONE;
    bool same = e->type == STORE_MODIFIED && was.at && n;
    for (unsigned i = 0; same && i < sizeof paths / sizeof *paths; i++)
        same = str_eq(json_scan_path(was, paths[i]), json_scan_path(is, paths[i]));
    return same && str_eq(json_scan_member(was, STR("spec")), json_scan_member(is, STR("spec")));
}

static void on_nodes(void *ctx)
{
    struct ledger *l = ctx;
    struct store_event e;
    bool expired = false, news = false;
    while (store_watch_next(l->nodes_watch, &e, &expired)) {
        struct ledger_node *n = map_get(&l->by_name, store_object_name(e.object));
        bool was_ready = n && n->ready, same = says_the_same(n, &e);
        if (e.type != STORE_DELETED)
            node_set(l, e.object);
        else if (n)
            node_gone(l, n);
        news |= !same || was_ready != n->ready;
    }
    if (!news)
        return;
    if (l->woken)
        l->woken(l->ctx, NULL);         /* all that wait, for room too */
    else
        l->changed(l->ctx);
}

static void on_pods(void *ctx)
{
    struct ledger *l = ctx;
    struct store_event e;
    bool expired = false, news = false;
    while (store_watch_next(l->pods_watch, &e, &expired))
        news |= pod_set(l, e.object, e.type == STORE_DELETED);
    if (news)
        l->changed(l->ctx);
}

static void woken(void *ctx, void *who)
{
    struct ledger *l = ctx;
    if (l->woken)
        l->woken(l->ctx, who);
}

void ledger_listen(struct ledger *l, void (*fn)(void *ctx, void *who))
{
    l->woken = fn;
}

int ledger_new(struct store *s, loop_fn changed, void *ctx, struct ledger **ret, struct kl_err *err)
{
    struct ledger *l = mem_alloc(sizeof *l);
    struct store_range nodes = { .resource = STR("/nodes") }, pods = { .resource = STR("/pods") };
    if (!l)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    l->store = s;
    l->changed = changed;
    l->lowest = INT64_MAX;
    l->ctx = ctx;
    list_init(&l->nodes);
    int rc = (l->images = images_new()) ? topology_new(s, woken, l, &l->topology, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = store_watch_new(s, STR("/nodes"), STR_NONE, store_revision(s), on_nodes, l, &l->nodes_watch, err);
    if (rc == 0)
        rc = store_watch_new(s, STR("/pods"), STR_NONE, store_revision(s), on_pods, l, &l->pods_watch, err);
    if (rc < 0) {
        ledger_free(l);
        return rc;
    }
    store_list(s, &nodes, first_node, l);
    store_list(s, &pods, first_pod, l);
    *ret = l;
    return 0;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    if (l->nodes_watch)
        store_watch_free(l->nodes_watch);
    if (l->pods_watch)
        store_watch_free(l->pods_watch);
    list_each(at, &l->nodes)
    {
        struct ledger_node *n = list_item(at, struct ledger_node, link);
        n->present = true;              /* keeps it until its bookings are gone */
        list_each(b, &n->bookings) book_end(l, list_item(b, struct booking, link));
        node_drop(l, n);
    }
    map_free(&l->by_name);
    map_free(&l->by_uid);
    map_free(&l->owners);
    topology_free(l->topology);
    images_free(l->images);
    mem_free(l->array);
    mem_free(l);
}

struct ledger_node *ledger_next(struct ledger *l, struct ledger_node *after)
{
    struct list *at = after ? after->link.next : l->nodes.next;
    while (at != &l->nodes && !list_item(at, struct ledger_node, link)->present)
        at = at->next;
    return at == &l->nodes ? NULL : list_item(at, struct ledger_node, link);
}

struct ledger_node **ledger_nodes(struct ledger *l)
{
    unsigned i = 0;
    if (l->array || !l->n_present || !(l->array = mem_alloc(l->n_present * sizeof(struct ledger_node *))))
        return l->array;
    for (struct ledger_node *n = ledger_next(l, NULL); n; n = ledger_next(l, n))
        l->array[i++] = n;
    return l->array;
}

unsigned ledger_count(const struct ledger *l)
{
    return l->n_present;
}
