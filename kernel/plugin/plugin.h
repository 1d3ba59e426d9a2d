/* plugin.h - plugin files: what they are (read without running them), the trial load in a child, loading. [loop], at start-up.
 *
 * A file is refused with a sentence when its path can be changed by others, it is no ELF file of this machine, it carries no note, its ABI
 * differs, or it does not survive being loaded once in a child process (crash, hang, exit, undefined symbol). Only then is it
 * loaded here, for good: nothing is ever unloaded.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include <keelson/plugin.h>
#include <sys/types.h>

#include "base/json.h"
#include "isolate/isolate.h"

struct plugin_note {
    char abi[16], id[128], version[64], provides[1024], needs[1024];
};

/* Reads the note of a file without running any of it. "builtin:NAME" is a file too, here and below (builtin.h). */
int plugin_note_read(const char *path, struct plugin_note *ret, struct kl_err *err);
/* The same of an open file; path: for messages. */
int plugin_note_read_fd(int fd, const char *path, struct plugin_note *ret, struct kl_err *err);
/* Path and every folder above it belong to root, to us, or to the owner of this program, and nobody else may write there. */
int plugin_trust(const char *path, struct kl_err *err);

/* The trial load, in two halves so that many files are tried at once. end: at most 2 s after begin; always after a successful begin. verify.h's
 * rule is applied first. */
struct plugin_trial {
    struct str digest;                  /* set before begin: "sha256:<hex>" that the file must have; empty: any */
    struct plugin_note note;
    char path[4096];
    pid_t pid;
    int fd, pidfd;
    int64_t until_ns;
};
int plugin_trial_begin(struct plugin_trial *t, const char *path, struct kl_err *err);
int plugin_trial_end(struct plugin_trial *t, struct kl_err *err);
/* Both halves. */
int plugin_probe(const char *path, struct kl_err *err);
/* Loads a file that was tried. */
int plugin_dlopen(const char *path, const struct kl_plugin **ret, struct kl_err *err);
/* Ownership, digest, signature and note of a file, without running it. *copy: a sealed copy to load instead, or -1; borrowed. */
int plugin_look(const char *path, struct str digest, struct plugin_note *ret, int *copy, struct kl_err *err);
/* Is the descriptor what the note says, and are its tables whole? Else -1, and why. */
int plugin_check(const struct kl_plugin *p, const struct plugin_note *n, char *why, size_t room);

enum plugin_state { PLUGIN_FOUND = 1, PLUGIN_REFUSED, PLUGIN_LOADED, PLUGIN_READY, PLUGIN_FAILED, PLUGIN_CLOSED };
const char *plugin_state_text(enum plugin_state s);

/* Every interface table begins with its size and its life. */
struct plugin_table {
    KL_STRUCT_HEAD;
    struct kl_life life;
};

struct plugin_host;
struct runner;

struct plugin_instance {
    char name[64];
    char file[4096];
    enum plugin_state state;
    char reason[300];                   /* of REFUSED and FAILED */
    bool required;
    unsigned roles;
    const struct kl_plugin *plugin;     /* NULL when REFUSED */
    const struct kl_provider *provider;
    struct cell *cell;                  /* the process that it is in; NULL: this one */
    unsigned cell_at;                   /* which of its providers */
    enum isolate_level isolate;
    struct plugin_instance *fallback;   /* answers while the process cannot; NULL: nobody */
    const struct val *entry, *settings; /* in the configuration; settings may be NULL */
    struct plugin_host *owner;
    struct kl_host host;
    struct arena *arena;                /* its bound settings */
    const void *conf;                   /* the same as a struct; NULL: not opened */
    struct plugin_reload *reload;       /* files that it reads; NULL: none */
    void *self;
    const struct kl_provider *bare;     /* what is behind its layers (provider and self are then the outermost one's); NULL: it has none */
    void *bare_self;
    struct runner *runner;              /* of a controller */
    struct plugin_reviews *reviews;     /* of admission: how long they took; NULL: none yet */
};

#endif
