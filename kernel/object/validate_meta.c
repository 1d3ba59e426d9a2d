/* validate_meta.c - object metadata and label selectors, the same for every kind. */
#include <stdlib.h>

#include "object/validate.h"

#define ANNOTATIONS_MOST (256 << 10)

static const struct {
    const char *group, *kind;
    enum grammar g;
} name_rows[] = {
    { "", "Namespace", G_LABEL }, { "", "Service", G_LABEL }, { "apps", "StatefulSet", G_LABEL },
    { "", "Event", G_ANY }, { "policy", "PodDisruptionBudget", G_ANY },
    { "rbac.authorization.k8s.io", "Role", G_PATH_SEGMENT }, { "rbac.authorization.k8s.io", "RoleBinding", G_PATH_SEGMENT },
    { "rbac.authorization.k8s.io", "ClusterRole", G_PATH_SEGMENT }, { "rbac.authorization.k8s.io", "ClusterRoleBinding", G_PATH_SEGMENT },
    { "flowcontrol.apiserver.k8s.io", "FlowSchema", G_SUBDOMAIN }, { "certificates.k8s.io", "CertificateSigningRequest", G_PATH_SEGMENT },
    { "networking.k8s.io", "IPAddress", G_ANY }, { "apiregistration.k8s.io", "APIService", G_PATH_SEGMENT },
};

enum grammar name_grammar(const struct schema_kind *k)
{
    for (size_t i = 0; i < sizeof name_rows / sizeof *name_rows; i++)
        if (strcmp(name_rows[i].kind, k->kind) == 0 && strcmp(name_rows[i].group, k->group) == 0)
            return name_rows[i].g;
    return G_SUBDOMAIN;
}

void check_labels(causes c, const struct path *p, const struct val *labels)
{
    if (!val_is(labels, VAL_OBJ))
        return;
    val_each(l, labels) {
        check_name(c, p, val_key(l), G_QUALIFIED);
        check_name(c, p, val_str(l), G_LABEL_VALUE);
    }
}

void check_annotations(causes c, const struct path *p, const struct val *v)
{
    size_t total = 0;
    if (!val_is(v, VAL_OBJ))
        return;
    val_each(a, v) {
        check_name_caseless(c, p, val_key(a), G_QUALIFIED);
        total += a->key_len + a->n;
    }
    if (total > ANNOTATIONS_MOST)
        say_too_long(c, p, ANNOTATIONS_MOST, "bytes");
}

static void check_owners(causes c, const struct path *p, const struct val *refs)
{
    static const char *const needed[] = { "apiVersion", "kind", "name", "uid" };
    const char *first = NULL;
    LIST_EACH (r, at, refs) {
        for (int k = 0; k < 4; k++) {
            struct str s = json_str(r, needed[k]), rest = s;
            bool empty = !s.len;
            if (k == 0 && str_find(s, '/') >= 0) {
                str_cut(&rest, '/');
                empty = !rest.len || str_find(rest, '/') >= 0;         /* no version can be read out of it */
            }
            if (empty)
                say_invalid(c, IN(p, needed[k]), s, k == 0 ? "version must not be empty" : "must not be empty");
        }
        if (str_is(json_str(r, "kind"), "Event") && (str_is(json_str(r, "apiVersion"), "v1") || str_is(json_str(r, "apiVersion"), "events.k8s.io/v1")))
            say_invalid_val(c, p, r, words(c, STR_FMT ", Kind=Event is disallowed from being an owner",
                                           STR_ARG(str_is(json_str(r, "apiVersion"), "v1") ? STR("/v1") : STR("events.k8s.io/v1"))));
        if (!json_bool(r, "controller", false))
            continue;
        const char *now = words(c, STR_FMT "/" STR_FMT, STR_ARG(json_str(r, "kind")), STR_ARG(json_str(r, "name")));
        if (first)
            say_invalid_val(c, p, refs, words(c, "Only one reference can have Controller set to true. Found \"true\" in references for %s and %s", first, now));
        else
            first = now;
    }
}

/* What an update looks at beside what may not change. */
static void check_marks(causes c, const struct path *p, const struct val *m)
{
    check_labels(c, IN(p, "labels"), json_get(m, STR("labels")));
    check_annotations(c, IN(p, "annotations"), json_get(m, STR("annotations")));
    check_owners(c, IN(p, "ownerReferences"), json_get(m, STR("ownerReferences")));
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Nobody holds back what is on its way already. */
static void check_added_finalizers(causes c, const struct val *m, const struct val *was)
{
    const struct val *now = json_get(m, STR("finalizers"));
    _cleanup_buf_ struct buf added = BUF_INIT(1 << 20);
    _cleanup_met_ struct met had = { 0 };
    if (!json_get(was, STR("deletionTimestamp")) || !now)
        return;
    LIST_EACH (f, at, json_get(was, STR("finalizers")))
        met_again(&had, val_str(f));
    struct str *names = arena_alloc(c->arena, (now->n + 1) * sizeof *names);
    size_t n = 0;
    LIST_EACH (f, at, names ? now : NULL)
        if (!met_again(&had, val_str(f)))
            names[n++] = val_str(f);
    if (!n)
        return;
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        buf_add_z(&added, i ? ", " : "");
        object_write_quoted(&added, names[i]);
    }
    say_forbidden(c, IN(IN(NULL, "metadata"), "finalizers"),
                  words(c, "no new finalizers can be added if the object is being deleted, found new finalizers []string{%s}", added.failed ? "..." : added.at));
}

/* What an update looks at. */
static void check_change(causes c, const struct val *m, const struct val *was)
{
    check_added_finalizers(c, m, was);
    check_marks(c, IN(NULL, "metadata"), m);
}

static void check_finalizers(causes c, const struct path *p, const struct val *list)
{
    bool orphan = false, foreground = false;
    LIST_EACH (f, at, list) {
        check_name(c, p, val_str(f), G_QUALIFIED);
        orphan |= str_is(val_str(f), "orphan");
        foreground |= str_is(val_str(f), "foregroundDeletion");
    }
    if (orphan && foreground)
        say_invalid_val(c, p, list, "finalizer foregroundDeletion and orphan cannot be both set");
}

/* A finalizer of Kubernetes' own has a plain name; others are qualified. */
static void check_finalizer_names(causes c, const struct val *m)
{
    LIST_EACH (f, at, json_get(m, STR("finalizers"))) {
        struct str s = val_str(f);
        if (str_find(s, '/') < 0 && !str_is(s, "orphan") && !str_is(s, "foregroundDeletion") && !str_is(s, "kubernetes"))
            say_invalid(c, ITEM(IN(IN(NULL, "metadata"), "finalizers"), at.i), s, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

/* What is generated gets five letters more: a dash at the end, and what stands before it, may be what they will be. */
static void check_base(causes c, const struct path *p, struct str base, enum grammar g)
{
    const char *texts[6];
    bool masked = base.len > 1 && base.at[base.len - 1] == '-' && (g == G_SUBDOMAIN || g == G_LABEL || g == G_LABEL_1035);
    const char *whole = words(c, STR_FMT "%s", STR_ARG(masked ? str_n(base.at, base.len - 2) : base), masked ? "a" : "");
    unsigned n = name_errors(c->arena, str_of(whole), g, texts, 6);
    for (unsigned i = 0; i < n; i++)
        say_invalid(c, IN(p, "generateName"), base, texts[i]);
}

/* Of a controller of replicas and a class of devices the schema judges the name, and says nothing of what a name is generated from. */
static bool base_is_judged(const struct schema_kind *k)
{
    return strcmp(k->kind, "ReplicationController") != 0 && strcmp(k->kind, "DeviceClass") != 0;
}

static void check_rest(causes c, const struct path *p, const struct val *m)
{
    check_nonnegative(c, p, m, "generation");
    check_marks(c, p, m);
    check_finalizers(c, IN(p, "finalizers"), json_get(m, STR("finalizers")));
}

static void check_whole(causes c, const struct schema_kind *k, const struct val *m, enum grammar g)
{
    const struct path *p = IN(NULL, "metadata");
    struct str name = json_str(m, "name"), base = json_str(m, "generateName");
    if (base.len && base_is_judged(k))
        check_base(c, p, base, g);
    if (!name.len)
        say_required(c, IN(p, "name"), "name or generateName is required");
    else
        check_name(c, IN(p, "name"), name, g);
    check_rest(c, p, m);
}

void check_embedded_meta(causes c, const struct path *p, const struct val *m)
{
    struct str name = json_str(m, "name"), base = json_str(m, "generateName"), ns = json_str(m, "namespace");
    if (base.len)
        check_base(c, p, base, G_PATH_SEGMENT);
    if (name.len)
        check_name(c, IN(p, "name"), name, G_PATH_SEGMENT);
    if (ns.len)
        check_name(c, IN(p, "namespace"), ns, G_LABEL);
    check_rest(c, p, m);
}

void check_only_name(causes c, const struct val *m, const char *wanted, const char *why)
{
    static const char *const members[] = { "generateName", "name" };
    for (int i = 0; i < 2; i++)
        if ((i || json_str(m, members[i]).len) && !str_is(json_str(m, members[i]), wanted))
            say_invalid(c, IN(IN(NULL, "metadata"), members[i]), json_str(m, members[i]), why);
}

void check_metadata(causes c, const struct schema_kind *k, bool status, const struct val *v, const struct val *old)
{
    const char *ways = metadata_ways(k, status);
    const struct val *m = json_get(v, STR("metadata"));
    check_whole(c, k, m, old ? G_PATH_SEGMENT : name_grammar(k));
    if (!old && (*ways == 'F' || *ways == 'U'))
        check_finalizer_names(c, m);
    if (!old || (!c->n && !json_str(m, "generateName").len && json_path(m, "finalizers") == NULL))
        return;                         /* nothing that anybody could complain of again */
    const struct val *was = json_get(old, STR("metadata"));
    check_change(c, m, was);
    for (; *ways; ways++) {
        if (*ways == 'F' || *ways == 'f')
            check_whole(c, k, m, name_grammar(k));
        else
            check_change(c, m, was);
        if (*ways == 'F' || *ways == 'U')
            check_finalizer_names(c, m);
    }
}

/* --- label selectors --- */

static void check_expression(causes c, const struct path *p, const struct val *e)
{
    struct str op = json_str(e, "operator");
    struct val *values = json_get(e, STR("values"));
    bool some = val_is(values, VAL_ARR) && values->n;
    if (str_is(op, "In") || str_is(op, "NotIn")) {
        if (!some)
            say_required(c, IN(p, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (str_is(op, "Exists") || str_is(op, "DoesNotExist")) {
        if (some)
            say_forbidden(c, IN(p, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
        say_invalid(c, IN(p, "operator"), op, "not a valid selector operator");
    }
    check_name(c, IN(p, "key"), json_str(e, "key"), G_QUALIFIED);
    LIST_EACH (v, at, values)
        check_name(c, ITEM(IN(p, "values"), at.i), val_str(v), G_LABEL_VALUE);
}

void check_selector(causes c, const struct path *p, const struct val *s)
{
    if (!s)
        return;
    check_labels(c, IN(p, "matchLabels"), json_get(s, STR("matchLabels")));
    LIST_EACH (e, at, json_get(s, STR("matchExpressions")))
        check_expression(c, ITEM(IN(p, "matchExpressions"), at.i), e);
}

bool selector_is_empty(const struct val *s)
{
    struct val *l = json_get(s, STR("matchLabels")), *e = json_get(s, STR("matchExpressions"));
    return (!l || !l->n) && (!e || !e->n);
}

bool selector_is_good(causes c, const struct val *selector)
{
    struct kl_err err;
    kl_err_init(&err);
    struct object_causes found = { .arena = c->arena };
    check_selector(&found, NULL, selector);
    return found.n == 0 && selector_of_tree(c->arena, selector, &err) != NULL;
}

const struct val *selector_shown(causes c, const struct val *s)
{
    static const char *const members[] = { "matchLabels", "matchExpressions" };
    struct val *v = s ? val_copy(c->arena, s) : NULL;
    for (int i = 0; v && i < 2; i++) {
        struct val *x = json_get(v, str_of(members[i]));
        if (x && !x->n)
            json_del(v, str_of(members[i]));
    }
    struct val *list = json_get(v, STR("matchExpressions")), *shown = val_new(c->arena, VAL_ARR);
    LIST_EACH (x, at, list) {
        struct val *to = val_push(shown, val_new(c->arena, VAL_OBJ)), *values = json_get(x, STR("values"));
        json_set_str(c->arena, to, STR("key"), json_str(x, "key"));
        json_set_str(c->arena, to, STR("operator"), json_str(x, "operator"));
        if (values && values->n)
            json_set(c->arena, to, STR("values"), val_copy(c->arena, values));
    }
    if (list)
        json_set(c->arena, v, STR("matchExpressions"), shown);
    return v;
}

bool selects(causes c, const struct val *selector, const struct val *labels)
{
    struct kl_err err;
    kl_err_init(&err);
    struct selector *s = selector_of_tree(c->arena, selector, &err);
    return s && selector_matches_labels(s, labels);
}
