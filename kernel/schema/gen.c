/* gen.c - build-time: reads *.rows, writes schema_rows.c (the tables behind schema.h). Not part of the kernel.
 *
 * usage: gen OUTPUT FILE.rows...
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/gen-tables.h"

static struct type types[MOST_TYPES];
static unsigned n_types;
static struct kind kinds[MOST_KINDS];
static unsigned n_kinds;
static struct package packages[64];
static unsigned n_packages;
static FILE *out;
static const char *file_now;
static unsigned line_now;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%u: ", file_now, line_now);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    exit(1);
}

static char *word(char **at)
{
    while (**at == ' ')
        ++*at;
    if (!**at)
        return NULL;
    char *w = *at;
    while (**at && **at != ' ')
        ++*at;
    if (**at)
        *(*at)++ = '\0';
    return w;
}

static char *need(char **at, const char *what)
{
    char *w = word(at);
    if (!w)
        die("%s is missing", what);
    return w;
}

static struct type *type_find(const char *key, const char *name)
{
    for (unsigned i = 0; i < n_types; i++)
        if (strcmp(types[i].name, name) == 0 && strcmp(types[i].key, key) == 0)
            return &types[i];
    return NULL;
}

static bool set_flag(struct field *f, char *w)
{
    char *eq = strchr(w, '=');
    if (!eq || strncmp(w, "default=", 8) == 0) {
        if (eq) {
            f->fallback = eq + 1;
            return true;
        }
        for (unsigned i = 0; i < sizeof field_flags / sizeof *field_flags; i++)
            if (strcmp(w, field_flags[i].word) == 0) {
                f->flags |= field_flags[i].bit;
                return true;
            }
        return false;
    }
    *eq = '\0';
    if (strcmp(w, "merge") == 0) {
        f->flags |= 0x80;
        f->patch_key = eq + 1;
    } else if (strcmp(w, "map") == 0) {
        f->flags |= 0x20;
        f->list_keys = eq + 1;
    } else if (strcmp(w, "enum") == 0) {
        f->choices = eq + 1;
    } else {
        return false;
    }
    return true;
}

static void read_field(struct type *t, char *at)
{
    if (t->n == MOST_FIELDS)
        die("more than %d fields", MOST_FIELDS);
    struct field *f = &t->f[t->n];
    f->declared = t->n++;
    f->json = need(&at, "name");
    char *type = need(&at, "type");
    f->tag = (unsigned)atol(need(&at, "number"));
    f->shape = "SHAPE_ONE";
    if (*type == '*') {
        f->flags |= 2;
        type++;
    }
    if (strncmp(type, "[]", 2) == 0) {
        f->shape = "SHAPE_LIST";
        type += 2;
    } else if (strncmp(type, "map:", 4) == 0) {
        f->shape = "SHAPE_MAP";
        type += 4;
    }
    f->type = type;
    for (char *w; (w = word(&at));)
        if (!set_flag(f, w))
            die("unknown flag '%s'", w);
}

static struct field *field_of(struct type *t, const char *json)
{
    for (unsigned i = 0; i < t->n; i++)
        if (strcmp(t->f[i].json, json) == 0)
            return &t->f[i];
    die("no field '%s' in '%s'", json, t->name);
}

/* "core.v1/Pod.spec" -> type and field. */
static struct field *target(char *name, struct type **ret_type)
{
    char *slash = strchr(name, '/'), *dot = slash ? strchr(slash, '.') : NULL;
    if (!slash)
        die("'%s' is not PACKAGE/TYPE", name);
    *slash = '\0';
    if (dot)
        *dot = '\0';
    *ret_type = type_find(name, slash + 1);
    if (!*ret_type)
        die("no type '%s' in '%s'", slash + 1, name);
    return dot ? field_of(*ret_type, dot + 1) : NULL;
}

/* First the types, then what speaks of them, then what speaks for those that nothing was said of. */
static int pass_of(const char *key)
{
    return strcmp(key, "docs") == 0 ? 2 : strncmp(key, "docs.", 5) == 0 || strcmp(key, "defaults") == 0;
}

/* A type and its text (none: its field's says it all), then its fields and theirs, indented. */
static void read_doc(char *line)
{
    static struct type *t;
    char *at = line, *name = need(&at, "name");
    if (*line == ' ' && !t)
        die("a field before any type");
    struct field *f = *line == ' ' ? field_of(t, name) : target(name, &t);
    char **text = f ? &f->doc : &t->doc;
    if (*text || (f && !*at))
        die("'%s' is described %s", f ? f->json : t->name, *text ? "twice" : "by nothing");
    *text = *at ? at : NULL;
}

static void read_common_doc(char *line)
{
    char *at = line, *name = need(&at, "name");
    bool known = false;
    for (unsigned i = 0; i < n_types; i++)
        for (struct field *f = types[i].f; f < types[i].f + types[i].n; f++)
            if (strcmp(f->json, name) == 0) {
                f->doc = f->doc ? f->doc : at;
                known = true;
            }
    if (!known || !*at)
        die("'%s' is %s", name, known ? "described by nothing" : "no field of any type");
}

static char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = strdup(slash ? slash + 1 : path);
    name[strlen(name) - strlen(".rows")] = '\0';
    return name;
}

static void read_line(char *key, char *line)
{
    static char *group = "", *version = "";
    static char *package;
    struct type *t;
    if (!line[0] || line[0] == '#')
        return;
    if (strncmp(key, "docs", 4) == 0) {
        (key[4] ? read_doc : read_common_doc)(line);
        return;
    }
    if (strcmp(key, "defaults") == 0) {
        char *at = line, *name = word(&at);
        struct field *f = target(name, &t);
        if (f)
            f->fallback = at;
        return;
    }
    if (line[0] == ' ') {
        if (!n_types)
            die("a field before any type");
        read_field(&types[n_types - 1], line);
        return;
    }
    char *at = line, *w = word(&at);
    if (strcmp(w, "package") == 0) {
        struct package *p = &packages[n_packages++];
        *p = (struct package){ key, need(&at, "package"), need(&at, "group"), need(&at, "version") };
        package = p->name;
    } else if (strcmp(w, "type") == 0) {
        t = &types[n_types++];
        if (n_types == MOST_TYPES)
            die("too many types");
        t->package = package;
        t->key = key;
        t->name = need(&at, "name");
        while ((w = word(&at)))
            *(strcmp(w, "typemeta") == 0 ? &t->typemeta : &t->atomic) = true;
    } else if (strcmp(w, "group") == 0) {
        group = need(&at, "group");
        version = need(&at, "version");
        if (strcmp(group, "-") == 0)
            group = "";
    } else if (strcmp(w, "kind") == 0) {
        kinds[n_kinds++] = (struct kind){ group, version, at };
    } else {
        die("unknown row '%s'", w);
    }
}

static void read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL, *key = base_name(path);
    size_t cap = 0;
    ssize_t n;
    file_now = path;
    line_now = 0;
    if (!f)
        die("cannot be opened");
    while ((n = getline(&line, &cap, f)) >= 0) {
        line_now++;
        if (n && line[n - 1] == '\n')
            line[n - 1] = '\0';
        read_line(key, strdup(line));
    }
    free(line);
    fclose(f);
}

static int by_tag(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    return x->tag != y->tag ? (x->tag > y->tag) - (x->tag < y->tag) : (x->declared > y->declared) - (x->declared < y->declared);
}

static void resolve(void)
{
    for (unsigned i = 0; i < n_types; i++)
        qsort(types[i].f, types[i].n, sizeof *types[i].f, by_tag);
    for (unsigned i = 0; i < n_types; i++)
        for (unsigned k = 0; k < types[i].n; k++) {
            struct field *f = &types[i].f[k];
            char *slash = strchr(f->type, '/');
            f->type_at = -1000;
            for (unsigned s = 0; s < N_SCALARS; s++)
                if (strcmp(f->type, scalars[s].row) == 0)
                    f->type_at = -1 - (int)s;
            if (f->type_at != -1000)
                continue;
            if (slash)
                *slash = '\0';
            struct type *t = type_find(slash ? f->type : types[i].key, slash ? slash + 1 : f->type);
            if (!t)
                die("type '%s' of %s.%s is not known", f->type, types[i].name, f->json);
            f->type_at = (int)(t - types);
        }
}

/* --- writing --- */

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

static unsigned put_flat(unsigned i)
{
    struct flat flat[256];
    unsigned char sorted[256];
    unsigned n = flatten(i, flat, 0);
    if (!n)
        return 0;
    fprintf(out, "static const struct schema_field *const flat_%u[] = { ", i);
    for (unsigned k = 0; k < n; k++) {
        fprintf(out, "&f_%u[%u], ", flat[k].type, flat[k].field);
        sorted[k] = (unsigned char)k;
    }
    sort_base = flat;
    qsort(sorted, n, 1, by_name);
    fprintf(out, "};\nstatic const uint8_t sorted_%u[] = { ", i);
    for (unsigned k = 0; k < n; k++)
        fprintf(out, "%u, ", sorted[k]);
    fputs("};\n", out);
    return n;
}

static void put_types(void)
{
    static unsigned n_flat[MOST_TYPES];
    fprintf(out, "const struct schema_type schema_types[%u];\nconst struct schema_type schema_scalars[%zu];\n", n_types, N_SCALARS);
    for (unsigned i = 0; i < n_types; i++)
        put_fields(i);
    for (unsigned i = 0; i < n_types; i++)
        n_flat[i] = put_flat(i);
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
            fprintf(out, ", flat_%u, sorted_%u", i, i);
        else
            fputs(", NULL, NULL", out);
        fprintf(out, ", %u, %u, T_STRUCT, %d, %s, NULL },\n", t->n, n_flat[i], t->typemeta, t->atomic ? "F_STRUCT_ATOMIC" : "0");
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
