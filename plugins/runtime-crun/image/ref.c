/* ref.c - image references: what is a valid one, and which full names a short one may mean. */
#include "image/internal.h"

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("._-/:", c)) || (c >= 'A' && c <= 'Z');
}

/* "name[:tag][@digest]"; paths are never made of names, so this is about clear messages. */
static bool ref_valid(const char *ref)
{
    size_t n = strlen(ref);
    if (n == 0 || n > 400 || ref[0] == '/' || ref[0] == '.' || ref[0] == '-' || ref[0] == ':')
        return false;
    const char *at = strchr(ref, '@');
    size_t name_len = at ? (size_t)(at - ref) : n;
    for (size_t i = 0; i < name_len; i++)
        if (!name_char(ref[i]) || (ref[i] == '/' && (ref[i + 1] == '/' || i + 1 == name_len)))
            return false;
    return name_len > 0 && ref[name_len - 1] != ':' && (!at || digest_valid(str_of(at + 1)));
}

static const char *tag_of(const char *ref)
{
    const char *slash = strrchr(ref, '/');
    return strchr(slash ? slash : ref, ':') ? "" : ":latest";
}

static bool has_registry(const char *ref)
{
    const char *slash = strchr(ref, '/');
    if (!slash)
        return false;
    struct str first = str_n(ref, (size_t)(slash - ref));
    return str_find(first, '.') >= 0 || str_find(first, ':') >= 0 || str_is(first, "localhost");
}

int ref_full(const char *ref, bool local, char ret[IMAGE_NAME_MOST], struct kl_err *err)
{
    if (!ref_valid(ref) || strchr(ref, '@'))
        return kl_err_set(err, KL_INVALID, "'%.120s' is not an image name (such as localhost/app:1.0)", ref);
    const char *prefix = "";
    if (!has_registry(ref))
        prefix = local ? "localhost/" : strchr(ref, '/') ? "docker.io/" : "docker.io/library/";
    snprintf(ret, IMAGE_NAME_MOST, "%s%s%s", prefix, ref, tag_of(ref));
    return 0;
}

int ref_canonical(const char *ref, char ret[IMAGE_NAME_MOST], struct kl_err *err)
{
    if (!ref_valid(ref))
        return kl_err_set(err, KL_INVALID, "'%.120s' is not an image reference (such as localhost/app:1.0)", ref);
    const char *at = strchr(ref, '@');
    char name[IMAGE_NAME_MOST];
    snprintf(name, sizeof name, "%.*s", at ? (int)(at - ref) : (int)strlen(ref), ref);
    const char *prefix = has_registry(name) ? "" : strchr(name, '/') ? "docker.io/" : "docker.io/library/";
    snprintf(ret, IMAGE_NAME_MOST, "%s%.400s%s", prefix, name, at ? at : tag_of(name));
    return 0;
}

bool ref_candidate(const char *ref, unsigned n, char ret[IMAGE_NAME_MOST])
{
    static const char *const prefixes[] = { "", "docker.io/library/", "docker.io/", "localhost/" };
    if (!ref_valid(ref) || n >= (has_registry(ref) ? 1 : sizeof prefixes / sizeof *prefixes))
        return false;
    const char *at = strchr(ref, '@');
    char name[IMAGE_NAME_MOST];
    snprintf(name, sizeof name, "%.*s", at ? (int)(at - ref) : (int)strlen(ref), ref);
    snprintf(ret, IMAGE_NAME_MOST, "%s%.400s%s", prefixes[n], name, at ? "" : tag_of(name));
    return true;
}
