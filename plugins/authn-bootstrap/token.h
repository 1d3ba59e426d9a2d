/* token.h - a bootstrap token and the Secret that it must agree with. */
#ifndef AUTHN_BOOTSTRAP_TOKEN_H
#define AUTHN_BOOTSTRAP_TOKEN_H

#include "base/json.h"

#define TOKEN_ID     6u
#define TOKEN_SECRET 16u

/* "abcdef.0123456789abcdef". */
bool token_split(struct str text, struct str *ret_id, struct str *ret_secret);
/* The groups of its bearer, NULL-terminated, in the arena; NULL: the Secret does not vouch for the token at that time, or no memory. */
const char *const *token_groups(struct arena *a, const struct val *secret, struct str id, struct str key, int64_t now_ns);

#endif
