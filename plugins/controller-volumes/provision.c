/* provision.c - a claim that names a driver of ours gets a volume: the driver makes one by the claim's uid, and the PersistentVolume is written. Whatever
 * is cut off in between is done again with the same name, and so with the same volume. */
#include "base/quantity.h"
#include "driver.h"

#define OWN_PARAMETERS "csi.storage.k8s.io/"

struct making {
    struct ctl_run *r;
    struct val *claim, *class, *node;   /* node NULL: any */
    struct driver driver;
    struct str name, by;                /* of the volume; the driver's */
    struct kl_volume_spec spec;
    struct kl_volume_made made;
};

static bool is_local(const struct making *m)
{
    return m->driver.table->flags & KL_VOLUME_LOCAL;
}

/* --- what is wanted --- */

static int shared(struct making *m)
{
    const struct val *modes = json_path(m->claim, "spec.accessModes");
    if (val_is(modes, VAL_ARR))
        val_each(mode, modes)
            if (str_is(val_str(mode), "ReadWriteMany") || str_is(val_str(mode), "ReadOnlyMany")) {
                if (!(m->driver.table->flags & KL_VOLUME_SHARED))
                    return kl_fail(m->r->call, KL_INVALID, "driver " STR_FMT " does not support access mode " STR_FMT, STR_ARG(m->by), STR_ARG(val_str(mode)));
                m->spec.shared = 1;
            }
    return 0;
}

/* The volume whose content it begins with: that of another claim. */
static int source(struct making *m)
{
    const struct val *from = json_path(m->claim, "spec.dataSource");
    struct ctl_run *r = m->r;
    struct val *other = NULL, *volume = NULL;
    if (!from)                          /* of another namespace, or of a kind that only others can fill it from */
        return json_path(m->claim, "spec.dataSourceRef") ? kl_fail(r->call, KL_INVALID, "its dataSourceRef is filled by somebody else") : 0;
    if (!str_is(json_str(from, "kind"), "PersistentVolumeClaim") || !(m->driver.table->flags & KL_VOLUME_CLONE))
        return kl_fail(r->call, KL_INVALID, "driver " STR_FMT " does not make volumes of a " STR_FMT, STR_ARG(m->by), STR_ARG(json_str(from, "kind")));
    int rc = ctl_get(r, CLAIMS, meta_ns(m->claim), json_str(from, "name"), &other);
    if (rc == 0 && other && bound_completely(other))
        rc = ctl_get(r, VOLUMES, STR(""), json_str(other, "spec.volumeName"), &volume);
    if (rc < 0)
        return rc;
    if (!volume || !str_eq(json_str(volume, "spec.csi.driver"), m->by))
        return kl_fail(r->call, KL_UNAVAILABLE, "the claim " STR_FMT " that it is to be a copy of has no volume of driver " STR_FMT, STR_ARG(json_str(from, "name")),
                       STR_ARG(m->by));
    m->spec.from = arena_dup(r->arena, json_str(volume, "spec.csi.volumeHandle"));
    return 0;
}

static int wishes(struct making *m)
{
    struct ctl_run *r = m->r;
    struct arena *a = r->arena;
    struct str fs = json_str(json_path(m->class, "parameters"), "");
    const struct val *parameters = json_get(m->class, STR("parameters")), *most = json_path(m->claim, "spec.resources.limits.storage");
    fs = val_str(json_get(parameters, STR(OWN_PARAMETERS "fstype")));
    m->spec = (struct kl_volume_spec){ .size = sizeof m->spec, .name = arena_dup(a, m->name),
                                       .bytes = quantity_text_value(json_str(m->claim, "spec.resources.requests.storage"), 0),
                                       .bytes_most = most ? quantity_text_value(val_str(most), 0) : 0,
                                       .parameters = driver_list(r, parameters, OWN_PARAMETERS),
                                       .fs_type = fs.len ? arena_dup(a, fs) : NULL,
                                       .node = m->node ? arena_dup(a, meta_name(m->node)) : NULL,
                                       .block = str_is(volume_mode(m->claim), "Block") };
    if (m->spec.block && !(m->driver.table->flags & KL_VOLUME_BLOCK))
        return kl_fail(r->call, KL_INVALID, "driver " STR_FMT " does not support volumeMode Block", STR_ARG(m->by));
    int rc = shared(m);
    return rc < 0 ? rc : source(m);
}

/* --- what was made --- */

static int check_made(struct making *m)
{
    const char *id = m->made.id;
    size_t n = id ? strlen(id) : 0;
    if (!n || n > 128 || strpbrk(id, "\r\n"))
        return kl_fail(m->r->call, KL_INTERNAL, "driver " STR_FMT " gives its volume no usable id", STR_ARG(m->by));
    if (m->made.bytes <= 0)
        m->made.bytes = m->spec.bytes;
    if (m->made.bytes < m->spec.bytes || (m->spec.bytes_most > 0 && m->made.bytes > m->spec.bytes_most))
        return kl_fail(m->r->call, KL_INTERNAL, "driver " STR_FMT " made a volume of %lld bytes where %lld were asked for", STR_ARG(m->by), (long long)m->made.bytes,
                       (long long)m->spec.bytes);
    return 0;
}

static void add_term(struct arena *a, struct val *all, struct str key, struct str value)
{
    struct val *e = val_push(all, val_new(a, VAL_OBJ));
    json_set_str(a, e, STR("key"), key);
    json_set_str(a, e, STR("operator"), STR("In"));
    val_push(json_arr(a, e, STR("values")), val_of_str(a, value));
}

static void set_affinity(struct making *m, struct val *spec)
{
    struct arena *a = m->r->arena;
    const char *const *t = m->made.topology;
    struct str host = meta_label(m->node, "kubernetes.io/hostname");
    if (!(t && t[0]) && !is_local(m))
        return;
    struct val *terms = json_arr(a, json_obj(a, json_obj(a, spec, STR("nodeAffinity")), STR("required")), STR("nodeSelectorTerms"));
    struct val *all = json_arr(a, val_push(terms, val_new(a, VAL_OBJ)), STR("matchExpressions"));
    if (!(t && t[0]))
        add_term(a, all, STR("kubernetes.io/hostname"), host.len ? host : meta_name(m->node));
    for (; t && t[0] && t[1]; t += 2)
        add_term(a, all, str_of(t[0]), str_of(t[1]));
}

static void set_source(struct making *m, struct val *spec)
{
    struct arena *a = m->r->arena;
    struct val *csi = json_obj(a, spec, STR("csi"));
    json_set_str(a, csi, STR("driver"), m->by);
    json_set_str(a, csi, STR("volumeHandle"), str_of(m->made.id));
    if (m->spec.fs_type)
        json_set_str(a, csi, STR("fsType"), str_of(m->spec.fs_type));
    for (const char *const *c = m->made.context; c && c[0] && c[1]; c += 2)
        json_set_str(a, json_obj(a, csi, STR("volumeAttributes")), str_of(c[0]), str_of(c[1]));
}

static struct val *volume_of(struct making *m)
{
    struct arena *a = m->r->arena;
    char size[QUANTITY_TEXT];
    struct val *v = val_new(a, VAL_OBJ), *spec = json_obj(a, v, STR("spec")), *meta = json_obj(a, v, STR("metadata"));
    const struct val *modes = json_path(m->claim, "spec.accessModes"), *options = json_get(m->class, STR("mountOptions"));
    struct str policy = json_str(m->class, "reclaimPolicy"), vac = json_str(m->claim, "spec.volumeAttributesClassName");
    policy = policy.len ? policy : STR("Delete");
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    json_set_str(a, v, STR("kind"), STR("PersistentVolume"));
    json_set_str(a, meta, STR("name"), m->name);
    meta_set_annotation(a, v, PROVISIONED_BY, m->by);
    if (is_local(m))
        meta_set_annotation(a, v, ON_NODE, meta_name(m->node));
    if (str_is(policy, "Delete"))
        val_push(json_arr(a, meta, STR("finalizers")), val_of_str(a, STR(PV_FINALIZER)));
    quantity_format(quantity_of(m->made.bytes, QUANTITY_BINARY), size);
    json_set_str(a, json_obj(a, spec, STR("capacity")), STR("storage"), arena_str(a, str_of(size)));
    if (modes)
        json_set(a, spec, STR("accessModes"), val_copy(a, modes));
    json_set_str(a, spec, STR("persistentVolumeReclaimPolicy"), policy);
    json_set_str(a, spec, STR("storageClassName"), class_of(m->claim));
    json_set_str(a, spec, STR("volumeMode"), volume_mode(m->claim));
    if (vac.len)
        json_set_str(a, spec, STR("volumeAttributesClassName"), vac);
    if (val_is(options, VAL_ARR) && options->n)
        json_set(a, spec, STR("mountOptions"), val_copy(a, options));
    json_set(a, spec, STR("claimRef"), reference_to(m->r, m->claim));
    set_source(m, spec);
    set_affinity(m, spec);
    return v;
}

/* --- one claim --- */

static bool is_ready(const struct val *node)
{
    return cond_is(node, "Ready", "True") && !json_bool(node, "spec.unschedulable", false);
}

/* A local volume that nobody waits for: some node is chosen, and noted first, so that it stays the one. */
static int choose_node(struct making *m)
{
    const struct volumes_conf *conf = m->r->ctl->conf;
    struct arena *a = m->r->arena;
    struct ctl_list nodes;
    const struct val *best = NULL;
    int rc = ctl_list(m->r, (struct kl_list_options){ .resource = NODES }, &nodes);
    for (uint32_t i = 0; rc == 0 && i < nodes.n; i++)
        if (is_ready(nodes.at[i]) && (!best || str_is(meta_name(nodes.at[i]), conf->node ? conf->node : "")))
            best = nodes.at[i];
    if (rc == 0 && !best)
        return kl_fail(m->r->call, KL_UNAVAILABLE, "no node is ready");
    struct val *now = val_copy(a, m->claim);
    if (rc == 0)
        meta_set_annotation(a, now, SELECTED_NODE, meta_name(best));
    return rc < 0 ? rc : ctl_update(m->r, CLAIMS, NULL, m->claim, now, NULL);
}

/* Which driver, and for which node. *ret_ours false: there is nothing to do here, or not yet. */
static int find_driver(struct making *m, bool *ret_ours)
{
    struct ctl_run *r = m->r;
    struct str node = meta_annotation(m->claim, SELECTED_NODE);
    int rc = driver_find(r, m->by, STR_NONE, &m->driver);
    bool local = rc == 0 && (!m->driver.table || is_local(m));
    *ret_ours = false;
    if (rc < 0 || (!m->driver.table && !node.len))
        return rc;
    if (local && !node.len)
        return choose_node(m);          /* which brings this claim here again */
    if (node.len && (rc = ctl_get(r, NODES, STR(""), node, &m->node)) < 0)
        return rc;
    if (local && !m->node)
        return m->driver.table ? kl_fail(r->call, KL_UNAVAILABLE, "node \"" STR_FMT "\" is not there", STR_ARG(node)) : 0;
    bool expected = m->driver.table != NULL;
    if (local)
        rc = driver_find(r, m->by, node, &m->driver);
    if (rc == 0 && expected && !m->driver.table)
        return kl_fail(r->call, KL_UNAVAILABLE, "node \"" STR_FMT "\" has no driver " STR_FMT, STR_ARG(node), STR_ARG(m->by));
    if (rc < 0 && !expected)            /* it may be somebody else's: that node's own affair */
        return 0;
    *ret_ours = rc == 0 && m->driver.table;
    return rc;
}

static int make(struct making *m)
{
    struct ctl_run *r = m->r;
    int rc = wishes(m);
    if (rc < 0)
        return rc;
    ctl_event(r, m->claim, "Normal", "Provisioning", "External provisioner is provisioning volume for claim \"" STR_FMT "/" STR_FMT "\"", STR_ARG(meta_ns(m->claim)),
              STR_ARG(meta_name(m->claim)));
    m->made = (struct kl_volume_made){ .size = sizeof m->made };
    rc = m->driver.table->create(m->driver.self, &m->driver.call, &m->spec, &m->made);
    if (rc < 0)
        return driver_failed(r, &m->driver, rc);
    rc = check_made(m);
    if (rc == 0)
        rc = ctl_create(r, VOLUMES, STR(""), volume_of(m), NULL);
    return rc == -KL_ALREADY_EXISTS ? 0 : rc;
}

int provision(struct ctl_run *r, struct val *claim)
{
    struct making m = { .r = r, .claim = claim, .by = meta_annotation(claim, PROVISIONER) };
    struct val *there = NULL;
    struct str class = class_of(claim);
    bool ours = false;
    m.name = str_of(arena_printf(r->arena, "pvc-" STR_FMT, STR_ARG(meta_uid(claim))));
    if (!m.by.len || !class.len || json_str(claim, "spec.volumeName").len)
        return 0;
    int rc = ctl_get(r, CLASSES, STR(""), class, &m.class);
    if (rc < 0 || !m.class || !str_eq(json_str(m.class, "provisioner"), m.by) ||
        (waits_for_consumer(m.class) && !meta_annotation(claim, SELECTED_NODE).len))
        return rc;
    rc = ctl_get(r, VOLUMES, STR(""), m.name, &there);
    if (rc < 0 || there)
        return rc;
    rc = find_driver(&m, &ours);
    if (rc == 0 && !ours)
        return 0;                       /* a driver outside sees to it */
    if (rc == 0)
        rc = make(&m);
    if (rc == 0) {
        ctl_event(r, claim, "Normal", "ProvisioningSucceeded", "Successfully provisioned volume " STR_FMT, STR_ARG(m.name));
        return 0;
    }
    ctl_event(r, claim, "Warning", "ProvisioningFailed", "failed to provision volume with StorageClass \"" STR_FMT "\": %s", STR_ARG(class), r->call->err.msg);
    return rc == -KL_INVALID || rc == -KL_UNSUPPORTED || rc == -KL_ALREADY_EXISTS ? 0 : rc;
}
