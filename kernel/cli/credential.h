/* credential.h - a certificate of a node that is asked for at the API, kept in a file, and asked for anew in time. [loop]
 *
 * Life: load the file -> wait for 70 to 90 % of its life (none: at once) -> a new key and a CertificateSigningRequest -> look until it is signed ->
 * the file -> `changed`. Nothing of it ends a connection: who uses the certificate makes new ones with the new one.
 */
#ifndef CLI_CREDENTIAL_H
#define CLI_CREDENTIAL_H

#include "cli/csr.h"
#include "http/client.h"

struct credential;

struct credential_conf {
    struct loop *loop;
    const char *file;                   /* certificate and key, PEM */
    const char *signer;                 /* "kubernetes.io/kubelet-serving" */
    const char *usage;                  /* "server auth" */
    struct csr_wish wish;
    void (*changed)(void *ctx);         /* there is a new one */
    void *ctx;
};

/* Texts of c are borrowed. NULL: out of memory. */
struct credential *credential_new(const struct credential_conf *c);
void credential_free(struct credential *k);             /* NULL is fine */
/* Is there one that still counts? at NULL: no. They live until `changed`. */
struct str credential_cert(const struct credential *k);
struct str credential_key(const struct credential *k);
/* One from elsewhere, which counts while the file has none that lasts longer. */
void credential_adopt(struct credential *k, struct str cert, struct str key, int64_t since_s);
/* Begins: through http, with a bearer token or (NULL) what http shows. Called again, the later ones are used from then on. */
void credential_run(struct credential *k, struct http_client *http, const char *token);
void credential_stop(struct credential *k);             /* before http goes */

#endif
