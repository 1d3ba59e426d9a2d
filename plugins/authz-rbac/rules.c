/* rules.c - what a rule allows, and whether somebody holds all that other rules say. */
#include "rbac.h"

static bool has(const char *const *list, const char *what)
{
    for (; *list; list++)
        if (strcmp(*list, what) == 0)
            return true;
    return false;
}

static bool has_or_all(const char *const *list, const char *what)
{
    return has(list, "*") || has(list, what);
}

/* "pods/log" by itself, by "*" or by "* /log" (every resource's subresource of that name, written without the blank). */
static bool resource_matches(const char *const *list, const char *resource, const char *sub)
{
    char full[320];
    snprintf(full, sizeof full, "%s%s%s", resource, *sub ? "/" : "", sub);
    if (has_or_all(list, full))
        return true;
    for (; *sub && *list; list++)
        if (strncmp(*list, "*/", 2) == 0 && strcmp(*list + 2, sub) == 0)
            return true;
    return false;
}

static bool url_matches(const char *const *list, const char *path)
{
    for (; *list; list++) {
        size_t n = strlen(*list);
        if (strcmp(*list, "*") == 0 || strcmp(*list, path) == 0)
            return true;
        if (n && (*list)[n - 1] == '*' && strncmp(*list, path, n - 1) == 0)
            return true;
    }
    return false;
}

bool rule_allows(const struct rule *r, const struct kl_request *q)
{
    if (!has_or_all(r->verbs, q->verb))
        return false;
    if (!q->is_resource)
        return url_matches(r->urls, q->path);
    return has_or_all(r->groups, q->group) && resource_matches(r->resources, q->resource, q->subresource) &&
           (!*r->names || has(r->names, q->name));
}

/* --- covering: each combination of a rule is a question of its own --- */

/* One verb on one resource of one group under one name (NULL: any), or on one URL. */
struct atom {
    const char *verb, *group, *resource, *name, *url;
};

static bool resource_covers(const char *const *list, const char *what)
{
    const char *sub = strchr(what, '/');
    if (has_or_all(list, what))
        return true;
    for (; sub && *list; list++)
        if (strncmp(*list, "*/", 2) == 0 && strcmp(*list + 1, sub) == 0)
            return true;
    return false;
}

static bool holds(void *ctx, const struct rule *r, const struct binding *b)
{
    const struct atom *m = ctx;
    (void)b;
    if (!has_or_all(r->verbs, m->verb))
        return false;
    if (m->url)
        return url_matches(r->urls, m->url);
    return has_or_all(r->groups, m->group) && resource_covers(r->resources, m->resource) &&
           (!*r->names || (m->name && has(r->names, m->name)));
}

static const char *list_text(struct arena *a, const char *const *list)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    for (unsigned i = 0; list[i]; i++)
        buf_printf(&b, "%s\"%s\"", i ? ", " : "", list[i]);
    return arena_dup(a, buf_str(&b));
}

static const char *rule_text(struct arena *a, const struct rule *r)
{
    if (*r->urls)
        return arena_printf(a, "{NonResourceURLs:[%s], Verbs:[%s]}", list_text(a, r->urls), list_text(a, r->verbs));
    return arena_printf(a, "{APIGroups:[%s], Resources:[%s]%s%s%s, Verbs:[%s]}", list_text(a, r->groups), list_text(a, r->resources),
                        *r->names ? ", ResourceNames:[" : "", *r->names ? list_text(a, r->names) : "", *r->names ? "]" : "",
                        list_text(a, r->verbs));
}

struct asking {
    const struct index *index;          /* whose user is asked about; NULL: these rules */
    const struct kl_user *user;
    struct str ns;
    const struct rule *have;
    unsigned n;
};

static bool held(const struct asking *q, struct atom m)
{
    if (q->index)
        return index_each(q->index, q->user, q->ns, holds, &m);
    for (unsigned i = 0; i < q->n; i++)
        if (holds(&m, &q->have[i], NULL))
            return true;
    return false;
}

static bool covered(const struct asking *q, const struct rule *r)
{
    static const char *const any_name[] = { NULL };
    for (const char *const *v = r->verbs; *v; v++) {
        for (const char *const *u = r->urls; *u; u++)
            if (!held(q, (struct atom){ .verb = *v, .url = *u }))
                return false;
        for (const char *const *g = r->groups; *g; g++)
            for (const char *const *s = r->resources; *s; s++) {
                const char *const *n = *r->names ? r->names : any_name;
                do {
                    if (!held(q, (struct atom){ .verb = *v, .group = *g, .resource = *s, .name = *n }))
                        return false;
                } while (*n && *++n);
            }
    }
    return true;
}

bool rules_cover(const struct rule *have, unsigned n, const struct rule *r)
{
    struct asking q = { .have = have, .n = n };
    return covered(&q, r);
}

bool rules_covered(const struct index *x, const struct kl_user *u, struct str ns, const struct rule *rules, unsigned n, struct arena *a,
                   const char **ret_missing)
{
    struct asking q = { .index = x, .user = u, .ns = ns };
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    for (unsigned i = 0; i < n; i++)
        if (!covered(&q, &rules[i]))
            buf_printf(&b, "%s%s", b.len ? "\n" : "", rule_text(a, &rules[i]));
    *ret_missing = b.len ? arena_dup(a, buf_str(&b)) : NULL;
    return b.len == 0;
}
