/* unpack.h - archives that nobody vouches for, turned into a folder.
 *
 * The work is done in a child process that sees nothing but that folder: own mount, network and IPC namespaces,
 * pivot_root, five capabilities, no new privileges, resource limits. The parent streams the bytes to it and digests them,
 * so that neither a lie of the archive nor one of the child goes unnoticed. Needs root.
 */
#ifndef OCI_IMAGE_UNPACK_H
#define OCI_IMAGE_UNPACK_H

#include <keelson/error.h>

#include "base/str.h"

#define DIGEST_TEXT 72                  /* "sha256:" and 64 digits */

enum unpack_mode {
    UNPACK_OVERLAY,                     /* one layer; whiteouts become overlayfs's (device 0:0, user.overlay.opaque) */
    UNPACK_FLAT,                        /* a layer on top of what is there; whiteouts remove */
    UNPACK_PLAIN                        /* a wrapping archive: files, folders and links, no owners, no modes */
};

struct unpack_limits {
    int64_t bytes, entries;             /* of all files together; members */
    int64_t ratio;                      /* unpacked bytes per packed byte, above 16 MiB */
};

extern const struct unpack_limits unpack_limits_default;

struct unpack_job {
    int fd;                             /* the archive, read from where it stands */
    const char *what;                   /* for messages: the layer's digest or the file's name */
    const char *into;                   /* an existing folder */
    enum unpack_mode mode;
    const struct unpack_limits *limits;
    char packed[DIGEST_TEXT], plain[DIGEST_TEXT];        /* results: digests of the bytes read, and of them unpacked */
    int64_t bytes;                      /* result: of all files */
};

/* KL_INVALID: the archive is refused, the reason names the member. What was unpacked till then stays in the folder: the
 * caller removes it. */
int unpack_run(struct unpack_job *job, struct kl_err *err);

/* What is done with one member; the rules alone, on plain data, for tests and the fuzzer. */
enum unpack_verdict { UNPACK_EXTRACT = 0, UNPACK_SKIP = 1, UNPACK_WHITEOUT = 2, UNPACK_OPAQUE = 3 };
struct archive_entry;
/* Cleans the entry (name without "./", foreign attributes dropped). A verdict or -KL_INVALID. */
int unpack_check(struct archive_entry *e, enum unpack_mode mode, const struct unpack_limits *l, struct kl_err *err);
/* Walks a whole archive in memory through the rules; extracts nothing. */
int unpack_check_all(struct str archive, enum unpack_mode mode, const struct unpack_limits *l, struct kl_err *err);

#endif
