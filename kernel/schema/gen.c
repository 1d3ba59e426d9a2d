/* gen.c - build-time: reads *.rows, writes schema_rows.c (the tables behind schema.h). Not part of the kernel.
 *
 * usage: gen OUTPUT FILE.rows...
 */
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/gen-tables.h"
#include "schema/schema.h"

static FILE *out;

static void put_text(const char *s)
{
    if (!s) {
        fputs("NULL", out);
        return;
    }
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

static void put_list(const char *name, const char *list, char separator)
{
    fprintf(out, "static const char *const %s[] = { ", name);
    char *copy = strdup(list);
    for (char *at = copy, *next; at; at = next) {
        next = strchr(at, separator);
        if (next)
            *next++ = '\0';
        put_text(at);
        fputs(", ", out);
    }
    fputs("NULL };\n", out);
    free(copy);
}

static void put_type_ref(int at)
{
    if (at < 0)
        fprintf(out, "&schema_scalars[%d]", -1 - at);
    else
        fprintf(out, "&schema_types[%d]", at);
}

static void put_fields(unsigned i)
{
    char name[64];
    for (unsigned k = 0; k < types[i].n; k++) {
        snprintf(name, sizeof name, "keys_%u_%u", i, k);
        if (types[i].f[k].list_keys)
            put_list(name, types[i].f[k].list_keys, ',');
        snprintf(name, sizeof name, "enum_%u_%u", i, k);
        if (types[i].f[k].choices)
            put_list(name, types[i].f[k].choices, '|');
    }
    if (!types[i].n)
        return;
    fprintf(out, "static const struct schema_field f_%u[] = {\n", i);
    for (unsigned k = 0; k < types[i].n; k++) {
        struct field *f = &types[i].f[k];
        fputs("    { ", out);
        put_text(f->json);
        fputs(", ", out);
        put_type_ref(f->type_at);
        fputs(", ", out);
        put_text(f->patch_key);
        fprintf(out, f->list_keys ? ", keys_%u_%u" : ", NULL", i, k);
        fputs(", ", out);
        put_text(f->fallback);
        fprintf(out, f->choices ? ", enum_%u_%u, " : ", NULL, ", i, k);
        put_text(f->doc);
        fputs(", ", out);
        put_text(f->go);
        fprintf(out, ", %u, %zu, %s, 0x%x },\n", f->tag, strlen(f->json), f->shape, f->flags);
    }
    fputs("};\n", out);
}

struct flat {
    unsigned type, field;
};

static unsigned flatten(unsigned i, struct flat *ret, unsigned n)
{
    for (unsigned want = 0; want < types[i].n; want++) {
        unsigned k = 0;
        while (types[i].f[k].declared != want)
            k++;
        if (types[i].f[k].flags & 0x1000)
            n = flatten((unsigned)types[i].f[k].type_at, ret, n);
        else
            ret[n++] = (struct flat){ i, k };
    }
    return n;
}

static struct flat *sort_base;

static int by_name(const void *a, const void *b)
{
    struct flat *x = &sort_base[*(const unsigned char *)a], *y = &sort_base[*(const unsigned char *)b];
    return strcmp(types[x->type].f[x->field].json, types[y->type].f[y->field].json);
}

static unsigned put_flat(unsigned i, uint64_t *ret_shown)
{
    struct flat flat[256];
    unsigned char sorted[256];
    unsigned n = flatten(i, flat, 0);
    if (!n)
        return 0;
    if (n > MOST_FIELDS)
        die("%s has more than %d fields", types[i].name, MOST_FIELDS);
    fprintf(out, "static const struct schema_field *const flat_%u[] = { ", i);
    for (unsigned k = 0; k < n; k++) {
        fprintf(out, "&f_%u[%u], ", flat[k].type, flat[k].field);
        sorted[k] = (unsigned char)k;
        *ret_shown |= types[flat[k].type].f[flat[k].field].flags & 0x4000 ? 1ull << k : 0;
    }
    sort_base = flat;
    qsort(sorted, n, 1, by_name);
    fprintf(out, "};\nstatic const uint8_t hashed_%u[SCHEMA_HASHED] = { ", i);
    unsigned hashed[SCHEMA_HASHED] = { 0 };
    for (unsigned k = n; k-- > 0;)      /* of several with one hash the first */
        hashed[schema_hash(str_of(types[flat[k].type].f[flat[k].field].json))] = k + 1;
    for (unsigned h = 0; h < SCHEMA_HASHED; h++)
        fprintf(out, "%u, ", hashed[h]);
    fprintf(out, "};\nstatic const uint8_t sorted_%u[] = { ", i);
    for (unsigned k = 0; k < n; k++)
        fprintf(out, "%u, ", sorted[k]);
    fputs("};\n", out);
    return n;
}

static void put_types(void)
{
    static unsigned n_flat[MOST_TYPES];
    static uint64_t shown[MOST_TYPES];
    fprintf(out, "const struct schema_type schema_types[%u];\nconst struct schema_type schema_scalars[%zu];\n", n_types, N_SCALARS);
    for (unsigned i = 0; i < n_types; i++)
        put_fields(i);
    for (unsigned i = 0; i < n_types; i++)
        n_flat[i] = put_flat(i, &shown[i]);
    fprintf(out, "const struct schema_type schema_scalars[%zu] = {\n", N_SCALARS);
    for (unsigned s = 0; s < N_SCALARS; s++)
        fprintf(out, "    { .name = \"%s\", .go = \"%s\", .kind = %s },\n", scalars[s].name, scalars[s].row, scalars[s].kind);
    fprintf(out, "};\nconst struct schema_type schema_types[%u] = {\n", n_types);
    for (unsigned i = 0; i < n_types; i++) {
        struct type *t = &types[i];
        fprintf(out, "    { \"%s.%s\", \"%s\", ", t->package, t->name, t->name);
        put_text(t->doc);
        if (t->n)
            fprintf(out, ", f_%u", i);
        else
            fputs(", NULL", out);
        if (n_flat[i])
            fprintf(out, ", flat_%u, sorted_%u, hashed_%u, 0x%llxu", i, i, i, (unsigned long long)shown[i]);
        else
            fputs(", NULL, NULL, NULL, 0", out);
        fprintf(out, ", %u, %u, T_STRUCT, %d, %s, ", t->n, n_flat[i], t->typemeta, t->atomic ? "F_STRUCT_ATOMIC" : "0");
        put_text(t->one_of);
        fputs(", NULL },\n", out);
    }
    fprintf(out, "};\nconst size_t schema_type_count = %u;\n", n_types);
}

static const char *package_of(const char *group, const char *version)
{
    for (unsigned i = 0; i < n_packages; i++)
        if (strcmp(packages[i].version, version) == 0 && strcmp(packages[i].key, "meta.v1") != 0 &&
            strcmp(packages[i].group, *group ? group : "-") == 0)
            return packages[i].key;
    die("no package for group '%s' version '%s'", group, version);
}

static void parse_kind(char *line, struct kind_row *r)
{
    char *at = line;
    memset(r, 0, sizeof *r);
    r->kind = need(&at, "kind");
    r->plural = need(&at, "plural");
    strcpy(r->flags, "0");
    for (char *w; (w = word(&at));) {
        char *eq = strchr(w, '=');
        bool found = strcmp(w, "review") == 0;
        r->review |= found;
        r->measured |= strcmp(w, "measured") == 0;
        r->status |= strcmp(w, "status") == 0;
        r->scale |= strcmp(w, "scale") == 0;
        for (unsigned i = 0; !eq && i < sizeof kind_flags / sizeof *kind_flags; i++)
            if (strcmp(w, kind_flags[i].word) == 0) {
                strcat(r->flags, " | ");
                strcat(r->flags, kind_flags[i].bits);
                found = true;
            }
        char **to = strncmp(w, "short=", 6) == 0 ? &r->short_names : strncmp(w, "cat=", 4) == 0 ? &r->categories :
                    strncmp(w, "fields=", 7) == 0 ? &r->fields : strncmp(w, "sub=", 4) == 0 ? &r->sub :
                    strncmp(w, "as=", 3) == 0 ? &r->as : NULL;
        if (to)
            *to = eq + 1;
        else if (!found)
            die("unknown word '%s' for kind '%s'", w, r->kind);
    }
    if (!r->review)
        strcat(r->flags, r->measured ? " | K_LIST" : " | K_STORED | K_LIST");
}

static void put_sub(const char *name, const char *group, const char *version, const char *kind, const char *verbs)
{
    fprintf(out, "    { \"%s\", \"%s\", \"%s\", \"%s\", \"%s\" },\n", name, strcmp(group, "-") ? group : "", version, kind, verbs);
}

static unsigned put_subs(unsigned i, struct kind_row *r)
{
    unsigned n = 0;
    if (!r->status && !r->scale && !r->sub)
        return 0;
    fprintf(out, "static const struct schema_subresource sub_%u[] = {\n", i);
    char *copy = strdup(r->sub ? r->sub : "");
    for (char *at = copy, *next; at && *at; at = next) {
        next = strchr(at, ';');
        if (next)
            *next++ = '\0';
        char *verbs = strchr(at, ':');
        *verbs++ = '\0';
        char *gvk = strchr(verbs, ':'), *version = NULL, *kind = NULL;
        if (gvk) {
            *gvk++ = '\0';
            version = strchr(gvk, '/');
            *version++ = '\0';
            kind = strchr(version, '/');
            *kind++ = '\0';
        }
        put_sub(at, gvk ? gvk : kinds[i].group, gvk ? version : kinds[i].version, gvk ? kind : r->kind, verbs);
        n++;
    }
    if (r->scale)
        put_sub("scale", "autoscaling", "v1", "Scale", "get,patch,update"), n++;
    if (r->status)
        put_sub("status", kinds[i].group, kinds[i].version, r->kind, "get,patch,update"), n++;
    fputs("};\n", out);
    return n;
}

static int kind_index(const char *group, const char *version, struct kind_row *rows, const char *kind)
{
    for (unsigned i = 0; i < n_kinds; i++)
        if (strcmp(kinds[i].group, group) == 0 && strcmp(kinds[i].version, version) == 0 && strcmp(rows[i].kind, kind) == 0)
            return (int)i;
    die("kind '%s' is stored as '%s/%s', which is not there", kind, group, version);
}

static void put_lower(const char *s)
{
    fputc('"', out);
    for (; *s; s++)
        fputc(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s, out);
    fputs("\", ", out);
}

static void put_kind(unsigned i, struct kind_row *rows, unsigned n_sub)
{
    struct kind_row *r = &rows[i];
    const char *key = package_of(kinds[i].group, kinds[i].version);
    struct type *t = type_find(key, r->kind), *list = NULL;
    char list_name[128], *as_group = strdup(r->as ? r->as : ""), *as_version = strchr(as_group, '/');
    int storage = (int)i;
    if (!t)
        die("kind '%s' has no type in '%s'", r->kind, key);
    snprintf(list_name, sizeof list_name, "%sList", r->kind);
    list = r->review ? NULL : type_find(key, list_name);
    if (!r->review && !list)
        die("kind '%s' has no list type", r->kind);
    if (as_version) {
        *as_version++ = '\0';
        storage = kind_index(strcmp(as_group, "-") ? as_group : "", as_version, rows, r->kind);
    }
    fprintf(out, "    { \"%s\", \"%s\", \"%s\", \"%s\", ", kinds[i].group, kinds[i].version, r->kind, r->plural);
    put_lower(r->kind);
    fprintf(out, "\"%s/%s\", ", kinds[storage].group, r->plural);
    put_text(r->short_names);
    fputs(", ", out);
    put_text(r->categories);
    fputs(", ", out);
    put_text(r->fields);
    fprintf(out, ", &schema_types[%d], ", (int)(t - types));
    fprintf(out, list ? "&schema_types[%d], " : "NULL, ", (int)(list - types));
    fprintf(out, n_sub ? "sub_%u, " : "NULL, ", i);
    fprintf(out, "%s, %u, %u, &schema_kinds[%d], NULL, NULL, NULL, NULL, NULL, NULL },\n", r->flags, n_sub, i, storage);
}

static void put_kinds(void)
{
    static struct kind_row rows[MOST_KINDS];
    static unsigned n_sub[MOST_KINDS];
    for (unsigned i = 0; i < n_kinds; i++)
        parse_kind(strdup(kinds[i].line), &rows[i]);
    for (unsigned i = 0; i < n_kinds; i++)
        n_sub[i] = put_subs(i, &rows[i]);
    fprintf(out, "const struct schema_kind schema_kinds[%u];\nconst struct schema_kind schema_kinds[%u] = {\n", n_kinds, n_kinds);
    for (unsigned i = 0; i < n_kinds; i++)
        put_kind(i, rows, n_sub[i]);
    fprintf(out, "};\nconst size_t schema_kind_count = %u;\n", n_kinds);
    fprintf(out, "const struct schema_package schema_packages[] = {\n");
    for (unsigned i = 0; i < n_packages; i++)
        fprintf(out, "    { \"%s\", \"%s\", \"%s\" },\n", packages[i].name, strcmp(packages[i].group, "-") ? packages[i].group : "",
                packages[i].version);
    fprintf(out, "};\nconst size_t schema_package_count = %u;\n", n_packages);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: gen OUTPUT FILE.rows...\n");
        return 2;
    }
    for (int pass = 0; pass < 3; pass++)
        for (int i = 2; i < argc; i++) {
            char *key = base_name(argv[i]);
            if (pass_of(key) == pass)
                read_file(argv[i]);
            free(key);
        }
    resolve();
    out = fopen(argv[1], "w");
    if (!out) {
        fprintf(stderr, "%s: cannot be written\n", argv[1]);
        return 1;
    }
    fputs("/* Generated by kernel/schema/gen.c from the rows files. */\n#include \"schema/schema-internal.h\"\n", out);
    put_types();
    put_kinds();
    return fclose(out) ? 1 : 0;
}
