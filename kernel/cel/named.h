/* named.h - the formats that format.named() knows. */
#ifndef CEL_NAMED_H
#define CEL_NAMED_H

#include "base/arena.h"

struct named_format;

const struct named_format *named_format(struct str name);               /* NULL: none */
unsigned named_format_regex(const struct named_format *f);              /* how long its expression is, for costs */
/* What is wrong with s, at most `most` texts; how many. */
unsigned named_format_errors(struct arena *a, const struct named_format *f, struct str s, const char **ret, unsigned most);

#endif
