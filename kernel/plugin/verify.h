/* verify.h - may a plugin file be loaded: digests and signatures, beside the ownership that plugin_trust looks at. [loop]
 *
 * A file that is verified is copied into sealed memory first, and digest, signature, trial and dlopen are all of that copy: nobody can
 * change what was verified before it is loaded. Without a digest and with VERIFY_OFF nothing of this happens.
 */
#ifndef PLUGIN_VERIFY_H
#define PLUGIN_VERIFY_H

#include "plugin/sign.h"

enum verify { VERIFY_OFF, VERIFY_WARN, VERIFY_ENFORCE };

#define VERIFY_KEYS_MOST 64

/* The public keys (*.pub) of a folder, by name; a folder that is not there has none. Folder and files must be nobody else's to write. */
int verify_read_keys(const char *dir, struct sign_key *ret, unsigned room, unsigned *ret_n, struct kl_err *err);
/* The rule for every file from now on. mode: "off", "warn" (a line in the log), "enforce" (refused). keys: a folder; its keys are read now. */
int verify_set(const char *mode, const char *keys, struct kl_err *err);
/* Is bytes what one of the keys signed in sig_path? KL_FORBIDDEN: a sentence that says what to do. */
int verify_signature(const char *path, const char *sig_path, struct str bytes, const struct sign_key *keys, unsigned n, const char *keys_dir,
                     const struct sign_key **by, struct kl_err *err);

/* What to load in place of path (path itself, or a sealed copy's name). digest: "sha256:<hex>", or empty: none is wanted. *fd: of the copy, borrowed;
 * -1: there is none. The copy lives as long as the process. */
int verify_file(const char *path, struct str digest, const char **ret, int *fd, struct kl_err *err);
/* [worker] A copy that the caller loads and closes, under the same rule; there is always one. */
int verify_copy(const char *path, struct str digest, int *ret, struct kl_err *err);
/* The name that verify_file gave last for path, or path. */
const char *verify_name(const char *path);

#endif
