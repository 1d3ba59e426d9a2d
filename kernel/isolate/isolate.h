/* isolate.h - plugins in processes of their own: the same file, the same tables, another address space. See README.md.
 *
 * A cell is one entry of the configuration's `instances` with isolate = "process" or "sandbox": a child process of this program that loads the one
 * file. Its providers' tables here ask the child; a child that dies is started again, and its open instances are opened again, while the tables and
 * their `self` stay the same.
 */
#ifndef ISOLATE_ISOLATE_H
#define ISOLATE_ISOLATE_H

#include <keelson/plugin.h>
#include <keelson/signature.h>

#include "loop/loop.h"

enum isolate_level { ISOLATE_NONE = 0, ISOLATE_PROCESS, ISOLATE_SANDBOX };
const char *isolate_level_text(enum isolate_level l);

enum cell_state { CELL_STARTING = 1, CELL_RUNNING, CELL_RESTARTING, CELL_QUARANTINED, CELL_ENDED };
const char *cell_state_text(enum cell_state s);

struct cell_conf {
    const char *file, *name;            /* copied */
    int copy;                           /* of the file, to load instead; lives as long as the cell. -1: none */
    enum isolate_level level;
    /* Of a sandbox, what it may all the same: "read=PATH", "write=PATH", "capability=net_admin", "network"; NULL-terminated, or NULL. Lives as long as
     * the cell. */
    const char *const *allow;
    int64_t deadline_ns;                /* longest call where the caller names no time; 0: 2 s on the loop, 10 minutes elsewhere */
    struct loop *loop;                  /* NULL: nothing runs on one */
    const struct kl_sig_table *(*signature)(const char *id);
    /* [any] It ended without being told to (RESTARTING), is back (RUNNING), or is not started again (QUARANTINED). */
    void (*news)(void *ctx, enum cell_state now, const char *why);
    void (*wake)(void *ctx, uint64_t request);   /* [any] what got -KL_PENDING is asked again */
    void *ctx;
};

struct cell;
/* Starts the child; it loads the file. */
int cell_new(const struct cell_conf *c, struct cell **ret, struct kl_err *err);
/* Waits for what the file says of itself. The descriptor is ours, made from a checked copy: its tables ask the child, offsets of settings are our own. */
int cell_describe(struct cell *c, const struct kl_plugin **ret, struct kl_err *err);
/* life.open of the i-th provider. conf: bound by that descriptor. h and what it holds live as long as the cell. */
int cell_open(struct cell *c, unsigned i, const struct kl_host *h, const void *conf, void **ret_self, struct kl_call *call);
/* The same without open: for calls that stand in its place (examine of keelson.store/0), whose first argument *ret_self then is. */
int cell_bind(struct cell *c, unsigned i, const struct kl_host *h, const void *conf, void **ret_self, struct kl_call *call);
/* Which table answers while the child cannot (NULL: none). Before cell_open. [find: any] */
void cell_fallback(struct cell *c, unsigned i, const void *(*find)(void *ctx, void **ret_self), void *ctx);
void cell_free(struct cell *c);         /* ends the child; NULL is fine */

struct cell_status {
    enum cell_state state;
    int pid;                            /* 0: none */
    uint64_t starts, crashes;
    char reason[300];                   /* of the last end */
};
void cell_status(struct cell *c, struct cell_status *ret);      /* [any] */
struct cell_counts {
    uint64_t calls, errors, late, nested;       /* late: not answered in time; nested: what it asked of the host */
};
void cell_counts(struct cell *c, unsigned i, struct cell_counts *ret);

/* The child's main: `keelson plugin-cell NAME LEVEL FILE`, started by cell_new only. builtin: plugins that this program holds itself. */
int isolate_child(int argc, char **argv, const struct kl_sig_table *(*signature)(const char *id), const struct kl_plugin *(*builtin)(const char *file));

#endif
