/* templates.h - the files of sdk/template, as they were when the program was built. */
#ifndef CONFORMANCE_TEMPLATES_H
#define CONFORMANCE_TEMPLATES_H

#include <stddef.h>

struct template_text {
    const char *name;                   /* "kinds/scheduler.c" */
    const unsigned char *at;
    size_t len;
};
extern const struct template_text templates[];
extern const size_t n_templates;

#endif
