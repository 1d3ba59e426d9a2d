/* yaml.h - YAML (one document of YAML 1.1; no aliases) to a tree of json.h and back. [any] */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

/* NULL: err says what is wrong and where. */
struct val *yaml_read(struct arena *a, struct str text, struct kl_err *err);
void yaml_write(struct buf *b, const struct val *v);            /* as sigs.k8s.io/yaml: keys sorted */

#endif
