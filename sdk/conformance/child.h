/* child.h - the process in which one scenario runs. */
#ifndef CONFORMANCE_CHILD_H
#define CONFORMANCE_CHILD_H

#include "base/json.h"
#include "report.h"

/* Never returns. scenario -1: looks at the descriptor. log: where the plugin's output goes. */
_Noreturn void conform_child(const char *file, unsigned provider, int scenario, const struct val *settings, const char *log, struct report *r);

#endif
