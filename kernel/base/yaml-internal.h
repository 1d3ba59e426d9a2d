/* yaml-internal.h - what reading and writing YAML share. */
#ifndef BASE_YAML_INTERNAL_H
#define BASE_YAML_INTERNAL_H

#include "base/yaml.h"

enum yaml_plain { PLAIN_TEXT = 0, PLAIN_NULL, PLAIN_TRUE, PLAIN_FALSE, PLAIN_INT, PLAIN_FLOAT };

/* What a scalar without quotes and without a tag is. */
enum yaml_plain yaml_plain_kind(struct str s, int64_t *ret);
bool yaml_is_one_of(struct str s, const char *list);    /* "a|b|c" */

#endif
