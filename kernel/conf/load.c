/* load.c - see load.h. libconfig keeps the line of each setting; a node of ours is followed by it in memory. */
#include "conf/load.h"

#include <dirent.h>
#include <libconfig.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "conf/scan.h"

#define CONF_MARK 0x40u                 /* val.flags: a struct conf_val */

struct conf_val {
    struct val v;                       /* first */
    const char *file;
    unsigned line;
};

const char *conf_where(struct arena *a, const struct val *v)
{
    const struct conf_val *c = (const struct conf_val *)v;
    if (!v || !(v->flags & CONF_MARK))
        return "configuration";
    return arena_printf(a, "%s:%u", c->file, c->line);
}

/* --- libconfig to tree --- */

static struct val *node(struct arena *a, const config_setting_t *s, const char *file, enum val_type type)
{
    struct conf_val *c = arena_alloc(a, sizeof *c);
    if (!c)
        return NULL;
    c->v.type = (uint8_t)type;
    c->v.flags = CONF_MARK;
    c->file = config_setting_source_file(s) ? arena_dup(a, str_of(config_setting_source_file(s))) : file;
    c->line = config_setting_source_line(s);
    return &c->v;
}

static struct val *convert(struct arena *a, const config_setting_t *s, const char *file)
{
    struct val *v;
    char text[40];
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_BOOL:
        v = node(a, s, file, VAL_BOOL);
        if (v)
            v->i = config_setting_get_bool(s) != 0;
        return v;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        v = node(a, s, file, VAL_INT);
        if (v)
            v->i = config_setting_get_int64(s);
        return v;
    case CONFIG_TYPE_FLOAT:
        snprintf(text, sizeof text, "%.17g", config_setting_get_float(s));
        v = node(a, s, file, VAL_NUM);
        if (v) {
            v->s = arena_dup(a, str_of(text));
            v->n = (uint32_t)strlen(text);
        }
        return v;
    case CONFIG_TYPE_STRING:
        v = node(a, s, file, VAL_STR);
        if (v) {
            v->s = arena_dup(a, str_of(config_setting_get_string(s)));
            v->n = v->s ? (uint32_t)strlen(v->s) : 0;
        }
        return v;
    default:
        break;
    }
    bool group = config_setting_is_group(s);
    v = node(a, s, file, group ? VAL_OBJ : VAL_ARR);
    for (int i = 0; v && i < config_setting_length(s); i++) {
        const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
        struct val *one = convert(a, e, file);
        if (!one)
            return NULL;
        if (group)
            json_set(a, v, str_of(arena_dup(a, str_of(config_setting_name(e)))), one);
        else
            val_push(v, one);
    }
    return v;
}

/* A file that cannot be read is told by libconfig's own attempt. */
static int scan_file(const char *path, struct kl_err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(16 << 20);
    _cleanup_file_ FILE *f = fopen(path, "re");
    for (size_t n = 1; f && n > 0;) {
        char *room = buf_room(&text, 65536);
        n = room ? fread(room, 1, 65536, f) : 0;
        text.len += n;
    }
    if (text.failed)
        return kl_err_set(err, KL_INVALID, "configuration file '%s' is larger than 16 MiB", path);
    return conf_scan(path, buf_str(&text), err);
}

static int read_file(struct arena *a, const char *path, struct val **ret, struct kl_err *err)
{
    config_t c;
    int scanned = scan_file(path, err);
    if (scanned < 0)
        return scanned;
    config_init(&c);
    if (!config_read_file(&c, path)) {
        const char *file = config_error_file(&c) ? config_error_file(&c) : path;
        int rc = config_error_type(&c) == CONFIG_ERR_FILE_IO
                     ? kl_err_set(err, KL_NOT_FOUND, "configuration file '%s' cannot be read", path)
                     : kl_err_set(err, KL_INVALID, "%s:%d: %s", file, config_error_line(&c), config_error_text(&c));
        config_destroy(&c);
        return rc;
    }
    *ret = convert(a, config_root_setting(&c), arena_dup(a, str_of(path)));
    config_destroy(&c);
    return *ret && !arena_exhausted(a) ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

/* --- several files --- */

static int merge(struct arena *a, struct val *into, struct val *from, struct kl_err *err)
{
    for (struct val *m = from->first, *next; m; m = next) {
        next = m->next;
        struct val *old = json_get(into, val_key(m));
        if (!old) {
            json_set(a, into, val_key(m), m);
            continue;
        }
        if (old->type != m->type || (m->type != VAL_OBJ && m->type != VAL_ARR))
            return kl_err_set(err, KL_INVALID, "%s: '" STR_FMT "' is set already at %s", conf_where(a, m), STR_ARG(val_key(m)), conf_where(a, old));
        if (m->type == VAL_OBJ) {
            int rc = merge(a, old, m, err);
            if (rc < 0)
                return rc;
            continue;
        }
        for (struct val *i = m->first, *after; i; i = after) {
            after = i->next;
            i->next = NULL;
            val_push(old, i);
        }
    }
    return 0;
}

static int is_cfg(const struct dirent *d)
{
    struct str n = str_of(d->d_name);
    return n.len > 4 && n.at[0] != '.' && str_ends(n, STR(".cfg"));
}

int conf_load(struct arena *a, const char *path, struct val **ret, struct kl_err *err)
{
    struct dirent **names = NULL;
    const char *slash = strrchr(path, '/');
    int rc = read_file(a, path, ret, err);
    char *dir = arena_printf(a, "%.*sconf.d", slash ? (int)(slash + 1 - path) : 0, path);
    int n = rc == 0 && dir ? scandir(dir, &names, is_cfg, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        struct val *more = NULL;
        if (rc == 0)
            rc = read_file(a, arena_printf(a, "%s/%s", dir, names[i]->d_name), &more, err);
        if (rc == 0)
            rc = merge(a, *ret, more, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

/* --- checking --- */

static unsigned distance(struct str a, struct str b)
{
    unsigned row[64];
    if (a.len > 62 || b.len > 62)
        return 99;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned best = corner + (a.at[i - 1] != b.at[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[b.len];
}

const char *conf_nearest(struct str name, const char *const *first, unsigned n, size_t stride)
{
    const char *near = NULL;
    unsigned best = (unsigned)(name.len < 6 ? name.len / 3 + 2 : 4);       /* three slips, fewer in short names */
    for (unsigned i = 0; i < n; i++) {
        const char *one = *(const char *const *)(const void *)((const char *)first + i * stride);
        unsigned d = distance(name, str_of(one));
        if (d < best) {
            best = d;
            near = one;
        }
    }
    return near;
}

static const char *type_text(enum val_type t)
{
    switch (t) {
    case VAL_OBJ: return "a group { ... }";
    case VAL_ARR: return "a list ( ... ) or array [ ... ]";
    case VAL_INT: return "a number";
    case VAL_BOOL: return "true or false";
    default: return "a text";
    }
}

static bool among(struct str s, const char *choices)
{
    struct str rest = str_of(choices);
    while (rest.at)
        if (str_eq(str_cut(&rest, '|'), s))
            return true;
    return false;
}

static int check_one(struct arena *a, const struct val *v, const struct conf_row *r, struct kl_err *err)
{
    const char *where = conf_where(a, v);
    if (v->type != r->type)
        return kl_err_set(err, KL_INVALID, "%s: '%s' must be %s", where, r->key, type_text(r->type));
    if (r->type == VAL_INT && (r->min || r->max) && (v->i < r->min || v->i > r->max))
        return kl_err_set(err, KL_INVALID, "%s: '%s' is %lld, must be %lld..%lld", where, r->key, (long long)v->i, (long long)r->min,
                          (long long)r->max);
    if (r->type == VAL_STR && r->choices && !among(val_str(v), r->choices))
        return kl_err_set(err, KL_INVALID, "%s: '%s' is '" STR_FMT "', must be one of %s", where, r->key, STR_ARG(val_str(v)), r->choices);
    return 0;
}

int conf_check(struct arena *a, const struct val *group, const struct conf_row *rows, unsigned n, struct kl_err *err)
{
    val_each(v, group) {
        const struct conf_row *r = NULL;
        for (unsigned i = 0; i < n && !r; i++)
            if (str_is(val_key(v), rows[i].key))
                r = &rows[i];
        if (!r) {
            const char *near = conf_nearest(val_key(v), &rows[0].key, n, sizeof *rows);
            return kl_err_set(err, KL_INVALID, "%s: unknown setting '" STR_FMT "'%s%s%s", conf_where(a, v), STR_ARG(val_key(v)),
                              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        int rc = check_one(a, v, r, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
