/* gen_read.c - reads *.rows into the tables that gen.c writes out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/gen-tables.h"

struct type types[MOST_TYPES];
unsigned n_types;
struct kind kinds[MOST_KINDS];
unsigned n_kinds;
struct package packages[64];
unsigned n_packages;
static const char *file_now;
static unsigned line_now;

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%u: ", file_now, line_now);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    exit(1);
}

char *word(char **at)
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

char *need(char **at, const char *what)
{
    char *w = word(at);
    if (!w)
        die("%s is missing", what);
    return w;
}

struct type *type_find(const char *key, const char *name)
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
    } else if (strcmp(w, "go") == 0) {
        f->go = eq + 1;
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
int pass_of(const char *key)
{
    if (strcmp(key, "docs") == 0 || strcmp(key, "documents") == 0)
        return 2;
    return strncmp(key, "docs.", 5) == 0 || strcmp(key, "defaults") == 0;
}

static void read_document(char *line)
{
    struct type *t;
    char *at = line, *name = need(&at, "name"), *w = need(&at, "word");
    struct field *f = target(name, &t);
    if (!f && strncmp(w, "union=", 6) == 0) {
        t->one_of = w + 6;
        return;
    }
    if (f && strncmp(w, "listed=", 7) == 0) {
        f->choices = w + 7;
        f->flags |= 0x40000;
        for (char *c = f->choices; *c; c++)
            *c = *c == '~' ? ' ' : *c;
        return;
    }
    for (unsigned i = 0; f && i < sizeof document_flags / sizeof *document_flags; i++)
        if (strcmp(w, document_flags[i].word) == 0) {
            f->flags = (f->flags | document_flags[i].set) & ~document_flags[i].clear;
            return;
        }
    die("unknown word '%s'", w);
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

char *base_name(const char *path)
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
    if (strcmp(key, "documents") == 0) {
        read_document(line);
        return;
    }
    if (strncmp(key, "docs", 4) == 0) {
        (key[4] ? read_doc : read_common_doc)(line);
        return;
    }
    if (strcmp(key, "defaults") == 0) {
        char *at = line, *name = word(&at);
        struct field *f = target(name, &t);
        if (f) {
            f->flags |= f->fallback ? 0 : 0x10000;
            f->fallback = at;
        }
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

void read_file(const char *path)
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

static bool is_shown(const struct field *f)
{
    bool is_struct = f->type_at >= 0 || scalars[-1 - f->type_at].is_struct;
    return !(f->flags & (is_struct && !(f->flags & 2) && strcmp(f->shape, "SHAPE_ONE") == 0 ? 0x800 : 1));
}

void resolve(void)
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
            if (f->type_at != -1000) {
                f->flags |= is_shown(f) ? 0x4000 : 0;
                continue;
            }
            if (slash)
                *slash = '\0';
            struct type *t = type_find(slash ? f->type : types[i].key, slash ? slash + 1 : f->type);
            if (!t)
                die("type '%s' of %s.%s is not known", f->type, types[i].name, f->json);
            f->type_at = (int)(t - types);
            f->flags |= is_shown(f) ? 0x4000 : 0;
        }
}
