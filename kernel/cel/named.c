/* named.c - named formats: names of Kubernetes by the grammars that its own objects are checked with, the others by those of schemas. */
#include "cel/named.h"

#include "object/custom-internal.h"
#include "object/validate.h"

struct named_format {
    const char *name;
    enum grammar grammar;               /* 0: of schemas */
    bool prefix;                        /* a trailing dash is fine: something follows */
    const char *format, *why;
    unsigned regex;
};

static const struct named_format formats[] = {
    { "dns1123Label", G_LABEL, false, NULL, NULL, 30 },
    { "dns1123Subdomain", G_SUBDOMAIN, false, NULL, NULL, 60 },
    { "dns1035Label", G_LABEL_1035, false, NULL, NULL, 30 },
    { "qualifiedName", G_QUALIFIED, false, NULL, NULL, 60 },
    { "dns1123LabelPrefix", G_LABEL, true, NULL, NULL, 30 },
    { "dns1123SubdomainPrefix", G_SUBDOMAIN, true, NULL, NULL, 60 },
    { "dns1035LabelPrefix", G_LABEL_1035, true, NULL, NULL, 30 },
    { "labelValue", G_LABEL_VALUE, false, NULL, NULL, 40 },
    { "uri", 0, false, "uri", "invalid URI for request", 1103 },
    { "uuid", 0, false, "uuid", "does not match the UUID format", 71 },
    { "byte", 0, false, "byte", "invalid base64", 84 },
    { "date", 0, false, "date", "invalid date", 71 },
    { "datetime", 0, false, "datetime", "invalid datetime", 71 },
};

const struct named_format *named_format(struct str name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (str_is(name, formats[i].name))
            return &formats[i];
    return NULL;
}

unsigned named_format_regex(const struct named_format *f)
{
    return f->regex;
}

unsigned named_format_errors(struct arena *a, const struct named_format *f, struct str s, const char **ret, unsigned most)
{
    if (f->grammar) {
        /* What stands in for the rest of the name: one letter in place of the dash. */
        struct str whole = f->prefix && str_ends(s, STR("-")) ? str_of(arena_printf(a, STR_FMT "a", (int)s.len - 1, s.at)) : s;
        return name_errors(a, whole, f->grammar, ret, most);
    }
    if (custom_format_matches(str_of(f->format), s))
        return 0;
    ret[0] = strcmp(f->name, "uri") == 0 ? arena_printf(a, "parse \"" STR_FMT "\": %s", STR_ARG(s), f->why) : f->why;
    return 1;
}
