/* duration.h - durations as Go reads them: "1h30m", "-1.5s", "0". */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include "base/str.h"

/* False: not one, or more than 64 bits of nanoseconds. */
bool duration_parse(struct str s, int64_t *ret_ns);

#endif
