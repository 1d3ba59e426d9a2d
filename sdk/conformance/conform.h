/* conform.h - the harness: runs the policies of a plugin file's interfaces, each scenario in a process and in namespaces of its own. */
#ifndef CONFORMANCE_CONFORM_H
#define CONFORMANCE_CONFORM_H

#include <stdbool.h>
#include <stdio.h>

struct conform_options {
    const char *file;
    const char *settings;               /* file with `settings` and `files` (README), or NULL */
    const char *policy;                 /* only what that number says; NULL: all */
    bool brief;                         /* only failures and the last line */
};

/* 0: all policies hold, 1: one does not, or the file is no plugin; 2: wrong use (said on standard error). */
int conform_run(const struct conform_options *o, FILE *to);
/* Every policy with its sentence. */
void conform_list(FILE *to);

#endif
