/* fetch.c - see fetch.h. HTTP/1.1 over GnuTLS with the client certificate that is in the kubeconfig. */
#include "cli/fetch.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "object/object.h"

struct target {
    struct arena *arena;
    char *host, *port;
    struct str ca, crt, key;            /* base64 of PEM */
};

static struct val *named(const struct val *list, struct str name)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_eq(json_str(v, "name"), name))
                return v;
    return NULL;
}

static int read_file(const char *path, struct buf *b, struct kl_err *err)
{
    _cleanup_file_ FILE *f = fopen(path, "re");
    char part[4096];
    if (!f)
        return kl_err_set(err, KL_NOT_FOUND, "kubeconfig '%s' cannot be read: %s", path, strerror(errno));
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        buf_add(b, part, n);
    return b->failed ? kl_err_set(err, KL_TOO_LARGE, "kubeconfig '%s' is too large", path) : 0;
}

static int read_target(const char *path, struct target *t, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    int rc = read_file(path, &b, err);
    if (rc < 0)
        return rc;
    struct val *v = object_parse_yaml(t->arena, arena_str(t->arena, buf_str(&b)), err);
    if (!v)
        return kl_err_wrap(err, "kubeconfig '%s'", path);
    struct val *context = json_get(named(json_get(v, STR("contexts")), json_str(v, "current-context")), STR("context"));
    struct val *cluster = json_get(named(json_get(v, STR("clusters")), json_str(context, "cluster")), STR("cluster"));
    struct val *user = json_get(named(json_get(v, STR("users")), json_str(context, "user")), STR("user"));
    struct str url = json_str(cluster, "server");
    if (!str_starts(url, STR("https://")))
        return kl_err_set(err, KL_INVALID, "kubeconfig '%s' names no https:// server", path);
    url = str_skip(url, 8);
    t->host = arena_dup(t->arena, str_cut(&url, ':'));
    t->port = arena_dup(t->arena, url.at ? str_cut(&url, '/') : STR("443"));
    t->ca = json_str(cluster, "certificate-authority-data");
    t->crt = json_str(user, "client-certificate-data");
    t->key = json_str(user, "client-key-data");
    return t->host && t->port && t->ca.len && t->crt.len && t->key.len
               ? 0
               : kl_err_set(err, KL_INVALID, "kubeconfig '%s' lacks certificates (as data) of its current context", path);
}

static int credentials(const struct target *t, gnutls_certificate_credentials_t *ret)
{
    gnutls_datum_t in[3] = { { (unsigned char *)(uintptr_t)t->ca.at, (unsigned)t->ca.len },
                             { (unsigned char *)(uintptr_t)t->crt.at, (unsigned)t->crt.len },
                             { (unsigned char *)(uintptr_t)t->key.at, (unsigned)t->key.len } }, out[3] = { { NULL, 0 } };
    int rc = gnutls_certificate_allocate_credentials(ret);
    for (int i = 0; i < 3 && rc >= 0; i++)
        rc = gnutls_base64_decode2(&in[i], &out[i]);
    if (rc >= 0)
        rc = gnutls_certificate_set_x509_trust_mem(*ret, &out[0], GNUTLS_X509_FMT_PEM);
    if (rc >= 0)
        rc = gnutls_certificate_set_x509_key_mem(*ret, &out[1], &out[2], GNUTLS_X509_FMT_PEM);
    for (int i = 0; i < 3; i++)
        gnutls_free(out[i].data);
    return rc;
}

static int dial(const struct target *t, struct kl_err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
    int rc = getaddrinfo(t->host, t->port, &hints, &all), fd = -1;
    if (rc)
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' is not known: %s", t->host, gai_strerror(rc));
    for (struct addrinfo *a = all; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(all);
    return fd >= 0 ? fd : kl_err_set(err, KL_UNAVAILABLE, "no server answers at %s:%s: %s", t->host, t->port, strerror(errno));
}

static int talk(gnutls_session_t s, const struct target *t, const char *path, struct buf *all)
{
    char part[16384];
    _cleanup_buf_ struct buf ask = BUF_INIT(65536);
    buf_printf(&ask, "GET %s HTTP/1.0\r\nHost: %s:%s\r\nAccept: application/json\r\n\r\n", path, t->host, t->port);
    ssize_t n = gnutls_handshake(s);
    if (n >= 0)
        n = gnutls_record_send(s, ask.at, ask.len);
    while (n > 0 || n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
        n = gnutls_record_recv(s, part, sizeof part);
        if (n > 0)
            buf_add(all, part, (size_t)n);
    }
    return n < 0 && n != GNUTLS_E_PREMATURE_TERMINATION ? (int)n : 0;
}

static int take_body(struct buf *all, struct buf *ret, struct kl_err *err)
{
    char *body = all->at ? strstr(all->at, "\r\n\r\n") : NULL;
    int status = 0;
    if (!body || sscanf(all->at, "HTTP/1.%*d %d", &status) != 1)
        return kl_err_set(err, KL_UNAVAILABLE, "the server's answer is not HTTP");
    body += 4;
    if (status != 200)
        return kl_err_set(err, KL_INTERNAL, "the server says %d: %.180s", status, body);
    buf_add(ret, body, all->len - (size_t)(body - all->at));
    return ret->failed ? kl_err_set(err, KL_TOO_LARGE, "the answer is too large") : 0;
}

int fetch(const char *kubeconfig, const char *path, struct buf *ret, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf all = BUF_INIT(64 << 20);
    _cleanup_close_ int fd = -1;
    struct target t = { .arena = a };
    gnutls_certificate_credentials_t cred = NULL;
    gnutls_session_t s = NULL;
    int rc = a ? read_target(kubeconfig, &t, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = fd = dial(&t, err);
    if (rc < 0)
        return rc;
    rc = credentials(&t, &cred);
    if (rc >= 0 && (rc = gnutls_init(&s, GNUTLS_CLIENT)) >= 0 && (rc = gnutls_set_default_priority(s)) >= 0 &&
        (rc = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred)) >= 0) {
        gnutls_session_set_verify_cert(s, t.host, 0);
        gnutls_transport_set_int(s, fd);
        rc = talk(s, &t, path, &all);
    }
    if (s)
        gnutls_deinit(s);
    if (cred)
        gnutls_certificate_free_credentials(cred);
    return rc < 0 ? kl_err_set(err, KL_UNAVAILABLE, "TLS to %s:%s: %s", t.host, t.port, gnutls_strerror(rc)) : take_body(&all, ret, err);
}
