/* Client certificates, as anybody may show them: what is read of one names somebody whole, or nobody. */
#include "../../kernel/http/tls.c"
#include "../../plugins/authn-x509/subject.c"

#include "fuzz.h"

/* Every part lies within the text and holds no NUL. */
static void check_part(const struct buf *b, struct str part)
{
    size_t at = (size_t)part.at;
    must(at <= b->len && part.len <= b->len - at);
    must(!part.len || !memchr(b->at + at, '\0', part.len));
}

static void check_subject(gnutls_x509_crt_t crt)
{
    struct buf b = BUF_INIT(128 << 10);
    struct conn c = { 0 };
    bool whole = read_subject(&c, crt, &b);
    must(c.peer.n_cert_orgs <= ORGS_MOST);
    if (whole) {
        check_part(&b, c.peer.cert_cn);
        for (unsigned i = 0; i < c.peer.n_cert_orgs; i++)
            check_part(&b, c.orgs[i]);
    }
    mem_free(c.orgs);
    buf_free(&b);
}

FUZZ(data)
{
    static const char none[] = "";
    char uid[SUBJECT_UID_MOST];
    const char *why;
    gnutls_x509_crt_t crt;
    int rc = subject_uid(data.at ? data.at : none, data.len, uid, &why);
    must((rc < 0) == (why != NULL));
    must(rc <= 0 || (uid[0] && strlen(uid) < sizeof uid));
    if (gnutls_x509_crt_init(&crt) < 0)
        return;
    gnutls_datum_t der = { (unsigned char *)data.at, (unsigned)data.len };
    if (data.len && gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER) >= 0)
        check_subject(crt);
    gnutls_x509_crt_deinit(crt);
}
