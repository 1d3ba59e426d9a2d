/* validate_sources.c - kinds of volumes that few use any more, of pods and of persistent volumes: what is more to say than which members must be there. */
#include "object/validate.h"

/* host:port, or several with commas. */
static void check_quobyte(causes c, const struct path *p, const struct val *v)
{
    struct str registry = json_str(v, "registry");
    for (struct str rest = registry; registry.len && rest.at;) {
        struct str one = str_cut(&rest, ',');
        long colon = str_find(one, ':');
        if (colon < 0 || str_find(str_skip(one, (size_t)colon + 1), ':') >= 0)
            say_invalid(c, IN(p, "registry"), registry, "must be a host:port pair or multiple pairs separated by commas");
    }
    check_required_str(c, IN(p, "volume"), json_str(v, "volume"));
}

static void check_azure_disk(causes c, const struct path *p, const struct val *v)
{
    static const char *const caching[] = { "None", "ReadOnly", "ReadWrite", NULL }, *const kinds[] = { "Dedicated", "Managed", "Shared", NULL };
    static const char *const managed[] = { "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}", NULL };
    static const char *const blob[] = { "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd", NULL };
    struct str uri = json_str(v, "diskURI"), kind = json_str(v, "kind");
    bool is_managed = str_is(kind, "Managed");
    if (json_get(v, STR("cachingMode")))
        check_choice(c, IN(p, "cachingMode"), json_str(v, "cachingMode"), caching);
    if (json_get(v, STR("kind")))
        check_choice(c, IN(p, "kind"), kind, kinds);
    if (!str_starts(uri, is_managed ? STR("/subscriptions/") : STR("https://")))
        say_unsupported(c, IN(p, "diskURI"), uri, is_managed ? managed : blob);
}

static void check_monitors(causes c, const struct path *p, const struct val *v)
{
    const struct val *monitors = json_get(v, STR("monitors"));
    if (!monitors || !monitors->n)
        say_required(c, IN(p, "monitors"), NULL);
}

static void check_flocker(causes c, const struct path *p, const struct val *v)
{
    struct str name = json_str(v, "datasetName"), uuid = json_str(v, "datasetUUID");
    if (!name.len && !uuid.len)
        say_required(c, p, "one of datasetName and datasetUUID is required");
    if (name.len && uuid.len)
        say_invalid(c, p, STR("resource"), "datasetName and datasetUUID can not be specified simultaneously");
    if (str_find(name, '/') >= 0)
        say_invalid(c, IN(p, "datasetName"), name, "must not contain '/'");
}

static void check_fc(causes c, const struct path *p, const struct val *v)
{
    const struct val *names = json_get(v, STR("targetWWNs")), *ids = json_get(v, STR("wwids")), *lun = json_get(v, STR("lun"));
    bool some = names && names->n, other = ids && ids->n;
    if (!some && !other)
        say_required(c, IN(p, "targetWWNs"), "must specify either targetWWNs or wwids, but not both");
    if (some && other)
        say_invalid_val(c, IN(p, "targetWWNs"), names, "targetWWNs and wwids can not be specified simultaneously");
    if (some && !lun)
        say_required(c, IN(p, "lun"), "lun is required if targetWWNs is specified");
    else if (some)
        check_between(c, IN(p, "lun"), lun->i, 0, 255);
}

static void check_scale_io(causes c, const struct path *p, const struct val *v)
{
    check_required_str(c, IN(p, "volumeName"), json_str(v, "volumeName"));
}

static void check_storageos(causes c, const struct path *p, const struct val *v)
{
    struct str name = json_str(v, "volumeName"), ns = json_str(v, "volumeNamespace");
    if (name.len)
        check_name(c, IN(p, "volumeName"), name, G_LABEL);
    if (ns.len)
        check_name(c, IN(p, "volumeNamespace"), ns, G_LABEL);
    if (json_get(v, STR("secretRef")))
        check_required_str(c, IN(IN(p, "secretRef"), "name"), json_str(v, "secretRef.name"));
}

static void check_absolute(causes c, const struct path *p, const struct val *v)
{
    struct str path = json_str(v, "path");
    if (!path.len || path.at[0] != '/')
        say_invalid(c, IN(p, "path"), path, "must be an absolute path");
}

static void check_partition(causes c, const struct path *p, const struct val *v)
{
    check_between(c, IN(p, "partition"), json_int(v, "partition", 0), 0, 255);
}

static void check_initiator(causes c, const struct path *p, const struct val *v)
{
    static const char *const heads[] = { "iqn", "eui", "naa" };
    struct str name = json_str(v, "initiatorName");
    bool known = !json_get(v, STR("initiatorName"));
    for (int i = 0; i < 3; i++)
        known |= str_starts(name, str_of(heads[i]));
    if (!known)
        say_invalid(c, IN(p, "initiatorname"), name, "must be valid format starting with iqn, eui, or naa");
}

static const struct {
    const char *member;
    void (*check)(causes c, const struct path *p, const struct val *v);
    bool persistent;                    /* of a persistent volume alone: of a pod's it is judged elsewhere */
} rows[] = {
    { "quobyte", check_quobyte, false },     { "azureDisk", check_azure_disk, false }, { "cephfs", check_monitors, false },
    { "flocker", check_flocker, false },     { "fc", check_fc, false },                { "scaleIO", check_scale_io, false },
    { "storageos", check_storageos, false }, { "nfs", check_absolute, true },          { "gcePersistentDisk", check_partition, false },
    { "awsElasticBlockStore", check_partition, false }, { "iscsi", check_initiator, false },
};

void check_old_source(causes c, const struct path *p, const char *member, const struct val *v, bool persistent)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].member, member) == 0 && (persistent || !rows[i].persistent))
            rows[i].check(c, p, v);
}
