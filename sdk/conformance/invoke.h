/* invoke.h - calling any function of any interface by its description. [any]
 *
 * The arguments behind the first parameter lie in one block, in their order and each at its natural alignment: offsets by invoke_offset.
 */
#ifndef CONFORMANCE_INVOKE_H
#define CONFORMANCE_INVOKE_H

#include <keelson/signature.h>

#define INVOKE_BLOCK 256u               /* no call's arguments need more */

union invoke_result {
    int64_t i;                          /* INT, I64 */
    uint64_t u;
    const char *s;
    const void *table;
};

/* Bytes of an argument of that kind. */
size_t invoke_bytes(uint32_t kind);
/* Where the i-th argument of the call lies in its block. */
size_t invoke_offset(const struct kl_sig_call *call, uint32_t i);
/* table: one of the interface sig. The function must be there. */
void invoke(const struct kl_sig_table *sig, uint32_t call, const void *table, void *self, const void *block, union invoke_result *ret);
/* Is that function there: within the table's size, and set? */
bool invoke_has(const struct kl_sig_call *call, const void *table);
bool invoke_known(const struct kl_sig_table *sig);

#endif
