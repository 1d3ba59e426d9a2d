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

static bool is_decision(struct str type)
{
    return str_is(type, "Approved") || str_is(type, "Denied") || str_is(type, "Failed");
}

static KIND_RULES(check_conditions)
{
    static const char *const statuses[] = { "False", "True", "Unknown", NULL }, *const yes[] = { "True", NULL };
    const struct val *list = json_path(v, "status.conditions");
    const struct path *p = IN(IN(NULL, "status"), "conditions");
    _cleanup_met_ struct met types = { 0 };
    if (val_equal(list, json_path(old, "status.conditions")))
        return;
    LIST_EACH (x, at, list) {
        struct str type = json_str(x, "type"), status = json_str(x, "status");
        const struct path *here = ITEM(p, at.i);
        check_required_str(c, IN(here, "type"), type);
        if (check_required_str(c, IN(here, "status"), status))
            check_choice(c, IN(here, "status"), status, is_decision(type) ? yes : statuses);
        if (met_again(&types, type))
            say_duplicate(c, IN(here, "type"), type);
    }
}

/* PEM, as far as it can be told without reading certificates. NULL: fine. */
static const char *certificate_wrong(causes c, struct str pem)
{
    static const char begin[] = "-----BEGIN ";
    unsigned blocks = 0;
    for (const char *at; (at = memmem(pem.at, pem.len, begin, sizeof begin - 1)); blocks++) {
        pem = str_skip(pem, (size_t)(at - pem.at) + sizeof begin - 1);
        struct str rest = pem, type = str_cut(&rest, '-'), first = rest;
        str_cut(&first, '\n');
        first = first.at ? str_cut(&first, '\n') : STR("");
        if (!str_is(type, "CERTIFICATE"))
            return words(c, "only CERTIFICATE PEM blocks are allowed, found \"" STR_FMT "\"", STR_ARG(type));
        if (str_find(first, ':') >= 0)
            return "no PEM block headers are permitted";
    }
    return blocks ? NULL : "must contain at least one CERTIFICATE PEM block";
}

static bool has_type(const struct val *v, const char *type)
{
    LIST_EACH (x, at, json_path(v, "status.conditions"))
        if (str_is(json_str(x, "type"), type))
            return true;
    return false;
}

KIND_RULES(status_signing_request)
{
    static const char *const decided[] = { "Approved", "Denied" };
    const struct path *p = IN(NULL, "status");
    struct str now = json_str(v, "status.certificate");
    char *text = now.len && base64_valid(now) ? arena_alloc(c->arena, now.len + 1) : NULL;
    check_conditions(c, v, old);
    if (text && !str_eq(now, json_str(old, "status.certificate"))) {
        const char *why = certificate_wrong(c, str_n(text, base64_decode(now, text)));
        if (why)
            say_invalid(c, IN(p, "certificate"), STR("<certificate data>"), why);
    }
    for (int i = 0; i < 2; i++)         /* that is what the approval is for */
        if (has_type(v, decided[i]) != has_type(old, decided[i]))
            say_forbidden(c, IN(p, "conditions"), words(c, "updates may not %s a condition of type \"%s\"", has_type(v, decided[i]) ? "add" : "remove", decided[i]));
}

KIND_RULES(kind_signing_request)
{
    const struct path *p = IN(NULL, "spec");
    const struct val *spec = json_get(v, STR("spec")), *seconds = json_get(spec, STR("expirationSeconds"));
    struct str request = json_str(spec, "request");
    char *text = arena_alloc(c->arena, request.len + 1);
    if (old) {                          /* the spec is what it was */
        check_conditions(c, v, old);
        return;
    }
    size_t n = text && base64_valid(request) ? base64_decode(request, text) : 0;
    if (!memmem(text ? text : "", n, "-----BEGIN CERTIFICATE REQUEST-----", 35))
        say_invalid_val(c, IN(p, "request"), request.len ? json_get(spec, STR("request")) : NULL, "PEM block type must be CERTIFICATE REQUEST");
    check_usages(c, IN(p, "usages"), json_get(spec, STR("usages")));
    check_signer(c, IN(p, "signerName"), json_str(spec, "signerName"));
    if (seconds && seconds->i < 600)
        say_invalid_int(c, IN(p, "expirationSeconds"), seconds->i, "may not specify a duration less than 600 seconds (10 minutes)");
}
