/* bind.h - settings as text to a plugin's struct, by its table of fields. */
#ifndef CONF_BIND_H
#define CONF_BIND_H

#include <keelson/plugin.h>

#include "base/json.h"

/* settings: an object of texts, numbers and booleans (NULL: none). *ret: conf_size bytes in the arena. Unknown keys are refused with the
 * nearest known one; values with what they may be. where: file or argument, for messages. */
int conf_bind(struct arena *a, const struct kl_plugin *p, const struct val *settings, const char *where, void **ret, struct kl_err *err);

/* "30s", "250ms", "1h30m". False: it is none. */
bool conf_duration(struct str s, int64_t *ret);

#endif
