/* table.c - the functions that expressions may call: rows with signatures as text, parsed once, looked up by name. */
#include <pthread.h>

#include "cel/cel-internal.h"

#define ARENA_BYTES (1u << 20)

static const struct fn *const tables[] = { fns_core, fns_convert, fns_time, fns_string, fns_list, fns_optional, fns_regex, fns_net, fns_misc, fns_authz };

static struct {
    struct arena *arena;
    struct map names;                   /* -> the first struct sig of that name */
    const struct cel_type *params[3];
} all;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The short names of types in rows. */
static const struct {
    const char *name;
    enum cel_kind kind;
} words[] = {
    { "bool", CEL_BOOL }, { "int", CEL_INT }, { "uint", CEL_UINT }, { "double", CEL_DOUBLE }, { "string", CEL_STRING }, { "bytes", CEL_BYTES },
    { "dyn", CEL_DYN }, { "null", CEL_NULL }, { "time", CEL_TIMESTAMP }, { "duration", CEL_DURATION }, { "url", CEL_URL }, { "ip", CEL_IP },
    { "cidr", CEL_CIDR }, { "quantity", CEL_QUANTITY }, { "semver", CEL_SEMVER }, { "format", CEL_FORMAT }, { "authorizer", CEL_AUTHORIZER },
    { "path", CEL_PATH_CHECK }, { "group", CEL_GROUP_CHECK }, { "resource", CEL_RESOURCE_CHECK }, { "decision", CEL_DECISION },
};

static const struct cel_type *read_type(struct str *s, uint8_t *params);

static const struct cel_type *inside(struct str *s, uint8_t *params)
{
    *s = str_skip(*s, 1);               /* the parenthesis */
    return read_type(s, params);
}

static const struct cel_type *read_type(struct str *s, uint8_t *params)
{
    size_t n = 0;
    while (n < s->len && !strchr("(),.| ", s->at[n]))
        n++;
    struct str word = str_n(s->at, n);
    *s = str_skip(*s, n);
    if (n == 1 && word.at[0] >= 'A' && word.at[0] <= 'C') {
        unsigned p = (unsigned)(word.at[0] - 'A');
        if (p + 1 > *params)
            *params = (uint8_t)(p + 1);
        return all.params[p];
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(word, words[i].name))
            return cel_type(words[i].kind);
    const struct cel_type *a = inside(s, params), *t;
    if (str_is(word, "map"))
        t = cel_map_of(all.arena, a, inside(s, params));
    else if (str_is(word, "list"))
        t = cel_list_of(all.arena, a);
    else if (str_is(word, "optional"))
        t = cel_optional_of(all.arena, a);
    else
        t = type_type(all.arena, a);
    *s = str_skip(*s, 1);
    return t;
}

/* "string.(int,A)list(A)" */
static struct sig *read_sig(const struct fn *fn, struct str s)
{
    struct sig *sig = arena_alloc(all.arena, sizeof *sig);
    if (!sig)
        return NULL;
    sig->fn = fn;
    if (s.at[0] != '(') {
        sig->member = true;
        sig->args[sig->n++] = read_type(&s, &sig->params);
        s = str_skip(s, 1);             /* the dot */
    }
    s = str_skip(s, 1);
    while (s.len && s.at[0] != ')') {
        if (s.at[0] == ',')
            s = str_skip(s, 1);
        sig->args[sig->n++] = read_type(&s, &sig->params);
    }
    s = str_skip(s, 1);
    sig->result = read_type(&s, &sig->params);
    return sig;
}

static void add(const struct fn *fn)
{
    struct str rest = str_of(fn->sigs);
    while (rest.at) {
        struct sig *sig = read_sig(fn, str_trim(str_cut(&rest, '|'))), *last = map_get(&all.names, str_of(fn->name));
        while (last && last->next)
            last = (struct sig *)last->next;
        if (last)
            last->next = sig;
        else if (sig)
            map_put(&all.names, str_of(fn->name), sig);
    }
}

static void build(void)
{
    all.arena = arena_new(ARENA_BYTES);
    if (!all.arena)
        return;
    for (unsigned i = 0; i < 3; i++)
        all.params[i] = type_param(all.arena, i);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct fn *fn = tables[t]; fn->name; fn++)
            add(fn);
}

/* For leak checkers: what lives as long as the process is freed when it ends. */
__attribute__((destructor)) static void unbuild(void)
{
    map_free(&all.names);
    all.arena = arena_free(all.arena);
}

const struct sig *sig_find(struct str name)
{
    pthread_once(&once, build);
    return map_get(&all.names, name);
}
