/* http_words.h - what upstream's clients make of a webhook's path, and how they word an HTTP status that is no success: part of what a webhook's caller tells. [any] */
#ifndef BASE_HTTP_WORDS_H
#define BASE_HTTP_WORDS_H

#include "base/arena.h"

/* NULL: it is a success (2xx). The text may be in the arena. */
const char *http_words(struct arena *a, uint32_t status, struct str body);

/* The path at which a webhook with that path is called: no slash too many, no dots, the time that it has. NULL: no memory. */
const char *http_hook_path(struct arena *a, struct str path, int64_t timeout_s);
/* Why there is no connection, as Go words it: "dial tcp HOST:PORT: connect: connection refused"; other reasons stay. */
const char *http_dial_words(struct arena *a, const char *why);

#endif
