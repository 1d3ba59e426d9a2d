/* validate_drivers.c - what drivers of storage and runtimes are told by: CSI objects, attachments, classes of runtimes and of volumes' attributes. */
#include "base/quantity.h"
#include "object/validate.h"

#define PARAMETERS_MOST       512
#define PARAMETERS_SIZE       (256 << 10)
#define NODE_ID_MOST          192

/* --- runtimes --- */

static void check_each_once(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (t, at, list) {
        struct str key = json_str(t, "key"), operator = json_str(t, "operator"), value = json_str(t, "value"), effect = json_str(t, "effect");
        const char *text = words(c, STR_FMT "\n" STR_FMT "\n" STR_FMT "\n" STR_FMT, STR_ARG(key), STR_ARG(operator), STR_ARG(value), STR_ARG(effect));
        if (met_again(&seen, str_of(text)))
            object_cause_add(c, "FieldValueDuplicate", path_text(c->arena, ITEM(p, at.i)), "Duplicate value: %s", shown_as(c, "io.k8s.api.core.v1.Toleration", t));
    }
}

KIND_RULES(kind_runtime_class)
{
    struct val *scheduling = json_get(v, STR("scheduling")), *fixed = json_path(v, "overhead.podFixed");
    const struct path *p = IN(NULL, "scheduling");
    if (check_required_str(c, IN(NULL, "handler"), json_str(v, "handler")))
        check_name(c, IN(NULL, "handler"), json_str(v, "handler"), G_LABEL);
    if (fixed) {                        /* upstream judges it as limits */
        struct val *limits = val_new(c->arena, VAL_OBJ);
        json_set(c->arena, limits, STR("limits"), val_copy(c->arena, fixed));
        check_resources(c, IN(NULL, "overhead"), limits, NULL);
    }
    check_labels(c, IN(p, "nodeSelector"), json_get(scheduling, STR("nodeSelector")));
    check_tolerations(c, IN(p, "tolerations"), json_get(scheduling, STR("tolerations")));
    check_each_once(c, IN(p, "tolerations"), json_get(scheduling, STR("tolerations")));
    if (old)
        check_immutable_str(c, NULL, v, old, "handler");
}

/* --- CSI --- */

static void check_token_requests(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met audiences = { 0 };
    LIST_EACH (t, at, list) {
        const struct path *here = ITEM(p, at.i);
        int64_t seconds = json_int(t, "expirationSeconds", 0);
        if (met_again(&audiences, json_str(t, "audience"))) {
            say_duplicate(c, IN(here, "audience"), json_str(t, "audience"));
            continue;
        }
        if (json_get(t, STR("expirationSeconds")) && seconds < 600)
            say_invalid_int(c, IN(here, "expirationSeconds"), seconds, "may not specify a duration less than 10 minutes");
        if (seconds > (int64_t)1 << 32)
            say_invalid_int(c, IN(here, "expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds");
    }
}

KIND_RULES(kind_csi_driver)
{
    static const char *const policies[] = { "File", "None", "ReadWriteOnceWithFSType", NULL }, *const modes[] = { "Persistent", "Ephemeral", NULL };
    static const struct {
        const char *member, *shown;
    } needed[] = { { "attachRequired", "attachedRequired" }, { "podInfoOnMount", "podInfoOnMount" }, { "storageCapacity", "storageCapacity" } };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec")), *requests = json_get(spec, STR("tokenRequests"));
    struct val *policy = json_get(spec, STR("fsGroupPolicy")), *period = json_get(spec, STR("nodeAllocatableUpdatePeriodSeconds"));
    struct val *secrets = json_get(spec, STR("serviceAccountTokenInSecrets"));
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!json_get(spec, str_of(needed[i].member)))
            say_required(c, IN(p, needed[i].shown), NULL);
    if (policy)
        check_choice(c, IN(p, "fsGroupPolicy"), val_str(policy), policies);
    check_token_requests(c, IN(p, "tokenRequests"), requests);
    LIST_EACH (m, at, json_get(spec, STR("volumeLifecycleModes")))
        check_choice(c, IN(p, "volumeLifecycleModes"), val_str(m), modes);
    if (period && period->i < 10)
        say_invalid_int(c, IN(p, "nodeAllocatableUpdatePeriodSeconds"), period->i, "must be greater than or equal to 10 seconds");
    if (secrets && !(requests && requests->n))
        say_invalid_val(c, IN(p, "serviceAccountTokenInSecrets"), secrets, "serviceAccountTokenInSecrets is set but no tokenRequests are specified");
    if (old && !val_equal(json_get(spec, STR("attachRequired")), json_get(was, STR("attachRequired"))))
        say_immutable(c, IN(p, "attachedRequired"), json_get(spec, STR("attachRequired")));
    if (old)
        check_immutable(c, p, spec, was, "volumeLifecycleModes");
}

static void check_csi_topology(causes c, const struct path *p, const struct val *keys)
{
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (k, at, keys) {
        check_required_str(c, p, val_str(k));
        if (met_again(&seen, val_str(k)))
            say_duplicate(c, p, val_str(k));
        check_name(c, p, val_str(k), G_QUALIFIED);
    }
}

/* A driver that stays is what it was, but for how much it may hold. */
static void check_csi_kept(causes c, const struct val *drivers, const struct val *was)
{
    LIST_EACH (o, ot, was)
        LIST_EACH (d, dt, drivers) {
            struct val *x = val_copy(c->arena, d), *y = val_copy(c->arena, o);
            if (!str_eq(json_str(d, "name"), json_str(o, "name")))
                continue;
            json_del(x, STR("allocatable"));
            json_del(y, STR("allocatable"));
            if (!val_equal(x, y))
                say_invalid_as(c, IN(IN(NULL, "spec"), "drivers"), "io.k8s.api.storage.v1.CSINodeDriver", x, "field is immutable");
        }
}

KIND_RULES(kind_csi_node)
{
    const struct path *p = IN(IN(NULL, "spec"), "drivers");
    struct val *drivers = json_path(v, "spec.drivers");
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (d, at, drivers) {
        const struct path *here = ITEM(p, at.i);
        struct str id = json_str(d, "nodeID");
        struct val *count = json_path(d, "allocatable.count");
        check_driver(c, IN(here, "name"), json_str(d, "name"));
        check_required_str(c, IN(here, "nodeID"), id);
        if (id.len > NODE_ID_MOST)
            say_invalid(c, IN(here, "nodeID"), id, words(c, "must be %d characters or less", NODE_ID_MOST));
        if (count)
            check_at_least(c, IN(IN(here, "allocatable"), "count"), count->i, 0);
        if (met_again(&names, json_str(d, "name")))
            say_duplicate(c, IN(here, "name"), json_str(d, "name"));
        check_csi_topology(c, here, json_get(d, STR("topologyKeys")));
    }
    if (old)
        check_csi_kept(c, drivers, json_path(old, "spec.drivers"));
}

KIND_RULES(kind_csi_capacity)
{
    struct quantity q;
    struct str capacity = json_str(v, "capacity");
    check_selector(c, IN(NULL, "nodeTopology"), json_get(v, STR("nodeTopology")));
    check_name(c, IN(NULL, "storageClassName"), json_str(v, "storageClassName"), G_SUBDOMAIN);
    if (capacity.len && quantity_parse(capacity, &q) && q.nano < 0)
        say_invalid(c, IN(NULL, "capacity"), capacity, "must be greater than or equal to 0");
    if (!old)
        return;
    check_immutable_as(c, IN(NULL, "nodeTopology"), "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", json_get(v, STR("nodeTopology")), json_get(old, STR("nodeTopology")));
    check_immutable_str(c, NULL, v, old, "storageClassName");
}

/* --- attachments --- */

static void check_attached_source(causes c, const struct path *p, const struct val *source)
{
    struct val *name = json_get(source, STR("persistentVolumeName")), *inlined = json_get(source, STR("inlineVolumeSpec"));
    if (!name && !inlined)
        say_required(c, p, "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    else if (name && inlined)
        say_forbidden(c, p, "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    else if (name && !val_str(name).len)
        say_required(c, IN(p, "persistentVolumeName"), "must specify non empty persistentVolumeName");
    if (inlined && !name)
        check_volume_spec(c, IN(p, "inlineVolumeSpec"), inlined, true);
    if (name)
        check_name(c, IN(p, "persistentVolumeName"), val_str(name), G_SUBDOMAIN);
}

KIND_RULES(kind_attachment)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec"));
    check_driver(c, IN(p, "attacher"), json_str(spec, "attacher"));
    check_attached_source(c, IN(p, "source"), json_get(spec, STR("source")));
    check_name(c, IN(p, "nodeName"), json_str(spec, "nodeName"), G_SUBDOMAIN);
    if (old)
        check_immutable_as(c, p, "io.k8s.api.storage.v1.VolumeAttachmentSpec", spec, json_get(old, STR("spec")));
}

/* --- classes of attributes --- */

static void check_parameters(causes c, const struct path *p, const struct val *v)
{
    size_t total = 0;
    if (!v || !v->n) {
        say_required(c, p, "must contain at least one key/value pair");
        return;
    }
    if (v->n > PARAMETERS_MOST) {
        say_too_long(c, p, PARAMETERS_MOST, "bytes");
        return;
    }
    val_each(x, v) {
        if (!x->key_len)
            say_invalid(c, p, STR(""), "field can not be empty.");
        total += x->key_len + x->n;
    }
    if (total > PARAMETERS_SIZE)
        say_too_long(c, p, PARAMETERS_SIZE, "bytes");
}

KIND_RULES(kind_attributes_class)
{
    struct str driver = json_str(v, "driverName");
    if (old && !str_eq(driver, json_str(old, "driverName")))
        say_forbidden(c, IN(NULL, "driverName"), "updates to driverName are forbidden.");
    if (old && !val_equal(json_get(v, STR("parameters")), json_get(old, STR("parameters"))))
        say_forbidden(c, IN(NULL, "parameters"), "updates to parameters are forbidden.");
    if (check_required_str(c, IN(NULL, "driverName"), driver))
        check_name_caseless(c, IN(NULL, "driverName"), driver, G_QUALIFIED);
    check_parameters(c, IN(NULL, "parameters"), json_get(v, STR("parameters")));
}
