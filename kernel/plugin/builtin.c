/* builtin.c - see builtin.h. */
#include "plugin/builtin.h"

static const struct plugin_builtin none[1];
static const struct plugin_builtin *table = none;

void builtin_set(const struct plugin_builtin *all)
{
    table = all;
}

const struct plugin_builtin *builtin_at(unsigned i)
{
    for (unsigned k = 0; table[k].name; k++)
        if (k == i)
            return &table[k];
    return NULL;
}

const struct plugin_builtin *builtin_named(struct str name)
{
    for (const struct plugin_builtin *b = table; b->name; b++)
        if (str_is(name, b->name))
            return b;
    return NULL;
}

const struct plugin_builtin *builtin_of_file(const char *file)
{
    struct str s = str_of(file);
    return str_starts(s, STR(BUILTIN_PREFIX)) ? builtin_named(str_skip(s, sizeof BUILTIN_PREFIX - 1)) : NULL;
}

static void add(char *ret, size_t room, const char *one, const char *other)
{
    size_t n = strlen(ret);
    snprintf(ret + n, room - n, "%s%s%s%s", n ? " " : "", one, other[0] ? ":" : "", other);
}

void builtin_note(const struct kl_plugin *p, struct plugin_note *ret)
{
    memset(ret, 0, sizeof *ret);
    snprintf(ret->abi, sizeof ret->abi, "%u", p->abi_major);
    snprintf(ret->id, sizeof ret->id, "%s", p->id);
    snprintf(ret->version, sizeof ret->version, "%s", p->version);
    for (uint32_t i = 0; i < p->providers.n; i++)
        add(ret->provides, sizeof ret->provides, KL_AT(struct kl_provider, p->providers, i)->iface, KL_AT(struct kl_provider, p->providers, i)->name);
    for (uint32_t i = 0; i < p->needs.n; i++)
        add(ret->needs, sizeof ret->needs, KL_AT(struct kl_need, p->needs, i)->id, "");
}

const struct kl_plugin *builtin_plugin(const char *file)
{
    const struct plugin_builtin *b = builtin_of_file(file);
    return b ? b->plugin : NULL;
}
