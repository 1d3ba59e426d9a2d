/* Defaults as upstream gives them: the fields named here, after an object has been defaulted once; twice changes nothing. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>

struct row {
    const char *group, *version, *kind, *object;
    const char *path, *want;            /* want: JSON text, or NULL: not there */
};

#define POD(spec) "{\"metadata\":{\"name\":\"p\"},\"spec\":" spec "}"
#define ONE       "{\"containers\":[{\"name\":\"c\",\"image\":\"i\""

static const struct row rows[] = {
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.restartPolicy", "\"Always\"" },
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.dnsPolicy", "\"ClusterFirst\"" },
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.terminationGracePeriodSeconds", "30" },
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.schedulerName", "\"default-scheduler\"" },
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.securityContext", "{}" },
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.enableServiceLinks", "true" },
    { "", "v1", "Pod", POD(ONE "}],\"serviceAccountName\":\"a\",\"serviceAccount\":\"b\"}"), "spec.serviceAccount", "\"a\"" },
    { "", "v1", "Pod", POD(ONE "}],\"serviceAccount\":\"b\"}"), "spec.serviceAccountName", "\"b\"" },
    { "", "v1", "Pod", "{\"spec\":{\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":0,\"containers\":[]}}", "spec.restartPolicy", "\"Never\"" },
    { "", "v1", "Pod", "{\"spec\":{\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":0,\"containers\":[]}}", "spec.terminationGracePeriodSeconds", "0" },
    { "", "v1", "Pod", POD(ONE "}]}"), "spec.containers.0.imagePullPolicy", "\"Always\"" },
    { "", "v1", "Pod", POD("{\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]}"), "spec.containers.0.imagePullPolicy", "\"IfNotPresent\"" },
    { "", "v1", "Pod", POD("{\"containers\":[{\"name\":\"c\",\"image\":\"i:latest\"}]}"), "spec.containers.0.imagePullPolicy", "\"Always\"" },
    { "", "v1", "Pod", POD("{\"containers\":[{\"name\":\"c\",\"image\":\"host:5000/i\"}]}"), "spec.containers.0.imagePullPolicy", "\"Always\"" },
    { "", "v1", "Pod", POD(ONE ",\"ports\":[{\"containerPort\":80}]}]}"), "spec.containers.0.ports.0.protocol", "\"TCP\"" },
    { "", "v1", "Pod", POD(ONE ",\"livenessProbe\":{\"httpGet\":{\"port\":80}}}]}"), "spec.containers.0.livenessProbe.httpGet.path", "\"/\"" },
    { "", "v1", "Pod", POD(ONE ",\"livenessProbe\":{\"httpGet\":{\"port\":80}}}]}"), "spec.containers.0.livenessProbe.httpGet.scheme", "\"HTTP\"" },
    { "", "v1", "Pod", POD(ONE ",\"livenessProbe\":{\"httpGet\":{\"port\":80}}}]}"), "spec.containers.0.livenessProbe.periodSeconds", "10" },
    { "", "v1", "Pod", POD(ONE ",\"livenessProbe\":{\"httpGet\":{\"port\":80}}}]}"), "spec.containers.0.livenessProbe.failureThreshold", "3" },
    { "", "v1", "Pod", POD(ONE ",\"resources\":{\"limits\":{\"cpu\":\"1\"}}}]}"), "spec.containers.0.resources.requests", "{\"cpu\":\"1\"}" },
    { "", "v1", "Pod", POD(ONE ",\"resources\":{\"limits\":{\"cpu\":\"1\"},\"requests\":{\"cpu\":\"500m\"}}}]}"), "spec.containers.0.resources.requests", "{\"cpu\":\"500m\"}" },
    { "", "v1", "Pod", POD("{\"containers\":[],\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"m\"}}]}"), "spec.volumes.0.configMap.defaultMode", "420" },
    { "", "v1", "Pod", POD("{\"containers\":[],\"volumes\":[{\"name\":\"v\",\"secret\":{\"secretName\":\"m\"}}]}"), "spec.volumes.0.secret.defaultMode", "420" },
    { "", "v1", "Pod", POD("{\"containers\":[],\"volumes\":[{\"name\":\"v\"}]}"), "spec.volumes.0.emptyDir", "{}" },
    { "", "v1", "Pod", POD("{\"containers\":[],\"volumes\":[{\"name\":\"v\",\"azureDisk\":{\"diskName\":\"d\",\"diskURI\":\"u\"}}]}"), "spec.volumes.0.azureDisk.cachingMode", "\"ReadWrite\"" },
    { "", "v1", "Service", "{\"spec\":{\"ports\":[{\"port\":80}]}}", "spec.type", "\"ClusterIP\"" },
    { "", "v1", "Service", "{\"spec\":{\"ports\":[{\"port\":80}]}}", "spec.sessionAffinity", "\"None\"" },
    { "", "v1", "Service", "{\"spec\":{\"ports\":[{\"port\":80}]}}", "spec.ports.0.protocol", "\"TCP\"" },
    { "", "v1", "Service", "{\"spec\":{\"ports\":[{\"port\":80}]}}", "spec.ports.0.targetPort", "80" },
    { "", "v1", "Service", "{\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":\"web\"}]}}", "spec.ports.0.targetPort", "\"web\"" },
    { "", "v1", "Service", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":80}]}}", "spec.externalTrafficPolicy", "\"Cluster\"" },
    { "", "v1", "Service", "{\"spec\":{\"ports\":[{\"port\":80}]}}", "spec.externalTrafficPolicy", NULL },
    { "apps", "v1", "Deployment", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.replicas", "1" },
    { "apps", "v1", "Deployment", "{\"spec\":{\"replicas\":0,\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.replicas", "0" },
    { "apps", "v1", "Deployment", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.strategy", "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":\"25%\",\"maxSurge\":\"25%\"}}" },
    { "apps", "v1", "Deployment", "{\"spec\":{\"strategy\":{\"type\":\"Recreate\"},\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.strategy.rollingUpdate", NULL },
    { "apps", "v1", "Deployment", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.revisionHistoryLimit", "10" },
    { "apps", "v1", "Deployment", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.progressDeadlineSeconds", "600" },
    { "apps", "v1", "Deployment", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.template.spec.restartPolicy", "\"Always\"" },
    { "apps", "v1", "StatefulSet", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.podManagementPolicy", "\"OrderedReady\"" },
    { "apps", "v1", "StatefulSet", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.updateStrategy.type", "\"RollingUpdate\"" },
    { "apps", "v1", "StatefulSet", "{\"spec\":{\"volumeClaimTemplates\":[{}],\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.volumeClaimTemplates",
      "[{\"spec\":{\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Pending\"},\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\"}]" },
    { "apps", "v1", "DaemonSet", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.updateStrategy.rollingUpdate.maxUnavailable", "1" },
    { "batch", "v1", "Job", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.backoffLimit", "6" },
    { "batch", "v1", "Job", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.completions", "1" },
    { "batch", "v1", "Job", "{\"spec\":{\"parallelism\":3,\"template\":{\"spec\":{\"containers\":[]}}}}", "spec.completions", NULL },
    { "batch", "v1", "CronJob", "{\"spec\":{\"schedule\":\"* * * * *\",\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}}}", "spec.concurrencyPolicy", "\"Allow\"" },
    { "batch", "v1", "CronJob", "{\"spec\":{\"schedule\":\"* * * * *\",\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{\"containers\":[]}}}}}}", "spec.successfulJobsHistoryLimit", "3" },
    { "", "v1", "PersistentVolumeClaim", "{\"spec\":{}}", "spec.volumeMode", "\"Filesystem\"" },
    { "", "v1", "PersistentVolume", "{\"spec\":{}}", "spec.persistentVolumeReclaimPolicy", "\"Retain\"" },
    { "", "v1", "Secret", "{}", "type", "\"Opaque\"" },
    { "", "v1", "Namespace", "{}", "status.phase", "\"Active\"" },
    { "networking.k8s.io", "v1", "NetworkPolicy", "{\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"port\":1}]}]}}", "spec.policyTypes", "[\"Ingress\"]" },
    { "networking.k8s.io", "v1", "NetworkPolicy", "{\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"port\":1}]}]}}", "spec.ingress.0.ports.0.protocol", "\"TCP\"" },
    { "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "{\"roleRef\":{\"kind\":\"ClusterRole\",\"name\":\"x\"},\"subjects\":[{\"kind\":\"User\",\"name\":\"u\"}]}", "roleRef.apiGroup", "\"rbac.authorization.k8s.io\"" },
    { "storage.k8s.io", "v1", "StorageClass", "{\"provisioner\":\"p\"}", "reclaimPolicy", "\"Delete\"" },
    { "storage.k8s.io", "v1", "StorageClass", "{\"provisioner\":\"p\"}", "volumeBindingMode", "\"Immediate\"" },
};

/* Names with dots; numbers are items. */
static struct val *at(struct val *v, const char *path)
{
    struct str rest = str_of(path);
    while (v && rest.at) {
        struct str part = str_cut(&rest, '.');
        int64_t n;
        if (!str_int(part, &n)) {
            v = json_get(v, part);
            continue;
        }
        v = val_is(v, VAL_ARR) ? v->first : NULL;
        while (v && n--)
            v = v->next;
    }
    return v;
}

Test(defaults, as_upstream)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT(0), once = BUF_INIT(0), twice = BUF_INIT(0);
        struct kl_err err;
        kl_err_init(&err);
        const struct schema_kind *k = schema_kind_find(str_of(r->group), str_of(r->version), str_of(r->kind));
        cr_assert(k, "%s", r->kind);
        struct val *v = object_decode_json(a, k->type, str_of(r->object), NULL, &err);
        cr_assert(v, "%s: %s", r->object, err.msg);
        cr_assert_eq(object_default(a, k, v), 0);
        struct val *found = at(v, r->path);
        if (found)
            json_write(&b, found);
        if (r->want)
            cr_expect(found && strcmp(b.at, r->want) == 0, "%s %s: %s is %s, wanted %s", r->kind, r->object, r->path, b.at ? b.at : "not there", r->want);
        else
            cr_expect_not(found, "%s %s: %s is %s", r->kind, r->object, r->path, b.at);
        object_encode_json(&once, k->type, v);
        cr_assert_eq(object_default(a, k, v), 0);
        object_encode_json(&twice, k->type, v);
        cr_expect_str_eq(once.at, twice.at, "%s: defaults change what they made", r->kind);
        buf_free(&b);
        buf_free(&once);
        buf_free(&twice);
        arena_free(a);
    }
}
