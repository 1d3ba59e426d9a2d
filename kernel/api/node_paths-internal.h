/* node_paths-internal.h - one request to a node, for the files that answer it. */
#ifndef API_NODE_PATHS_INTERNAL_H
#define API_NODE_PATHS_INTERNAL_H

#include "api/node_paths.h"
#include "stream-internal.h"

struct ask {                            /* in the request's arena */
    const struct node_paths *paths;
    struct http_req *http;
    struct arena *arena;
    struct node_path path;
    struct stream_target at;
};

/* --- node_paths.c --- */
void ask_reply(struct ask *q, int status, const char *type, struct str body);
void ask_refuse(struct ask *q, const struct kl_err *err);
__attribute__((format(printf, 3, 4))) void ask_refuse_with(struct ask *q, int code, const char *fmt, ...);

/* --- node_pages.c: documents and figures --- */
void ask_healthz(struct ask *q);
void ask_pods(struct ask *q);
void ask_debug(struct ask *q);
void ask_stats(struct ask *q);
void ask_page(struct ask *q);
void ask_call(struct ask *q);
/* The path names a pod by its uid too: is it that one's? */
bool ask_uid_is(struct ask *q, const char *uid);

/* --- node_streams.c --- */
void ask_logs(struct ask *q);
void ask_exec(struct ask *q);           /* and attach */
void ask_forward(struct ask *q);

/* --- node_run.c --- */
void ask_run(struct ask *q);
void ask_checkpoint(struct ask *q);

/* --- node_files.c --- */
void ask_files(struct ask *q);

#endif
