/* limited.c - limitedResources: what may be used only where some quota of the namespace covers it. */
#include "quota.h"

static int check_one(const struct val *v, unsigned i, struct kl_err *err)
{
    static const char *const known[] = { "api_group", "resource", "match_contains", "match_scopes" };
    static const char *const scopes[] = { "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "CrossNamespacePodAffinity", "PriorityClass",
                                          "VolumeAttributesClass" };
    const struct val *list = json_get(v, STR("match_scopes"));
    if (!json_str(v, "resource").len)
        return kl_err_set(err, KL_INVALID, "limited_resources[%u].resource: a value is needed", i);
    val_each(m, v) {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && !str_is(val_key(m), known[k]))
            k++;
        if (k == sizeof known / sizeof *known)
            return kl_err_set(err, KL_INVALID, "limited_resources[%u]: unknown setting '" STR_FMT "'", i, STR_ARG(val_key(m)));
    }
    for (const struct val *s = val_is(list, VAL_ARR) ? list->first : NULL; s; s = s->next) {
        size_t k = 0;
        while (k < sizeof scopes / sizeof *scopes && !str_is(json_str(s, "scope"), scopes[k]))
            k++;
        if (k == sizeof scopes / sizeof *scopes)
            return kl_err_set(err, KL_INVALID, "limited_resources[%u].match_scopes: unknown scope \"" STR_FMT "\"", i, STR_ARG(json_str(s, "scope")));
    }
    return 0;
}

int limited_read(struct arena *a, const char *text, struct val **ret, struct kl_err *err)
{
    struct str copy = arena_str(a, str_of(text));
    struct val *list = copy.at ? json_parse(a, copy, err) : NULL;
    unsigned i = 0;
    if (!list)
        return copy.at ? -err->code : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(v, list) {
        int rc = check_one(v, i++, err);
        if (rc < 0)
            return rc;
    }
    *ret = list;
    return 0;
}

static bool is_of(const struct val *limited, struct str resource)
{
    struct str plural = resource, group = str_cut(&plural, '/');
    return str_eq(json_str(limited, "resource"), plural) && str_eq(json_str(limited, "api_group"), group);
}

bool limited_concerns(const struct val *list, struct str resource)
{
    for (const struct val *v = list ? list->first : NULL; v; v = v->next)
        if (is_of(v, resource) || json_get(v, STR("match_scopes")))
            return true;
    return false;
}

static bool contains(struct str s, struct str part)
{
    return !part.len || memmem(s.at, s.len, part.at, part.len);
}

/* Names that the object uses, a configured text is part of, and no quota covers. */
static int uncovered_names(struct review *w, const struct val *list, struct str resource, const struct amounts *usage, const struct amounts *covered)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    for (unsigned i = 0; i < usage->n; i++) {
        bool hit = false;
        for (const struct val *v = list->first; v; v = v->next) {
            const struct val *parts = is_of(v, resource) ? json_get(v, STR("match_contains")) : NULL;
            for (const struct val *p = val_is(parts, VAL_ARR) ? parts->first : NULL; p; p = p->next)
                hit |= contains(usage->at[i].name, val_str(p));
        }
        if (hit && usage->at[i].q.nano > 0 && !amounts_get(covered, usage->at[i].name))
            buf_printf(&b, "%s" STR_FMT, b.len ? "," : "", STR_ARG(usage->at[i].name));
    }
    return b.len ? review_forbid(w, "insufficient quota to consume: " STR_FMT, STR_ARG(buf_str(&b))) : 0;
}

/* Does some quota ask for that scope, and is the object in it? */
static bool scope_covered(struct val *const *quotas, unsigned n, struct str scope, struct str resource, const struct val *object)
{
    for (unsigned i = 0; i < n; i++)
        if (usage_meets_scope(quotas[i], scope, resource, object))
            return true;
    return false;
}

static int uncovered_scopes(struct review *w, const struct val *list, struct val *const *quotas, unsigned n, struct str resource, const struct val *object)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    for (const struct val *v = list->first; v; v = v->next) {
        const struct val *scopes = json_get(v, STR("match_scopes"));
        for (const struct val *s = val_is(scopes, VAL_ARR) ? scopes->first : NULL; s; s = s->next) {
            struct str scope = json_str(s, "scope"), op = json_str(s, "operator");
            const struct val *values = json_get(s, STR("values"));
            op = op.len ? op : STR("Exists");
            if (!usage_in_scope(scope, op, values, resource, object) || scope_covered(quotas, n, scope, resource, object))
                continue;
            buf_printf(&b, "%s{" STR_FMT " " STR_FMT " [", b.len ? " " : "", STR_ARG(scope), STR_ARG(op));
            for (const struct val *x = val_is(values, VAL_ARR) ? values->first : NULL; x; x = x->next)
                buf_printf(&b, "%s" STR_FMT, x == values->first ? "" : " ", STR_ARG(val_str(x)));
            buf_lit(&b, "]}");
        }
    }
    return b.len ? review_forbid(w, "insufficient quota to match these scopes: [" STR_FMT "]", STR_ARG(buf_str(&b))) : 0;
}

int limited_check(struct review *w, const struct val *list, struct val *const *quotas, unsigned n, struct str resource, const struct val *object,
                  const struct amounts *covered)
{
    struct amounts usage = usage_of(w->arena, resource, object, w->core->env->wall_ns(w->core->host));
    int rc = uncovered_names(w, list, resource, &usage, covered);
    return rc < 0 ? rc : uncovered_scopes(w, list, quotas, n, resource, object);
}
