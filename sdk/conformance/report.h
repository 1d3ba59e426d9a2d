/* report.h - what a child process that runs a plugin tells the process that started it: in memory that both share, so that it survives whatever
 * the plugin does. One writer at a time. */
#ifndef CONFORMANCE_REPORT_H
#define CONFORMANCE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

#define REPORT_TEXT 400

struct verdict {
    uint32_t asked, failures;
    char call[64], text[REPORT_TEXT];   /* of the first failure */
};

struct report {
    /* What goes on, for the case that it never ends or ends the process: which policy that would break. */
    int32_t now, late;                  /* enum policy */
    int64_t until_ns;                   /* of base/env's clock; 0: no limit */
    char call[64];
    uint32_t done;                      /* 1: the child said that it was ready */
    char skipped[160];                  /* why calls were left out; "": none */
    struct verdict at[P_END];
};

void report_asked(struct report *r, enum policy p);
__attribute__((format(printf, 4, 5))) void report_fail(struct report *r, enum policy p, const char *call, const char *fmt, ...);
/* holds: asked, and failed when it does not. */
#define report_check(r, p, call, holds, ...) \
    do { \
        report_asked((r), (p)); \
        if (!(holds)) \
            report_fail((r), (p), (call), __VA_ARGS__); \
    } while (0)

#endif
