/* validate_storage.c - PersistentVolumes, claims on them, classes of them. */
#include "base/quantity.h"
#include "object/validate.h"

static const char *const access_modes[] = { "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL };
static const char *const volume_modes[] = { "Block", "Filesystem", NULL };

/* --- volumes --- */

static void check_access(causes c, const struct path *p, const struct val *list)
{
    bool pod_only = false, other = false;
    if (!list || !list->n)
        say_required(c, p, NULL);
    LIST_EACH (m, at, list) {
        bool known = check_choice(c, p, val_str(m), access_modes), single = str_is(val_str(m), "ReadWriteOncePod");
        pod_only |= single;
        other |= known && !single;
    }
    if (pod_only && other)
        say_forbidden(c, p, "may not use ReadWriteOncePod with other access modes");
}

static void check_capacity(causes c, const struct path *p, const struct val *v)
{
    struct quantity q;
    if (!v || !v->n)
        say_required(c, p, NULL);
    if (!json_get(v, STR("storage")) || v->n > 1) {
        _cleanup_buf_ struct buf b = BUF_INIT(4096);
        if (v)
            json_write(&b, v);
        object_cause_add(c, "FieldValueNotSupported", path_text(c->arena, p), "Unsupported value: %s: supported values: \"storage\"", v ? b.at : "null");
    }
    if (!val_is(v, VAL_OBJ))
        return;
    val_each(x, v) {
        if (!quantity_parse(val_str(x), &q))
            continue;
        if (q.nano < 0)
            say_invalid_int(c, KEY(p, val_key(x)), quantity_value(q), "must be a valid resource quantity");
        if (q.nano <= 0)
            say_invalid(c, KEY(p, val_key(x)), val_str(x), "must be greater than zero");
    }
}

static void check_needed(causes c, const struct path *p, const struct val *v, const char *members)
{
    struct str rest = str_of(members);
    while (rest.at) {
        const char *member = arena_dup(c->arena, str_cut(&rest, ','));
        if (member)
            check_required_str(c, IN(p, member), json_str(v, member));
    }
}

static const struct {
    const char *member, *shown, *needed;
} sources[] = {
    { "hostPath", "hostPath", NULL }, { "gcePersistentDisk", "persistentDisk", "pdName" }, { "awsElasticBlockStore", "awsElasticBlockStore", "volumeID" },
    { "glusterfs", "glusterfs", "endpoints,path" }, { "flocker", "flocker", NULL }, { "nfs", "nfs", "server,path" }, { "rbd", "rbd", "image" },
    { "quobyte", "quobyte", "registry" }, { "cephfs", "cephfs", NULL }, { "iscsi", "iscsi", "targetPortal,iqn" }, { "cinder", "cinder", "volumeID" },
    { "fc", "fc", NULL }, { "flexVolume", "flexVolume", "driver" }, { "azureFile", "azureFile", "secretName,shareName" },
    { "vsphereVolume", "vsphereVolume", "volumePath" }, { "photonPersistentDisk", "photonPersistentDisk", "pdID" },
    { "portworxVolume", "portworxVolume", "volumeID" }, { "azureDisk", "azureDisk", "diskName,diskURI" }, { "scaleIO", "scaleIO", "gateway,system" },
    { "local", "local", "path" }, { "storageos", "storageos", "volumeName" }, { "csi", "csi", "driver,volumeHandle" },
};

static void check_secret_references(causes c, const struct path *p, const struct val *v)
{
    static const char *const members[] = { "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef" };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct val *ref = json_get(v, str_of(members[i]));
        const struct path *here = IN(p, members[i]);
        if (!ref)
            continue;
        if (check_required_str(c, IN(here, "name"), json_str(ref, "name")))
            check_name(c, IN(here, "name"), json_str(ref, "name"), G_SUBDOMAIN);
        if (check_required_str(c, IN(here, "namespace"), json_str(ref, "namespace")))
            check_name(c, IN(here, "namespace"), json_str(ref, "namespace"), G_LABEL);
    }
}

static void check_source(causes c, const struct path *p, const struct val *spec)
{
    unsigned n = 0;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct val *v = json_get(spec, str_of(sources[i].member));
        const struct path *here = IN(p, sources[i].shown);
        if (!v)
            continue;
        if (n++)
            say_forbidden(c, IN(p, sources[i].member), "may not specify more than 1 volume type");
        else if (i == 0)
            check_host_path(c, here, v);
        else if (strcmp(sources[i].member, "rbd") == 0 && !(json_get(v, STR("monitors")) && json_get(v, STR("monitors"))->n))
            say_required(c, IN(here, "monitors"), NULL), check_needed(c, here, v, sources[i].needed);
        else if (sources[i].needed)
            check_needed(c, here, v, sources[i].needed);
        if (n == 1)
            check_old_source(c, here, sources[i].member, v, true);
        if (n == 1 && strcmp(sources[i].member, "csi") == 0)
            check_secret_references(c, here, v);
        if (n == 1 && strcmp(sources[i].member, "cinder") == 0 && json_get(v, STR("secretRef")))
            check_needed(c, IN(here, "secretRef"), json_get(v, STR("secretRef")), "name,namespace");
    }
    if (!n)
        say_required(c, p, "must specify a volume type");
    check_backsteps(c, IN(IN(p, "local"), "path"), json_str(spec, "local.path"));
    if (json_get(spec, STR("local")) && !json_get(spec, STR("nodeAffinity")))
        say_required(c, IN(p, "nodeAffinity"), "Local volume requires node affinity");
}

static void check_volume_kept(causes c, const struct val *spec, const struct val *was)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct val *x = json_get(spec, str_of(sources[i].member)), *y = json_get(was, str_of(sources[i].member));
        if ((x || y) && !val_equal(x, y)) {
            say_forbidden(c, IN(IN(NULL, "spec"), "persistentvolumesource"), words(c, "spec.persistentvolumesource is immutable after creation%s",
                                                                                     changed_lines(c, "io.k8s.api.core.v1.PersistentVolumeSource", was, spec)));
            break;
        }
    }
    check_immutable(c, NULL, spec, was, "volumeMode");
    struct val *affinity = json_get(spec, STR("nodeAffinity"));
    if (json_get(was, STR("nodeAffinity")) && !val_equal(affinity, json_get(was, STR("nodeAffinity"))))
        say_invalid_as(c, IN(NULL, "nodeAffinity"), "io.k8s.api.core.v1.VolumeNodeAffinity", affinity, "field is immutable, except for updating from beta label to GA");
}

static void check_mount_note(causes c, const struct val *v, const struct val *spec)
{
    static const char *const mounted[] = { "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "nfs", "rbd", "quobyte", "iscsi", "cinder",
                                           "cephfs", "azureFile", "vsphereVolume", "azureDisk", "photonPersistentDisk" };
    const struct str key = STR("volume.beta.kubernetes.io/mount-options");
    if (!json_get(json_path(v, "metadata.annotations"), key))
        return;
    for (size_t i = 0; i < sizeof mounted / sizeof *mounted; i++)
        if (json_get(spec, str_of(mounted[i])))
            return;
    say_forbidden(c, &(struct path){ IN(IN(NULL, "metadata"), "annotations"), key, 0 }, "may not specify mount options for this volume type");
}

/* What an attachment says of a volume that is none. */
static void forbid_inlined(causes c, const struct path *p, const struct val *spec, const char *member)
{
    const struct val *v = json_get(spec, str_of(member));
    bool set = v && (v->type == VAL_OBJ || v->n);
    if (v && strcmp(member, "capacity") == 0)
        set = v->n != 0;
    if (set)
        say_forbidden(c, IN(p, member), "may not be specified in the context of inline volumes");
}

static void check_volume_place(causes c, const struct path *p, const struct val *affinity)
{
    const struct val *required = json_get(affinity, STR("required"));
    if (affinity && !required)
        say_required(c, IN(p, "required"), "must specify required node constraints");
    else if (affinity)
        check_node_selector(c, IN(p, "required"), required);
}

static void check_volume_rest(causes c, const struct path *p, const struct val *spec, bool inlined)
{
    struct str policy = json_str(spec, "persistentVolumeReclaimPolicy"), class = json_str(spec, "storageClassName"), mode = json_str(spec, "volumeMode");
    const struct val *attributes = json_get(spec, STR("volumeAttributesClassName"));
    if (str_is(json_str(spec, "hostPath.path"), "/") && str_is(policy, "Recycle"))
        say_forbidden(c, IN(p, "persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'");
    if (inlined)
        forbid_inlined(c, p, spec, "storageClassName");
    else if (class.len)
        check_name(c, IN(p, "storageClassName"), class, G_SUBDOMAIN);
    if (json_get(spec, STR("volumeMode")) && !inlined)
        check_choice(c, IN(p, "volumeMode"), mode, volume_modes);
    else if (json_get(spec, STR("volumeMode")) && !str_is(mode, "Filesystem"))
        say_forbidden(c, IN(p, "volumeMode"), "may not specify volumeMode other than Filesystem in the context of inline volumes");
    if (!attributes || inlined)
        return;
    if (!val_str(attributes).len)
        say_required(c, IN(p, "volumeAttributesClassName"), "an empty string is disallowed");
    else
        check_name(c, IN(p, "volumeAttributesClassName"), val_str(attributes), G_SUBDOMAIN);
    if (!json_get(spec, STR("csi")))
        say_required(c, IN(p, "csi"), "has to be specified when using volumeAttributesClassName");
}

void check_volume_spec(causes c, const struct path *p, const struct val *spec, bool inlined)
{
    static const char *const policies[] = { "Delete", "Recycle", "Retain", NULL };
    struct str policy = json_str(spec, "persistentVolumeReclaimPolicy");
    if (inlined) {
        forbid_inlined(c, p, spec, "claimRef");
        forbid_inlined(c, p, spec, "capacity");
        if (!json_get(spec, STR("csi")))
            say_required(c, IN(p, "csi"), "has to be specified in the context of inline volumes");
    }
    check_access(c, IN(p, "accessModes"), json_get(spec, STR("accessModes")));
    if (!inlined)
        check_capacity(c, IN(p, "capacity"), json_get(spec, STR("capacity")));
    if (policy.len && !inlined)
        check_choice(c, IN(p, "persistentVolumeReclaimPolicy"), policy, policies);
    else if (policy.len && !str_is(policy, "Retain"))
        say_forbidden(c, IN(p, "persistentVolumeReclaimPolicy"), "may only be Retain in the context of inline volumes");
    if (!inlined)
        check_volume_place(c, IN(p, "nodeAffinity"), json_get(spec, STR("nodeAffinity")));
    else if ( json_get(spec, STR("nodeAffinity")))
        say_forbidden(c, IN(p, "nodeAffinity"), "may not be specified in the context of inline volumes");
    check_source(c, p, spec);
    check_volume_rest(c, p, spec, inlined);
}

KIND_RULES(kind_volume)
{
    const struct val *spec = json_get(v, STR("spec"));
    check_volume_spec(c, IN(NULL, "spec"), spec, false);
    check_mount_note(c, v, spec);
    if (old)
        check_volume_kept(c, spec, json_get(old, STR("spec")));
}

/* --- claims --- */

static void check_claim_kept(causes c, const struct val *spec, const struct val *was, const struct val *old)
{
    struct val *x = val_copy(c->arena, spec), *y = val_copy(c->arena, was);
    struct val *size = json_path(spec, "resources.requests.storage"), *old_size = json_path(was, "resources.requests.storage");
    struct quantity now = { 0 }, before = { 0 }, real = { 0 };
    bool bound = str_is(json_str(old, "status.phase"), "Bound");
    if (!json_str(was, "volumeName").len)
        json_del(x, STR("volumeName"));
    if (bound && json_path(x, "resources.requests") && old_size)
        json_set(c->arena, json_path(x, "resources.requests"), STR("storage"), val_copy(c->arena, old_size));
    if (bound) {
        json_del(x, STR("volumeAttributesClassName"));
        json_del(y, STR("volumeAttributesClassName"));
    }
    if (!json_get(was, STR("storageClassName")))
        json_del(x, STR("storageClassName"));
    if (!val_equal(x, y))
        say_forbidden(c, IN(NULL, "spec"), words(c, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims%s",
                                                 changed_lines(c, "io.k8s.api.core.v1.PersistentVolumeClaimSpec", y, x)));
    quantity_parse(val_str(size), &now);
    quantity_parse(val_str(old_size), &before);
    quantity_parse(json_str(old, "status.capacity.storage"), &real);
    if (quantity_cmp(now, before) < 0 && quantity_cmp(now, real) <= 0)
        say_forbidden(c, IN(IN(IN(NULL, "spec"), "resources"), "requests.storage"), "field can not be less than status.capacity");
    check_immutable(c, NULL, spec, was, "volumeMode");
}

KIND_RULES(kind_claim)
{
    struct val *spec = json_get(v, STR("spec"));
    check_claim_spec(c, IN(NULL, "spec"), spec);
    if (old)
        check_claim_kept(c, spec, json_get(old, STR("spec")), old);
}

/* --- classes --- */

static void check_topologies(causes c, const struct path *p, const struct val *list)
{
    LIST_EACH (t, at, list) {
        struct val *expressions = json_get(t, STR("matchLabelExpressions"));
        _cleanup_met_ struct met keys = { 0 };
        LIST_EACH (e, et, expressions) {
            const struct path *here = ITEM(IN(ITEM(p, at.i), "matchLabelExpressions"), et.i);
            struct val *values = json_get(e, STR("values"));
            _cleanup_met_ struct met seen = { 0 };
            if (!values || !values->n)
                say_required(c, IN(here, "values"), NULL);
            LIST_EACH (x, xt, values)
                if (met_again(&seen, val_str(x)))
                    say_duplicate(c, ITEM(IN(here, "values"), xt.i), val_str(x));
            check_name(c, IN(here, "key"), json_str(e, "key"), G_QUALIFIED);
            if (met_again(&keys, json_str(e, "key")))
                say_duplicate(c, IN(here, "key"), json_str(e, "key"));
        }
        /* Each that was before counts, and upstream's list of those begins with as many empty ones as there are. */
        bool empty = !expressions || !expressions->n;
        long same = empty ? (long)list->n : 0;
        LIST_EACH (was, wt, list) {
            const struct val *x = json_get(was, STR("matchLabelExpressions"));
            if (wt.i >= at.i || wt.i >= 64)
                break;
            same += empty ? !x || !x->n : val_equal(was, t);
        }
        for (; same > 0 && c->n < 256; same--)
            say_duplicate(c, IN(ITEM(p, at.i), "matchLabelExpressions"), STR(""));
    }
}

KIND_RULES(kind_storage_class)
{
    static const char *const policies[] = { "Delete", "Retain", NULL }, *const modes[] = { "Immediate", "WaitForFirstConsumer", NULL };
    static const char *const fixed[] = { "parameters", "provisioner", "reclaimPolicy", "volumeBindingMode" };
    struct str provisioner = json_str(v, "provisioner");
    struct val *mode = json_get(v, STR("volumeBindingMode")), *parameters = json_get(v, STR("parameters"));
    if (check_required_str(c, IN(NULL, "provisioner"), provisioner)) {
        const char *texts[6];
        char *low = arena_dup(c->arena, provisioner);
        for (char *s = low; s && *s; s++)
            *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
        unsigned n = low ? name_errors(c->arena, str_of(low), G_QUALIFIED, texts, 6) : 0;
        for (unsigned i = 0; i < n; i++)
            say_invalid(c, IN(NULL, "provisioner"), str_of(low), texts[i]);
    }
    if (val_is(parameters, VAL_OBJ))
        val_each(x, parameters)
            if (!x->key_len)
                say_invalid(c, IN(NULL, "parameters"), STR(""), "field can not be empty.");
    if (json_str(v, "reclaimPolicy").len)
        check_choice(c, IN(NULL, "reclaimPolicy"), json_str(v, "reclaimPolicy"), policies);
    if (!mode)
        say_required(c, IN(NULL, "volumeBindingMode"), NULL);
    else
        check_choice(c, IN(NULL, "volumeBindingMode"), val_str(mode), modes);
    check_topologies(c, IN(NULL, "allowedTopologies"), json_get(v, STR("allowedTopologies")));
    for (int i = 0; old && i < 4; i++)
        check_immutable(c, NULL, v, old, fixed[i]);
}
