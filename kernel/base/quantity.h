/* quantity.h - Kubernetes quantities ("500m", "1Gi", "1e3"): exact to 1e-9, by value, with upstream's canonical text. */
#ifndef BASE_QUANTITY_H
#define BASE_QUANTITY_H

#include "base/str.h"

enum quantity_format { QUANTITY_DECIMAL = 0, QUANTITY_BINARY, QUANTITY_EXPONENT };

struct quantity {
    __int128 nano;                      /* value * 1e9 */
    enum quantity_format format;
};

#define QUANTITY_TEXT 48

/* False: not a quantity. Finer than 1e-9 rounds away from zero; above 2^63-1 is capped, as upstream does. */
bool quantity_parse(struct str s, struct quantity *ret);
/* Canonical text, zero-terminated; returns its length. */
size_t quantity_format(struct quantity q, char ret[QUANTITY_TEXT]);
int64_t quantity_value(struct quantity q);              /* rounded up; capped to int64 */
int64_t quantity_milli(struct quantity q);              /* thousandths, rounded up; capped */
struct quantity quantity_of(int64_t value, enum quantity_format f);
int quantity_cmp(struct quantity a, struct quantity b);
/* The first one's format, unless it is zero. */
struct quantity quantity_add(struct quantity a, struct quantity b);
struct quantity quantity_sub(struct quantity a, struct quantity b);
/* Value of text, or fallback when it is not a quantity. */
int64_t quantity_text_value(struct str s, int64_t fallback);
int64_t quantity_text_milli(struct str s, int64_t fallback);

#endif
