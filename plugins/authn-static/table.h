/* table.h - the tokens of one file. */
#ifndef AUTHN_STATIC_TABLE_H
#define AUTHN_STATIC_TABLE_H

#include <keelson/error.h>

#include "base/arena.h"
#include "base/map.h"

struct entry {
    const char *user, *uid;
    const char *const *groups;          /* NULL-terminated, system:authenticated among them */
};

struct table {
    struct arena *arena;
    struct map by_token;                /* struct entry */
};

/* Comma separated values with double quotes (RFC 4180). Lines without a token are left out; KL_INVALID names the line that is wrong. */
int table_read(struct table *t, struct str text, struct kl_err *err);
void table_free(struct table *t);

#endif
