/* process.h - what of a process a plugin might leave behind or change. */
#ifndef CONFORMANCE_PROCESS_H
#define CONFORMANCE_PROCESS_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_state {
    unsigned fds, threads, children;
    struct sigaction signals[32];
    sigset_t mask;
    char folder[PATH_MAX], locale[256];
    unsigned umask;
    uint64_t environment;
};

void process_read(struct process_state *s);
/* As many descriptors, threads and children as before? Threads that are ending get the time they need. *ret: of now. what: 400 bytes. */
bool process_same(const struct process_state *before, struct process_state *ret, char what[400]);
/* Signals, folder, umask, locale, environment. */
bool process_untouched(const struct process_state *before, char what[400]);

#endif
