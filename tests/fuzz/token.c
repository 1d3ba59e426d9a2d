/* Bearer tokens, as anybody may send them. */
#include "../../plugins/authn-token/token.c"

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gnutls_pubkey_t key;
    struct jws t;
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    if (!key)
        gnutls_pubkey_init(&key);
    if (token_parse(a, str_n((const char *)data, size), &t))
        token_signed_by(&t, key);
    return 0;
}
