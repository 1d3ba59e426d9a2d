/* zone.h - time zones by name, from the system's zone files (TZif). Read when asked for: no state. */
#ifndef CEL_ZONE_H
#define CEL_ZONE_H

#include "base/str.h"

/* Seconds east of UTC at that second. False: no such zone. Past the file's last change its last rule of that kind counts. */
bool zone_offset(struct str name, int64_t at, int64_t *ret);

#endif
