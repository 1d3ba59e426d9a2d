/* yaml.h - YAML (one document of YAML 1.1; no aliases) to a tree of json.h and back. [any] */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

/* NULL: err says what is wrong and where. */
struct val *yaml_read(struct arena *a, struct str text, struct kl_err *err);
/* The same, and mark(ctx, v, line) for every value, the inner ones first. */
struct val *yaml_read_marked(struct arena *a, struct str text, void (*mark)(void *ctx, const struct val *v, unsigned line), void *ctx,
                             struct kl_err *err);
/* The same, and a key that comes again is no error: the last counts, and twice(ctx, text) says where ("line 5: key \"name\" already set in map"). */
struct val *yaml_read_twice(struct arena *a, struct str text, void (*twice)(void *ctx, const char *text), void *ctx, struct kl_err *err);
void yaml_write(struct buf *b, const struct val *v);            /* as sigs.k8s.io/yaml: keys sorted */

#endif
