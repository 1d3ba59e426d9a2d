/* plugin.h - plugin files: what they are (read without running them), the trial load in a child, loading. [loop], at start-up.
 *
 * A file is refused with a sentence when its path can be changed by others, it is no ELF file of this machine, it carries no note, its ABI
 * differs, or it does not survive being loaded once in a child process (crash, hang, exit, undefined symbol). Only then is it
 * loaded here. What is put in its place while the process runs is load.h's.
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
/* begin without looking at the file: t->note is read already, and the child loads `name`, for which it keeps the descriptor copy (-1: none). */
int plugin_trial_start(struct plugin_trial *t, const char *path, const char *name, int copy, struct kl_err *err);
/* Both halves. */
int plugin_probe(const char *path, struct kl_err *err);
/* Loads a file that was tried. *handle: NULL of one that is part of this program. */
int plugin_dlopen(const char *path, const struct kl_plugin **ret, void **handle, struct kl_err *err);
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
struct plugin_module;
struct runner;
struct gate;
struct stack;
struct batch;

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
    struct gate *fallback;              /* of whoever answers while the process cannot; NULL: nobody */
    const struct val *entry, *settings; /* in the configuration; settings may be NULL */
    const struct val *origin;           /* of one that took another's place: the configuration's entry; NULL: it is none of it */
    struct plugin_host *owner;
    struct kl_host host;
    struct arena *arena;                /* its bound settings */
    const void *conf;                   /* the same as a struct; NULL: not opened */
    struct plugin_reload *reload;       /* files that it reads; NULL: none */
    void *self;
    const struct kl_provider *bare;     /* of an open one: the plugin's own provider, behind gate and layers (provider and self are the gate's) */
    void *bare_self;
    struct gate *gate;                  /* the host's, which other instances of this name have after it; NULL: of an interface that has none */
    struct stack *stack;                /* what its gate leads to; NULL: not open */
    bool lent;                          /* others of its file hold it behind its gate */
    struct gate *runs;                  /* of a controller: its runner's own, which is never led elsewhere but to other layers */
    struct plugin_module *module;       /* where its code is; NULL: it stays for good */
    struct batch *batch;                /* with which it was made while the host runs; NULL: the configuration's */
    struct runner *runner;              /* of a controller */
    struct plugin_reviews *reviews;     /* of admission: how long they took; NULL: none yet */
};

#endif
