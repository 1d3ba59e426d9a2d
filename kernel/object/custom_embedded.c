/* custom_embedded.c - whole objects within a custom resource (x-kubernetes-embedded-resource): that they have a kind, and metadata like others. */
#include <ctype.h>

#include "object/custom-internal.h"
#include "object/validate.h"

static void check_version(causes c, const struct path *p, const struct val *version)
{
    struct str s = val_str(version), rest = s;
    if (!version)
        say_required(c, p, NULL);
    else if (!s.len)
        say_invalid(c, p, s, "must not be empty");
    else if (str_cut(&rest, '/').at && rest.at && str_find(rest, '/') >= 0)
        say_invalid(c, p, s, words(c, "unexpected GroupVersion string: " STR_FMT, STR_ARG(s)));
}

static void check_kind(causes c, const struct path *p, const struct val *kind)
{
    struct str s = val_str(kind);
    if (!kind) {
        say_required(c, p, NULL);
        return;
    }
    if (!s.len) {
        say_invalid(c, p, s, "must not be empty");
        return;
    }
    char *lower = arena_dup(c->arena, s);
    for (char *x = lower; x && *x; x++)
        *x = (char)tolower((unsigned char)*x);
    const char *why = name_wrong(c, str_of(lower ? lower : ""), G_LABEL_1035);
    if (why)
        say_invalid(c, p, s, words(c, "may have mixed case, but should otherwise match: %s", why));
}

static void check_resource(causes c, const struct path *p, const struct val *v)
{
    const struct val *meta = json_get(v, STR("metadata"));
    check_version(c, IN(p, "apiVersion"), json_get(v, STR("apiVersion")));
    check_kind(c, IN(p, "kind"), json_get(v, STR("kind")));
    if (val_is(meta, VAL_OBJ))
        check_embedded_meta(c, IN(p, "metadata"), meta);
}

void custom_check_embedded(causes c, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *props = json_get(schema, STR("properties")), *additional = json_get(schema, STR("additionalProperties"));
    long i = 0;
    if (!val_is(schema, VAL_OBJ))
        return;
    if (val_is(v, VAL_OBJ)) {
        if (json_bool(schema, "x-kubernetes-embedded-resource", false))
            check_resource(c, p, v);
        val_each(m, v) {
            const struct val *own = json_get(props, val_key(m));
            if (own)
                custom_check_embedded(c, own, m, &(struct path){ p, val_key(m), 0 });
            else if (additional)
                custom_check_embedded(c, additional, m, KEY(p, val_key(m)));
        }
    } else if (val_is(v, VAL_ARR)) {
        val_each(x, v) custom_check_embedded(c, json_get(schema, STR("items")), x, ITEM(p, i++));
    }
}
