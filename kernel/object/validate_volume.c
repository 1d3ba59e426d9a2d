/* validate_volume.c - volumes of pods and what is projected into them; specs of claims. */
#include "base/quantity.h"
#include "object/validate.h"

bool volume_known(const struct pod_place *where, struct str name)
{
    return met(&where->volumes, name);
}

/* --- paths --- */

bool check_backsteps(causes c, const struct path *p, struct str path)
{
    for (struct str rest = path; rest.at;)
        if (str_is(str_cut(&rest, '/'), "..")) {
            say_invalid(c, p, path, "must not contain '..'");
            return false;
        }
    return true;
}

void check_local_path(causes c, const struct path *p, struct str path, bool reserved)
{
    struct str rest = path;
    if (path.len && path.at[0] == '/')
        say_invalid(c, p, path, "must be a relative path");
    /* The names under which the atomic writer keeps its own. */
    if (check_backsteps(c, p, path) && reserved && str_starts(str_cut(&rest, '/'), STR("..")))
        say_invalid(c, p, path, "must not start with '..'");
}

static void check_mode(causes c, const struct path *up, const struct val *v, const char *member)
{
    struct val *mode = json_get(v, str_of(member));
    if (mode && (mode->i < 0 || mode->i > 0777))
        say_invalid_int(c, IN(up, member), mode->i, "must be a number between 0 and 0777 (octal), both inclusive");
}

static void check_item(causes c, const struct path *p, const struct val *item)
{
    struct str path = json_str(item, "path");
    check_required_str(c, IN(p, "key"), json_str(item, "key"));
    check_required_str(c, IN(p, "path"), path);
    check_local_path(c, IN(p, "path"), path, true);
    check_mode(c, p, item, "mode");
}

static void check_items(causes c, const struct path *p, const struct val *source)
{
    LIST_EACH (item, at, json_get(source, STR("items")))
        check_item(c, ITEM(IN(p, "items"), at.i), item);
}

/* --- fields of the pod itself --- */

/* "metadata.labels['x']" in two: what stands before, and x. */
static bool subscript(struct str path, struct str *ret_base, struct str *ret_key)
{
    long open = str_find(path, '[');
    if (open < 0 || path.len < (size_t)open + 4 || path.at[open + 1] != '\'' || !str_ends(path, STR("']")))
        return false;
    *ret_base = str_n(path.at, (size_t)open);
    *ret_key = str_n(path.at + open + 2, path.len - (size_t)open - 4);
    return true;
}

static bool known_field(struct str path)
{
    static const char *const all[] = { "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
        "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "spec.hostNetwork", "status.phase", "status.hostIP", "status.hostIPs",
        "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.host", NULL };
    for (const char *const *x = all; *x; x++)
        if (str_is(path, *x))
            return true;
    return false;
}

void check_field_ref(causes c, const struct path *p, const struct val *ref, const char *const *allowed)
{
    struct str path = json_str(ref, "fieldPath"), base, key;
    const struct path *here = IN(p, "fieldPath");
    if (!json_str(ref, "apiVersion").len) {
        say_required(c, IN(p, "apiVersion"), NULL);
        return;
    }
    if (!check_required_str(c, here, path))
        return;
    if (subscript(path, &base, &key)) {
        if (str_is(base, "metadata.annotations") || str_is(base, "metadata.labels"))
            check_name(c, here, key, G_QUALIFIED);
        else
            say_invalid(c, here, path, "does not support subscript");
        return;
    }
    if (!str_is(json_str(ref, "apiVersion"), "v1")) {
        say_invalid(c, here, path, words(c, "error converting fieldPath: unsupported pod version: " STR_FMT, STR_ARG(json_str(ref, "apiVersion"))));
        return;
    }
    if (!known_field(path)) {
        say_invalid(c, here, path, words(c, "error converting fieldPath: field label not supported: " STR_FMT, STR_ARG(path)));
        return;
    }
    check_choice(c, here, path, allowed);
}

void check_resource_field_ref(causes c, const struct path *p, const struct val *ref, bool volume)
{
    static const char *const resources[] = { "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
                                             "requests.memory", NULL };
    static const char *const cpu[] = { "1m", "1", NULL }, *const memory[] = { "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL };
    struct str what = json_str(ref, "resource"), divisor = json_str(ref, "divisor");
    bool huge = str_starts(what, STR("limits.hugepages-")) || str_starts(what, STR("requests.hugepages-"));
    if ((volume && !check_required_str(c, IN(p, "containerName"), json_str(ref, "containerName"))) ||
        !check_required_str(c, IN(p, "resource"), what))
        return;
    if (!huge && !check_choice(c, IN(p, "resource"), what, resources))
        return;
    if (!divisor.len || str_is(divisor, "0"))
        return;
    bool is_cpu = str_ends(what, STR(".cpu"));
    for (const char *const *x = is_cpu ? cpu : memory; *x; x++)
        if (str_is(divisor, *x))
            return;
    say_invalid(c, IN(p, "divisor"), what,
                is_cpu ? "only divisor's values 1m and 1 are supported with the cpu resource" :
                         "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource");
}

static void check_downward_file(causes c, const struct path *p, const struct val *file)
{
    static const char *const allowed[] = { "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", NULL };
    struct val *field = json_get(file, STR("fieldRef")), *resource = json_get(file, STR("resourceFieldRef"));
    struct str path = json_str(file, "path");
    check_required_str(c, IN(p, "path"), path);
    check_local_path(c, IN(p, "path"), path, true);
    if (field) {
        check_field_ref(c, IN(p, "fieldRef"), field, allowed);
        if (resource)
            say_invalid(c, p, STR("resource"), "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (resource) {
        check_resource_field_ref(c, IN(p, "resourceFieldRef"), resource, true);
    } else {
        say_required(c, p, "one of fieldRef and resourceFieldRef is required");
    }
    check_mode(c, p, file, "mode");
}

/* --- projected --- */

struct paths {
    causes c;
    const struct path *p;
    struct str seen[128];
    unsigned n;
};

static void note_path(struct paths *x, struct str path, struct str owner)
{
    for (unsigned i = 0; i < x->n; i++)
        if (str_eq(x->seen[i], path)) {
            say_invalid(x->c, x->p, owner, "conflicting duplicate paths");
            return;
        }
    if (x->n < 128)
        x->seen[x->n++] = path;
}

static void check_token(causes c, const struct path *p, const struct path *volume, const struct val *t)
{
    int64_t seconds = json_int(t, "expirationSeconds", 3600);
    if (seconds < 600)
        say_invalid_int(c, IN(p, "expirationSeconds"), seconds, "may not specify a duration less than 10 minutes");
    if (seconds > 1LL << 32)
        say_invalid_int(c, IN(p, "expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds");
    if (check_required_str(c, IN(volume, "path"), json_str(t, "path")))
        check_local_path(c, IN(volume, "path"), json_str(t, "path"), true);
}

static void check_bundle(causes c, const struct path *p, const struct val *b)
{
    struct val *name = json_get(b, STR("name")), *signer = json_get(b, STR("signerName"));
    if (name && signer)
        say_invalid_val(c, p, b, "only one of name and signerName may be used");
    else if (!name && !signer)
        say_required(c, p, "either name or signerName must be specified");
    else if (name && !name->n)
        say_required(c, IN(p, "name"), "must be a valid object name");
    else if (signer && !signer->n)
        say_required(c, IN(p, "signerName"), "must be a valid signer name");
    check_required_str(c, IN(p, "path"), json_str(b, "path"));
    check_local_path(c, IN(p, "path"), json_str(b, "path"), true);
}

static void check_projection(causes c, const struct path *p, const struct val *s, struct paths *seen, const struct path *volume)
{
    static const char *const objects[] = { "secret", "configMap" };
    unsigned n = 0;
    struct val *x;
    for (int i = 0; i < 2; i++)
        if ((x = json_get(s, str_of(objects[i])))) {
            const struct path *here = IN(p, objects[i]);
            n++;
            check_required_str(c, IN(here, "name"), json_str(x, "name"));
            check_items(c, here, x);
            LIST_EACH (item, at, json_get(x, STR("items")))
                if (json_str(item, "path").len)
                    note_path(seen, json_str(item, "path"), json_str(x, "name"));
        }
    if ((x = json_get(s, STR("downwardAPI")))) {
        n++;
        LIST_EACH (file, at, json_get(x, STR("items"))) {
            check_downward_file(c, IN(p, "downwardAPI"), file);
            if (json_str(file, "path").len)
                note_path(seen, json_str(file, "path"), json_str(file, "path"));
        }
    }
    if ((x = json_get(s, STR("serviceAccountToken")))) {
        n++;
        check_token(c, IN(p, "serviceAccountToken"), volume, x);
    }
    if ((x = json_get(s, STR("clusterTrustBundle")))) {
        n++;
        check_bundle(c, IN(p, "clusterTrustBundle"), x);
        note_path(seen, json_str(x, "path"), json_str(x, "path"));
    }
    n += json_get(s, STR("podCertificate")) != NULL;
    if (n > 1)
        say_forbidden(c, p, "may not specify more than 1 volume type per source");
}

static void check_projected(causes c, const struct path *p, const struct val *v)
{
    struct paths seen = { .c = c, .p = p };
    check_mode(c, p, v, "defaultMode");
    LIST_EACH (s, at, json_get(v, STR("sources")))
        check_projection(c, ITEM(IN(p, "sources"), at.i), s, &seen, p);
}

/* --- the kinds of volumes --- */

void check_host_path(causes c, const struct path *p, const struct val *v)
{
    static const char *const types[] = { "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", NULL };
    struct str path = json_str(v, "path");
    if (!check_required_str(c, IN(p, "path"), path))
        return;
    check_backsteps(c, IN(p, "path"), path);
    if (json_get(v, STR("type")))
        check_choice(c, IN(p, "type"), json_str(v, "type"), types);
}

static void check_secret_volume(causes c, const struct path *p, const struct val *v)
{
    check_required_str(c, IN(p, "secretName"), json_str(v, "secretName"));
    check_mode(c, p, v, "defaultMode");
    check_items(c, p, v);
}

static void check_config_volume(causes c, const struct path *p, const struct val *v)
{
    check_required_str(c, IN(p, "name"), json_str(v, "name"));
    check_mode(c, p, v, "defaultMode");
    check_items(c, p, v);
}

static void check_nfs(causes c, const struct path *p, const struct val *v)
{
    struct str path = json_str(v, "path");
    check_required_str(c, IN(p, "server"), json_str(v, "server"));
    check_required_str(c, IN(p, "path"), path);
    if (!path.len || path.at[0] != '/')
        say_invalid(c, IN(p, "path"), path, "must be an absolute path");
}

static void check_claim_volume(causes c, const struct path *p, const struct val *v)
{
    check_required_str(c, IN(p, "claimName"), json_str(v, "claimName"));
}

static void check_downward(causes c, const struct path *p, const struct val *v)
{
    check_mode(c, p, v, "defaultMode");
    LIST_EACH (file, at, json_get(v, STR("items")))
        check_downward_file(c, p, file);
}

static void check_csi(causes c, const struct path *p, const struct val *v)
{
    struct str driver = json_str(v, "driver");
    struct val *ref = json_get(v, STR("nodePublishSecretRef"));
    if (check_required_str(c, IN(p, "driver"), driver)) {
        if (driver.len > 63)
            say_too_long(c, IN(p, "driver"), 63, "bytes");
        char *low = arena_dup(c->arena, driver);
        for (char *s = low; s && *s; s++)
            *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
        const char *texts[4];
        unsigned n = low ? name_errors(c->arena, str_of(low), G_SUBDOMAIN, texts, 4) : 0;
        for (unsigned i = 0; i < n; i++)
            say_invalid(c, IN(p, "driver"), driver, texts[i]);
    }
    if (ref && check_required_str(c, IN(IN(p, "nodePublishSecretRef"), "name"), json_str(ref, "name")))
        check_name(c, IN(p, "name"), json_str(ref, "name"), G_SUBDOMAIN);
}

static void check_ephemeral(causes c, const struct path *p, const struct val *v)
{
    struct val *t = json_get(v, STR("volumeClaimTemplate"));
    const struct path *here = IN(p, "volumeClaimTemplate");
    if (!t) {
        say_required(c, here, NULL);
        return;
    }
    check_template_meta(c, IN(here, "metadata"), json_get(t, STR("metadata")));
    check_claim_spec(c, IN(here, "spec"), json_get(t, STR("spec")));
}

static void check_image(causes c, const struct path *p, const struct val *v)
{
    static const char *const policies[] = { "Always", "IfNotPresent", "Never", NULL };
    struct str reference = json_str(v, "reference"), policy = json_str(v, "pullPolicy");
    check_required_str(c, IN(p, "reference"), reference);
    if (str_trim(reference).len != reference.len)
        say_invalid(c, IN(p, "reference"), reference, "must not have leading or trailing whitespace");
    if (check_required_str(c, IN(p, "pullPolicy"), policy))
        check_choice(c, IN(p, "pullPolicy"), policy, policies);
}

static void check_iscsi(causes c, const struct path *p, const struct val *v)
{
    static const char *const heads[] = { "iqn", "eui", "naa" };
    struct str iqn = json_str(v, "iqn");
    int64_t lun = json_int(v, "lun", 0);
    bool known = false, chap = json_bool(v, "chapAuthDiscovery", false) || json_bool(v, "chapAuthSession", false);
    check_required_str(c, IN(p, "targetPortal"), json_str(v, "targetPortal"));
    if (check_required_str(c, IN(p, "iqn"), iqn)) {
        for (int i = 0; i < 3; i++)
            known |= str_starts(iqn, str_of(heads[i]));
        if (!known)
            say_invalid(c, IN(p, "iqn"), iqn, "must be valid format starting with iqn, eui, or naa");
    }
    check_between(c, IN(p, "lun"), lun, 0, 255);
    if (chap && !json_get(v, STR("secretRef")))
        say_required(c, IN(p, "secretRef"), NULL);
}

static void check_empty_dir(causes c, const struct path *p, const struct val *v)
{
    struct quantity q;
    struct str s = json_str(v, "sizeLimit");
    if (s.len && quantity_parse(s, &q) && q.nano < 0)
        say_forbidden(c, IN(p, "sizeLimit"), "SizeLimit field must be a valid resource quantity");
}

/* Members that must not be empty, for the kinds that are hardly used any more. */
static void check_old(causes c, const struct path *p, const struct val *v, const char *members)
{
    struct str rest = str_of(members);
    while (rest.at) {
        const char *member = arena_dup(c->arena, str_cut(&rest, ','));
        if (member)
            check_required_str(c, IN(p, member), json_str(v, member));
    }
}

static void check_rbd(causes c, const struct path *p, const struct val *v)
{
    const struct val *monitors = json_get(v, STR("monitors"));
    if (!monitors || !monitors->n)
        say_required(c, IN(p, "monitors"), NULL);
    check_required_str(c, IN(p, "image"), json_str(v, "image"));
}

static const struct {
    const char *member, *shown;         /* shown: in paths; upstream's own spelling */
    void (*check)(causes c, const struct path *p, const struct val *v);
    const char *needed;
} kinds[] = {
    { "emptyDir", "emptyDir", check_empty_dir, NULL },
    { "hostPath", "hostPath", check_host_path, NULL },
    { "gitRepo", "gitRepo", NULL, "repository" },
    { "gcePersistentDisk", "persistentDisk", NULL, "pdName" },
    { "awsElasticBlockStore", "awsElasticBlockStore", NULL, "volumeID" },
    { "secret", "secret", check_secret_volume, NULL },
    { "nfs", "nfs", check_nfs, NULL },
    { "iscsi", "iscsi", check_iscsi, NULL },
    { "glusterfs", "glusterfs", NULL, "endpoints,path" },
    { "flocker", "flocker", NULL, NULL },
    { "persistentVolumeClaim", "persistentVolumeClaim", check_claim_volume, NULL },
    { "rbd", "rbd", check_rbd, NULL },
    { "cinder", "cinder", NULL, "volumeID" },
    { "cephfs", "cephfs", NULL, NULL },
    { "quobyte", "quobyte", NULL, "registry" },
    { "downwardAPI", "downwardAPI", check_downward, NULL },
    { "fc", "fc", NULL, NULL },
    { "flexVolume", "flexVolume", NULL, "driver" },
    { "configMap", "configMap", check_config_volume, NULL },
    { "azureFile", "azureFile", NULL, "secretName,shareName" },
    { "vsphereVolume", "vsphereVolume", NULL, "volumePath" },
    { "photonPersistentDisk", "photonPersistentDisk", NULL, "pdID" },
    { "portworxVolume", "portworxVolume", NULL, "volumeID" },
    { "azureDisk", "azureDisk", NULL, "diskName,diskURI" },
    { "storageos", "storageos", NULL, "volumeName" },
    { "projected", "projected", check_projected, NULL },
    { "scaleIO", "scaleIO", NULL, "gateway,system" },
    { "csi", "csi", check_csi, NULL },
    { "ephemeral", "ephemeral", check_ephemeral, NULL },
    { "image", "image", check_image, NULL },
};

static void check_source(causes c, const struct path *p, const struct val *v, const struct pod_place *where)
{
    struct str name = json_str(v, "name"), pod = json_str(where->meta, "name");
    unsigned n = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct val *x = json_get(v, str_of(kinds[i].member));
        if (!x)
            continue;
        if (n++) {
            say_forbidden(c, IN(p, kinds[i].member), "may not specify more than 1 volume type");
            continue;
        }
        if (kinds[i].check)
            kinds[i].check(c, IN(p, kinds[i].shown), x);
        else if (kinds[i].needed)
            check_old(c, IN(p, kinds[i].shown), x, kinds[i].needed);
        check_old_source(c, IN(p, kinds[i].shown), kinds[i].member, x, false);
    }
    if (!n)
        say_required(c, p, "must specify a volume type");
    if (json_get(v, STR("ephemeral")) && pod.len && name.len && n == 1) {
        const char *texts[4], *claim = words(c, STR_FMT "-" STR_FMT, STR_ARG(pod), STR_ARG(name));
        unsigned k = name_errors(c->arena, str_of(claim), G_SUBDOMAIN, texts, 4);
        for (unsigned i = 0; i < k; i++)
            say_invalid(c, IN(p, "name"), name, words(c, "PVC name \"%s\": %s", claim, texts[i]));
    }
}

void check_volumes(causes c, const struct path *p, struct pod_place *where)
{
    struct val *list = json_get(where->spec, STR("volumes"));
    LIST_EACH (v, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str name = json_str(v, "name");
        unsigned before = c->n;
        check_source(c, here, v, where);
        if (check_required_str(c, IN(here, "name"), name))
            check_name(c, IN(here, "name"), name, G_LABEL);
        if (met(&where->volumes, name))
            say_duplicate(c, IN(here, "name"), name);
        if (c->n == before)
            met_again(&where->volumes, name);
    }
}

/* --- claims --- */

static void check_claim_source(causes c, const struct path *spec, const struct val *v, const char *member)
{
    const struct val *source = json_get(v, str_of(member));
    const struct path *p = IN(spec, member);
    struct str group = json_str(source, "apiGroup"), kind = json_str(source, "kind");
    if (!source)
        return;
    check_required_str(c, IN(p, "name"), json_str(source, "name"));
    check_required_str(c, IN(p, "kind"), kind);
    if (!group.len && kind.len && !str_is(kind, "PersistentVolumeClaim"))
        say_invalid(c, p, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
}

static bool same_source(const struct val *spec)
{
    static const char *const members[] = { "apiGroup", "kind", "name" };
    const struct val *x = json_get(spec, STR("dataSource")), *y = json_get(spec, STR("dataSourceRef"));
    for (int i = 0; i < 3; i++)
        if (!str_eq(json_str(x, members[i]), json_str(y, members[i])))
            return false;
    return true;
}

void check_claim_spec(causes c, const struct path *p, const struct val *spec)
{
    static const char *const modes[] = { "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL };
    static const char *const volume_modes[] = { "Block", "Filesystem", NULL };
    struct val *access = json_get(spec, STR("accessModes")), *storage = json_path(spec, "resources.requests.storage");
    struct str class = json_str(spec, "storageClassName"), attributes = json_str(spec, "volumeAttributesClassName");
    bool pod_only = false, other = false;
    struct quantity q;
    if (!access || !access->n)
        say_required(c, IN(p, "accessModes"), "at least 1 access mode is required");
    check_selector(c, IN(p, "selector"), json_get(spec, STR("selector")));
    LIST_EACH (m, at, access) {
        if (check_choice(c, IN(p, "accessModes"), val_str(m), modes)) {
            pod_only |= str_is(val_str(m), "ReadWriteOncePod");
            other |= !str_is(val_str(m), "ReadWriteOncePod");
        }
    }
    if (pod_only && other)
        say_forbidden(c, IN(p, "accessModes"), "may not use ReadWriteOncePod with other access modes");
    const struct path *size = KEY(IN(p, "resources"), STR("storage"));
    if (!storage)
        say_required(c, size, NULL);
    else if (quantity_parse(val_str(storage), &q) && q.nano <= 0)
        say_invalid(c, size, val_str(storage), "must be greater than zero");
    if (class.len)
        check_name(c, IN(p, "storageClassName"), class, G_SUBDOMAIN);
    if (json_get(spec, STR("volumeMode")))
        check_choice(c, IN(p, "volumeMode"), json_str(spec, "volumeMode"), volume_modes);
    check_claim_source(c, p, spec, "dataSource");
    check_claim_source(c, p, spec, "dataSourceRef");
    if (json_get(spec, STR("dataSource")) && json_get(spec, STR("dataSourceRef")) && !same_source(spec))
        say_with(c, "FieldValueInvalid", p, "Invalid value: {}", "must match dataSourceRef");
    if (attributes.len)
        check_name(c, IN(p, "volumeAttributesClassName"), attributes, G_SUBDOMAIN);
}
