/* scan.h - a look at a configuration file's text before libconfig reads it. */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include <keelson/error.h>

#include "base/str.h"

/* KL_INVALID with "file:line: ..." for what libconfig 1.5 would take wrongly: a number that does not fit, a text without an end, bad UTF-8. */
int conf_scan(const char *file, struct str content, struct kl_err *err);

#endif
