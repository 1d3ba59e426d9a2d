/* kubeconfig.c - how to reach the server: the current context of a file in the format of kubectl's. */
#include <errno.h>
#include <gnutls/gnutls.h>

#include "base/cleanup.h"
#include "base/yaml.h"
#include "hook.h"

static int read_file(struct arena *a, const char *path, struct str *ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    _cleanup_file_ FILE *f = fopen(path, "re");
    char part[4096];
    if (!f)
        return kl_err_set(err, KL_INVALID, "'%s' cannot be read: %s", path, strerror(errno));
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        buf_add(&b, part, n);
    *ret = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    return ret->at ? 0 : kl_err_set(err, KL_INVALID, "'%s' is too large", path);
}

static struct val *named(const struct val *list, struct str name)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_eq(json_str(v, "name"), name))
                return v;
    return NULL;
}

/* `KEY-data` in base64, else the file that KEY names, else nothing. */
static int read_pem(struct hook *h, const char *path, const struct val *v, const char *key, struct kl_bytes *ret, struct kl_err *err)
{
    char data_key[64];
    snprintf(data_key, sizeof data_key, "%s-data", key);
    struct str data = val_str(json_get(v, str_of(data_key))), file = val_str(json_get(v, str_of(key))), text = STR_NONE;
    if (data.len) {
        gnutls_datum_t in = { (unsigned char *)(uintptr_t)data.at, (unsigned)data.len }, out = { NULL, 0 };
        int rc = gnutls_base64_decode2(&in, &out);
        if (rc >= 0)
            text = arena_str(h->arena, str_n((const char *)out.data, out.size));
        gnutls_free(out.data);
        if (rc < 0)
            return kl_err_set(err, KL_INVALID, "kubeconfig '%s': %s is not base64", path, data_key);
    } else if (file.len) {
        const char *slash = strrchr(path, '/');
        const char *full = file.at[0] == '/' || !slash ? arena_dup(h->arena, file) :
                           arena_printf(h->arena, "%.*s/" STR_FMT, (int)(slash - path), path, STR_ARG(file));
        int rc = full ? read_file(h->arena, full, &text, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
        if (rc < 0)
            return kl_err_wrap(err, "kubeconfig '%s'", path);
    }
    *ret = (struct kl_bytes){ text.at, text.len };
    return 0;
}

static int read_token(struct hook *h, const struct val *user, struct kl_err *err)
{
    struct str token = json_str(user, "token"), file = json_str(user, "tokenFile");
    const char *path = file.len ? arena_dup(h->arena, file) : NULL;
    if (!token.len && path && read_file(h->arena, path, &token, err) < 0)
        return -KL_INVALID;
    token = str_trim(token);
    h->bearer = token.len ? arena_printf(h->arena, "Bearer " STR_FMT, STR_ARG(token)) : NULL;
    return 0;
}

int hook_read_kubeconfig(struct hook *h, const char *path, struct kl_err *err)
{
    struct str text;
    if (read_file(h->arena, path, &text, err) < 0)
        return kl_err_wrap(err, "kubeconfig");
    struct val *v = yaml_read(h->arena, text, err);
    if (!v) {
        err->code = KL_INVALID;
        return kl_err_wrap(err, "kubeconfig '%s'", path);
    }
    struct val *context = json_get(named(json_get(v, STR("contexts")), json_str(v, "current-context")), STR("context"));
    struct val *cluster = json_get(named(json_get(v, STR("clusters")), json_str(context, "cluster")), STR("cluster"));
    struct val *user = json_get(named(json_get(v, STR("users")), json_str(context, "user")), STR("user"));
    struct str server = json_str(cluster, "server"), name = val_str(json_get(cluster, STR("tls-server-name")));
    struct str rest = str_starts(server, STR("https://")) ? str_skip(server, 8) : STR_NONE, at = str_cut(&rest, '/');
    if (!at.len)
        return kl_err_set(err, KL_INVALID, "kubeconfig '%s' names no https:// server in its current context", path);
    h->to = (struct kl_http_target){ .size = sizeof h->to, .url = arena_printf(h->arena, "https://" STR_FMT, STR_ARG(at)),
                                     .server_name = name.len ? arena_dup(h->arena, name) : NULL,
                                     .insecure = json_get(cluster, STR("insecure-skip-tls-verify")) && json_bool(cluster, "insecure-skip-tls-verify", false) };
    h->path = arena_printf(h->arena, "/" STR_FMT, STR_ARG(rest));
    int rc = read_pem(h, path, cluster, "certificate-authority", &h->to.ca, err);
    if (rc == 0)
        rc = read_pem(h, path, user, "client-certificate", &h->to.cert, err);
    if (rc == 0)
        rc = read_pem(h, path, user, "client-key", &h->to.key, err);
    if (rc == 0)
        rc = read_token(h, user, err);
    return rc == 0 && arena_exhausted(h->arena) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}
