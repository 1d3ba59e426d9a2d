/* limits.h - limits of events: a bucket of tokens for each key, the longest unused forgotten. [loop] */
#ifndef EVENTRATELIMIT_LIMITS_H
#define EVENTRATELIMIT_LIMITS_H

#include <keelson/error.h>

#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

enum limit_type { LIMIT_SERVER, LIMIT_NAMESPACE, LIMIT_USER, LIMIT_SOURCE_AND_OBJECT, LIMIT_TYPES };
extern const char *const limit_types[LIMIT_TYPES];

struct limit {
    enum limit_type type;
    int64_t qps, burst, most;           /* tokens a second; tokens at most; keys at most */
    struct map buckets;                 /* key -> struct bucket */
    struct list used;                   /* the longest unused first */
    int64_t n;
};

/* list: [{"type","qps","burst","cache_size"}, ...]. What *ret points to is the arena's; limits_free ends the rest. */
int limits_read(struct arena *a, const struct val *list, struct limit **ret, unsigned *ret_n, struct kl_err *err);
void limits_free(struct limit *at, unsigned n);
/* One token of that key's bucket. False: there is none. */
bool limit_take(struct limit *l, struct str key, int64_t now_ns);
/* What SourceAndObject takes together of an event. */
struct str limit_event_key(struct arena *a, const struct val *event);

#endif
