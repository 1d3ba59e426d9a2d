/* openapi_share.c - form 2 has a parameter once, below a name that ends in a hash of it, and references where it is taken: the document is a third as long.
 * Those that clients look for in their place stay there. */
#include "base/base64url.h"
#include "openapi-internal.h"

static bool stays(const struct val *p)
{
    struct str name = json_str(p, "name"), in = json_str(p, "in"), type = json_str(json_get(p, STR("schema")), "$ref");
    if (str_is(in, "body"))
        return !str_starts(type, STR("#/definitions/io.k8s.apimachinery"));
    return str_is(name, "name") || str_is(name, "fieldValidation") || str_is(name, "dryRun");
}

static uint64_t fnv64(struct str s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        h = h * 0x100000001b3u ^ (unsigned char)s.at[i];
    return h;
}

/* Where each of them is known as what; by its text. */
static const char *name_of(struct openapi *d, struct map *known, struct val *all, const struct val *p)
{
    _cleanup_buf_ struct buf text = BUF_INIT(0), hash = BUF_INIT(64);
    json_write(&text, p);
    const char *name = text.failed ? NULL : map_get(known, buf_str(&text));
    if (name || text.failed)
        return name;
    unsigned char bytes[6];
    uint64_t h = fnv64(buf_str(&text));
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(h >> (56 - 8 * i));
    base64url_encode(&hash, bytes, sizeof bytes);
    struct str own = arena_str(d->a, buf_str(&text));
    name = arena_printf(d->a, STR_FMT "-" STR_FMT, STR_ARG(json_str(p, "name")), STR_ARG(buf_str(&hash)));
    if (!name || !own.at)
        return NULL;
    map_put(known, own, (void *)(uintptr_t)name);
    json_set(d->a, all, str_of(name), val_copy(d->a, p));
    return name;
}

static void share(struct openapi *d, struct map *known, struct val *all, struct val *holder)
{
    struct val *list = json_get(holder, STR("parameters"));
    if (!val_is(list, VAL_ARR))
        return;
    val_each(p, list) {
        const char *name = stays(p) ? NULL : name_of(d, known, all, p);
        if (!name)
            continue;
        p->first = p->last = NULL;
        p->n = 0;
        openapi_put(d->a, p, "$ref", arena_printf(d->a, "#/parameters/%s", name));
    }
}

void openapi_share_parameters(struct openapi *d, struct val *document)
{
    struct map known = { 0 };
    struct val *all = val_new(d->a, VAL_OBJ);
    val_each(path, d->paths) {
        val_each(op, path) if (val_is(op, VAL_OBJ)) share(d, &known, all, op);
        share(d, &known, all, path);
    }
    map_free(&known);
    json_sort(d->a, all);
    json_set(d->a, document, STR("parameters"), all);
}
