/* The rows themselves: what every interpreter relies on holds for all of them. */
#include "schema/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"

static const struct schema_field *flat(const struct schema_type *t, const char *name)
{
    int i = schema_flat_find(t, str_of(name), 0);
    return i < 0 ? NULL : t->flat[i];
}

Test(schema, every_kind_is_found_in_every_way)
{
    cr_assert_gt(schema_n_kinds(), 60);
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        char resource[256];
        cr_expect_eq(k->index, i);
        cr_expect_eq(schema_kind_find(str_of(k->group), str_of(k->version), str_of(k->kind)), k, "%s", k->kind);
        cr_expect(k->type && k->type->has_typemeta, "%s", k->kind);
        cr_expect_eq(schema_type_find(str_of(k->group), str_of(k->version), str_of(k->kind)), k->type, "%s", k->kind);
        cr_expect_eq(schema_type_by_name(str_of(k->type->name)), k->type, "%s", k->type->name);
        if (!(k->flags & K_STORED))
            continue;
        cr_expect_eq(schema_resource_find(str_of(k->group), str_of(k->version), str_of(k->plural)), k, "%s", k->plural);
        cr_assert(k->storage, "%s", k->kind);
        snprintf(resource, sizeof resource, "%s/%s", k->storage->group, k->storage->plural);
        cr_expect_str_eq(k->resource, resource);
        cr_expect_eq(schema_resource_by_name(str_of(k->resource)), k->storage, "%s", k->resource);
        cr_expect(flat(k->type, "metadata"), "%s has no metadata", k->kind);
        cr_expect_eq((k->flags & K_LIST) != 0, k->list_type != NULL, "%s", k->kind);
        if (k->list_type) {
            const struct schema_field *items = flat(k->list_type, "items");
            cr_expect(items && items->shape == SHAPE_LIST && items->type == k->type, "%sList", k->kind);
        }
    }
    cr_expect_null(schema_kind_find(STR(""), STR("v1"), STR("Cat")));
    cr_expect_null(schema_resource_by_name(STR("/cats")));
    cr_expect_null(schema_type_by_name(STR("")));
}

/* kubectl explain says something on every kind, in one line. */
Test(schema, every_kind_is_described)
{
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        cr_expect(k->type->doc && *k->type->doc, "%s/%s %s has no text", k->group, k->version, k->kind);
    }
}

/* A text begins with no space and ends with a full stop: so none is cut short or run together with the next. */
Test(schema, texts_are_sentences)
{
    unsigned n = 0;
    for (size_t i = 0; i < schema_n_types(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (int k = -1; k < t->n_fields; k++) {
            const char *doc = k < 0 ? t->doc : t->fields[k].doc;
            if (!doc)
                continue;
            cr_expect(*doc != ' ' && doc[strlen(doc) - 1] == '.', "%s %s: %s", t->name, k < 0 ? "" : t->fields[k].json, doc);
            n++;
        }
    }
    cr_expect_gt(n, 1000);
}

/* Kinds of one group and version stand together: discovery and paths are made from runs of them. */
Test(schema, groups_are_runs)
{
    for (size_t i = 1; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i), *before = schema_kind_at(i - 1);
        if (strcmp(k->group, before->group) == 0 && strcmp(k->version, before->version) == 0)
            continue;
        for (size_t j = 0; j + 1 < i; j++) {
            const struct schema_kind *o = schema_kind_at(j);
            cr_expect(strcmp(o->group, k->group) != 0 || strcmp(o->version, k->version) != 0, "%s/%s stands in two places", k->group, k->version);
        }
    }
}

static bool json_ok(const char *text)
{
    struct arena *a = arena_new(0);
    struct kl_err err;
    bool ok = json_parse(a, str_of(text), &err) != NULL;
    arena_free(a);
    return ok;
}

Test(schema, fields_hang_together)
{
    for (size_t i = 0; i < schema_n_types(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (unsigned f = 0; f < t->n_fields; f++) {
            const struct schema_field *x = &t->fields[f];
            cr_expect(f == 0 || !x->tag || x->tag > t->fields[f - 1].tag, "%s: numbers do not grow at '%s'", t->name, x->json);
            cr_expect(!x->tag || schema_field_by_tag(t, x->tag) == x, "%s.%s", t->name, x->json);
            cr_assert(x->type, "%s.%s", t->name, x->json);
        }
        cr_expect_null(schema_field_by_tag(t, 60000), "%s", t->name);
        for (unsigned f = 0; f < t->n_flat; f++) {
            const struct schema_field *x = t->flat[f];
            struct str name = str_n(x->json, x->json_len);
            cr_expect(str_is(name, x->json), "%s.%s has another length", t->name, x->json);
            for (unsigned guess = 0; guess < t->n_flat + 2u; guess += 3)
                cr_expect_eq(schema_flat_find(t, name, guess), (int)f, "%s.%s with guess %u", t->name, x->json, guess);
            cr_expect_eq(schema_field_find(t, name), x, "%s.%s", t->name, x->json);
            if (x->patch_key)
                cr_expect(x->shape == SHAPE_LIST && flat(x->type, x->patch_key), "%s.%s merges by '%s', which its items lack", t->name, x->json, x->patch_key);
            cr_expect(!x->fallback || json_ok(x->fallback), "%s.%s: default %s", t->name, x->json, x->fallback ? x->fallback : "");
            cr_expect_eq(t->shown >> f & 1, (x->flags & F_SHOWN) != 0, "%s.%s", t->name, x->json);
            cr_expect(!x->choices || x->choices[0], "%s.%s", t->name, x->json);
        }
        cr_expect_eq(schema_flat_find(t, STR("noSuchField"), 0), -1);
        cr_expect_eq(schema_flat_find(t, STR(""), 99), -1);
    }
}

Test(schema, subresources)
{
    const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    unsigned seen = 0;
    for (unsigned i = 0; i < pod->n_sub; i++) {
        const char *n = pod->sub[i].name;
        seen += strcmp(n, "status") == 0 || strcmp(n, "exec") == 0 || strcmp(n, "log") == 0 || strcmp(n, "eviction") == 0 || strcmp(n, "binding") == 0;
        cr_expect(pod->sub[i].verbs && pod->sub[i].verbs[0], "%s", n);
    }
    cr_expect_eq(seen, 5);
    cr_expect(pod->flags & K_GRACEFUL && pod->flags & K_NAMESPACED);
    cr_expect_not(schema_kind_find(STR(""), STR("v1"), STR("Node"))->flags & K_NAMESPACED);
}
