/* internal.h - what the files of the distribution builder share. */
#ifndef DISTRO_INTERNAL_H
#define DISTRO_INTERNAL_H

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/disk.h"
#include "base/json.h"
#include "conf/load.h"
#include "distro/distro.h"

#define PATH_MOST   4096
#define SUMS_FILE   "SHA256SUMS"
#define SHARE       "share/keelson"
#define PLUGIN_DIR  "lib/keelson/plugins"
#define FILE_LIMIT  ((size_t)1 << 30)

/* --- manifest.c --- */

enum origin { OF_TREE, OF_FILE, OF_SOURCE };

struct id_list {
    const char **at;
    unsigned n;
};

struct distro_plugin {
    const struct val *entry;            /* where it stands in the manifest */
    const char *name;                   /* "store-wal" */
    enum origin origin;
    bool is_static;
    const char *path;                   /* of OF_FILE and OF_SOURCE */
    const char *wanted;                 /* version range; "": any */
    const char *sha256;                 /* "": any */
    const struct val *facts;            /* facts.c: {"id","version","provides":[...],"needs":[...]}; NULL: not known yet */
};

struct distro_image {
    const struct val *entry;
    const char *name, *file, *busybox;  /* one of the last two is "" */
};

struct distro {
    struct arena *arena;
    const struct val *tree;             /* the manifest */
    const char *manifest, *dir;         /* its file and folder */
    const char *name, *version, *summary, *maintainer, *kernel, *conf, *verify;
    bool static_libs, tar, deb, oci;
    int64_t epoch;                      /* the time of everything */
    struct distro_plugin *plugins;
    struct distro_image *images;
    unsigned n_plugins, n_images;
    const struct val *conf_d, *keys, *depends;  /* lists of texts; NULL: none */
    const struct distro_build *build;
    char source[PATH_MOST], temp[PATH_MOST], stage[PATH_MOST], work[PATH_MOST], log[PATH_MOST];
    struct val *libraries;              /* libs.c: [{"name","path","package","version"}] */
    struct val *inputs;                 /* lock.c: [{"kind","name","digest"}] */
};

int distro_read(struct distro *d, const struct distro_build *b, struct kl_err *err);
/* "file:line: text", the only form of a mistake in a manifest. */
__attribute__((format(printf, 4, 5))) int distro_wrong(struct distro *d, const struct val *at, struct kl_err *err, const char *fmt, ...);
const char *distro_path(struct distro *d, struct str path);    /* relative to the manifest's folder */

/* --- version.c: "0.1.0" in ">=0.1 <0.3"; a version alone is that one. --- */
bool version_ok(struct str version);
bool range_ok(struct str range);
bool version_in(struct str version, struct str range);

/* --- facts.c --- */
/* What plugin files are, by the program that will load them; program NULL: this one. names NULL-terminated: paths or "builtin:NAME". ret: a JSON array. */
int facts_read(struct distro *d, const char *program, const char *const *names, struct val **ret, struct kl_err *err);
/* Versions, providers of one name, needs that nobody meets, needs that go in a circle. all: every plugin's facts are known. */
int facts_check(struct distro *d, bool all, struct kl_err *err);

/* --- files.c --- */
int files_remove(const char *path);
int files_copy(const char *from, const char *to, mode_t mode, struct kl_err *err);
int files_read(const char *path, struct buf *ret, struct kl_err *err);
int files_write(const char *path, struct str text, mode_t mode, struct kl_err *err);
/* Every regular file below dir, sorted by path: a JSON array of texts relative to dir. Links and other things are KL_INVALID. */
int files_list(struct arena *a, const char *dir, struct val **ret, struct kl_err *err);
/* The program with its output in d->log; a status other than 0 is an error with the output's last lines on standard error. */
int child_run(struct distro *d, const char *const *argv, struct kl_err *err);
/* From here on an interrupt ends the child that runs, and child_run and child_text fail: the caller cleans up and goes. */
void child_signals(void);
/* Its output in ret, what it says on standard error in *said (may be NULL); the exit status, or < 0. */
int child_text(const char *const *argv, struct buf *ret, struct buf *said, struct kl_err *err);

/* --- digest.c: hex --- */
void digest_of_text(const char *alg, struct str bytes, char ret[129]);     /* alg: "SHA256", "SHA1", "MD5" */
int digest_of_file(const char *path, char ret[65], struct kl_err *err);
/* Of names and bytes of every file below dir, but those in folders called `but` (NULL: all). Added to the hash of a tree_hash. */
void *tree_hash_new(void);
int tree_hash_add(void *hash, const char *dir, const char *label, const char *but, struct kl_err *err);
int tree_hash_file(void *hash, const char *path, const char *label, struct kl_err *err);
void tree_hash_end(void *hash, char ret[65]);

/* --- lock.c --- */
int lock_inputs(struct distro *d, struct kl_err *err);                  /* what is known before the build, against the lock file if it must be met */
int lock_libraries(struct distro *d, struct kl_err *err);               /* what the program turned out to need */
int lock_text(struct distro *d, struct buf *ret, struct kl_err *err);
int lock_save(struct distro *d, struct str text, struct kl_err *err);   /* beside the manifest */

/* --- compile.c: program and plugins into the stage --- */
int compile_stage(struct distro *d, struct kl_err *err);
const char *compile_program(struct distro *d);                          /* --from's */
const char *compile_plugin(struct distro *d, const char *name);         /* likewise */
/* --- config.c: etc/keelson --- */
int etc_write(struct distro *d, struct kl_err *err);
const char *etc_source(struct distro *d);                            /* the file that it is made of */
/* --- libs.c --- */
int libs_find(struct distro *d, struct kl_err *err);
/* --- sbom.c --- */
int sbom_write(struct distro *d, struct buf *ret, struct kl_err *err);
/* --- sums.c --- */
int sums_write(struct arena *a, const char *dir, struct buf *ret, struct kl_err *err);
int sums_sign(const char *path, const char *key, struct kl_err *err);   /* key NULL: nothing */
/* --- pack.c, deb.c, oci.c: d->stage to a file --- */
struct pack_entry {
    const char *to, *from;              /* path in the archive; a file, or NULL with text */
    struct str text;
    unsigned mode;                      /* with S_IFDIR or S_IFREG */
};
/* compress: "zstd", "gzip" or NULL. Entries are written as they come. */
int pack_tar(const char *path, const char *compress, const struct pack_entry *all, unsigned n, int64_t epoch, struct kl_err *err);
int pack_ar(const char *path, const struct pack_entry *all, unsigned n, int64_t epoch, struct kl_err *err);
/* Everything in d->stage with its folders, below `prefix` (bin, lib, share: below `prefix``usr`), sorted. */
int pack_stage(struct distro *d, const char *prefix, const char *usr, const char *etc, struct pack_entry **ret, unsigned *n, struct kl_err *err);
int deb_write(struct distro *d, const char *path, struct kl_err *err);
int oci_write(struct distro *d, const char *path, struct kl_err *err);
const char *arch_debian(void);
const char *arch_oci(void);

#endif
