/* validate_signing.c - requests for certificates. */
#include "object/base64.h"
#include "object/validate.h"

#define NAME_MOST 571                   /* of a signer: two labels' worth, as upstream counts */

/* Sorted, as they are listed. */
static const char *const usages[] = { "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only",
    "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment",
    "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping", NULL };

static void check_usages(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met seen = { 0 };
    if (!list || !list->n)
        say_required(c, p, NULL);
    LIST_EACH (u, at, list)
        check_choice(c, ITEM(p, at.i), val_str(u), usages);
    LIST_EACH (u, at, list)
        if (met_again(&seen, val_str(u)))
            say_duplicate(c, ITEM(p, at.i), val_str(u));
}

static void check_signer(causes c, const struct path *p, struct str s)
{
    struct str name = s, domain = str_cut(&name, '/');
    if (!s.len) {
        say_required(c, p, NULL);
        return;
    }
    if (!name.at || str_find(name, '/') >= 0) {
        say_invalid(c, p, s, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        return;
    }
    if (str_is(s, "kubernetes.io/legacy-unknown")) {
        say_invalid(c, p, s, "the legacy signerName is not allowed via this API version");
        return;
    }
    const char *why[4];
    unsigned n = name_errors(c->arena, domain, G_SUBDOMAIN, why, 4);
    for (unsigned i = 0; i < n; i++)
        say_invalid(c, p, domain, words(c, "validating domain segment \"" STR_FMT "\": %s", STR_ARG(domain), why[i]));
    if (!n && str_find(domain, '.') < 0)
        say_invalid(c, p, domain, "should be a domain with at least two segments separated by dots");
    if (!name.len)
        say_invalid(c, p, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    else
        check_name(c, p, name, G_SUBDOMAIN);
    if (s.len > NAME_MOST)
        say_too_long(c, p, NAME_MOST, "bytes");
}

KIND_RULES(kind_signing_request)
{
    const struct path *p = IN(NULL, "spec");
    const struct val *spec = json_get(v, STR("spec")), *seconds = json_get(spec, STR("expirationSeconds"));
    struct str request = json_str(spec, "request");
    char *text = arena_alloc(c->arena, request.len + 1);
    if (old)                            /* the spec is what it was */
        return;
    size_t n = text && base64_valid(request) ? base64_decode(request, text) : 0;
    if (!memmem(text ? text : "", n, "-----BEGIN CERTIFICATE REQUEST-----", 35))
        say_invalid_val(c, IN(p, "request"), request.len ? json_get(spec, STR("request")) : NULL, "PEM block type must be CERTIFICATE REQUEST");
    check_usages(c, IN(p, "usages"), json_get(spec, STR("usages")));
    check_signer(c, IN(p, "signerName"), json_str(spec, "signerName"));
    if (seconds && seconds->i < 600)
        say_invalid_int(c, IN(p, "expirationSeconds"), seconds->i, "may not specify a duration less than 600 seconds (10 minutes)");
}
