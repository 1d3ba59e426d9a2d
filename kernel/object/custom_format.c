/* custom_format.c - the formats of strings that schemas name. */
#include <arpa/inet.h>
#include <ctype.h>

#include "base/clock.h"
#include "object/custom-internal.h"

static bool is_date_time(struct str s)
{
    int64_t ns;
    return clock_parse(s, &ns);
}

static bool is_date(struct str s)
{
    char text[64];
    snprintf(text, sizeof text, STR_FMT "T00:00:00Z", (int)(s.len < 32 ? s.len : 32), s.at);
    return s.len == 10 && is_date_time(str_of(text));
}

static bool is_ip(struct str s, int family)
{
    char text[64];
    unsigned char room[16];
    if (s.len >= sizeof text)
        return false;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(s));
    return inet_pton(family, text, room) == 1;
}

static bool is_ipv4(struct str s)
{
    return is_ip(s, AF_INET);
}

static bool is_ipv6(struct str s)
{
    return is_ip(s, AF_INET6);
}

static bool is_cidr(struct str s)
{
    int64_t bits;
    struct str rest = s, ip = str_cut(&rest, '/');
    return rest.at && str_int(rest, &bits) && bits >= 0 && ((is_ipv4(ip) && bits <= 32) || (is_ipv6(ip) && bits <= 128));
}

static bool is_uuid(struct str s)
{
    if (s.len != 36)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.at[i] != '-' : !isxdigit((unsigned char)s.at[i]))
            return false;
    }
    return true;
}

static bool is_mac(struct str s)
{
    if (s.len != 17)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (i % 3 == 2 ? s.at[i] != ':' && s.at[i] != '-' : !isxdigit((unsigned char)s.at[i]))
            return false;
    return true;
}

static bool is_byte(struct str s)
{
    return base64_valid(s);
}

static bool is_email(struct str s)
{
    long at = str_find(s, '@');
    return at > 0 && (size_t)at + 1 < s.len && !memchr(s.at, ' ', s.len);
}

static bool is_uri(struct str s)
{
    long colon = str_find(s, ':');
    if (colon < 1 || !isalpha((unsigned char)s.at[0]) || memchr(s.at, ' ', s.len))
        return false;
    for (long i = 0; i < colon; i++)
        if (!isalnum((unsigned char)s.at[i]) && !strchr("+-.", s.at[i]))
            return false;
    return (size_t)colon + 1 < s.len;
}

/* Go's: "1h2m3.5s". */
static bool is_duration(struct str s)
{
    static const char *const units[] = { "ns", "us", "ms", "s", "m", "h", "d", "w" };
    if (s.len && (s.at[0] == '-' || s.at[0] == '+'))
        s = str_skip(s, 1);
    if (str_is(s, "0"))
        return true;
    while (s.len) {
        size_t n = 0, unit = 0;
        while (n < s.len && (isdigit((unsigned char)s.at[n]) || s.at[n] == '.'))
            n++;
        s = str_skip(s, n);
        while (unit < 8 && !(str_starts(s, str_of(units[unit])) && (s.len == strlen(units[unit]) || !isalpha((unsigned char)s.at[strlen(units[unit])]))))
            unit++;
        if (!n || unit == 8)
            return false;
        s = str_skip(s, strlen(units[unit]));
        if (!s.len)
            return true;
    }
    return false;
}

bool custom_format_matches(struct str format, struct str text)
{
    static const struct {
        const char *format;
        bool (*is)(struct str s);
    } rows[] = { { "date-time", is_date_time }, { "datetime", is_date_time }, { "date", is_date }, { "ipv4", is_ipv4 }, { "ipv6", is_ipv6 },
                 { "cidr", is_cidr },           { "uuid", is_uuid },          { "mac", is_mac },   { "byte", is_byte }, { "email", is_email },
                 { "uri", is_uri },             { "duration", is_duration } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(format, rows[i].format))
            return rows[i].is(text);
    return true;
}
