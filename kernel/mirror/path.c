/* path.c - URLs of the API, and the two members that lists leave out of their items. */
#include "base/json_scan.h"
#include "mirror-internal.h"

void path_of(struct buf *b, const struct schema_kind *k, struct str ns, struct str name, const char *sub)
{
    if (k->group[0])
        buf_printf(b, "/apis/%s/%s", k->group, k->version);
    else
        buf_printf(b, "/api/%s", k->version);
    if (k->flags & K_NAMESPACED && ns.len) {
        buf_add_z(b, "/namespaces/");
        http_encode(b, ns);
    }
    buf_printf(b, "/%s", k->plural);
    if (name.len) {
        buf_add_c(b, '/');
        http_encode(b, name);
    }
    if (sub) {
        buf_add_c(b, '/');
        http_encode(b, str_of(sub));
    }
}

void path_query(struct buf *b, char before, const char *key, struct str value)
{
    buf_printf(b, "%c%s=", before, key);
    http_encode(b, value);
}

void path_add_type(struct buf *b, const struct schema_kind *k, struct str object)
{
    struct str kind = json_scan_member(object, STR("kind"));
    if (kind.at || object.len < 2) {
        buf_add_str(b, object);
        return;
    }
    buf_printf(b, "{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\"", k->kind, k->group, k->group[0] ? "/" : "", k->version);
    if (object.len > 2)
        buf_add_c(b, ',');
    buf_add_str(b, str_skip(object, 1));
}
