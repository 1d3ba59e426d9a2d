/* http_words.h - how upstream's clients word an HTTP status that is no success: part of what a webhook's caller tells. [any] */
#ifndef BASE_HTTP_WORDS_H
#define BASE_HTTP_WORDS_H

#include "base/arena.h"

/* NULL: it is a success (2xx). The text may be in the arena. */
const char *http_words(struct arena *a, uint32_t status, struct str body);

#endif
