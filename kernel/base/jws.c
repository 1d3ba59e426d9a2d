/* jws.c - see jws.h. */
#include "base/jws.h"

#include <gnutls/crypto.h>

#include "base/base64url.h"

static struct val *part(struct arena *a, struct str text)
{
    struct str json = base64url_decode(a, text);
    struct val *v = json.at ? json_parse(a, json, NULL) : NULL;
    return val_is(v, VAL_OBJ) ? v : NULL;
}

bool jws_parse(struct arena *a, struct str text, struct jws *ret)
{
    struct str rest = text;
    if (text.len > JWS_LONGEST)
        return false;
    struct str head = str_cut(&rest, '.'), payload = rest.at ? str_cut(&rest, '.') : STR_NONE;
    if (!rest.at || str_find(rest, '.') >= 0)
        return false;
    struct val *h = part(a, head);
    if (!h || json_get(h, STR("crit")))
        return false;
    *ret = (struct jws){ .header = h, .payload = part(a, payload), .signature = base64url_decode(a, rest),
                         .signed_text = str_n(text.at, head.len + 1 + payload.len) };
    return ret->payload && ret->signature.len;
}

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at, (unsigned)s.len };
}

bool ecdsa_verify(gnutls_pubkey_t key, gnutls_sign_algorithm_t algorithm, struct str text, struct str signature)
{
    size_t half = signature.len / 2;
    gnutls_datum_t t = datum(text), r = datum(str_n(signature.at, half)), s = datum(str_n(signature.at + half, half)), der = { 0 };
    int rc = gnutls_encode_rs_value(&der, &r, &s);
    if (rc >= 0)
        rc = gnutls_pubkey_verify_data2(key, algorithm, 0, &t, &der);
    gnutls_free(der.data);
    return rc >= 0;
}
