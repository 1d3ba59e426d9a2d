/* cost.h - what calls cost when they are made, and what they may cost at most: the functions that rows name. */
#ifndef CEL_COST_H
#define CEL_COST_H

#include "cel/cel-internal.h"

/* cost.c: of values. */
uint64_t cost_tenth(const struct cel_val *a, unsigned n, const struct cel_val *r);       /* a tenth of the first one's size, rounded up */
uint64_t cost_fifth(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_least(const struct cel_val *a, unsigned n, const struct cel_val *r);       /* a tenth of the smaller one's */
uint64_t cost_order(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_add(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_in(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_matches(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_contains(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_join(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_one(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_traverse(const struct cel_val *a, unsigned n, const struct cel_val *r);    /* all that is in the first */
uint64_t cost_check(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_selector(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_contains_ip(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_contains_cidr(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_validate(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_output(const struct cel_val *a, unsigned n, const struct cel_val *r);      /* a list as long as the result */
uint64_t cost_flatten(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_self_compare(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_keys_compare(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_sets(const struct cel_val *a, unsigned n, const struct cel_val *r);
uint64_t cost_sets_twice(const struct cel_val *a, unsigned n, const struct cel_val *r);

/* estimates.c: of what schemas bound. True: e->cost (and e->result) say; false: 1 and the arguments. */
bool est_choice(struct est_call *e);
bool est_logic(struct est_call *e);
bool est_equal(struct est_call *e);
bool est_least(struct est_call *e);
bool est_order(struct est_call *e);
bool est_add(struct est_call *e);
bool est_index(struct est_call *e);
bool est_in(struct est_call *e);
bool est_to_bytes(struct est_call *e);
bool est_to_string(struct est_call *e);
bool est_quote(struct est_call *e);
bool est_affix(struct est_call *e);
bool est_matches(struct est_call *e);
bool est_contains(struct est_call *e);
bool est_format(struct est_call *e);
bool est_traverse(struct est_call *e);
bool est_same_text(struct est_call *e);         /* a tenth of the text; the result is no longer than it */
bool est_tenth(struct est_call *e);             /* a tenth of the argument */
bool est_fifth(struct est_call *e);
bool est_replace(struct est_call *e);
bool est_split(struct est_call *e);
bool est_join(struct est_call *e);
bool est_find(struct est_call *e);
bool est_check(struct est_call *e);
bool est_selector(struct est_call *e);
bool est_contains_ip(struct est_call *e);
bool est_contains_cidr(struct est_call *e);
bool est_validate(struct est_call *e);
bool est_slice(struct est_call *e);
bool est_range(struct est_call *e);
bool est_reverse(struct est_call *e);
bool est_flatten(struct est_call *e);
bool est_self_compare(struct est_call *e);
bool est_keys_compare(struct est_call *e);
bool est_sets(struct est_call *e);

#endif
