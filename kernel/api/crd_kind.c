/* crd_kind.c - a CustomResourceDefinition as kinds: rows for its versions' roots, schemas for what is below. */
#include "crd.h"

#include "base/json_scan.h"
#include "object/base64.h"
#include "object/certificates.h"

static const char *text_dup(struct arena *a, struct str s)
{
    const char *z = arena_dup(a, s);
    return z ? z : "";
}

static const char *joined(struct arena *a, const struct val *list, const char *member)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    if (!val_is(list, VAL_ARR) || !list->n)
        return NULL;
    val_each(v, list) {
        struct str s = member ? json_str(v, member) : val_str(v);
        if (member && s.len && s.at[0] == '.')
            s = str_skip(s, 1);
        if (b.len)
            buf_add_c(&b, ',');
        buf_add_str(&b, s);
    }
    return text_dup(a, buf_str(&b));
}

/* A tree whose texts are its own: those with escapes stand in the arena of the one it comes from. */
static struct val *own_copy(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    if (!v)
        return NULL;
    json_write(&b, v);
    struct str text = arena_str(a, buf_str(&b));
    return b.failed || !text.at ? NULL : json_parse(a, text, NULL);
}

/* Text of the version's schema within the definition's own bytes. */
static struct str schema_text(struct str crd, unsigned version)
{
    struct str list = json_scan_path(crd, "spec.versions"), item = STR_NONE;
    for (unsigned i = 0; i <= version; i++)
        if (!json_scan_item(&list, &item))
            return STR_NONE;
    return json_scan_path(item, "schema.openAPIV3Schema");
}

/* "com.example.stable.v1.CronTab" */
static const char *type_name(struct arena *a, struct str group, struct str version, struct str kind)
{
    struct str parts[32], rest = group;
    unsigned n = 0;
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    while (rest.at && n < 32)
        parts[n++] = str_cut(&rest, '.');
    while (n-- > 0)
        buf_printf(&b, STR_FMT ".", STR_ARG(parts[n]));
    buf_printf(&b, STR_FMT "." STR_FMT, STR_ARG(version), STR_ARG(kind));
    return text_dup(a, buf_str(&b));
}

static bool is_required(struct str schema, struct str name)
{
    struct str list = json_scan_member(schema, STR("required")), item;
    while (list.at && json_scan_item(&list, &item))
        if (str_eq(json_scan_text(item), name))
            return true;
    return false;
}

static unsigned count_members(struct str schema)
{
    struct str at = json_scan_member(schema, STR("properties")), key, value;
    unsigned n = 0;
    while (at.at && n < CRD_MEMBERS && json_scan_next(&at, &key, &value))
        n++;
    return n;
}

/* The root's members: metadata as everywhere, each property by its part of the schema. */
static struct schema_type *root_type(struct crd_kinds *d, struct crd_version *v, struct str schema)
{
    struct arena *a = d->arena;
    unsigned most = count_members(schema) + 1;
    struct schema_type *t = arena_alloc(a, sizeof *t), *parts = arena_alloc(a, most * sizeof *parts);
    struct schema_field *f = arena_alloc(a, most * sizeof *f);
    const struct schema_field **flat = arena_alloc(a, most * sizeof *flat);
    uint8_t *sorted = arena_alloc(a, most);
    if (!t || !parts || !f || !flat || !sorted)
        return NULL;
    unsigned n = 0;
    f[n++] = (struct schema_field){ .json = "metadata", .json_len = 8, .shape = SHAPE_ONE, .flags = F_SHOWN,
                                    .type = schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")) };
    struct str at = json_scan_member(schema, STR("properties")), key, value;
    while (at.at && json_scan_next(&at, &key, &value) && n < most) {
        if (str_is(key, "apiVersion") || str_is(key, "kind") || str_is(key, "metadata") || key.len > 255)
            continue;
        parts[n] = (struct schema_type){ .name = "", .go = "", .kind = T_CUSTOM, .custom = custom_schema_part(a, v->schema, key) };
        f[n] = (struct schema_field){ .json = text_dup(a, key), .json_len = (uint8_t)key.len, .shape = SHAPE_ONE, .type = &parts[n],
                                      .flags = (uint16_t)(F_OMITEMPTY | (is_required(schema, key) ? F_REQUIRED : 0)) };
        n++;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned k = i;
        flat[i] = &f[i];
        for (; k > 0 && strcmp(f[sorted[k - 1]].json, f[i].json) > 0; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = (uint8_t)i;
    }
    bool preserve = str_is(json_scan_member(schema, STR("x-kubernetes-preserve-unknown-fields")), "true");
    *t = (struct schema_type){ .name = type_name(a, str_of(v->kind.group), str_of(v->kind.version), str_of(v->kind.kind)), .go = v->kind.kind,
                               .fields = f, .flat = flat, .sorted = sorted, .shown = 1, .n_fields = (uint16_t)n, .n_flat = (uint16_t)n, .kind = T_STRUCT,
                               .has_typemeta = 1, .flags = preserve ? F_PRESERVE : 0, .custom = v->schema };
    return t;
}

static void subresources(struct crd_kinds *d, struct crd_version *v, const struct val *subs)
{
    struct schema_subresource *s = arena_alloc(d->arena, 2 * sizeof *s);
    const struct val *scale = json_get(subs, STR("scale"));
    if (!s)
        return;
    v->kind.sub = s;
    if (json_get(subs, STR("status"))) {
        s[v->kind.n_sub++] = (struct schema_subresource){ "status", v->kind.group, v->kind.version, v->kind.kind, "get,patch,update" };
        v->kind.flags |= K_STATUS;
    }
    if (val_is(scale, VAL_OBJ)) {
        s[v->kind.n_sub++] = (struct schema_subresource){ "scale", "autoscaling", "v1", "Scale", "get,patch,update" };
        v->kind.flags |= K_SCALE;
        v->kind.scale_spec = text_dup(d->arena, json_str(scale, "specReplicasPath"));
        v->kind.scale_status = text_dup(d->arena, json_str(scale, "statusReplicasPath"));
        v->kind.scale_selector = json_str(scale, "labelSelectorPath").len ? text_dup(d->arena, json_str(scale, "labelSelectorPath")) : NULL;
    }
}

const char *crd_deprecated(const struct schema_kind *k)
{
    return ((const struct crd_version *)(const void *)k)->deprecated;
}

/* The definition's own words, or which served version to use instead: the best that is newer and not deprecated. */
static const char *deprecation(struct arena *a, const struct val *spec, const struct val *version)
{
    struct str said = json_str(version, "deprecationWarning"), group = json_str(spec, "group"), kind = json_str(spec, "names.kind");
    const char *name = text_dup(a, json_str(version, "name")), *best = NULL;
    if (!json_bool(version, "deprecated", false) || !name)
        return NULL;
    if (said.at)
        return text_dup(a, said);
    val_each(v, json_get(spec, STR("versions"))) {
        const char *other = text_dup(a, json_str(v, "name"));
        if (other && json_bool(v, "served", false) && !json_bool(v, "deprecated", false) && schema_version_cmp(other, best ? best : name) < 0)
            best = other;
    }
    return arena_printf(a, STR_FMT "/%s " STR_FMT " is deprecated%s%s%s%s%s%s", STR_ARG(group), name, STR_ARG(kind), best ? "; use " : "", best ? text_dup(a, group) : "",
                        best ? "/" : "", best ? best : "", best ? " " : "", best ? text_dup(a, kind) : "");
}

static bool fill_version(struct crd_kinds *d, const struct val *crd, const struct val *version, unsigned i)
{
    struct arena *a = d->arena;
    struct crd_version *v = &d->at[i];
    const struct val *spec = json_get(crd, STR("spec")), *names = json_get(spec, STR("names"));
    struct str text = schema_text(store_object_json(d->source), i);
    v->served = json_bool(version, "served", false);
    v->storage = json_bool(version, "storage", false);
    v->deprecated = deprecation(a, spec, version);
    v->schema = custom_schema_new(text);
    v->kind = (struct schema_kind){
        .group = text_dup(a, json_str(spec, "group")), .version = text_dup(a, json_str(version, "name")), .kind = text_dup(a, json_str(names, "kind")),
        .plural = text_dup(a, json_str(names, "plural")), .singular = text_dup(a, json_str(names, "singular")),
        .list_kind = text_dup(a, json_str(names, "listKind")), .short_names = joined(a, json_get(names, STR("shortNames")), NULL),
        .categories = joined(a, json_get(names, STR("categories")), NULL),
        .selectable = joined(a, json_get(version, STR("selectableFields")), "jsonPath"),
        .columns = own_copy(a, json_get(version, STR("additionalPrinterColumns"))),
        .flags = K_STORED | K_LIST | K_GENERATION | K_CUSTOM | (str_is(json_str(spec, "scope"), "Namespaced") ? K_NAMESPACED : 0) |
                 (json_int(crd, "metadata.generation", 1) > 1 ? K_REVISED : 0),
    };
    v->kind.resource = arena_printf(a, "%s/%s", v->kind.group, v->kind.plural);
    subresources(d, v, json_get(version, STR("subresources")));
    v->kind.type = v->schema ? root_type(d, v, text) : NULL;
    return v->kind.type != NULL;
}

/* --- spec.conversion --- */

static const char *review_of(const struct val *versions)
{
    if (val_is(versions, VAL_ARR))
        val_each(v, versions) {
            if (str_is(val_str(v), "v1"))
                return "v1";
            if (str_is(val_str(v), "v1beta1"))
                return "v1beta1";
        }
    return NULL;
}

/* False: its certificates are none, and such a definition is not served. */
static bool read_ca(struct arena *a, struct str base64, struct str *ret)
{
    char *at = base64.len ? arena_raw(a, base64.len + 1) : NULL;
    *ret = STR_NONE;
    if (!base64.len)
        return true;
    if (!at || !base64_valid(base64))
        return false;
    *ret = str_n(at, base64_decode(base64, at));
    return certificates_in(*ret) == NULL;
}

static bool conversion(struct crd_kinds *d, const struct val *crd)
{
    struct arena *a = d->arena;
    const struct val *w = json_path(crd, "spec.conversion.webhook"), *client = json_get(w, STR("clientConfig"));
    const struct val *service = json_get(client, STR("service"));
    if (!str_is(json_str(crd, "spec.conversion.strategy"), "Webhook"))
        return true;
    if (!(d->webhook = arena_alloc(a, sizeof *d->webhook)))
        return false;
    *d->webhook = (struct crd_webhook){ .review = review_of(json_get(w, STR("conversionReviewVersions"))), .port = json_int(service, "port", 443),
                                        .ns = arena_str(a, json_str(service, "namespace")), .service = arena_str(a, json_str(service, "name")),
                                        .path = arena_str(a, json_str(service, "path")), .url = service ? NULL : text_dup(a, json_str(client, "url")) };
    return read_ca(a, json_str(client, "caBundle"), &d->webhook->ca);
}

void crd_kinds_move(struct crd_kinds *d, struct store_object *source)
{
    if (d->source == source)
        return;
    for (unsigned i = 0; i < d->n; i++)
        if (custom_schema_parsed(d->at[i].schema))
            return;
    for (unsigned i = 0; i < d->n; i++)
        custom_schema_move(d->at[i].schema, schema_text(store_object_json(source), i));
    store_object_unref(d->source);
    d->source = store_object_ref(source);
}

void crd_kinds_free(struct crd_kinds *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->n; i++)
        custom_schema_free(d->at[i].schema);
    store_object_unref(d->source);
    arena_free(d->arena);
    mem_free(d);
}

struct crd_kinds *crd_kinds_new(struct store_object *source, const struct val *crd)
{
    struct crd_kinds *d = mem_alloc(sizeof *d);
    const struct val *versions = json_path(crd, "spec.versions");
    bool done = d && val_is(versions, VAL_ARR) && (d->arena = arena_new(4 << 20));
    if (d)
        d->source = store_object_ref(source);
    d = done ? d : (crd_kinds_free(d), NULL);
    if (!d)
        return NULL;
    d->at = arena_alloc(d->arena, (versions->n + 1) * sizeof *d->at);
    const struct schema_kind *storage = NULL;
    for (const struct val *v = versions->first; done && v; v = v->next) {
        done = d->at && fill_version(d, crd, v, d->n);
        d->n++;
    }
    for (unsigned i = 0; i < d->n; i++)
        if (d->at[i].storage)
            storage = &d->at[i].kind;
    for (unsigned i = 0; i < d->n; i++) {
        d->at[i].kind.storage = storage;
        d->at[i].kind.definition = d;
    }
    done = done && conversion(d, crd);
    if (done && storage && !arena_exhausted(d->arena))
        return d;
    crd_kinds_free(d);
    return NULL;
}
