/* digest.c - sha256 digests as text. */
#include "image/digest.h"

#include <gnutls/crypto.h>

bool digest_valid(struct str s)
{
    if (s.len != 71 || !str_starts(s, STR("sha256:")))
        return false;
    for (size_t i = 7; i < s.len; i++)
        if (!((s.at[i] >= '0' && s.at[i] <= '9') || (s.at[i] >= 'a' && s.at[i] <= 'f')))
            return false;
    return true;
}

const char *digest_hex(const char *digest)
{
    return digest + 7;
}

static void to_text(const unsigned char sum[32], char ret[DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(ret, "sha256:", 7);
    for (size_t i = 0; i < 32; i++) {
        ret[7 + 2 * i] = digits[sum[i] >> 4];
        ret[8 + 2 * i] = digits[sum[i] & 15];
    }
    ret[71] = '\0';
}

bool digest_of(struct str bytes, char ret[DIGEST_TEXT])
{
    unsigned char sum[32];
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.at, bytes.len, sum) < 0)
        return false;
    to_text(sum, ret);
    return true;
}

void digest_text(void *hash, char ret[DIGEST_TEXT])
{
    unsigned char sum[32];
    gnutls_hash_deinit(hash, sum);
    to_text(sum, ret);
}
