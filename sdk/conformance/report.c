/* report.c - see report.h. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

void report_asked(struct report *r, enum policy p)
{
    r->at[p].asked++;
}

void report_fail(struct report *r, enum policy p, const char *call, const char *fmt, ...)
{
    struct verdict *v = &r->at[p];
    va_list ap;
    if (v->failures++)
        return;
    snprintf(v->call, sizeof v->call, "%s", call);
    va_start(ap, fmt);
    vsnprintf(v->text, sizeof v->text, fmt, ap);
    va_end(ap);
}
