/* args.h - arguments for any call, by its signature: legal values of the right kinds, three variants of each. */
#ifndef CONFORMANCE_ARGS_H
#define CONFORMANCE_ARGS_H

#include "invoke.h"
#include "pen.h"

/* USUAL: what mostly comes; LEAST: empty texts and objects, NULL where the headers allow it, zeros; MOST: long names, large numbers. */
enum args_variant { ARGS_USUAL = 0, ARGS_LEAST, ARGS_MOST, ARGS_VARIANTS };

struct args {
    unsigned char block[INVOKE_BLOCK] __attribute__((aligned(16)));
    struct pen *in, *out;               /* what is read; where results go */
    uint32_t more;                      /* bytes that a newer host's structs are longer */
    int fd;                             /* for FD arguments */
};

/* Fills the block. c: the call (of kind CALL). handle: for kind HANDLE. in and out are made already. False: no room. */
bool args_build(struct args *a, const struct kl_sig_table *t, const struct kl_sig_call *call, enum args_variant v, struct kl_call *c, void *handle);
void *args_at(struct args *a, const struct kl_sig_call *call, uint32_t i);
/* Of the argument with that name; NULL: there is none. */
void *args_named(struct args *a, const struct kl_sig_call *call, const char *name);

#endif
