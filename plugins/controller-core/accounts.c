/* accounts.c - what every namespace is given: the ServiceAccount "default" and the CA's certificate. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "core.h"

#define ACCOUNTS   "/serviceaccounts"
#define CONFIGMAPS "/configmaps"
#define ROOT_CA    "kube-root-ca.crt"
#define CA_MOST    (1u << 20)           /* bytes */
#define CA_SAYS    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal " \
                   "service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."

/* The namespace when things may be made in it, else NULL. */
static int open_namespace(struct ctl_run *r, struct str name, struct val **ret)
{
    int rc = ctl_get(r, NAMESPACES, STR(""), name, ret);
    if (rc == 0 && *ret && meta_deleting(*ret))
        *ret = NULL;
    return rc;
}

static struct val *named(struct ctl_run *r, const char *name)
{
    struct val *v = val_new(r->arena, VAL_OBJ);
    json_set_str(r->arena, json_obj(r->arena, v, STR("metadata")), STR("name"), str_of(name));
    return v;
}

/* --- serviceaccount --- */

static int run_account(struct ctl_run *r, struct str none, struct str name)
{
    struct val *ns, *account = NULL;
    (void)none;
    int rc = open_namespace(r, name, &ns);
    if (rc == 0 && ns)
        rc = ctl_get(r, ACCOUNTS, name, STR("default"), &account);
    return rc < 0 || !ns || account ? rc : ctl_create(r, ACCOUNTS, name, named(r, "default"), NULL);
}

/* --- root-ca --- */

static int read_ca(struct ctl_run *r, struct str *ret)
{
    const struct core_conf *conf = r->ctl->conf;
    _cleanup_close_ int fd = open(conf->ca, O_RDONLY | O_CLOEXEC);
    _cleanup_buf_ struct buf b = BUF_INIT(CA_MOST);
    ssize_t n = -1;
    for (char *at; fd >= 0 && (at = buf_room(&b, 8192)) && (n = read(fd, at, 8192)) > 0;)
        b.len += (size_t)n;
    if (fd < 0 || n < 0)
        return kl_fail(r->call, KL_UNAVAILABLE, "the certificate '%s' cannot be read: %s", conf->ca, b.failed ? "it is too large" : strerror(errno));
    *ret = arena_str(r->arena, buf_str(&b));
    return ret->at ? 0 : ctl_no_memory(r);
}

static int run_ca(struct ctl_run *r, struct str none, struct str name)
{
    struct arena *a = r->arena;
    struct val *ns, *old = NULL;
    struct str ca;
    (void)none;
    int rc = open_namespace(r, name, &ns);
    if (rc == 0 && ns)
        rc = ctl_get(r, CONFIGMAPS, name, STR(ROOT_CA), &old);
    if (rc == 0 && ns)
        rc = read_ca(r, &ca);
    if (rc < 0 || !ns)
        return rc;
    struct val *now = old ? val_copy(a, old) : named(r, ROOT_CA), *data = val_new(a, VAL_OBJ);
    json_set_str(a, data, STR("ca.crt"), ca);
    json_set(a, now, STR("data"), data);
    meta_set_annotation(a, now, "kubernetes.io/description", STR(CA_SAYS));
    return old ? ctl_update(r, CONFIGMAPS, NULL, old, now, NULL) : ctl_create(r, CONFIGMAPS, name, now, NULL);
}

/* --- tables --- */

/* What was given concerns its namespace. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)r;
    (void)resource;
    (void)old;
    ctl_key_add(keys, STR(""), json_scan_text(json_scan_path(obj, "metadata.namespace")));
    return 0;
}

CTL_RUN(serviceaccount, run_account)
CTL_MAP(serviceaccount, map)
CTL_RUN(root_ca, run_ca)
CTL_MAP(root_ca, map)

static const struct kl_watch account_watches[] = {
    { sizeof(struct kl_watch), NAMESPACES, NULL, NULL },
    { sizeof(struct kl_watch), ACCOUNTS, "metadata.name=default", "map" },
};
static const struct kl_watch ca_watches[] = {
    { sizeof(struct kl_watch), NAMESPACES, NULL, NULL },
    { sizeof(struct kl_watch), CONFIGMAPS, "metadata.name=" ROOT_CA, "map" },
};
CTL_TABLE(serviceaccount, account_watches, serviceaccount_map);
CTL_TABLE(root_ca, ca_watches, root_ca_map);
