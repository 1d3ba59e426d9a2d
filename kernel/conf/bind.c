/* bind.c - see bind.h. */
#include "conf/bind.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/quantity.h"
#include "conf/load.h"

struct binding {
    struct arena *arena;
    const struct kl_conf_field *f;
    const char *where;
    struct kl_err *err;
};

/* A file's setting says itself where it stands. */
static const char *place(struct arena *a, const struct val *v, const char *where)
{
    const char *at = v ? conf_where(a, v) : "configuration";
    return strcmp(at, "configuration") == 0 ? where : at;
}

static int unknown(struct arena *a, const struct kl_plugin *p, const struct val *v, const char *where, struct kl_err *err)
{
    const char *near = p->conf.n ? conf_nearest(val_key(v), &p->conf.at->key, p->conf.n, p->conf.stride) : NULL;
    return kl_err_set(err, KL_INVALID, "%s: '%s' has no setting '" STR_FMT "'%s%s%s", place(a, v, where), p->id, STR_ARG(val_key(v)),
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool conf_duration(struct str s, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = { { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 }, { "h", 3600000000000LL }, { "m", 60000000000LL }, { "s", 1000000000LL } };
    *ret = 0;
    while (s.len) {
        int64_t n = 0;
        size_t i = 0, k = 0;
        for (; i < s.len && i < 12 && s.at[i] >= '0' && s.at[i] <= '9'; i++)
            n = n * 10 + (s.at[i] - '0');
        s = str_skip(s, i);
        while (k < 6 && !str_starts(s, str_of(units[k].unit)))
            k++;
        if (!i || k == 6 || __builtin_mul_overflow(n, units[k].ns, &n) || __builtin_add_overflow(*ret, n, ret))
            return false;
        s = str_skip(s, strlen(units[k].unit));
    }
    return true;
}

static int wrong(struct binding *b, struct str s, const char *must)
{
    return kl_err_set(b->err, KL_INVALID, "%s: '%s' is '" STR_FMT "', must be %s (%s)", b->where, b->f->key, STR_ARG(s), must, b->f->doc ? b->f->doc : "");
}

static int store_number(struct binding *b, struct str s, int64_t n, char *at)
{
    char must[80];
    if ((b->f->min || b->f->max) && (n < b->f->min || n > b->f->max)) {
        snprintf(must, sizeof must, "%lld..%lld", (long long)b->f->min, (long long)b->f->max);
        return wrong(b, s, must);
    }
    memcpy(at, &n, sizeof n);
    return 0;
}

static bool is_choice(const char *choices, struct str s)
{
    struct str rest = str_of(choices);
    while (rest.at)
        if (str_eq(str_cut(&rest, '|'), s))
            return true;
    return false;
}

static int store_text(struct binding *b, struct str s, char *at)
{
    const char *text = arena_dup(b->arena, s);
    if (!text)
        return kl_err_set(b->err, KL_NO_MEMORY, "out of memory");
    if (b->f->type == KL_CONF_ENUM && !is_choice(b->f->choices, s))
        return wrong(b, s, b->f->choices);
    memcpy(at, &text, sizeof text);
    return 0;
}

/* The file's content without white space at its ends. */
static int store_secret(struct binding *b, struct str path, char *at)
{
    char text[65536];
    const char *name = arena_dup(b->arena, path);
    _cleanup_file_ FILE *f = name ? fopen(name, "re") : NULL;
    if (!f)
        return kl_err_set(b->err, KL_INVALID, "%s: '%s' names the file '" STR_FMT "', which cannot be read", b->where, b->f->key, STR_ARG(path));
    size_t n = fread(text, 1, sizeof text, f);
    if (n == sizeof text)
        return kl_err_set(b->err, KL_INVALID, "%s: '%s' names the file '" STR_FMT "', which is larger than 64 KiB", b->where, b->f->key,
                          STR_ARG(path));
    const char *copy = arena_dup(b->arena, str_trim(str_n(text, n)));
    memcpy(at, &copy, sizeof copy);
    return copy ? 0 : kl_err_set(b->err, KL_NO_MEMORY, "out of memory");
}

/* A list of texts, NULL-terminated; one text alone is a list of one, with commas between several (fallbacks). */
static int store_list(struct binding *b, const struct val *v, struct str s, char *at)
{
    uint32_t n = 0, room = val_is(v, VAL_ARR) ? v->n : 1;
    for (size_t i = 0; i < s.len; i++)
        room += s.at[i] == ',';
    const char **list = arena_alloc(b->arena, (room + 1) * sizeof *list);
    if (!list)
        return kl_err_set(b->err, KL_NO_MEMORY, "out of memory");
    if (val_is(v, VAL_ARR)) {
        val_each(one, v) {
            if (!val_is(one, VAL_STR))
                return wrong(b, STR("[...]"), "a list of texts");
            list[n++] = arena_dup(b->arena, val_str(one));
        }
    } else {
        while (s.at && s.len)
            list[n++] = arena_dup(b->arena, str_trim(str_cut(&s, ',')));
    }
    memcpy(at, &list, sizeof list);
    return 0;
}

static int store_groups(struct binding *b, const struct val *v, char *at)
{
    _cleanup_buf_ struct buf json = BUF_INIT(1 << 20);
    if (!val_is(v, VAL_ARR))
        return wrong(b, STR("..."), "a list of groups");
    json_write(&json, v);
    const char *text = json.failed ? NULL : arena_dup(b->arena, buf_str(&json));
    memcpy(at, &text, sizeof text);
    return text ? 0 : kl_err_set(b->err, KL_NO_MEMORY, "out of memory");
}

static int bind_one(struct binding *b, struct str s, char *at)
{
    struct quantity q;
    int64_t n;
    int32_t flag;
    switch (b->f->type) {
    case KL_CONF_INT:
        return str_int(s, &n) ? store_number(b, s, n, at) : wrong(b, s, "a number");
    case KL_CONF_DURATION:
        return conf_duration(s, &n) ? store_number(b, s, n, at) : wrong(b, s, "a duration such as 30s or 5m");
    case KL_CONF_QUANTITY:
        return quantity_parse(s, &q) ? store_number(b, s, quantity_value(q), at) : wrong(b, s, "a quantity such as 64Mi");
    case KL_CONF_BOOL:
        if (!str_is(s, "true") && !str_is(s, "false"))
            return wrong(b, s, "true or false");
        flag = str_is(s, "true");
        memcpy(at, &flag, sizeof flag);
        return 0;
    case KL_CONF_SECRET:
        return store_secret(b, s, at);
    default:
        return store_text(b, s, at);
    }
}

static struct str setting_text(struct arena *a, const struct val *v)
{
    if (v->type == VAL_STR || v->type == VAL_NUM)
        return str_n(v->s, v->n);
    if (v->type == VAL_INT)
        return str_of(arena_printf(a, "%lld", (long long)v->i));
    return v->type == VAL_BOOL ? (v->i ? STR("true") : STR("false")) : STR_NONE;
}

int conf_bind(struct arena *a, const struct kl_plugin *p, const struct val *settings, const char *where, void **ret, struct kl_err *err)
{
    char *conf = arena_alloc(a, p->conf_size + 1);
    if (!conf)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (val_is(settings, VAL_OBJ))
        val_each(s, settings) {
            bool known = false;
            for (uint32_t i = 0; i < p->conf.n; i++)
                known |= str_is(val_key(s), KL_AT(struct kl_conf_field, p->conf, i)->key);
            if (!known)
                return unknown(a, p, s, where, err);
        }
    for (uint32_t i = 0; i < p->conf.n; i++) {
        struct binding b = { a, KL_AT(struct kl_conf_field, p->conf, i), where, err };
        struct val *v = json_get(settings, str_of(b.f->key));
        b.where = place(a, v, where);
        struct str s = v ? setting_text(a, v) : str_of(b.f->fallback);
        if (!v && b.f->flags & KL_CONF_REQUIRED)
            return kl_err_set(err, KL_INVALID, "%s: '%s' needs the setting '%s' (%s)", where, p->id, b.f->key, b.f->doc ? b.f->doc : "");
        int rc = 0;
        if (b.f->type == KL_CONF_LIST && (v || s.at))
            rc = store_list(&b, v, s, conf + b.f->offset);
        else if (b.f->type == KL_CONF_GROUPS && v)
            rc = store_groups(&b, v, conf + b.f->offset);
        else if (v && !s.at)
            rc = wrong(&b, STR("..."), "one value");
        else if (s.at)
            rc = bind_one(&b, s, conf + b.f->offset);
        if (rc < 0)
            return rc;
    }
    *ret = conf;
    return 0;
}
