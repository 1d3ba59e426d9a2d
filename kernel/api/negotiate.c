/* negotiate.c - Accept and Content-Type, as upstream's two layers see them: the router looks whether a clause names something the route produces, then
 * the handler takes the best clause that it can meet. */
#include "api-internal.h"

#include <stdlib.h>

static const struct {
    const char *type, *sub;
    enum api_media media;
} media_types[] = { { "application", "json", MEDIA_JSON }, { "application", "yaml", MEDIA_YAML }, { "application", "vnd.kubernetes.protobuf", MEDIA_PROTOBUF } };

#define N_MEDIA (sizeof media_types / sizeof *media_types)
#define CLAUSES 32                      /* looked at */

enum api_media api_media_of(struct str content_type)
{
    if (content_type.len == 0)
        return MEDIA_JSON;
    struct str sub = str_trim(str_cut(&content_type, ';')), type = str_cut(&sub, '/');
    for (size_t i = 0; i < N_MEDIA; i++)
        if (str_eq_nocase(type, str_of(media_types[i].type)) && str_eq_nocase(sub, str_of(media_types[i].sub)))
            return media_types[i].media;
    return 0;
}

struct clause {
    struct str type, sub, as, g, v, stream;
    double q;
    bool pretty, versioned;             /* versioned: it wants a version of the server, of which there is one */
};

static double quality(struct str text)
{
    char number[24], *end;
    if (!text.len || text.len >= sizeof number)
        return 0;
    memcpy(number, text.at, text.len);
    number[text.len] = '\0';
    double q = strtod(number, &end);
    return *end ? 0 : q;
}

static void parse_params(struct str rest, struct clause *c)
{
    const struct {
        const char *name;
        struct str *at;
    } rows[] = { { "as", &c->as }, { "g", &c->g }, { "v", &c->v }, { "stream", &c->stream } };
    while (rest.at) {
        struct str value = str_cut(&rest, ';'), key = str_cut(&value, '=');
        if (!value.len || str_find(value, '=') >= 0)
            continue;
        key = str_trim(key);
        if (str_is(key, "q"))
            c->q = quality(value);
        value = str_trim(value);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (str_is(key, rows[i].name))
                *rows[i].at = value;
        c->pretty |= str_is(key, "pretty") && str_is(value, "1");
        c->versioned |= str_is(key, "sv");
    }
}

static bool parse_clause(struct str part, struct clause *c)
{
    struct str range = str_cut(&part, ';');
    *c = (struct clause){ .q = 1 };
    c->type = str_trim(str_cut(&range, '/'));
    if (!range.len && !str_is(c->type, "*"))
        return false;
    if (str_find(range, '/') >= 0)
        return false;
    c->sub = range.len ? str_trim(range) : STR("*");
    parse_params(part, c);
    return true;
}

static bool before(const struct clause *a, const struct clause *b)
{
    return a->q > b->q || (!str_is(a->type, "*") && str_is(b->type, "*")) || (!str_is(a->sub, "*") && str_is(b->sub, "*"));
}

/* The clauses, best first. `before` is no order (upstream's is none): where a clause comes to stand is up to how it is moved there. */
static unsigned parse_accept(struct str accept, struct clause *ret)
{
    unsigned n = 0;
    while (accept.len && n < CLAUSES) {
        struct clause c;
        unsigned i = n;
        if (!parse_clause(str_trim(str_cut(&accept, ',')), &c))
            continue;
        for (n++; i > 0 && before(&c, &ret[i - 1]); i--)
            ret[i] = ret[i - 1];
        ret[i] = c;
    }
    return n;
}

static bool set_as(const struct clause *c, const struct api_can *can, struct api_accept *ret)
{
    static const struct {
        const char *as;
        enum api_as value;
    } rows[] = { { "Table", AS_TABLE }, { "PartialObjectMetadata", AS_PARTIAL }, { "PartialObjectMetadataList", AS_PARTIAL_LIST } };
    if (str_is(c->g, "apidiscovery.k8s.io")) {
        ret->discovery = can->discovery && str_is(c->v, "v2") && str_is(c->as, "APIGroupDiscoveryList");
        return ret->discovery;
    }
    if (!str_is(c->g, "meta.k8s.io") || !(str_is(c->v, "v1") || str_is(c->v, "v1beta1")) || !can->transforms)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (str_is(c->as, rows[i].as)) {
            ret->as = rows[i].value;
            ret->as_version = c->v;
            return ret->as != AS_TABLE || (ret->media != MEDIA_PROTOBUF && !can->no_table);
        }
    return false;
}

static bool met(const struct clause *c, size_t i, const struct api_can *can, struct api_accept *ret)
{
    bool any = str_is(c->sub, "*");
    enum api_media media = media_types[i].media;
    *ret = (struct api_accept){ .media = media, .pretty = c->pretty };
    if (!(str_is(c->type, media_types[i].type) && (any || str_is(c->sub, media_types[i].sub))) && !(any && str_is(c->type, "*")))
        return false;
    if (c->versioned || (c->stream.len && (media == MEDIA_YAML || !str_is(c->stream, "watch"))))
        return false;
    ret->stream_watch = c->stream.len;
    if (c->as.at || c->g.at || c->v.at)
        return set_as(c, can, ret);
    return media != MEDIA_PROTOBUF || !can->no_protobuf;
}

bool api_negotiate(struct str accept, const struct api_can *can, struct api_accept *ret)
{
    struct clause at[CLAUSES];
    *ret = (struct api_accept){ .media = MEDIA_JSON };
    if (accept.len == 0 || str_is(accept, "application/json"))
        return true;
    unsigned n = parse_accept(accept, at);
    for (unsigned i = 0; i < n; i++)
        for (size_t k = 0; k < N_MEDIA; k++)
            if (met(&at[i], k, can, ret))
                return true;
    *ret = (struct api_accept){ .media = 0 };
    return false;
}

bool api_routes(struct str accept, struct str produces)
{
    if (!accept.len)
        return true;
    while (accept.at) {
        struct str part = str_cut(&accept, ','), type = str_trim(str_cut(&part, ';'));
        if (str_is(type, "*/*"))
            return true;
        for (struct str rest = produces; rest.at;)
            if (str_eq(str_trim(str_cut(&rest, ',')), type))
                return true;
    }
    return false;
}

int api_fail_route(struct api_error *e, struct arena *a, const char *produces)
{
    api_fail(e, a, KL_NOT_ACCEPTABLE, "406: Not Acceptable\n\nAvailable representations: %s", produces);
    e->empty_details = true;
    return -KL_NOT_ACCEPTABLE;
}
