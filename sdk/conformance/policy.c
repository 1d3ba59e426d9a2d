/* policy.c - see policy.h. */
#include "policy.h"

#include <stddef.h>
#include <string.h>

static const struct policy_row rows[] = {
#define KL_X(name, number, iface, sentence, advice) { number, iface, sentence, advice },
    POLICIES(KL_X)
#undef KL_X
};

const struct policy_row *policy_row(unsigned p)
{
    return &rows[p];
}

unsigned policy_find(const char *number)
{
    for (unsigned i = 0; i < P_END; i++)
        if (strcmp(rows[i].number, number) == 0)
            return i;
    return P_END;
}
