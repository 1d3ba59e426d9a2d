/* openapi.c - /openapi/v2 and /openapi/v3. A document is made from the rows when it is first asked for and kept compressed; clients that
 * do not take gzip get it unpacked. Built-in rows never change while the process runs; a document with custom resources is made anew after
 * a definition has changed.
 */
#include "openapi-internal.h"

#include <gnutls/crypto.h>
#include <time.h>
#include <zlib.h>

#include "base/env.h"
#include "base/hash.h"

#define GNOSTIC(form, mark) "com.github.proto-openapi.spec." form mark "v1.0+protobuf"
#define GNOSTIC_ROWS(form) { GNOSTIC(form, "@"), "application/" GNOSTIC(form, "."), true }, { GNOSTIC(form, "."), "application/" GNOSTIC(form, "."), true }

struct doc {
    struct doc *next;
    char *key;                          /* "2", "2pb", "3/apps/v1", "3pb/apps/v1" */
    char etag[2 * 32 + 3];
    unsigned char *packed;              /* gzip */
    size_t packed_len, len;
    struct plain *plain;                /* unpacked, while an answer needs it */
    bool changes;                       /* holds, or may come to hold, custom resources */
    uint64_t generation;                /* of the kinds when it was made */
    unsigned refs;                      /* the list, and answers under way */
};

/* One copy for all answers under way: a hundred streams that nobody reads must not hold a hundred. */
struct plain {
    struct doc *doc;                    /* NULL: the document is gone */
    unsigned refs;
    size_t len;
    char *at;
};

struct api_docs {
    struct doc *first;
};

static void plain_release(void *owner)
{
    struct plain *p = owner;
    if (--p->refs)
        return;
    if (p->doc)
        p->doc->plain = NULL;
    mem_free(p->at);
    mem_free(p);
}

static void doc_free(struct doc *d)
{
    if (d) {
        if (d->plain)
            d->plain->doc = NULL;
        mem_free(d->key);
        mem_free(d->packed);
    }
    mem_free(d);
}

static void doc_release(void *owner)
{
    struct doc *d = owner;
    if (--d->refs == 0)
        doc_free(d);
}

void api_docs_free(struct api_docs *d)
{
    while (d && d->first) {
        struct doc *one = d->first;
        d->first = one->next;
        doc_release(one);
    }
    mem_free(d);
}

/* --- making --- */

static void header(struct openapi *d, struct val *v)
{
    openapi_put(d->a, v, d->form == 2 ? "swagger" : "openapi", d->form == 2 ? "2.0" : "3.0.0");
    struct val *info = json_obj(d->a, v, STR("info"));
    openapi_put(d->a, info, "title", d->custom ? "Kubernetes CRD Swagger" : "Kubernetes");
    openapi_put(d->a, info, "version", d->custom ? "v0.1.0" : "1.36");
    d->paths = json_obj(d->a, v, STR("paths"));
    struct val *holder = d->form == 2 ? v : json_obj(d->a, v, STR("components"));
    d->schemas = json_obj(d->a, holder, d->form == 2 ? STR("definitions") : STR("schemas"));
    if (d->custom)
        return;
    struct val *token = json_obj(d->a, json_obj(d->a, holder, d->form == 2 ? STR("securityDefinitions") : STR("securitySchemes")), STR("BearerToken"));
    openapi_put(d->a, token, "type", "apiKey");
    openapi_put(d->a, token, "description", "Bearer Token authentication");
    openapi_put(d->a, token, "name", "authorization");
    openapi_put(d->a, token, "in", "header");
    if (d->form == 2)
        json_arr(d->a, val_push(json_arr(d->a, v, STR("security")), val_new(d->a, VAL_OBJ)), STR("BearerToken"));
}

static bool has_custom(struct str group, struct str version)
{
    const struct schema_kind *k = NULL;
    for (size_t i = schema_n_kinds(); i-- > 0 && (k = schema_kind_at(i))->flags & K_CUSTOM;)
        if (str_is(group, k->group) && str_is(version, k->version))
            return true;
    return false;
}

/* Of a group's version (version at NULL: of what else the key names), or in form 2 (group at NULL) of all. NULL: nothing is served there. */
static struct val *document(struct api *api, struct arena *a, int form, struct str key, struct str group, struct str version)
{
    struct openapi d = { .a = a, .form = form, .group = group, .version = version, .custom = form == 3 && version.at && has_custom(group, version) };
    struct val *v = val_new(a, VAL_OBJ);
    bool any = false;
    header(&d, v);
    if (form == 2 || !version.at)
        any = openapi_add_roots(&d, key, api_issuer(api));
    for (size_t i = 0; i < schema_n_kinds() && (form == 2 || version.at); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (group.at && (!str_is(group, k->group) || !str_is(version, k->version)))
            continue;
        openapi_add_kind(&d, k);
        any = true;
    }
    map_free(&d.done);
    if (form == 2)
        openapi_share_parameters(&d, v);
    if (form == 3 && !d.schemas->n)
        json_del(json_get(v, STR("components")), STR("schemas"));
    json_sort(a, d.paths);
    json_sort(a, d.schemas);
    return any && !arena_exhausted(a) ? v : NULL;
}

static int pack(struct doc *d, struct str text)
{
    z_stream z = { 0 };
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    size_t room = deflateBound(&z, text.len);
    unsigned char *at = mem_alloc(room);
    z.next_in = (unsigned char *)(uintptr_t)text.at;
    z.avail_in = (unsigned)text.len;
    z.next_out = at;
    z.avail_out = (unsigned)room;
    bool done = at && deflate(&z, Z_FINISH) == Z_STREAM_END;
    d->len = text.len;
    d->packed_len = z.total_out;
    deflateEnd(&z);
    unsigned char *fit = done ? mem_resize(at, d->packed_len) : NULL;
    d->packed = fit ? fit : at;
    return done ? 0 : -1;
}

static bool unpack(const struct doc *d, struct buf *b)
{
    z_stream z = { .next_in = d->packed, .avail_in = (unsigned)d->packed_len };
    char *room = buf_room(b, d->len);
    if (!room || inflateInit2(&z, 15 + 16) != Z_OK)
        return false;
    z.next_out = (unsigned char *)room;
    z.avail_out = (unsigned)d->len;
    bool done = inflate(&z, Z_FINISH) == Z_STREAM_END;
    inflateEnd(&z);
    b->len += z.total_out;
    return done;
}

/* A reference; NULL: out of memory. */
static struct plain *plain_of(struct doc *d)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct plain *p = d->plain;
    if (!p) {
        p = mem_alloc(sizeof *p);
        if (!p || !unpack(d, &b)) {
            mem_free(p);
            return NULL;
        }
        p->doc = d;
        p->at = buf_take(&b, &p->len);
        d->plain = p;
    }
    p->refs++;
    return p;
}

static void set_etag(struct doc *d, struct str text)
{
    unsigned char digest[32] = { 0 };
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text.at, text.len, digest);
    d->etag[0] = '"';
    for (int i = 0; i < 32; i++)
        snprintf(d->etag + 1 + 2 * i, 4, "%02X\"", digest[i]);
}

static struct doc *make(struct api *api, const char *key, int form, bool gnostic, struct str group, struct str version)
{
    struct arena *a = arena_new(0);
    struct str place = str_of(key);
    str_cut(&place, '/');
    struct val *v = a ? document(api, a, form, place, group, version) : NULL;
    struct doc *d = v ? mem_alloc(sizeof *d) : NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (v && gnostic)
        openapi_write_gnostic(&b, form, v);
    else if (v)
        json_write(&b, v);
    arena_free(a);
    if (!d)
        return NULL;
    d->key = mem_dup(key, strlen(key));
    if (b.failed || !d->key || pack(d, buf_str(&b)) < 0) {
        doc_free(d);
        return NULL;
    }
    set_etag(d, buf_str(&b));
    d->refs = 1;
    d->changes = form == 2 || (version.at && has_custom(group, version));
    d->generation = schema_generation();
    d->next = api->docs->first;
    api->docs->first = d;
    return d;
}

static struct doc *get(struct api *api, const char *key, int form, bool gnostic, struct str group, struct str version)
{
    if (!api->docs)
        api->docs = mem_alloc(sizeof *api->docs);
    if (!api->docs || !key)
        return NULL;
    for (struct doc **at = &api->docs->first, *d; (d = *at); at = &d->next) {
        if (strcmp(d->key, key) != 0)
            continue;
        if (!d->changes || d->generation == schema_generation())
            return d;
        *at = d->next;
        doc_release(d);
        break;
    }
    return make(api, key, form, gnostic, group, version);
}

/* --- serving --- */

/* v2 has been compressed on the way upstream, v3 has not: they vary by different headers. */
static unsigned document_headers(struct http_header *h, unsigned n, bool v2)
{
    if (v2)
        h[n++] = (struct http_header){ STR("vary"), STR("Accept-Encoding") };
    h[n++] = (struct http_header){ STR("vary"), STR("Accept") };
    return n;
}

static void not_acceptable(struct api_rq *rq, bool v2)
{
    struct http_header h[API_HEADERS];
    unsigned n = document_headers(h, api_headers(rq, h, NULL), v2);
    http_reply(rq->http, 406, h, n, (struct http_slice){ .data = STR("") });
}

static void nothing_there(struct api_rq *rq)
{
    struct http_header h[API_HEADERS];
    unsigned n = api_headers_without(h, api_headers(rq, h, NULL), "x-content-type-options");
    http_reply(rq->http, 404, h, n, (struct http_slice){ .data = STR("") });
}

struct media {
    const char *name, *type;            /* behind "application/"; the whole, as it is answered */
    bool gnostic;
};

/* The first that the client names and that there is. NULL: none. */
static const struct media *acceptable(struct api_rq *rq, int form)
{
    static const struct media rows[][3] = { { { "json", "application/json", false }, GNOSTIC_ROWS("v2") }, { { "json", "application/json", false }, GNOSTIC_ROWS("v3") } };
    struct str accept = http_header(rq->http, STR("accept"));
    if (!accept.len)
        accept = STR("*");
    while (accept.at) {
        struct str clause = str_cut(&accept, ','), name = str_trim(str_cut(&clause, ';')), type = str_cut(&name, '/');
        bool any = str_is(name, "*") || (!name.at && str_is(type, "*"));
        for (size_t i = 0; i < 3 && (str_is(type, "application") || str_is(type, "*")); i++)
            if (any || str_is(name, rows[form - 2][i].name))
                return &rows[form - 2][i];
    }
    return NULL;
}

/* Does the client have it already? */
static bool is_known(struct api_rq *rq, const struct doc *d)
{
    struct str known = http_header(rq->http, STR("if-none-match"));
    while (known.at) {
        struct str one = str_trim(str_cut(&known, ','));
        if (str_is(one, "*") || str_is(one, d->etag))
            return true;
    }
    return false;
}

/* What is named by its sum may be kept for a year. */
static struct http_header expires(struct arena *a)
{
    time_t now = (time_t)(env_wall_ns() / NS_PER_S);
    struct tm t;
    char text[48];
    gmtime_r(&now, &t);
    t.tm_year++;
    now = timegm(&t);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S UTC", gmtime_r(&now, &t));
    return (struct http_header){ STR("expires"), arena_str(a, str_of(text)) };
}

static void send(struct api_rq *rq, struct doc *d, const char *type, const char *cache)
{
    struct http_header h[API_HEADERS];
    unsigned n = api_headers(rq, h, type);
    struct str body = str_n((const char *)d->packed, d->packed_len), accepts = http_header(rq->http, STR("accept-encoding"));
    bool gzip = memmem(accepts.at ? accepts.at : "", accepts.len, "gzip", 4) != NULL;
    if (cache)
        h[API_CACHE_CONTROL].value = str_of(cache);
    h[n++] = (struct http_header){ STR("etag"), str_of(d->etag) };
    n = document_headers(h, n, d->key[0] == '2');
    if (cache)
        h[n++] = expires(rq->arena);
    if (is_known(rq, d)) {
        n = api_headers_without(h, n, "content-type");
        http_reply(rq->http, 304, h, n, (struct http_slice){ .data = STR("") });
        return;
    }
    if (gzip) {
        h[n++] = (struct http_header){ STR("content-encoding"), STR("gzip") };
        d->refs++;
        http_reply(rq->http, 200, h, n, (struct http_slice){ body, doc_release, d });
        return;
    }
    struct plain *p = plain_of(d);
    if (p)
        http_reply(rq->http, 200, h, n, (struct http_slice){ str_n(p->at, p->len), plain_release, p });
    else
        http_reply(rq->http, 500, h, n, (struct http_slice){ .data = STR("out of memory\n") });
}

static bool failed(struct api_rq *rq)
{
    api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    api_send_error(rq);
    return true;
}

static bool v2(struct api_rq *rq)
{
    const struct media *m = acceptable(rq, 2);
    struct doc *d = m ? get(rq->api, m->gnostic ? "2pb" : "2", 2, m->gnostic, STR_NONE, STR_NONE) : NULL;
    if (!m)
        not_acceptable(rq, true);
    else if (!d)
        return failed(rq);
    else
        send(rq, d, m->type, NULL);
    return true;
}

/* Tells one build's documents from another's, and one state of a group's custom resources from the next. */
static const char *build_hash(struct arena *a, const struct api *api, bool custom)
{
    return arena_printf(a, "%08X%08X%08llX", hash_fnv32a(str_of(api->conf.version)), (unsigned)schema_n_types(),
                        custom ? (unsigned long long)(schema_generation() + (uint64_t)api->started_wall_ns / 1000) : 0ull);
}

struct index {
    struct api_rq *rq;
    struct val *paths;
};

static void add_to_index(const struct index *x, const char *key, bool custom)
{
    struct arena *a = x->rq->arena;
    openapi_put(a, json_obj(a, x->paths, str_of(key)), "serverRelativeURL", arena_printf(a, "/openapi/v3/%s?hash=%s", key, build_hash(a, x->rq->api, custom)));
}

static void add_root(void *ctx, const char *key)
{
    add_to_index(ctx, key, false);
}

static void index_v3(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ), *paths = json_obj(a, v, STR("paths"));
    struct index x = { rq, paths };
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        add_to_index(&x, k->group[0] ? arena_printf(a, "apis/%s/%s", k->group, k->version) : "api/v1", k->flags & K_CUSTOM);
    }
    openapi_index_roots(a, api_issuer(rq->api), add_root, &x);
    api_aggregate_openapi_index(rq->api, a, paths);
    json_sort(a, paths);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct http_header h[API_HEADERS];
    if (v)
        json_write(&b, v);
    struct str text = v && !b.failed ? arena_str(a, buf_str(&b)) : STR_NONE;
    if (!text.at) {
        failed(rq);
        return;
    }
    /* Upstream's Go guesses what this is, by how it looks. */
    unsigned n = api_headers_without(h, api_headers(rq, h, "text/plain; charset=utf-8"), "x-content-type-options");
    http_reply(rq->http, 200, h, n, (struct http_slice){ .data = text });
}

static bool v3(struct api_rq *rq, struct str gv)
{
    struct str rest = gv, head = str_cut(&rest, '/'), group = STR(""), hash;
    if (str_is(head, "apis") && rest.at)
        group = str_cut(&rest, '/');
    if (!str_is(head, "api") && !group.len)
        rest = STR_NONE;                /* at most a root */
    if (group.len && rest.at && api_aggregated_openapi(rq, group, rest))
        return true;
    const char *now = build_hash(rq->arena, rq->api, rest.at && has_custom(group, rest));
    const struct media *m = acceptable(rq, 3);
    bool gnostic = m && m->gnostic;
    struct doc *d = get(rq->api, arena_printf(rq->arena, "3%s/" STR_FMT, gnostic ? "pb" : "", STR_ARG(gv)), 3, gnostic, group, rest);
    if (!d)
        return false;
    if (!m) {
        not_acceptable(rq, false);
        return true;
    }
    hash = http_query_find(rq->arena, http_query(rq->http), "hash");
    if (hash.len && !str_is(hash, now)) {
        struct http_header h[API_HEADERS];
        unsigned n = document_headers(h, api_headers(rq, h, m->type), false);
        h[n++] = (struct http_header){ STR("location"), str_of(arena_printf(rq->arena, "/openapi/v3/" STR_FMT "?hash=%s", STR_ARG(gv), now)) };
        http_reply(rq->http, 301, h, n, (struct http_slice){ .data = STR("") });
        return true;
    }
    send(rq, d, m->type, hash.len ? "public, immutable" : NULL);
    return true;
}

bool api_openapi(struct api_rq *rq)
{
    struct str path = str_of(rq->info.tuple.path);
    if (str_is(path, "/openapi/v2"))
        return v2(rq);
    if (!str_starts(path, STR("/openapi/v3")))
        return false;
    path = str_skip(path, 11);
    if (path.len && path.at[0] != '/')
        return false;
    if (path.len && !v3(rq, str_skip(path, 1)))
        nothing_there(rq);
    if (path.len)
        return true;
    index_v3(rq);
    return true;
}
