/* stream.h - carrying bytes between a caller's descriptors and a terminal or an attach socket. */
#ifndef RUNTIME_CRUN_STREAM_H
#define RUNTIME_CRUN_STREAM_H

#include <stdbool.h>

#include <keelson/call.h>

struct stream_pair {
    int in, out, err;                   /* the caller's; -1: none */
    int far;                            /* the terminal, or conmon's attach socket */
    int done;                           /* a pidfd: its end ends the stream, after what is still there was carried; -1 */
    int resize;                         /* lines "<columns> <rows>"; -1: none */
    const struct kl_call *call;
    void (*set_size)(void *ctx, unsigned columns, unsigned rows);
    void *ctx;
    /* The last size is said again after a moment: of two that come close together conmon takes the first one twice. */
    bool size_again;
    bool in_ends;                       /* the end of in ends the stream, once far has taken what came before */
};

/* Raw bytes both ways until far or done ends, or out breaks. 0, KL_TIMEOUT or KL_CANCELLED. The end of in sends nothing. */
int stream_terminal(struct stream_pair *p);
/* conmon's packets: the first byte says the stream (2 out, 3 err). in's end half-closes the socket. */
int stream_packets(struct stream_pair *p);

#endif
