/* defaults.c - the StorageClass that a new cluster begins with. Made once: a mark on the namespace kube-system says that it was, so that who deletes it
 * is rid of it. */
#include "volumes.h"

#define MADE "keelson.dev/default-storage-class"

static int make(struct ctl_run *r, const struct volumes_conf *conf)
{
    struct arena *a = r->arena;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("apiVersion"), STR("storage.k8s.io/v1"));
    json_set_str(a, v, STR("kind"), STR("StorageClass"));
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), str_of(conf->default_class));
    meta_set_annotation(a, v, "storageclass.kubernetes.io/is-default-class", STR("true"));
    json_set_str(a, v, STR("provisioner"), str_of(conf->default_provisioner));
    json_set_str(a, v, STR("reclaimPolicy"), STR("Delete"));
    json_set_str(a, v, STR("volumeBindingMode"), STR("WaitForFirstConsumer"));
    json_set_bool(a, v, STR("allowVolumeExpansion"), true);
    int rc = ctl_create(r, CLASSES, STR(""), v, NULL);
    return rc == -KL_ALREADY_EXISTS ? 0 : rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    const struct volumes_conf *conf = r->ctl->conf;
    struct val *space;
    (void)ns;
    if (!conf->default_class || !*conf->default_class || !str_is(name, "kube-system"))
        return 0;
    int rc = ctl_get(r, NAMESPACES, STR(""), name, &space);
    if (rc < 0 || !space || meta_annotation(space, MADE).at)
        return rc;
    rc = make(r, conf);
    struct val *now = val_copy(r->arena, space);
    meta_set_annotation(r->arena, now, MADE, str_of(conf->default_class));
    return rc < 0 ? rc : ctl_update(r, NAMESPACES, NULL, space, now, NULL);
}

CTL_RUN(defaults, run)
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), NAMESPACES, "metadata.name=kube-system", NULL } };
CTL_TABLE(defaults, watches, NULL);
