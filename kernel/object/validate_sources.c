/* validate_sources.c - kinds of volumes that few use any more, of pods and of persistent volumes: what is more to say than which members must be there. */
#include "object/validate.h"

/* host:port, or several with commas. */
static void check_quobyte(causes c, const struct path *p, const struct val *v)
{
    struct str registry = json_str(v, "registry");
    for (struct str rest = registry; registry.len && rest.at;) {
        struct str one = str_cut(&rest, ',');
        long colon = str_find(one, ':');
        if (colon < 0 || str_find(str_skip(one, (size_t)colon + 1), ':') >= 0)
            say_invalid(c, IN(p, "registry"), registry, "must be a host:port pair or multiple pairs separated by commas");
    }
    check_required_str(c, IN(p, "volume"), json_str(v, "volume"));
}

static void check_azure_disk(causes c, const struct path *p, const struct val *v)
{
    static const char *const caching[] = { "None", "ReadOnly", "ReadWrite", NULL }, *const kinds[] = { "Dedicated", "Managed", "Shared", NULL };
    static const char *const managed[] = { "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}", NULL };
    static const char *const blob[] = { "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd", NULL };
    struct str uri = json_str(v, "diskURI"), kind = json_str(v, "kind");
    bool is_managed = str_is(kind, "Managed");
    if (json_get(v, STR("cachingMode")))
        check_choice(c, IN(p, "cachingMode"), json_str(v, "cachingMode"), caching);
    if (json_get(v, STR("kind")))
        check_choice(c, IN(p, "kind"), kind, kinds);
    if (!str_starts(uri, is_managed ? STR("/subscriptions/") : STR("https://")))
        say_unsupported(c, IN(p, "diskURI"), uri, is_managed ? managed : blob);
}

static void check_cephfs(causes c, const struct path *p, const struct val *v)
{
    const struct val *monitors = json_get(v, STR("monitors"));
    if (!monitors || !monitors->n)
        say_required(c, IN(p, "monitors"), NULL);
}

static const struct {
    const char *member;
    void (*check)(causes c, const struct path *p, const struct val *v);
} rows[] = { { "quobyte", check_quobyte }, { "azureDisk", check_azure_disk }, { "cephfs", check_cephfs } };

void check_old_source(causes c, const struct path *p, const char *member, const struct val *v)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].member, member) == 0)
            rows[i].check(c, p, v);
}
