/* sink.h - a file that is written by a thread of its own: what is added on the loop is never waited for. [any] after open */
#ifndef LAYER_SINK_H
#define LAYER_SINK_H

#include <keelson/call.h>

#include "base/str.h"

struct sink;

/* most: bytes that may wait to be written. The file is made anew, for its owner only. NULL: c->err says why. */
struct sink *sink_open(const char *path, size_t most, struct kl_call *c);
/* False: there is no room, it is lost and counted. */
bool sink_add(struct sink *s, struct str text);
uint64_t sink_lost(struct sink *s);
/* Writes what waits, then tail. NULL is fine. */
void sink_close(struct sink *s, struct str tail);

#endif
