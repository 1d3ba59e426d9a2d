/* Bearer tokens of other issuers, as anybody may send them, and key sets, as an issuer's server may. */
#include "../../plugins/authn-jwt/jwt.c"

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 8

/* A key of each kind: what fits is verified. */
static unsigned known(struct jwk *keys)
{
    static const char set[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4"
        "cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvzqk"
        "Y368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jFh4"
        "4-csFCur-kEgU8awapJzKnqDKgw\"}]}";
    struct arena *a = arena_new(1 << 20);
    int n = jwk_read(json_parse(a, str_of(set), NULL), keys, MOST, NULL);
    arena_free(a);
    return n > 0 ? (unsigned)n : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwk keys[MOST];
    static unsigned n;
    struct str text = str_n((const char *)data, size);
    struct jwk more[MOST];
    struct jwt t;
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    if (!n)
        n = known(keys);
    if (jwt_parse(a, text, &t))
        for (unsigned i = 0; i < n; i++)
            jwt_signed_by(&t, &keys[i]);
    struct val *set = json_parse(a, text, NULL);
    int got = set ? jwk_read(set, more, MOST, NULL) : -1;
    jwk_free(more, got > 0 ? (unsigned)got : 0);
    return 0;
}
