/* token.c - reading a JSON web token (RFC 7519) in compact form, of the one algorithm that is accepted. */
#include "token.h"

#include "base/base64url.h"

static struct val *part(struct arena *a, struct str text)
{
    struct str json = base64url_decode(a, text);
    struct val *v = json.at ? json_parse(a, json, NULL) : NULL;
    return val_is(v, VAL_OBJ) ? v : NULL;
}

bool token_parse(struct arena *a, struct str text, struct token *ret)
{
    struct str rest = text;
    if (text.len > TOKEN_LONGEST)
        return false;
    struct str head = str_cut(&rest, '.'), payload = rest.at ? str_cut(&rest, '.') : STR_NONE;
    if (!rest.at || str_find(rest, '.') >= 0)
        return false;
    struct val *h = part(a, head);
    /* What a header asks for is not obeyed; it only has to ask for what is done. */
    if (!h || !str_is(json_str(h, "alg"), "ES256") || json_get(h, STR("crit")))
        return false;
    *ret = (struct token){ .signed_text = str_n(text.at, head.len + 1 + payload.len), .signature = base64url_decode(a, rest),
                           .payload = part(a, payload) };
    return ret->payload && ret->signature.len == 64;
}

bool token_signed_by(const struct token *t, gnutls_pubkey_t key)
{
    unsigned char *raw = (unsigned char *)(uintptr_t)t->signature.at;
    gnutls_datum_t r = { raw, 32 }, s = { raw + 32, 32 }, der = { 0 };
    gnutls_datum_t text = { (unsigned char *)(uintptr_t)t->signed_text.at, (unsigned)t->signed_text.len };
    int rc = gnutls_encode_rs_value(&der, &r, &s);
    if (rc >= 0)
        rc = gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &der);
    gnutls_free(der.data);
    return rc >= 0;
}
