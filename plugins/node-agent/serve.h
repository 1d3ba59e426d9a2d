/* serve.h - the node as the API server asks it (keelson.node/0): logs, exec, attach, port-forward, figures. Nothing here changes a pod, and
 * nothing is remembered: each call finds its container through the API's object and the runtime's list.
 */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include "agent.h"

/* A container of a pod: what the API says and what the runtime has. */
struct served {
    struct arena *arena;                    /* the caller's */
    const struct val *pod, *spec, *status;  /* spec: of the container; status: its status in the object; NULL: none */
    const struct val *now, *before;         /* the runtime's newest records of it; NULL: none */
    const struct val *sandbox;
};

/* container NULL: the pod only. KL_NOT_FOUND: no such pod on this node. */
int serve_find(struct agent *a, struct kl_call *c, const char *ns, const char *pod, const char *container, struct served *ret);

int node_logs(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_log_options *o,
              int32_t fd);
int node_exec(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const char *const *argv,
              const struct kl_runtime_io *io, int32_t *exit_code);
int node_attach(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_runtime_io *io);
int node_dial(void *self, struct kl_call *c, const char *ns, const char *pod, int32_t port, int32_t *ret_fd);
int node_stats(void *self, struct kl_call *c, struct kl_bytes *ret);
/* configz.c */
struct val *configz(const struct agent *a, struct arena *ar);
int running_pods(struct agent *a, struct kl_call *c, struct arena *ar, struct val **ret);

int node_page(void *self, struct kl_call *c, const char *path, struct kl_bytes *ret);

/* logread.c: a file of the Container Runtime Interface's log format, "TIME stdout|stderr P|F TEXT" by line. No calls but files. */
struct log_line {
    int64_t wall_ns;
    bool err, partial;                      /* partial: the line goes on in the next record */
    struct str text;
};
bool log_line_parse(struct str line, struct log_line *ret);

struct log_reader {
    const struct kl_log_options *options;
    int out;                                /* where the text goes; the caller's */
    int fd;                                 /* the file; -1: none */
    const char *path;
    struct buf buf;                         /* a record that is not whole yet */
    int64_t left;                           /* of limit_bytes; < 0: no limit */
    bool middle;                            /* within a line that came in parts */
    bool done;                              /* the limit is reached, or out is broken */
};
/* Opens path (a regular file of ours, by no link) at the line that tail_lines asks for. */
int log_open(struct log_reader *r, const char *path, const struct kl_log_options *o, int out, struct kl_err *err);
void log_close(struct log_reader *r);
/* Everything that is there now; follows the path when it has become another file. False: done. */
bool log_read(struct log_reader *r);

#endif
