/* request.c - a URL becomes one tuple, which authorization, storage and audit share. */
#include "api-internal.h"

#define SEGMENTS 64

/* /api/v1/namespaces/NS/pods/NAME/proxy, /api/v1/nodes/NAME/proxy: what follows is another server's path. */
static bool at_proxy(const char **seg, unsigned n)
{
    static const struct {
        unsigned n;
        const char *kind;
    } rows[] = { { 7, "namespaces" }, { 5, "nodes" } };
    for (int i = 0; i < 2; i++)
        if (n == rows[i].n && strcmp(seg[0], "api") == 0 && strcmp(seg[2], rows[i].kind) == 0 && strcmp(seg[n - 1], "proxy") == 0)
            return true;
    return false;
}

const char *api_bad_segment(struct str s)
{
    if (str_is(s, "."))
        return "may not be '.'";
    if (str_is(s, ".."))
        return "may not be '..'";
    if (s.len && memchr(s.at, '/', s.len))
        return "may not contain '/'";
    return s.len && (memchr(s.at, '%', s.len) || memchr(s.at, '\0', s.len)) ? "may not contain '%'" : NULL;
}

/* A NUL stays as it was sent, and is refused where a name is looked at: nothing may end before its end. */
static struct str decode(struct arena *a, struct str s)
{
    struct str d = http_decode(a, s, false);    /* as it is, when there is nothing to decode */
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (d.at == s.at || !d.at || !memchr(d.at, '\0', d.len))
        return d;
    for (size_t i = 0; i < d.len; i++)
        d.at[i] ? buf_add_c(&b, d.at[i]) : buf_lit(&b, "%00");
    return b.failed ? STR_NONE : arena_str(a, buf_str(&b));
}

/* Decoded segments of the path, less the empty ones at its ends. What is decoded may have slashes: they divide as the others do. */
static int split(struct arena *a, struct str path, const char **seg, unsigned *n, struct str *rest_at, struct api_error *e)
{
    struct str left = path;
    *n = 0;
    while (left.len && left.at[0] == '/')
        left = str_skip(left, 1);
    rest_at[0] = left;
    for (bool proxied = false; left.at && *n < SEGMENTS && !proxied;) {
        struct str part = decode(a, str_cut(&left, '/'));
        if (!part.at)
            return api_fail(e, a, KL_BAD_REQUEST, "invalid URL escape in the path");
        while (part.at && *n < SEGMENTS && !proxied) {
            if (!(seg[*n] = arena_dup(a, str_cut(&part, '/'))))
                return api_fail(e, a, KL_NO_MEMORY, "out of memory");
            rest_at[++*n] = left;
            proxied = at_proxy(seg, *n);
        }
        if (proxied && part.at)         /* what follows would be another path than was sent */
            return api_fail_path(e, a);
    }
    while (*n && !seg[*n - 1][0])
        --*n;
    return 0;
}

static const char *verb_of(struct str method, bool named, bool watch)
{
    static const struct {
        const char *method, *named, *all;
    } rows[] = { { "GET", "get", "list" },   { "HEAD", "get", "list" },      { "POST", "create", "create" },
                 { "PUT", "update", "update" }, { "PATCH", "patch", "patch" }, { "DELETE", "delete", "deletecollection" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(method, rows[i].method)) {
            if (i < 2 && watch && !named)       /* an object alone is read, whatever its query says */
                return "watch";
            return named ? rows[i].named : rows[i].all;
        }
    return "";
}

static const char *lower_method(struct arena *a, struct str method)
{
    char *m = arena_dup(a, method);
    for (char *p = m; p && *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return m ? m : "";
}

static bool flag(struct str v)
{
    return !str_eq_nocase(v, STR("false")) && !str_is(v, "0");
}

struct param {
    const char *name;
    enum { P_STR, P_INT, P_GRACE, P_BOOL, P_TRI } type;
    size_t offset;
};
#define Q(name, type, member) { name, type, offsetof(struct api_query, member) }
static const struct param params[] = {
    Q("labelSelector", P_STR, label_selector), Q("fieldSelector", P_STR, field_selector),
    Q("resourceVersion", P_STR, resource_version), Q("resourceVersionMatch", P_STR, version_match),
    Q("continue", P_STR, continue_token), Q("fieldManager", P_STR, field_manager),
    Q("fieldValidation", P_STR, field_validation), Q("propagationPolicy", P_STR, propagation),
    Q("dryRun", P_STR, dry_run), Q("uid", P_STR, uid), Q("timeout", P_STR, timeout), Q("limit", P_INT, limit), Q("timeoutSeconds", P_INT, timeout_s),
    Q("gracePeriodSeconds", P_GRACE, grace_s), Q("watch", P_BOOL, watch), Q("allowWatchBookmarks", P_BOOL, bookmarks),
    Q("pretty", P_STR, pretty), Q("force", P_BOOL, force), Q("orphanDependents", P_BOOL, orphan),
    Q("sendInitialEvents", P_TRI, send_initial),
};

static bool is_number(struct str v)
{
    size_t i = v.len && (v.at[0] == '-' || v.at[0] == '+');
    for (size_t k = i; k < v.len; k++)
        if (v.at[k] < '0' || v.at[k] > '9')
            return false;
    return v.len > i;
}

static int set_param(struct arena *a, const struct param *p, struct str v, struct api_query *q, struct api_error *e)
{
    char *at = (char *)q + p->offset;
    switch (p->type) {
    case P_STR: *(struct str *)(void *)at = v; break;
    case P_BOOL: *(bool *)at = flag(v); break;
    case P_TRI: *(int *)(void *)at = flag(v); break;
    case P_GRACE:
    case P_INT:
        if (!str_int(v, (int64_t *)(void *)at))
            return api_fail(e, a, KL_BAD_REQUEST, "strconv.ParseInt: parsing \"" STR_FMT "\": %s", STR_ARG(v), is_number(v) ? "value out of range" : "invalid syntax");
        if (p->type == P_GRACE && *(int64_t *)(void *)at < 0)
            *(int64_t *)(void *)at = 1; /* a second is the least that waits */
        break;
    }
    return 0;
}

int api_parse_query(struct arena *a, struct str query, struct api_query *q, struct api_error *e)
{
    *q = (struct api_query){ .limit = -1, .grace_s = -1, .send_initial = -1 };
    struct str key, value;
    int rc = 0;
    uint32_t seen = 0;
    while (http_query_next(a, &query, &key, &value)) {
        if (str_is(key, "orphanDependents"))
            q->has_orphan = true;
        if (str_is(key, "force"))
            q->has_force = true;
        for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
            if (!str_is(key, params[i].name) || seen & 1u << i)
                continue;
            seen |= 1u << i;            /* of several the first counts */
            if (set_param(a, &params[i], value, q, e) < 0)
                rc |= params[i].type == P_GRACE ? API_BAD_GRACE : API_BAD_NUMBER;
        }
    }
    return rc;
}

int api_parse_version(struct arena *a, struct str version, uint64_t *ret, struct api_error *e)
{
    uint64_t rv = 0;
    bool digits = true, fits = true;
    for (size_t i = 0; i < version.len && digits; i++) {
        unsigned d = (unsigned)(unsigned char)version.at[i] - '0';
        digits = d <= 9;
        fits &= digits && rv <= (UINT64_MAX - d) / 10;
        rv = rv * 10 + d;
    }
    *ret = 0;
    if (!digits || !fits)
        return api_fail(e, a, KL_BAD_REQUEST, "resourceVersion: Invalid value: \"" STR_FMT "\": strconv.ParseUint: parsing \"" STR_FMT "\": %s",
                        STR_ARG(version), STR_ARG(version), digits ? "value out of range" : "invalid syntax");
    *ret = rv;
    return 0;
}

/* A "metadata.name=x" field selector of a collection request names the object, for authorization, when x can be a name at all. */
static const char *name_from_selector(struct arena *a, struct str selector)
{
    while (selector.at) {
        struct str term = str_trim(str_cut(&selector, ','));
        struct str key = str_cut(&term, '=');
        if (!str_is(key, "metadata.name") || !term.at)
            continue;
        if (term.len && term.at[0] == '=')
            term = str_skip(term, 1);
        return term.at && !api_bad_segment(term) ? arena_dup(a, term) : "";
    }
    return "";
}

static const struct schema_subresource *find_sub(const struct schema_kind *k, const char *name)
{
    for (unsigned i = 0; k && i < k->n_sub; i++)
        if (strcmp(k->sub[i].name, name) == 0)
            return &k->sub[i];
    return NULL;
}

static bool is_namespace_sub(const char *s)
{
    return strcmp(s, "status") == 0 || strcmp(s, "finalize") == 0;
}

/* A watch of one object, by its path: it sees no other. */
static int watch_only(struct arena *a, struct api_info *ret, struct api_error *e)
{
    const char *name = ret->tuple.name;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (ret->q.field_selector.len)
        return strcmp(name_from_selector(a, ret->q.field_selector), name) == 0
            ? 0 : api_fail(e, a, KL_BAD_REQUEST, "fieldSelector metadata.name doesn't match requested name");
    buf_add_z(&b, "metadata.name=");
    for (const char *c = name; *c; c++) {
        if (*c == ',' || *c == '=' || *c == '\\')
            buf_add_c(&b, '\\');
        buf_add_c(&b, *c);
    }
    ret->q.field_selector = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    return ret->q.field_selector.at ? 0 : api_fail(e, a, KL_NO_MEMORY, "out of memory");
}

/* seg: what follows /api/v1 or /apis/G/V, n >= 1. */
static void parse_resource(const char **seg, unsigned n, struct str *rest, struct api_info *ret)
{
    struct kl_request *t = &ret->tuple;
    if (strcmp(seg[0], "watch") == 0 && n > 1) {
        ret->q.watch = ret->watch_path = true;
        seg++, rest++, n--;
    }
    if (strcmp(seg[0], "namespaces") == 0 && n > 1) {
        t->ns = seg[1];
        if (n > 2 && !is_namespace_sub(seg[2])) {
            seg += 2, rest += 2, n -= 2;
            ret->nested = strcmp(seg[0], "namespaces") == 0;
        }
    }
    t->resource = seg[0];
    t->name = n > 1 ? seg[1] : "";
    t->subresource = n > 2 ? seg[2] : "";
    ret->rest = n > 2 ? rest[3] : STR_NONE;
    ret->deep = n > 3;
}

int api_parse_request(struct arena *a, struct str method, struct str path, struct str query, struct api_info *ret,
                      struct api_error *e)
{
    const char *seg[SEGMENTS];
    struct str rest[SEGMENTS + 1];
    unsigned n;
    *ret = (struct api_info){ .tuple = { .size = sizeof(struct kl_request), .group = "", .version = "", .resource = "",
                                         .subresource = "", .ns = "", .name = "" } };
    struct kl_request *t = &ret->tuple;
    bool coded = memchr(path.at, '%', path.len) != NULL;
    ret->odd = coded || memmem(path.at, path.len, "/.", 2);
    t->path = arena_dup(a, coded ? decode(a, path) : path);
    if (!t->path)
        return api_fail(e, a, KL_BAD_REQUEST, "invalid URL escape in the path");
    t->verb = lower_method(a, method);
    if (split(a, path, seg, &n, rest, e) < 0)
        return -e->code;
    int bad = api_parse_query(a, at_proxy(seg, n) ? STR("") : query, &ret->q, e);
    unsigned head = n && strcmp(seg[0], "api") == 0 ? 2 : n && strcmp(seg[0], "apis") == 0 ? 3 : 0;
    if (!head || n <= head)
        return 0;                       /* documents */
    t->is_resource = 1;
    t->group = head == 3 ? seg[1] : "";
    t->version = seg[head - 1];
    parse_resource(seg + head, n - head, rest + head, ret);
    ret->kind = schema_resource_find(str_of(t->group), str_of(t->version), str_of(t->resource));
    if (t->subresource[0])
        ret->sub = find_sub(ret->kind, t->subresource);
    if (ret->kind && !(ret->kind->flags & K_NAMESPACED) && t->ns[0] && (ret->nested || strcmp(t->resource, "namespaces") != 0))
        return api_fail_path(e, a);
    t->verb = ret->watch_path ? "watch" : verb_of(method, t->name[0] != '\0', ret->q.watch);
    if (bad & (*t->verb == 'l' || *t->verb == 'w' ? API_BAD_NUMBER : strcmp(t->verb, "delete") == 0 ? API_BAD_GRACE : *t->verb == 'd' ? API_BAD_GRACE | API_BAD_NUMBER : 0))
        return -KL_BAD_REQUEST;         /* others do not look at numbers */
    *e = (struct api_error){ 0 };
    if (*t->verb == 'w' && t->name[0] && watch_only(a, ret, e) < 0)
        return -KL_BAD_REQUEST;
    if (strcmp(t->resource, "namespaces") == 0 && !t->name[0])
        t->ns = "";
    if (!t->name[0] && ret->q.field_selector.len)
        t->name = name_from_selector(a, ret->q.field_selector);
    if (*t->verb == 'l' || *t->verb == 'w' || strcmp(t->verb, "deletecollection") == 0) {
        t->field_selector = ret->q.field_selector.len ? arena_dup(a, ret->q.field_selector) : "";
        t->label_selector = ret->q.label_selector.len ? arena_dup(a, ret->q.label_selector) : "";
    }
    return 0;
}
