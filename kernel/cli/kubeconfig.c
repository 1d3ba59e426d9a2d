/* kubeconfig.c - see kubeconfig.h. */
#include "cli/kubeconfig.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <libgen.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "object/object.h"

static struct val *named(const struct val *list, struct str name)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_eq(json_str(v, "name"), name))
                return v;
    return NULL;
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

static int decode(struct arena *a, struct str base64, struct str *ret)
{
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)base64.at, (unsigned)base64.len }, out = { NULL, 0 };
    int rc = gnutls_base64_decode2(&in, &out);
    if (rc >= 0)
        *ret = arena_str(a, str_n((const char *)out.data, out.size));
    gnutls_free(out.data);
    return rc;
}

/* `KEY-data` in base64, else the file that KEY names. */
static int read_pem(struct arena *a, const char *path, const struct val *v, const char *key, struct str *ret, struct kl_err *err)
{
    char data_key[64], folder[4096], file[8192];
    snprintf(data_key, sizeof data_key, "%s-data", key);
    struct str data = val_str(json_get(v, str_of(data_key))), name = val_str(json_get(v, str_of(key)));
    if (data.len)
        return decode(a, data, ret) < 0 ? kl_err_set(err, KL_INVALID, "kubeconfig '%s': %s is not base64", path, data_key) : 0;
    if (!name.len)
        return kl_err_set(err, KL_INVALID, "kubeconfig '%s' has no %s in its current context", path, key);
    snprintf(folder, sizeof folder, "%s", path);
    if (name.at[0] == '/')
        snprintf(file, sizeof file, STR_FMT, STR_ARG(name));
    else
        snprintf(file, sizeof file, "%s/" STR_FMT, dirname(folder), STR_ARG(name));
    return read_file(a, file, ret, err);
}

static int read_all(struct arena *a, const char *path, bool token_will_do, struct kubeconfig *ret, struct kl_err *err)
{
    struct str text;
    int rc = read_file(a, path, &text, err);
    if (rc < 0)
        return kl_err_wrap(err, "kubeconfig");
    struct val *v = object_parse_yaml(a, text, err);
    if (!v)
        return kl_err_wrap(err, "kubeconfig '%s'", path);
    struct val *context = json_get(named(json_get(v, STR("contexts")), json_str(v, "current-context")), STR("context"));
    struct val *cluster = json_get(named(json_get(v, STR("clusters")), json_str(context, "cluster")), STR("cluster"));
    struct val *user = json_get(named(json_get(v, STR("users")), json_str(context, "user")), STR("user"));
    struct str server = json_str(cluster, "server"), name = val_str(json_get(cluster, STR("tls-server-name")));
    if (!str_starts(server, STR("https://")))
        return kl_err_set(err, KL_INVALID, "kubeconfig '%s' names no https:// server in its current context", path);
    *ret = (struct kubeconfig){ .server = arena_dup(a, server), .server_name = name.len ? arena_dup(a, name) : NULL };
    rc = read_pem(a, path, cluster, "certificate-authority", &ret->ca, err);
    struct str token = token_will_do ? val_str(json_get(user, STR("token"))) : STR_NONE;
    if (rc == 0 && token.len) {
        ret->token = arena_dup(a, token);
        return ret->token ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    if (rc == 0)
        rc = read_pem(a, path, user, "client-certificate", &ret->cert, err);
    if (rc == 0)
        rc = read_pem(a, path, user, "client-key", &ret->key, err);
    return rc == 0 && arena_exhausted(a) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}

int kubeconfig_read(struct arena *a, const char *path, struct kubeconfig *ret, struct kl_err *err)
{
    return read_all(a, path, false, ret, err);
}

int kubeconfig_read_with_token(struct arena *a, const char *path, struct kubeconfig *ret, struct kl_err *err)
{
    return read_all(a, path, true, ret, err);
}
