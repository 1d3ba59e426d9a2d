/* fn_net.c - addresses, networks and URLs. Addresses are read as Go's netip reads them, with its complaints. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "cel/cel-internal.h"
#include "cel/cost.h"

#define QUOTED 200                      /* bytes of an input that a message shows */

/* --- addresses --- */

static const char *bad_v4(struct str s)
{
    unsigned fields = 0, digits = 0, value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (isdigit((unsigned char)s.at[i])) {
            if (digits == 1 && value == 0)
                return "IPv4 field has octet with leading zero";
            value = value * 10 + (unsigned)(s.at[i] - '0');
            digits++;
            if (value > 255)
                return "IPv4 field has value >255";
        } else if (s.at[i] == '.') {
            if (!digits || i + 1 == s.len || s.at[i + 1] == '.')
                return "IPv4 field must have at least one digit";
            if (++fields == 4)
                return "IPv4 address too long";
            digits = value = 0;
        } else {
            return "unexpected character";
        }
    }
    return fields < 3 ? "IPv4 address too short" : NULL;
}

/* NULL: ret is the address; else what is wrong with it. */
static const char *read_ip(struct arena *a, struct str s, struct cel_opaque *ret)
{
    char text[80];
    const char *why = NULL;
    long dot = str_find(s, '.'), colon = str_find(s, ':'), zone = str_find(s, '%');
    int shown = (int)(s.len > QUOTED ? QUOTED : s.len);
    if (colon >= 0 && (dot < 0 || colon < dot)) {
        if (zone >= 0)
            return arena_printf(a, "IP address \"%.*s\" with zone value is not allowed", shown, s.at);
        snprintf(text, sizeof text, STR_FMT, (int)(s.len < 79 ? s.len : 79), s.at ? s.at : "");
        ret->size = 16;
        if (s.len >= sizeof text || inet_pton(AF_INET6, text, ret->addr) != 1)
            why = "unable to parse IP";
        else if (memcmp(ret->addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
            return arena_printf(a, "IPv4-mapped IPv6 address \"%.*s\" is not allowed", shown, s.at);
    } else if (dot >= 0) {
        why = bad_v4(s);
        snprintf(text, sizeof text, STR_FMT, (int)(s.len < 79 ? s.len : 79), s.at);
        ret->size = 4;
        if (!why && inet_pton(AF_INET, text, ret->addr) != 1)
            why = "unable to parse IP";
    } else {
        why = "unable to parse IP";
    }
    return why ? arena_printf(a, "IP Address \"%.*s\" parse error during conversion from string: ParseAddr(\"%.*s\"): %s", shown, s.at ? s.at : "", shown,
                              s.at ? s.at : "", why) : NULL;
}

static struct cel_val new_ip(struct cel_ctx *c, struct str s)
{
    struct cel_opaque *o;
    struct cel_val v = val_opaque(c->arena, CEL_IP, &o);
    const char *why = o ? read_ip(c->arena, s, o) : NULL;
    return why ? cel_error(c->arena, "%s", why) : v;
}

static struct cel_val fn_ip(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return new_ip(c, v[0].s);
}

static struct cel_val fn_is_ip(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_opaque o = { 0 };
    (void)n;
    return val_bool(!read_ip(c->arena, v[0].s, &o));
}

static void write_ip(struct buf *b, const struct cel_opaque *o)
{
    char text[INET6_ADDRSTRLEN];
    buf_add_z(b, inet_ntop(o->size == 4 ? AF_INET : AF_INET6, o->addr, text, sizeof text) ? text : "");
}

static struct cel_val fn_canonical(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(200);
    struct cel_val ip = new_ip(c, v[0].s);
    (void)n;
    if (is_error(ip))
        return ip;
    write_ip(&b, ip.opaque);
    return b.failed ? no_memory() : val_bool(str_eq(buf_str(&b), v[0].s));
}

static struct cel_val fn_family(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_int(v[0].opaque->size == 4 ? 4 : 6);
}

static bool all_zero(const struct cel_opaque *o, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (o->addr[i])
            return false;
    return true;
}

static bool unspecified(const struct cel_opaque *o)
{
    return all_zero(o, o->size);
}
static bool loopback(const struct cel_opaque *o)
{
    return o->size == 4 ? o->addr[0] == 127 : all_zero(o, 15) && o->addr[15] == 1;
}
static bool local_multicast(const struct cel_opaque *o)
{
    return o->size == 4 ? o->addr[0] == 224 && !o->addr[1] && !o->addr[2] : o->addr[0] == 0xff && (o->addr[1] & 0x0f) == 2;
}
static bool local_unicast(const struct cel_opaque *o)
{
    return o->size == 4 ? o->addr[0] == 169 && o->addr[1] == 254 : o->addr[0] == 0xfe && (o->addr[1] & 0xc0) == 0x80;
}
static bool global_unicast(const struct cel_opaque *o)
{
    bool multicast = o->size == 4 ? (o->addr[0] & 0xf0) == 0xe0 : o->addr[0] == 0xff;
    bool broadcast = o->size == 4 && memcmp(o->addr, "\xff\xff\xff\xff", 4) == 0;
    return !unspecified(o) && !loopback(o) && !multicast && !local_unicast(o) && !broadcast;
}

#define ASK(name, is) \
    static struct cel_val name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        (void)c; \
        (void)n; \
        return val_bool(is(v[0].opaque)); \
    }
ASK(fn_unspecified, unspecified)
ASK(fn_loopback, loopback)
ASK(fn_local_multicast, local_multicast)
ASK(fn_local_unicast, local_unicast)
ASK(fn_global_unicast, global_unicast)

static struct cel_val fn_net_text(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(200);
    (void)n;
    write_ip(&b, v[0].opaque);
    if (v[0].kind == CEL_CIDR)
        buf_printf(&b, "/%u", v[0].opaque->bits);
    struct str s = arena_str(c->arena, buf_str(&b));
    return s.at && !b.failed ? val_text(s) : no_memory();
}

/* --- networks --- */

static struct cel_val new_cidr(struct cel_ctx *c, struct str s)
{
    static const char lead[] = "network address parse error during conversion from string: ";
    struct cel_opaque *o;
    struct cel_val v = val_opaque(c->arena, CEL_CIDR, &o);
    const char *slash = s.len ? memrchr(s.at, '/', s.len) : NULL, *why = NULL;
    int shown = (int)(s.len > QUOTED ? QUOTED : s.len);
    int64_t bits = -1;
    if (!o)
        return v;
    if (!slash)
        return cel_error(c->arena, "%s%snetip.ParsePrefix(\"%.*s\"): no '/'", lead, lead, shown, s.at ? s.at : "");
    struct str ip = str_n(s.at, (size_t)(slash - s.at)), n = str_n(slash + 1, s.len - ip.len - 1);
    why = read_ip(c->arena, ip, o);
    if (why && strstr(why, "IPv4-mapped"))
        return cel_error(c->arena, "%sIPv4-mapped IPv6 address \"%.*s\" is not allowed", lead, shown, s.at);
    if (why)
        return cel_error(c->arena, "%s%snetip.ParsePrefix(\"%.*s\"): %s", lead, lead, shown, s.at, strstr(why, "ParseAddr") ? strstr(why, "ParseAddr") : why);
    if (!n.len || n.len > 3 || !isdigit((unsigned char)n.at[0]) || (n.len > 1 && n.at[0] == '0') || !str_int(n, &bits))
        return cel_error(c->arena, "%s%snetip.ParsePrefix(\"%.*s\"): bad bits after slash: \"" STR_FMT "\"", lead, lead, shown, s.at, STR_ARG(n));
    if (bits > o->size * 8)
        return cel_error(c->arena, "%s%snetip.ParsePrefix(\"%.*s\"): prefix length out of range", lead, lead, shown, s.at);
    o->bits = (uint8_t)bits;
    return v;
}

static struct cel_val fn_cidr(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return new_cidr(c, v[0].s);
}

static struct cel_val fn_is_cidr(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return val_bool(!is_error(new_cidr(c, v[0].s)));
}

static bool same_bits(const struct cel_opaque *a, const struct cel_opaque *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (a->size != b->size || memcmp(a->addr, b->addr, whole) != 0)
        return false;
    return !rest || (a->addr[whole] ^ b->addr[whole]) >> (8 - rest) == 0;
}

static struct cel_val fn_contains_ip(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val ip = v[1].kind == CEL_STRING ? new_ip(c, v[1].s) : v[1];
    (void)n;
    return is_error(ip) ? ip : val_bool(same_bits(v[0].opaque, ip.opaque, v[0].opaque->bits));
}

static struct cel_val fn_contains_cidr(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val in = v[1].kind == CEL_STRING ? new_cidr(c, v[1].s) : v[1];
    (void)n;
    return is_error(in) ? in : val_bool(v[0].opaque->bits <= in.opaque->bits && same_bits(v[0].opaque, in.opaque, v[0].opaque->bits));
}

static struct cel_val fn_cidr_ip(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_opaque *o;
    struct cel_val ip = val_opaque(c->arena, CEL_IP, &o);
    (void)n;
    if (o) {
        memcpy(o->addr, v[0].opaque->addr, sizeof o->addr);
        o->size = v[0].opaque->size;
    }
    return ip;
}

static struct cel_val fn_prefix_length(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_int(v[0].opaque->bits);
}

static struct cel_val fn_masked(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_opaque *o;
    struct cel_val net = val_opaque(c->arena, CEL_CIDR, &o);
    (void)n;
    if (!o)
        return net;
    *o = *v[0].opaque;
    for (unsigned i = o->bits; i < o->size * 8u; i++)
        o->addr[i / 8] &= (unsigned char)~(0x80u >> i % 8);
    return net;
}

/* --- URLs --- */

/* NULL: fine. Absolute: a scheme, or a path from the root. */
static const char *read_url(struct arena *a, struct str s, struct cel_opaque *o)
{
    struct str rest = s;
    int shown = (int)(s.len > QUOTED ? QUOTED : s.len);
    const char *why = NULL;
    for (size_t i = 0; i < s.len && !why; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
            why = "net/url: invalid control character in URL";
    if (!s.len)
        return "parse \"\": empty url";
    long hash = str_find(s, '#'), colon = str_find(s, ':'), end = 0;
    if (hash >= 0)
        rest.len = (size_t)hash;
    while (end < (long)rest.len && (isalnum((unsigned char)rest.at[end]) || (end && strchr("+-.", rest.at[end]))))
        end++;
    if (colon == 0)
        why = why ? why : "missing protocol scheme";
    else if (colon > 0 && end == colon && isalpha((unsigned char)s.at[0])) {
        o->scheme = str_n(s.at, (size_t)colon);
        rest = str_skip(rest, (size_t)colon + 1);
    }
    o->text = s;
    if (!why && !o->scheme.len && rest.at[0] != '/')
        why = "invalid URI for request";
    if (!why && o->scheme.len && !(rest.len && rest.at[0] == '/'))
        why = "invalid URI for request";
    if (why)
        return arena_printf(a, "parse \"%.*s\": %s", shown, s.at, why);
    long mark = str_find(rest, '?');
    if (mark >= 0) {
        o->query = str_skip(rest, (size_t)mark + 1);
        rest.len = (size_t)mark;
    }
    if (str_starts(rest, STR("//")) && (o->scheme.len || !str_starts(rest, STR("///")))) {
        rest = str_skip(rest, 2);
        long slash = str_find(rest, '/');
        struct str authority = slash < 0 ? rest : str_n(rest.at, (size_t)slash);
        const char *at = authority.len ? memrchr(authority.at, '@', authority.len) : NULL;
        o->host = at ? str_skip(authority, (size_t)(at - authority.at) + 1) : authority;
        rest = str_skip(rest, authority.len);
        if (memchr(o->host.at ? o->host.at : "", ' ', o->host.len))
            return arena_printf(a, "parse \"%.*s\": invalid character \" \" in host name", shown, s.at);
    }
    o->path = rest;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.at[i] == '%' && (i + 2 >= rest.len || !isxdigit((unsigned char)rest.at[i + 1]) || !isxdigit((unsigned char)rest.at[i + 2])))
            return arena_printf(a, "parse \"%.*s\": invalid URL escape \"%.*s\"", shown, s.at, (int)(rest.len - i < 3 ? rest.len - i : 3), rest.at + i);
    return NULL;
}

static struct cel_val fn_url(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_opaque *o;
    struct cel_val url = val_opaque(c->arena, CEL_URL, &o);
    const char *why = o ? read_url(c->arena, v[0].s, o) : NULL;
    (void)n;
    return why ? cel_error(c->arena, "URL parse error during conversion from string: %s", why) : url;
}

static struct cel_val fn_is_url(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_opaque o = { 0 };
    (void)n;
    return val_bool(!read_url(c->arena, v[0].s, &o));
}

static struct str port_of(struct str host, struct str *ret_name)
{
    const char *colon = host.len ? memrchr(host.at, ':', host.len) : NULL, *end = host.len ? memrchr(host.at, ']', host.len) : NULL;
    struct str port = STR("");
    *ret_name = host;
    if (colon && (!end || colon > end)) {
        port = str_skip(host, (size_t)(colon - host.at) + 1);
        ret_name->len = (size_t)(colon - host.at);
    }
    if (ret_name->len > 1 && ret_name->at[0] == '[' && ret_name->at[ret_name->len - 1] == ']')
        *ret_name = str_n(ret_name->at + 1, ret_name->len - 2);
    return port;
}

static struct cel_val some_text(struct str s)
{
    return val_text(s.at ? s : STR(""));
}

static struct cel_val fn_scheme(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    char *text = arena_dup(c->arena, v[0].opaque->scheme);
    (void)n;
    for (char *p = text; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return text ? val_text(str_of(text)) : no_memory();
}

static struct cel_val fn_host(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return some_text(v[0].opaque->host);
}

static struct cel_val fn_hostname(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct str name;
    (void)c;
    (void)n;
    port_of(v[0].opaque->host, &name);
    return some_text(name);
}

static struct cel_val fn_port(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct str name;
    (void)c;
    (void)n;
    return some_text(port_of(v[0].opaque->host, &name));
}

/* What stands as it may stays; the rest is escaped. */
static struct cel_val fn_escaped_path(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64u << 20);
    struct str p = v[0].opaque->path;
    (void)n;
    buf_add(&b, "", 0);
    for (size_t i = 0; i < p.len; i++) {
        unsigned char ch = (unsigned char)p.at[i];
        if (isalnum(ch) || strchr("-_.~$&+,/:;=@%!'()*[]", ch))
            buf_add_c(&b, (char)ch);
        else
            buf_printf(&b, "%%%02X", ch);
    }
    struct str s = arena_str(c->arena, buf_str(&b));
    return s.at && !b.failed ? val_text(s) : no_memory();
}

static bool unescape(struct arena *a, struct str s, struct str *ret)
{
    char *out = arena_raw(a, s.len + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.len; i++) {
        if (s.at[i] == '%') {
            if (i + 2 >= s.len || !isxdigit((unsigned char)s.at[i + 1]) || !isxdigit((unsigned char)s.at[i + 2]))
                return false;
            char two[3] = { s.at[i + 1], s.at[i + 2], '\0' };
            out[n++] = (char)strtol(two, NULL, 16);
            i += 2;
        } else {
            out[n++] = s.at[i] == '+' ? ' ' : s.at[i];
        }
    }
    *ret = str_n(out, n);
    return out != NULL;
}

static struct cel_val fn_query(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct str rest = v[0].opaque->query, key, value;
    struct cel_val map = map_new(c), list;
    bool there;
    (void)n;
    while (rest.len && !is_error(map)) {
        struct str pair = str_cut(&rest, '&');
        struct str right = pair, left = str_cut(&right, '=');
        if (!pair.len || memchr(pair.at, ';', pair.len) || !unescape(c->arena, left, &key) || !unescape(c->arena, right.at ? right : STR(""), &value))
            continue;
        struct cel_val k = val_text(key);
        if (map_lookup(c, &map, k, &list)) {
            /* The list grows where it stands. */
            for (uint32_t i = 0; i < map.n_entries; i++)
                if (cel_compare(map.entries->at[i].key, k) == 0 && !list_push(c, &map.entries->at[i].value, val_text(value)))
                    return no_memory();
            continue;
        }
        list = list_new(c, 2);
        if (is_error(list) || !list_push(c, &list, val_text(value)) || !map_add(c, &map, k, list, &there))
            return no_memory();
    }
    return map;
}

const struct fn fns_net[] = {
    { "ip", "(string)ip", fn_ip, cost_tenth, est_tenth, FN_BY_NAME },
    { "ip", "cidr.()ip", fn_cidr_ip, cost_one, NULL, FN_BY_NAME },
    { "ip.isCanonical", "(string)bool", fn_canonical, cost_fifth, est_fifth, FN_BY_NAME },
    { "isIP", "(string)bool", fn_is_ip, cost_tenth, est_tenth, FN_BY_NAME },
    { "family", "ip.()int", fn_family, cost_one, NULL, FN_BY_NAME },
    { "isUnspecified", "ip.()bool", fn_unspecified, cost_one, NULL, FN_BY_NAME },
    { "isLoopback", "ip.()bool", fn_loopback, cost_one, NULL, FN_BY_NAME },
    { "isLinkLocalMulticast", "ip.()bool", fn_local_multicast, cost_one, NULL, FN_BY_NAME },
    { "isLinkLocalUnicast", "ip.()bool", fn_local_unicast, cost_one, NULL, FN_BY_NAME },
    { "isGlobalUnicast", "ip.()bool", fn_global_unicast, cost_one, NULL, FN_BY_NAME },
    { "string", "(ip)string|(cidr)string", fn_net_text, NULL, NULL, 0 },
    { "cidr", "(string)cidr", fn_cidr, cost_tenth, est_tenth, FN_BY_NAME },
    { "isCIDR", "(string)bool", fn_is_cidr, cost_tenth, est_tenth, FN_BY_NAME },
    { "containsIP", "cidr.(string)bool|cidr.(ip)bool", fn_contains_ip, cost_contains_ip, est_contains_ip, FN_BY_NAME },
    { "containsCIDR", "cidr.(string)bool|cidr.(cidr)bool", fn_contains_cidr, cost_contains_cidr, est_contains_cidr, FN_BY_NAME },
    { "prefixLength", "cidr.()int", fn_prefix_length, cost_one, NULL, FN_BY_NAME },
    { "masked", "cidr.()cidr", fn_masked, cost_one, NULL, FN_BY_NAME },
    { "url", "(string)url", fn_url, cost_tenth, est_tenth, FN_BY_NAME },
    { "isURL", "(string)bool", fn_is_url, NULL, NULL, 0 },
    { "getScheme", "url.()string", fn_scheme, cost_one, NULL, FN_BY_NAME },
    { "getHost", "url.()string", fn_host, cost_one, NULL, FN_BY_NAME },
    { "getHostname", "url.()string", fn_hostname, cost_one, NULL, FN_BY_NAME },
    { "getPort", "url.()string", fn_port, cost_one, NULL, FN_BY_NAME },
    { "getEscapedPath", "url.()string", fn_escaped_path, cost_one, NULL, FN_BY_NAME },
    { "getQuery", "url.()map(string,list(string))", fn_query, cost_one, NULL, FN_BY_NAME },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
