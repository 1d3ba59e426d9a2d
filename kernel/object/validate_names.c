/* validate_names.c - the grammars of names, each with upstream's words for what is wrong. */
#include "object/validate.h"

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool letter(char c)
{
    return lower(c) || (c >= 'A' && c <= 'Z');
}
static bool lower_or_digit(char c)
{
    return lower(c) || digit(c);
}
static bool alnum(char c)
{
    return letter(c) || digit(c);
}

static bool is_label(struct str s)
{
    if (!s.len || !lower_or_digit(s.at[0]) || !lower_or_digit(s.at[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!lower_or_digit(s.at[i]) && s.at[i] != '-')
            return false;
    return true;
}

static bool is_label_1035(struct str s)
{
    return is_label(s) && lower(s.at[0]);
}

static bool each_part(struct str s, bool (*is)(struct str part))
{
    if (!s.at)
        return false;
    while (s.at)
        if (!is(str_cut(&s, '.')))
            return false;
    return true;
}

static bool is_subdomain(struct str s)
{
    return each_part(s, is_label);
}

static bool is_label_underscore(struct str s)
{
    if (s.len && s.at[0] == '_')
        s = str_skip(s, 1);
    if (!s.len || !lower_or_digit(s.at[0]) || !lower_or_digit(s.at[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!lower_or_digit(s.at[i]) && s.at[i] != '-' && s.at[i] != '_')
            return false;
    return true;
}

static bool is_subdomain_underscore(struct str s)
{
    return each_part(s, is_label_underscore);
}

static bool is_wildcard(struct str s)
{
    return str_starts(s, STR("*.")) && is_subdomain(str_skip(s, 2));
}

static bool is_name_part(struct str s)
{
    if (!s.len || !alnum(s.at[0]) || !alnum(s.at[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!alnum(s.at[i]) && s.at[i] != '-' && s.at[i] != '_' && s.at[i] != '.')
            return false;
    return true;
}

static bool is_label_value(struct str s)
{
    return !s.len || is_name_part(s);
}

static bool is_config_key(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!alnum(s.at[i]) && s.at[i] != '-' && s.at[i] != '_' && s.at[i] != '.')
            return false;
    return s.len != 0;
}

static bool is_env_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || (unsigned char)s.at[i] > 0x7e || s.at[i] == '=')
            return false;
    return true;
}

static bool is_http_header(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!alnum(s.at[i]) && s.at[i] != '-')
            return false;
    return s.len != 0;
}

static bool is_percent(struct str s)
{
    if (s.len < 2 || s.at[s.len - 1] != '%')
        return false;
    for (size_t i = 0; i + 1 < s.len; i++)
        if (!digit(s.at[i]))
            return false;
    return true;
}

static bool is_url_path(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!alnum(s.at[i]) && (!s.at[i] || !strchr("/-._~%!$&'()*+,;=:", s.at[i])))
            return false;
    return s.len != 0;
}

#define LABEL_WORDS "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an " \
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN_WORDS "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " \
    "alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define PART_WORDS "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or " \
    "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

static const struct {
    enum grammar g;
    size_t most;                        /* 0: no limit */
    const char *unit;
    bool (*is)(struct str s);
    const char *words;
} rows[] = {
    { G_SUBDOMAIN, 253, "characters", is_subdomain, SUBDOMAIN_WORDS },
    { G_LABEL, 63, "characters", is_label, LABEL_WORDS },
    { G_LABEL_1035, 63, "characters", is_label_1035, "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
      "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')" },
    { G_LABEL_VALUE, 63, "bytes", is_label_value, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
      "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
      "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')" },
    { G_ENV_NAME, 0, NULL, is_env_name, "a valid environment variable name must consist only of printable ASCII characters other than '='" },
    { G_HTTP_HEADER, 0, NULL, is_http_header, "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
      "validation is '[-A-Za-z0-9]+')" },
    { G_SUBDOMAIN_UNDERSCORE, 253, "characters", is_subdomain_underscore, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
      "'_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
      "'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')" },
    { G_WILDCARD_SUBDOMAIN, 253, "characters", is_wildcard, "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
      "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is "
      "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')" },
    { G_PERCENT, 0, NULL, is_percent, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
      "validation is '[0-9]+%')" },
};

struct errors {
    struct arena *a;
    const char **at;
    unsigned n, most;
};

static void err(struct errors *e, const char *prefix, const char *text)
{
    if (e->n < e->most)
        e->at[e->n++] = prefix[0] ? arena_printf(e->a, "%s%s", prefix, text) : text;
}

static void by_row(struct errors *e, struct str s, enum grammar g, const char *prefix, const char *unit)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].g != g)
            continue;
        if (rows[i].most && s.len > rows[i].most)
            err(e, prefix, arena_printf(e->a, "must be no more than %zu %s", rows[i].most, unit ? unit : rows[i].unit));
        if (!rows[i].is(s))
            err(e, prefix, g == G_LABEL && is_subdomain(s) ? "must not contain dots" : rows[i].words);
    }
}

static void qualified(struct errors *e, struct str s)
{
    struct str name = s, prefix = STR_NONE;
    if (str_find(s, '/') >= 0)
        prefix = str_cut(&name, '/');
    if (name.at && str_find(name, '/') >= 0) {
        err(e, "", "a valid label key " PART_WORDS " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
        return;
    }
    if (prefix.at && !prefix.len)
        err(e, "prefix part ", "must be non-empty");
    else if (prefix.at)
        by_row(e, prefix, G_SUBDOMAIN, "prefix part ", "bytes");
    if (!name.len)
        err(e, "name part ", "must be non-empty");
    else if (name.len > 63)
        err(e, "name part ", "must be no more than 63 bytes");
    if (!is_name_part(name))
        err(e, "name part ", PART_WORDS);
}

static void config_key(struct errors *e, struct str s)
{
    if (s.len > 253)
        err(e, "", "must be no more than 253 characters");
    if (!is_config_key(s))
        err(e, "", "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex "
            "used for validation is '[-._a-zA-Z0-9]+')");
    if (str_is(s, "."))
        err(e, "", "must not be '.'");
    else if (str_is(s, ".."))
        err(e, "", "must not be '..'");
    else if (str_starts(s, STR("..")))
        err(e, "", "must not start with '..'");
}

static void port_name(struct errors *e, struct str s)
{
    bool any = false, odd = false, twice = false;
    for (size_t i = 0; i < s.len; i++) {
        any |= lower(s.at[i]);
        odd |= !lower_or_digit(s.at[i]) && s.at[i] != '-';
        twice |= i && s.at[i] == '-' && s.at[i - 1] == '-';
    }
    if (s.len > 15)
        err(e, "", "must be no more than 15 characters");
    if (odd || !s.len)
        err(e, "", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    if (!any)
        err(e, "", "must contain at least one letter (a-z)");
    if (twice)
        err(e, "", "must not contain consecutive hyphens");
    if (s.len && (s.at[0] == '-' || s.at[s.len - 1] == '-'))
        err(e, "", "must not begin or end with a hyphen");
}

static void env_name(struct errors *e, struct str s)
{
    if (!s.len)
        err(e, "", "environment variable name must be non-empty");
    by_row(e, s, G_ENV_NAME, "", NULL);
}

static void path_segment(struct errors *e, struct str s)
{
    static const char *const bad[] = { "/", "%" };
    if (str_is(s, ".") || str_is(s, ".."))
        err(e, "", arena_printf(e->a, "may not be '" STR_FMT "'", STR_ARG(s)));
    for (int i = 0; i < 2; i++)
        if (str_find(s, bad[i][0]) >= 0)
            err(e, "", arena_printf(e->a, "may not contain '%s'", bad[i]));
}

static void fqdn(struct errors *e, struct str s)
{
    if (!s.len) {
        err(e, "", "Required value");
        return;
    }
    unsigned before = e->n;
    by_row(e, s, G_SUBDOMAIN, "", NULL);
    if (e->n == before && str_find(s, '.') < 0)
        err(e, "", "should be a domain with at least two segments separated by dots");
}

static void domain_prefixed(struct errors *e, struct str s)
{
    struct str rest = s, host = str_cut(&rest, '/');
    if (!rest.at || !host.len || !rest.len) {
        err(e, "", "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    }
    by_row(e, host, G_SUBDOMAIN, "", NULL);
    if (!is_url_path(rest))
        err(e, "", "must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'path', regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
}

unsigned name_errors(struct arena *a, struct str s, enum grammar g, const char **ret, unsigned most)
{
    struct errors e = { a, ret, 0, most };
    switch (g) {
    case G_QUALIFIED: qualified(&e, s); break;
    case G_CONFIG_KEY: config_key(&e, s); break;
    case G_PORT_NAME: port_name(&e, s); break;
    case G_ENV_NAME: env_name(&e, s); break;
    case G_PATH_SEGMENT: path_segment(&e, s); break;
    case G_FQDN: fqdn(&e, s); break;
    case G_DOMAIN_PREFIXED_PATH: domain_prefixed(&e, s); break;
    default: by_row(&e, s, g, "", NULL);
    }
    return e.n;
}

const char *name_wrong(causes c, struct str s, enum grammar g)
{
    const char *why[4], *text = NULL;
    unsigned n = name_errors(c->arena, s, g, why, 4);
    for (unsigned i = 0; i < n; i++)
        text = i ? words(c, "%s,%s", text, why[i]) : why[i];
    return text;
}

bool check_name(causes c, const struct path *p, struct str s, enum grammar g)
{
    const char *texts[6];
    unsigned n = name_errors(c->arena, s, g, texts, 6);
    for (unsigned i = 0; i < n; i++)
        say_invalid(c, p, s, texts[i]);
    return n == 0;
}

bool check_name_caseless(causes c, const struct path *p, struct str s, enum grammar g)
{
    const char *texts[6];
    char *low = arena_dup(c->arena, s);
    for (char *at = low; at && *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
    unsigned n = low ? name_errors(c->arena, str_of(low), g, texts, 6) : 0;
    for (unsigned i = 0; i < n; i++)
        say_invalid(c, p, s, texts[i]);
    return n == 0;
}

bool check_driver(causes c, const struct path *p, struct str name)
{
    if (!check_required_str(c, p, name))
        return false;
    if (name.len > 63)
        say_too_long(c, p, 63, "bytes");
    return check_name_caseless(c, p, name, G_SUBDOMAIN);
}

/* Without texts: what the common good name costs. */
bool is_name(struct str s, enum grammar g)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].g == g && g != G_ENV_NAME)
            return (!rows[i].most || s.len <= rows[i].most) && rows[i].is(s);
    return false;
}
