/* values.c - what the settings of a process may be, told where they were written: in a file, or on the command line. */
#include <arpa/inet.h>

#include "base/quantity.h"
#include "cli/cli.h"
#include "cli/daemon.h"

static bool is_port(const char *s)
{
    int64_t n;
    return str_int(str_of(s), &n) && n >= 1 && n <= 65535;
}

static bool is_port_or_free(const char *s)
{
    return is_port(s) || strcmp(s, "0") == 0;
}

static bool is_ports(const char *s)
{
    struct str last = str_of(s), first = str_cut(&last, '-');
    int64_t a, b;
    return str_int(first, &a) && last.at && str_int(last, &b) && a >= 1 && b <= 65535 && a <= b;
}

static bool is_address(const char *s)
{
    struct in_addr a;
    return inet_pton(AF_INET, s, &a) == 1;
}

static bool is_address_or_none(const char *s)
{
    return !*s || is_address(s);
}

static bool is_range(const char *s)
{
    struct str bits = str_of(s), address = str_cut(&bits, '/');
    char text[32];
    int64_t n;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(address));
    return address.len < sizeof text && is_address(text) && bits.at && str_int(bits, &n) && n >= 0 && n <= 32;
}

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.");
    return n > 0 && n < 254 && !s[n] && !strchr("-.", s[0]) && !strchr("-.", s[n - 1]);
}

static bool is_some(const char *s)
{
    return *s != '\0';
}

bool options_bytes(const char *s, size_t *ret)
{
    struct quantity q;
    int64_t n = quantity_parse(str_of(s), &q) ? quantity_value(q) : -1;
    *ret = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

static bool is_count(const char *s)
{
    int64_t n;
    return str_int(str_of(s), &n) && n >= 0 && n <= 1000000;
}

static bool is_bytes(const char *s)
{
    size_t n;
    return options_bytes(s, &n);
}

static bool is_verify(const char *s)
{
    return strcmp(s, "off") == 0 || strcmp(s, "warn") == 0 || strcmp(s, "enforce") == 0;
}

static const struct {
    const char *flag;
    bool (*ok)(const char *s);
    const char *must;
} rules[] = {
    { "--port", is_port_or_free, "0..65535" },
    { "--node-port", is_port_or_free, "0..65535" },
    { "--node-ports", is_ports, "two ports such as 30000-32767" },
    { "--address", is_address, "an IPv4 address" },
    { "--node-address", is_address_or_none, "an IPv4 address" },
    { "--service-cidr", is_range, "a range of addresses such as 10.96.0.0/12" },
    { "--cluster-cidr", is_range, "a range of addresses such as 10.96.0.0/12" },
    { "--cluster-domain", is_name, "a name of small letters, digits, '-' and '.'" },
    { "--max-requests-inflight", is_count, "0..1000000" },
    { "--audit-event-max", is_bytes, "a number of bytes such as 100Ki" },
    { "--node-name", is_name, "a name of small letters, digits, '-' and '.'" },
    { "--state-dir", is_some, "a folder" },
    { "--run-dir", is_some, "a folder" },
    { "--log-dir", is_some, "a folder" },
    { "--verify", is_verify, "off, warn or enforce" },
    { "--trusted-keys", is_some, "a folder" },
};

int options_check_value(const char *flag, const char *value, const char *where)
{
    for (size_t i = 0; value && i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].flag, flag) == 0 && !rules[i].ok(value))
            return cli_fail(2, "%s is '%s', must be %s", where, value, rules[i].must);
    return 0;
}
