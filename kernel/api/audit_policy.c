/* audit_policy.c - see audit_policy.h. The file is YAML or JSON; every mistake is told with its line and field. */
#include "api/audit_policy.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/yaml.h"
#include "conf/load.h"

#define POLICY_BYTES (4u << 20)

const char *const audit_level_texts[4] = { "None", "Metadata", "Request", "RequestResponse" };
static const char *const stages[] = { "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic" };

struct rule {
    const struct val *users, *groups, *verbs, *namespaces, *resources, *urls;    /* arrays; NULL or empty: all */
    struct audit_decision decision;
};

struct audit_policy {
    struct arena *arena;
    struct rule *rules;
    unsigned n;
};

const char *audit_stage_text(enum audit_stage s)
{
    return stages[__builtin_ctz(s)];
}

/* --- reading --- */

struct mark {
    const struct val *v;
    unsigned line;
};

struct reader {
    struct arena *arena;
    const char *path;
    struct kl_err *err;
    struct mark *marks;
    size_t n, cap;
};

static void on_mark(void *ctx, const struct val *v, unsigned line)
{
    struct reader *r = ctx;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 256;
        struct mark *at = mem_resize(r->marks, cap * sizeof *at);
        if (!at)
            return;
        r->marks = at;
        r->cap = cap;
    }
    r->marks[r->n++] = (struct mark){ v, line };
}

__attribute__((format(printf, 4, 5))) static int wrong(struct reader *r, const struct val *v, const char *field, const char *fmt, ...)
{
    char text[400];
    unsigned line = 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < r->n; i++)
        if (r->marks[i].v == v)
            line = r->marks[i].line;
    return kl_err_set(r->err, KL_INVALID, "%s:%u: %s%s%s", r->path, line, field, field[0] ? ": " : "", text);
}

/* The index of the text among names. */
static int one_of(struct reader *r, const struct val *v, const char *field, const char *const *names, unsigned n, unsigned *ret)
{
    struct str s = val_str(v);
    char all[200] = "";
    for (unsigned i = 0; i < n; i++) {
        if (str_is(s, names[i])) {
            *ret = i;
            return 0;
        }
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = s.at ? conf_nearest(s, names, n, sizeof *names) : NULL;
    return wrong(r, v, field, "unsupported value \"" STR_FMT "\", must be one of %s%s%s%s", STR_ARG(s), all, near ? " (did you mean \"" : "",
                 near ? near : "", near ? "\"?)" : "");
}

static int known_keys(struct reader *r, const struct val *v, const char *field, const char *const *names, unsigned n)
{
    if (!val_is(v, VAL_OBJ))
        return wrong(r, v, field, "must be an object");
    val_each(m, v) {
        bool known = false;
        for (unsigned i = 0; i < n; i++)
            known |= str_is(val_key(m), names[i]);
        if (known)
            continue;
        const char *near = conf_nearest(val_key(m), names, n, sizeof *names);
        return wrong(r, m, field, "unknown field \"" STR_FMT "\"%s%s%s", STR_ARG(val_key(m)), near ? " (did you mean \"" : "", near ? near : "",
                     near ? "\"?)" : "");
    }
    return 0;
}

/* A member that is a list of texts, or absent. */
static int texts(struct reader *r, const struct val *of, const char *key, const char *field, const struct val **ret)
{
    const struct val *v = json_get(of, str_of(key));
    char name[200];
    unsigned i = 0;
    snprintf(name, sizeof name, "%s.%s", field, key);
    if (!v || v->type == VAL_NULL)
        return 0;
    if (v->type != VAL_ARR)
        return wrong(r, v, name, "must be a list");
    val_each(x, v) {
        snprintf(name, sizeof name, "%s.%s[%u]", field, key, i++);
        if (x->type != VAL_STR)
            return wrong(r, x, name, "must be text");
    }
    if (ret)
        *ret = v->n ? v : NULL;
    return 0;
}

static int read_stages(struct reader *r, const struct val *of, const char *field, uint8_t *ret)
{
    const struct val *list = NULL;
    char name[200];
    unsigned i = 0, bit;
    if (texts(r, of, "omitStages", field, &list) < 0)
        return -1;
    if (!list)
        return 0;
    val_each(x, list) {
        snprintf(name, sizeof name, "%s%somitStages[%u]", field, field[0] ? "." : "", i++);
        if (one_of(r, x, name, stages, 4, &bit) < 0)
            return -1;
        *ret |= (uint8_t)(1u << bit);
    }
    return 0;
}

static int check_url(struct reader *r, const struct val *v, const char *field)
{
    struct str s = val_str(v);
    long star = str_find(s, '*');
    if (str_is(s, "*"))
        return 0;
    if (!s.len || s.at[0] != '/')
        return wrong(r, v, field, "invalid value \"" STR_FMT "\": non-resource URL rules must begin with a '/' character", STR_ARG(s));
    if (star >= 0 && (size_t)star != s.len - 1)
        return wrong(r, v, field, "invalid value \"" STR_FMT "\": non-resource URL wildcards '*' must be the final character of the rule", STR_ARG(s));
    return 0;
}

static int read_resources(struct reader *r, const struct val *of, const char *field, struct rule *x)
{
    static const char *const keys[] = { "group", "resources", "resourceNames" };
    const struct val *list = json_get(of, STR("resources"));
    unsigned i = 0;
    if (!list || list->type == VAL_NULL)
        return 0;
    if (list->type != VAL_ARR)
        return wrong(r, list, field, "resources must be a list");
    val_each(g, list) {
        char name[160];
        const struct val *resources = NULL, *names = NULL;
        snprintf(name, sizeof name, "%s.resources[%u]", field, i++);
        if (known_keys(r, g, name, keys, 3) < 0 || texts(r, g, "resources", name, &resources) < 0 ||
            texts(r, g, "resourceNames", name, &names) < 0)
            return -1;
        struct str group = json_str(g, "group");
        if (str_find(group, '/') >= 0)
            return wrong(r, json_get(g, STR("group")), name, "invalid group \"" STR_FMT "\": a group has no version", STR_ARG(group));
        if (names && !resources)
            return wrong(r, names, name, "using resourceNames requires at least one resource");
    }
    x->resources = list->n ? list : NULL;
    return 0;
}

static int read_rule(struct reader *r, const struct val *v, unsigned at, uint8_t omit, bool omit_managed, struct rule *x)
{
    static const char *const keys[] = { "level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages",
                                        "omitManagedFields" };
    char field[64], name[128];
    unsigned level = 0, i = 0;
    snprintf(field, sizeof field, "rules[%u]", at);
    if (known_keys(r, v, field, keys, sizeof keys / sizeof *keys) < 0)
        return -1;
    snprintf(name, sizeof name, "%s.level", field);
    if (!json_get(v, STR("level")))
        return wrong(r, v, name, "required value");
    x->decision.omit = omit;
    if (one_of(r, json_get(v, STR("level")), name, audit_level_texts, 4, &level) < 0 || texts(r, v, "users", field, &x->users) < 0 ||
        texts(r, v, "userGroups", field, &x->groups) < 0 || texts(r, v, "verbs", field, &x->verbs) < 0 ||
        texts(r, v, "namespaces", field, &x->namespaces) < 0 || texts(r, v, "nonResourceURLs", field, &x->urls) < 0 ||
        read_resources(r, v, field, x) < 0 || read_stages(r, v, field, &x->decision.omit) < 0)
        return -1;
    if (x->urls && (x->resources || x->namespaces))
        return wrong(r, x->urls, field, "rules cannot apply to both regular resources and non-resource URLs");
    for (const struct val *u = x->urls ? x->urls->first : NULL; u; u = u->next) {
        snprintf(name, sizeof name, "%s.nonResourceURLs[%u]", field, i++);
        if (check_url(r, u, name) < 0)
            return -1;
    }
    x->decision.level = (uint8_t)level;
    x->decision.omit_managed = json_bool(v, "omitManagedFields", omit_managed);
    return 0;
}

static int read_policy(struct reader *r, const struct val *v, struct audit_policy *p)
{
    static const char *const keys[] = { "apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields" };
    const struct val *rules = json_get(v, STR("rules"));
    uint8_t omit = 0;
    if (known_keys(r, v, "", keys, sizeof keys / sizeof *keys) < 0)
        return -1;
    if (!str_is(json_str(v, "apiVersion"), "audit.k8s.io/v1"))
        return wrong(r, json_get(v, STR("apiVersion")), "apiVersion", "must be audit.k8s.io/v1");
    if (!str_is(json_str(v, "kind"), "Policy"))
        return wrong(r, json_get(v, STR("kind")), "kind", "must be Policy");
    if (read_stages(r, v, "", &omit) < 0)
        return -1;
    if (!val_is(rules, VAL_ARR) || !rules->n)
        return wrong(r, rules ? rules : v, "rules", "a policy has at least one rule");
    if (!(p->rules = arena_alloc(p->arena, rules->n * sizeof *p->rules)))
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(x, rules)
        if (read_rule(r, x, p->n, omit, json_bool(v, "omitManagedFields", false), &p->rules[p->n]) < 0)
            return -1;
        else
            p->n++;
    return 0;
}

static int read_file(const char *path, struct buf *b, struct kl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char part[16384];
    ssize_t n = -1;
    while (fd >= 0 && (n = read(fd, part, sizeof part)) > 0)
        buf_add(b, part, (size_t)n);
    if (n < 0)
        return kl_err_set(err, KL_INVALID, "audit policy '%s' cannot be read: %s", path, strerror(errno));
    return b->failed ? kl_err_set(err, KL_INVALID, "audit policy '%s' is too long", path) : 0;
}

int audit_policy_load(const char *path, struct audit_policy **ret, struct kl_err *err)
{
    struct buf text = BUF_INIT(POLICY_BYTES);
    struct audit_policy *p = mem_alloc(sizeof *p);
    struct reader r = { .path = path, .err = err };
    struct val *v = NULL;
    int rc = -KL_NO_MEMORY;
    if (p && (r.arena = p->arena = arena_new(POLICY_BYTES * 8)))
        rc = read_file(path, &text, err);
    else
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && !(v = yaml_read_marked(r.arena, arena_str(r.arena, buf_str(&text)), on_mark, &r, err))) {
        const char *why = strstr(err->msg, "line ");
        rc = kl_err_set(err, KL_INVALID, "%s: %s", path, arena_dup(r.arena, str_of(why ? why : err->msg)));
    }
    if (rc == 0)
        rc = read_policy(&r, v, p);
    buf_free(&text);
    mem_free(r.marks);
    if (rc < 0) {
        audit_policy_free(p);
        return rc == -1 ? -KL_INVALID : rc;
    }
    *ret = p;
    return 0;
}

void audit_policy_free(struct audit_policy *p)
{
    if (p)
        arena_free(p->arena);
    mem_free(p);
}

/* --- asking --- */

static bool has(const struct val *list, const char *s)
{
    val_each(x, list)
        if (str_is(val_str(x), s))
            return true;
    return false;
}

static bool has_any(const struct val *list, const char *const *at)
{
    for (; at && *at; at++)
        if (has(list, *at))
            return true;
    return false;
}

static bool url_matches(const struct val *urls, struct str path)
{
    val_each(u, urls) {
        struct str s = val_str(u);
        if (str_is(s, "*") || str_eq(s, path) || (str_ends(s, STR("*")) && str_starts(path, str_n(s.at, s.len - 1))))
            return true;
    }
    return false;
}

/* "pods", "pods/status", "pods/" "*", "*" "/status", "*" */
static bool resource_matches(struct str s, const struct kl_request *r)
{
    struct str sub = s, bare = str_cut(&sub, '/');
    if (!sub.at)
        return str_is(s, "*") || (!r->subresource[0] && str_is(s, r->resource));
    if (str_is(sub, "*"))
        return str_is(bare, r->resource);
    return r->subresource[0] && str_is(sub, r->subresource) && (str_is(bare, "*") || str_is(bare, r->resource));
}

static bool group_matches(const struct val *g, const struct kl_request *r)
{
    const struct val *resources = json_get(g, STR("resources")), *names = json_get(g, STR("resourceNames"));
    struct str group = json_str(g, "group");
    if (!str_eq(group.at ? group : STR(""), str_of(r->group)))
        return false;
    if (!val_is(resources, VAL_ARR) || !resources->n)
        return true;
    if (val_is(names, VAL_ARR) && names->n && !has(names, r->name))
        return false;
    val_each(x, resources)
        if (resource_matches(val_str(x), r))
            return true;
    return false;
}

static bool object_matches(const struct rule *x, const struct kl_request *r)
{
    if (!r->is_resource || (x->namespaces && !has(x->namespaces, r->ns)))
        return false;
    if (!x->resources)
        return true;
    val_each(g, x->resources)
        if (group_matches(g, r))
            return true;
    return false;
}

static bool matches(const struct rule *x, const struct kl_user *user, const struct kl_request *r)
{
    if ((x->users && (!user->name || !has(x->users, user->name))) || (x->groups && !has_any(x->groups, user->groups)) ||
        (x->verbs && !has(x->verbs, r->verb)))
        return false;
    if (x->namespaces || x->resources)
        return object_matches(x, r);
    return !x->urls || (!r->is_resource && url_matches(x->urls, str_of(r->path)));
}

struct audit_decision audit_policy_ask(const struct audit_policy *p, const struct kl_user *user, const struct kl_request *r)
{
    for (unsigned i = 0; i < p->n; i++)
        if (matches(&p->rules[i], user, r))
            return p->rules[i].decision;
    return (struct audit_decision){ .level = AUDIT_NONE };
}
