/* distro.h - distributions: a manifest (libconfig) says which plugins, linked into the program or beside it, which configuration and which
 * container images; out of it come archives that are equal bit for bit wherever they are built. Commands run to their end; not for a daemon.
 *
 * A distribution's files, below one folder or inside its archives:
 *   bin/keelson   lib/keelson/plugins/NAME.so[.sig]   etc/keelson/keelson.cfg, conf.d/, trust/NAME.pub
 *   share/keelson/images/NAME.tar.zst   share/keelson/{distro.lock,sbom.spdx.json,SHA256SUMS[.sig]}
 * What a build leaves in its output folder:
 *   keelson-NAME-VERSION.{tar.zst,oci.tar,spdx.json,lock}   keelson-NAME_VERSION_ARCH.deb   SHA256SUMS, and each one's .sig when there is a key
 */
#ifndef DISTRO_DISTRO_H
#define DISTRO_DISTRO_H

#include <keelson/error.h>

#include "base/arena.h"
#include "base/buf.h"

struct distro_build {
    const char *manifest, *output;
    const char *key;                    /* a secret key's file; NULL: nothing is signed */
    const char *lock;                   /* NULL: NAME.lock beside the manifest NAME.cfg */
    const char *tree;                   /* of the sources; NULL: the one around the manifest, else around the program */
    const char *from;                   /* takes program and plugins of this build or installation, instead of building; NULL: builds */
    const char *work;                   /* where it is compiled, kept for the next time; NULL: a new folder, removed at the end */
    const char *self;                   /* this program's path, for child processes */
    bool locked;                        /* inputs that differ from the lock are refused */
    bool check;                         /* the manifest and what can be seen before anything is built; no output */
};
/* KL_INVALID with "file:line: ..." for a mistake in the manifest. Nothing is left of a build that fails, and the output folder is what it was. */
int distro_make(const struct distro_build *b, struct kl_err *err);

/* Where trusted public keys are looked for, and what a distribution without a signature is. */
struct distro_trust {
    const char *keys_dir;
    bool required;                      /* a distribution without a good signature is refused */
};
/* One archive, an output folder, or the unpacked files: every file there is as SHA256SUMS says, none is missing, none is more; SHA256SUMS and
 * archives are signed by a trusted key where they are signed. report: what was seen, a line each. */
int distro_verify(const char *path, const struct distro_trust *t, struct buf *report, struct kl_err *err);
/* Unpacks an archive (.tar.zst) into a folder that is made. */
int distro_unpack(const char *path, const char *into, struct kl_err *err);
/* What b has more (+), less (-) or otherwise (~) than a. 0: equal, 1: not. */
int distro_diff(const char *a, const char *b, struct buf *report, struct kl_err *err);
/* A manifest to begin with. */
extern const char distro_template[];

#endif
