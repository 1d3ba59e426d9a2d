/* kubeconfig.c - see kubeconfig.h. */
#include "base/kubeconfig.h"

#include <errno.h>
#include <gnutls/gnutls.h>

#include "base/cleanup.h"
#include "base/yaml.h"

/* What the named entry of a list holds: "contexts", "context". */
static struct val *entry(const struct val *v, const char *list, struct str name, const char *member)
{
    return json_get(json_named(json_get(v, str_of(list)), name), str_of(member));
}

static int read_file(struct arena *a, const char *path, struct str *ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    _cleanup_file_ FILE *f = fopen(path, "re");
    char part[4096];
    if (!f)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be read: %s", path, strerror(errno));
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        buf_add(&b, part, n);
    if (b.failed)
        return kl_err_set(err, KL_TOO_LARGE, "'%s' is too large", path);
    *ret = arena_str(a, buf_str(&b));
    return ret->at ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static int read_beside(struct arena *a, const char *path, struct str name, struct str *ret, struct kl_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *full = name.at[0] == '/' || !slash ? arena_dup(a, name) : arena_printf(a, "%.*s/" STR_FMT, (int)(slash - path), path, STR_ARG(name));
    int rc = full ? read_file(a, full, ret, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return rc < 0 ? kl_err_wrap(err, "kubeconfig '%s'", path) : 0;
}

static int decode(struct arena *a, struct str base64, struct str *ret)
{
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)base64.at, (unsigned)base64.len }, out = { NULL, 0 };
    int rc = gnutls_base64_decode2(&in, &out);
    if (rc >= 0)
        *ret = arena_str(a, str_n((const char *)out.data, out.size));
    gnutls_free(out.data);
    return rc;
}

/* `KEY-data` in base64, else the file that KEY names, else nothing. */
static int read_pem(struct arena *a, const char *path, const struct val *v, const char *key, bool wanted, struct str *ret, struct kl_err *err)
{
    char data_key[64];
    snprintf(data_key, sizeof data_key, "%s-data", key);
    struct str data = val_str(json_get(v, str_of(data_key))), name = val_str(json_get(v, str_of(key)));
    if (data.len)
        return decode(a, data, ret) < 0 ? kl_err_set(err, KL_INVALID, "kubeconfig '%s': %s is not base64", path, data_key) : 0;
    if (name.len)
        return read_beside(a, path, name, ret, err);
    return wanted ? kl_err_set(err, KL_INVALID, "kubeconfig '%s' has no %s in its current context", path, key) : 0;
}

static int read_token(struct arena *a, const char *path, const struct val *user, const char **ret, struct kl_err *err)
{
    struct str token = json_str(user, "token"), file = json_str(user, "tokenFile");
    int rc = !token.len && file.len ? read_beside(a, path, file, &token, err) : 0;
    token = str_trim(token);
    *ret = rc == 0 && token.len ? arena_dup(a, token) : NULL;
    return rc;
}

static int read_server(struct arena *a, const char *path, const struct val *cluster, struct kubeconfig *ret, struct kl_err *err)
{
    struct str server = json_str(cluster, "server"), name = val_str(json_get(cluster, STR("tls-server-name")));
    struct str rest = str_starts(server, STR("https://")) ? str_skip(server, 8) : STR_NONE, at = str_cut(&rest, '/');
    if (!at.len)
        return kl_err_set(err, KL_INVALID, "kubeconfig '%s' names no https:// server in its current context", path);
    ret->server = arena_printf(a, "https://" STR_FMT, STR_ARG(at));
    ret->path = arena_printf(a, "/" STR_FMT, STR_ARG(rest));
    ret->server_name = name.len ? arena_dup(a, name) : NULL;
    ret->insecure = json_bool(cluster, "insecure-skip-tls-verify", false);
    return 0;
}

int kubeconfig_read(struct arena *a, const char *path, enum kubeconfig_wants wants, struct kubeconfig *ret, struct kl_err *err)
{
    struct str text;
    *ret = (struct kubeconfig){ .server = NULL };
    int rc = read_file(a, path, &text, err);
    if (rc < 0)
        return kl_err_wrap(err, "kubeconfig");
    struct val *v = yaml_read(a, text, err);
    if (!v) {
        err->code = KL_INVALID;
        return kl_err_wrap(err, "kubeconfig '%s'", path);
    }
    struct val *context = entry(v, "contexts", json_str(v, "current-context"), "context");
    struct val *cluster = entry(v, "clusters", json_str(context, "cluster"), "cluster"), *user = entry(v, "users", json_str(context, "user"), "user");
    bool must = wants != KUBECONFIG_SERVER;
    rc = read_server(a, path, cluster, ret, err);
    if (rc == 0)
        rc = read_pem(a, path, cluster, "certificate-authority", must, &ret->ca, err);
    if (rc == 0)
        rc = read_token(a, path, user, &ret->token, err);
    must = wants == KUBECONFIG_CERTIFICATE || (must && !ret->token);
    if (rc == 0)
        rc = read_pem(a, path, user, "client-certificate", must, &ret->cert, err);
    if (rc == 0)
        rc = read_pem(a, path, user, "client-key", must, &ret->key, err);
    return rc == 0 && arena_exhausted(a) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}
