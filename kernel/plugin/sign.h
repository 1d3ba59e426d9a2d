/* sign.h - ed25519 keys and detached signatures of whole files, as two lines of text that OpenBSD's signify reads and writes:
 *
 *   untrusted comment: verify with NAME.pub
 *   base64("Ed" | 8 bytes number of the key | 64 bytes signature)
 *
 * A public key is the same with 32 bytes behind the number; a secret one (mode 0600) as `signify -G -n` makes it, without a passphrase.
 * What is signed is the file's bytes; the signature of X is X.sig beside it. [any]
 */
#ifndef PLUGIN_SIGN_H
#define PLUGIN_SIGN_H

#include <keelson/error.h>

#include "base/buf.h"

#define SIGN_NAME_MOST 63
#define SIGN_TEXT_MOST 1024             /* bytes of a key's or a signature's file */
#define SIGN_SUFFIX    ".sig"

struct sign_key {
    char name[SIGN_NAME_MOST + 1];      /* from the comment, for people; not vouched for */
    unsigned char number[8], key[32];
};

/* "0123456789abcdef" */
void sign_number(const unsigned char number[8], char ret[17]);
/* Letters, digits, '-', '.', '_'; at most 63; not hidden. */
bool sign_name_ok(struct str name);

/* A new pair, as the text of two files. */
int sign_generate(const char *name, struct buf *secret, struct buf *public, struct kl_err *err);
/* what: the file, for messages. KL_INVALID: not such a key. */
int sign_public(struct str text, const char *what, struct sign_key *ret, struct kl_err *err);
/* Signs bytes with the text of a secret key. *by: the public half. */
int sign_make(struct str secret, const char *what, struct str bytes, struct buf *ret, struct sign_key *by, struct kl_err *err);
/* KL_INVALID: sig is no signature; KL_NOT_FOUND: by a key that is not among keys (number: which); KL_CORRUPT: another text was signed. *by may be NULL. */
int sign_check(struct str sig, struct str bytes, const struct sign_key *keys, unsigned n, const struct sign_key **by, char number[17], struct kl_err *err);
/* Is it, byte for byte, what sign_make writes for that key? Somebody may have changed the comment. */
bool sign_canonical(struct str sig, const struct sign_key *by);

#endif
