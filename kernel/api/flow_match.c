/* flow_match.c - does a FlowSchema want a request? As upstream: a rule matches when one of its subjects and one of its targets do. */
#include "api/flow.h"

#include "api-internal.h"
#include "base/hash.h"

/* --- reading --- */

static const struct val *list(const struct val *v, const char *key)
{
    const struct val *x = json_get(v, str_of(key));
    return val_is(x, VAL_ARR) ? x : NULL;
}

static unsigned count(const struct val *v)
{
    return v ? v->n : 0;
}

static void read_subject(const struct val *v, struct flow_subject *s)
{
    struct str kind = json_str(v, "kind");
    s->kind = kind.len ? kind.at[0] : '?';
    s->name = json_str(v, s->kind == 'U' ? "user.name" : s->kind == 'G' ? "group.name" : "serviceAccount.name");
    s->ns = json_str(v, "serviceAccount.namespace");
}

static int read_rule(struct arena *a, const struct val *v, struct flow_rule *r)
{
    const struct val *subjects = list(v, "subjects"), *resources = list(v, "resourceRules"), *urls = list(v, "nonResourceRules");
    r->subjects = arena_alloc(a, (count(subjects) + 1) * sizeof *r->subjects);
    r->resources = arena_alloc(a, (count(resources) + 1) * sizeof *r->resources);
    r->urls = arena_alloc(a, (count(urls) + 1) * sizeof *r->urls);
    if (!r->subjects || !r->resources || !r->urls)
        return -KL_NO_MEMORY;
    for (const struct val *x = subjects ? subjects->first : NULL; x; x = x->next)
        read_subject(x, &r->subjects[r->n_subjects++]);
    for (const struct val *x = resources ? resources->first : NULL; x; x = x->next)
        r->resources[r->n_resources++] = (struct flow_resource_rule){ list(x, "verbs"), list(x, "apiGroups"), list(x, "resources"),
                                                                      list(x, "namespaces"), json_bool(x, "clusterScope", false) };
    for (const struct val *x = urls ? urls->first : NULL; x; x = x->next)
        r->urls[r->n_urls++] = (struct flow_url_rule){ list(x, "verbs"), list(x, "nonResourceURLs") };
    return 0;
}

int flow_read_rules(struct flow_schema *s, const struct val *spec)
{
    const struct val *rules = list(spec, "rules");
    s->n_rules = 0;
    s->rules = arena_alloc(s->arena, (count(rules) + 1) * sizeof *s->rules);
    if (!s->rules)
        return -KL_NO_MEMORY;
    for (const struct val *x = rules ? rules->first : NULL; x; x = x->next)
        if (read_rule(s->arena, x, &s->rules[s->n_rules++]) < 0)
            return -KL_NO_MEMORY;
    return 0;
}

/* --- matching --- */

static bool has(const struct val *texts, const char *s)
{
    if (texts)
        val_each(x, texts)
            if (str_is(val_str(x), s) || str_is(val_str(x), "*"))
                return true;
    return false;
}

static bool is_account(struct str user, const struct flow_subject *s)
{
    static const struct str head = { "system:serviceaccount:", 22 };
    if (!str_starts(user, head))
        return false;
    struct str rest = str_skip(user, head.len), ns = str_cut(&rest, ':');
    return rest.at && str_eq(ns, s->ns) && (str_is(s->name, "*") || str_eq(rest, s->name));
}

static bool is_subject(const struct flow_subject *s, const struct kl_user *u)
{
    if (s->kind == 'S')
        return is_account(str_of(u->name), s);
    bool any = str_is(s->name, "*");
    if (s->kind == 'U')
        return any || str_is(s->name, u->name);
    if (s->kind == 'G')
        for (const char *const *g = u->groups; g && *g; g++)
            if (any || str_is(s->name, *g))
                return true;
    return false;
}

static bool any_subject(const struct flow_rule *r, const struct kl_user *u)
{
    for (unsigned i = 0; i < r->n_subjects; i++)
        if (is_subject(&r->subjects[i], u))
            return true;
    return false;
}

static bool has_resource(const struct val *texts, const struct kl_request *t)
{
    size_t n = strlen(t->resource);
    if (!t->subresource[0])
        return has(texts, t->resource);
    if (texts)
        val_each(x, texts) {
            struct str s = val_str(x);
            if (str_is(s, "*") || (s.len > n && s.at[n] == '/' && memcmp(s.at, t->resource, n) == 0 && str_is(str_skip(s, n + 1), t->subresource)))
                return true;
        }
    return false;
}

static bool any_resource(const struct flow_rule *r, const struct kl_request *t)
{
    for (unsigned i = 0; i < r->n_resources; i++) {
        const struct flow_resource_rule *x = &r->resources[i];
        if (has(x->verbs, t->verb) && has(x->groups, t->group) && has_resource(x->resources, t) &&
            (t->ns[0] ? has(x->namespaces, t->ns) : x->cluster))
            return true;
    }
    return false;
}

static bool has_url(const struct val *urls, struct str path)
{
    if (urls)
        val_each(x, urls) {
            struct str s = val_str(x);
            if (str_is(s, "*") || str_eq(s, path) || (str_ends(s, STR("/*")) && str_starts(path, str_n(s.at, s.len - 1))))
                return true;
        }
    return false;
}

static bool any_url(const struct flow_rule *r, const struct kl_request *t)
{
    for (unsigned i = 0; i < r->n_urls; i++)
        if (has(r->urls[i].verbs, t->verb) && has_url(r->urls[i].urls, str_of(t->path)))
            return true;
    return false;
}

bool flow_matches(const struct flow_schema *s, const struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    for (unsigned i = 0; i < s->n_rules; i++) {
        const struct flow_rule *r = &s->rules[i];
        if ((t->is_resource ? r->n_resources : r->n_urls) && any_subject(r, &rq->user) && (t->is_resource ? any_resource(r, t) : any_url(r, t)))
            return true;
    }
    return false;
}

struct str flow_distinguisher(const struct flow_schema *s, const struct api_rq *rq)
{
    return s->by == BY_USER ? str_of(rq->user.name) : s->by == BY_NAMESPACE ? str_of(rq->info.tuple.ns) : STR("");
}

uint64_t flow_hash(const struct flow_schema *s, const struct api_rq *rq)
{
    static const uint64_t key[2] = { 0x6b65656c736f6e31ull, 0x666c6f77736b6579ull };
    struct str d = flow_distinguisher(s, rq);
    return hash_sip(key, d.at, d.len) ^ hash_sip(key, s->name, strlen(s->name)) * 0x9e3779b97f4a7c15ull;
}
