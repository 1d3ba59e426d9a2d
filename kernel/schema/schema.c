/* schema.c - look-ups over the generated tables. */
#include "schema/schema-internal.h"

#include "base/map.h"

static struct map by_kind, by_resource, by_name, by_type;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Keys are "group/version/Kind" and "group/version/plural"; the texts live as long as the process. */
static char keys[64 << 10];
static size_t keys_used;

static struct str key3(char *at, size_t room, struct str a, struct str b, struct str c)
{
    size_t n = a.len + b.len + c.len + 2;
    if (n > room)
        return STR_NONE;
    char *p = at;
    memcpy(p, a.at ? a.at : "", a.len);
    p += a.len;
    *p++ = '/';
    memcpy(p, b.at ? b.at : "", b.len);
    p += b.len;
    *p++ = '/';
    memcpy(p, c.at ? c.at : "", c.len);
    return str_n(at, n);
}

static void put(struct map *m, const char *a, const char *b, const char *c, const void *v)
{
    struct str key = key3(keys + keys_used, sizeof keys - keys_used, str_of(a), str_of(b), str_of(c));
    if (!key.at || map_get(m, key))
        return;
    keys_used += key.len;
    map_put(m, key, (void *)v);
}

static const struct schema_package *package_of(const struct schema_type *t)
{
    size_t n = strlen(t->name) - strlen(t->go) - 1;
    for (size_t i = 0; i < schema_package_count; i++)
        if (strlen(schema_packages[i].name) == n && memcmp(schema_packages[i].name, t->name, n) == 0)
            return &schema_packages[i];
    return NULL;
}

static void fill(void)
{
    for (size_t i = 0; i < schema_kind_count; i++) {
        const struct schema_kind *k = &schema_kinds[i];
        put(&by_kind, k->group, k->version, k->kind, k);
        put(&by_resource, k->group, k->version, k->plural, k);
        put(&by_resource, k->group, "", k->plural, k);
        if (k->storage == k)
            map_put(&by_name, str_of(k->resource), (void *)k);
    }
    for (size_t i = 0; i < schema_type_count; i++) {
        const struct schema_type *t = &schema_types[i];
        const struct schema_package *p = package_of(t);
        map_put(&by_name, str_of(t->name), (void *)t);
        if (!t->has_typemeta || !p)
            continue;
        put(&by_type, p->group, p->version, t->go, t);
        if (strcmp(p->group, "meta.k8s.io") == 0)
            put(&by_type, "", "v1", t->go, t);
    }
    for (size_t i = 0; i < 20 && schema_scalars[i].kind != T_STRINGS; i++)
        map_put(&by_name, str_of(schema_scalars[i].name), (void *)&schema_scalars[i]);
}

static const void *find3(const struct map *m, struct str a, struct str b, struct str c)
{
    char room[512];
    pthread_once(&once, fill);
    struct str key = key3(room, sizeof room, a, b, c);
    return key.at ? map_get(m, key) : NULL;
}

size_t schema_n_kinds(void)
{
    return schema_kind_count + custom_count();
}

const struct schema_kind *schema_kind_at(size_t i)
{
    return i < schema_kind_count ? &schema_kinds[i] : custom_at(i - schema_kind_count);
}

const struct schema_kind *schema_kind_find(struct str group, struct str version, struct str kind)
{
    const struct schema_kind *k = find3(&by_kind, group, version, kind);
    return k ? k : custom_find(&(struct custom_query){ .group = group, .version = version, .kind = kind });
}

const struct schema_kind *schema_resource_find(struct str group, struct str version, struct str plural)
{
    const struct schema_kind *k = find3(&by_resource, group, version, plural);
    return k ? k : custom_find(&(struct custom_query){ .group = group, .version = version, .plural = plural });
}

const struct schema_kind *schema_resource_by_name(struct str resource)
{
    pthread_once(&once, fill);
    const struct schema_kind *k = map_get(&by_name, resource);
    return k ? k : custom_find(&(struct custom_query){ .resource = resource });
}

const struct schema_type *schema_type_find(struct str group, struct str version, struct str kind)
{
    const struct schema_type *t = find3(&by_type, group, version, kind);
    const struct schema_kind *k = t ? NULL : custom_find(&(struct custom_query){ .group = group, .version = version, .kind = kind });
    return t ? t : k ? k->type : find3(&by_type, STR(""), STR("v1"), kind);
}

const struct schema_type *schema_type_by_name(struct str name)
{
    pthread_once(&once, fill);
    return map_get(&by_name, name);
}

size_t schema_n_types(void)
{
    return schema_type_count;
}

const struct schema_type *schema_type_at(size_t i)
{
    return &schema_types[i];
}

#define NEAR 8                          /* how far members that are absent put the next one */

int schema_flat_find(const struct schema_type *t, struct str json, unsigned guess)
{
    if (t->hashed) {
        unsigned at = t->hashed[schema_hash(json)];
        if (!at)
            return -1;
        const struct schema_field *f = t->flat[at - 1];
        if (f->json == json.at || (f->json_len == json.len && str_same(f->json, json.at, json.len)))
            return (int)at - 1;
    }
    unsigned near = t->hashed ? 0 : guess + NEAR < t->n_flat ? guess + NEAR : t->n_flat;
    for (unsigned i = guess; i < near; i++)
        if (str_eq(str_n(t->flat[i]->json, t->flat[i]->json_len), json))
            return (int)i;
    unsigned low = 0, high = t->n_flat;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        const struct schema_field *f = t->flat[t->sorted[mid]];
        int c = str_cmp(json, str_n(f->json, f->json_len));
        if (c == 0)
            return t->sorted[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return -1;
}

const struct schema_field *schema_field_find(const struct schema_type *t, struct str json)
{
    int i = schema_flat_find(t, json, 0);
    return i < 0 ? NULL : t->flat[i];
}

const struct schema_field *schema_field_by_tag(const struct schema_type *t, uint32_t tag)
{
    for (unsigned i = 0; i < t->n_fields; i++)
        if (t->fields[i].tag == tag)
            return &t->fields[i];
    return NULL;
}
