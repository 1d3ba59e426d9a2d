/* review.c - SubjectAccessReview and TokenReview, with upstream's order of members and omissions. */
#include "review.h"

static void text(struct arena *a, struct val *v, const char *key, const char *s)
{
    if (s && *s)
        json_set_str(a, v, str_of(key), str_of(s));
}

static struct val *review(struct arena *a, const char *kind, const char *group, const char *version)
{
    struct val *v = val_new(a, VAL_OBJ);
    text(a, v, "kind", kind);
    text(a, v, "apiVersion", arena_printf(a, "%s/%s", group, version));
    json_obj(a, v, STR("metadata"));
    return v;
}

/* --- selectors become requirements --- */

/* Of labels, values are a set: each once, in order. */
static void push_in_order(struct val *list, struct val *v)
{
    struct val **at = &list->first;
    while (*at && str_cmp(val_str(*at), val_str(v)) < 0)
        at = &(*at)->next;
    if (*at && str_eq(val_str(*at), val_str(v)))
        return;
    v->next = *at;
    *at = v;
    list->last = v->next ? list->last : v;
    list->n++;
}

static void requirement(struct arena *a, struct val *list, struct str key, const char *op, struct str values)
{
    struct val *v = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, v, STR("key"), str_trim(key));
    text(a, v, "operator", op);
    if (!values.at)
        return;
    struct val *out = json_arr(a, v, STR("values"));
    while (values.at) {
        struct val *one = val_of_str(a, str_trim(str_cut(&values, ',')));
        if (one)
            push_in_order(out, one);
    }
}

/* The next term; commas within parentheses are no ends. */
static struct str next_term(struct str *rest)
{
    int depth = 0;
    for (size_t i = 0; i < rest->len; i++) {
        depth += rest->at[i] == '(' ? 1 : rest->at[i] == ')' ? -1 : 0;
        if (rest->at[i] == ',' && depth == 0) {
            struct str t = str_n(rest->at, i);
            *rest = str_skip(*rest, i + 1);
            return str_trim(t);
        }
    }
    struct str t = str_trim(*rest);
    *rest = STR_NONE;
    return t;
}

/* key in (a,b), key notin (a,b). False: neither. */
static bool set_term(struct arena *a, struct val *list, struct str term)
{
    long open = str_find(term, '(');
    if (open < 0 || term.at[term.len - 1] != ')')
        return false;
    struct str head = str_trim(str_n(term.at, (size_t)open)), values = str_n(term.at + open + 1, term.len - (size_t)open - 2);
    bool not = str_ends(head, STR(" notin"));
    if (!not && !str_ends(head, STR(" in")))
        return false;
    requirement(a, list, str_n(head.at, head.len - (not ? 6 : 3)), not ? "NotIn" : "In", values);
    return true;
}

static void add_terms(struct arena *a, struct val *list, struct str selector, bool labels)
{
    while (selector.at && selector.len) {
        struct str term = next_term(&selector), value = term, key;
        if (!term.len || (labels && set_term(a, list, term)))
            continue;
        if (str_find(term, '>') >= 0 || str_find(term, '<') >= 0)
            continue;                   /* no requirement can say this: what is asked is less exact then */
        if (str_find(term, '=') < 0) {
            bool not = term.at[0] == '!';
            if (labels)
                requirement(a, list, not ? str_skip(term, 1) : term, not ? "DoesNotExist" : "Exists", STR_NONE);
            continue;
        }
        key = str_cut(&value, '=');
        bool not = key.len && key.at[key.len - 1] == '!';
        if (value.len && value.at[0] == '=')
            value = str_skip(value, 1);
        requirement(a, list, not ? str_n(key.at, key.len - 1) : key, not ? "NotIn" : "In", value);
    }
}

static void selector(struct arena *a, struct val *attributes, const char *key, const char *s, bool labels)
{
    struct val *list = s && *s ? val_new(a, VAL_ARR) : NULL;
    if (!list)
        return;
    add_terms(a, list, str_of(s), labels);
    if (list->n)
        json_set(a, json_obj(a, attributes, str_of(key)), STR("requirements"), list);
}

void review_access(struct buf *b, struct arena *a, const char *version, const struct kl_user *u, const struct kl_request *r)
{
    struct val *v = review(a, "SubjectAccessReview", "authorization.k8s.io", version), *spec = json_obj(a, v, STR("spec"));
    struct val *at = json_obj(a, spec, r->is_resource ? STR("resourceAttributes") : STR("nonResourceAttributes"));
    if (r->is_resource) {
        const char *const rows[][2] = { { "namespace", r->ns }, { "verb", r->verb }, { "group", r->group }, { "version", r->version },
                                        { "resource", r->resource }, { "subresource", r->subresource }, { "name", r->name } };
        for (int i = 0; i < 7; i++)
            text(a, at, rows[i][0], rows[i][1]);
        selector(a, at, "fieldSelector", KL_HAS(r, field_selector) ? r->field_selector : NULL, false);
        selector(a, at, "labelSelector", KL_HAS(r, label_selector) ? r->label_selector : NULL, true);
    } else {
        text(a, at, "path", r->path);
        text(a, at, "verb", r->verb);
    }
    text(a, spec, "user", u->name);
    for (const char *const *g = u->groups; g && *g; g++)
        val_push(json_arr(a, spec, strcmp(version, "v1") == 0 ? STR("groups") : STR("group")), val_of_str(a, str_of(*g)));
    for (const char *const *x = KL_HAS(u, extra) ? u->extra : NULL; x && x[0] && x[1]; x += 2)
        val_push(json_arr(a, json_obj(a, spec, STR("extra")), str_of(x[0])), val_of_str(a, str_of(x[1])));
    text(a, spec, "uid", u->uid);
    json_set_bool(a, json_obj(a, v, STR("status")), STR("allowed"), false);
    json_write(b, v);
}

void review_token(struct buf *b, struct arena *a, const char *version, const char *token, const char *const *audiences)
{
    struct val *v = review(a, "TokenReview", "authentication.k8s.io", version), *spec = json_obj(a, v, STR("spec"));
    text(a, spec, "token", token);
    for (const char *const *x = audiences; x && *x; x++)
        val_push(json_arr(a, spec, STR("audiences")), val_of_str(a, str_of(*x)));
    json_set(a, json_obj(a, v, STR("status")), STR("user"), val_new(a, VAL_OBJ));
    json_write(b, v);
}
