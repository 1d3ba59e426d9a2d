/* negotiate.c - Accept and Content-Type. Clauses are taken in the order given; one that cannot be met is skipped. */
#include "api-internal.h"

static const struct {
    const char *type;
    enum api_media media;
} media_types[] = {
    { "application/json", MEDIA_JSON },
    { "application/yaml", MEDIA_YAML },
    { "application/vnd.kubernetes.protobuf", MEDIA_PROTOBUF },
    { "*/*", MEDIA_JSON },
    { "application/*", MEDIA_JSON },
};

static enum api_media find_media(struct str type)
{
    for (size_t i = 0; i < sizeof media_types / sizeof *media_types; i++)
        if (str_eq_nocase(type, str_of(media_types[i].type)))
            return media_types[i].media;
    return 0;
}

enum api_media api_media_of(struct str content_type)
{
    if (content_type.len == 0)
        return MEDIA_JSON;
    struct str type = str_trim(str_cut(&content_type, ';'));
    return str_find(type, '*') < 0 ? find_media(type) : 0;
}

struct clause {
    struct str as, g, v;
    bool stream;
};

static void parse_params(struct str rest, struct clause *c)
{
    while (rest.at) {
        struct str p = str_trim(str_cut(&rest, ';'));
        struct str key = str_trim(str_cut(&p, '='));
        if (str_is(key, "as"))
            c->as = p;
        else if (str_is(key, "g"))
            c->g = p;
        else if (str_is(key, "v"))
            c->v = p;
        else if (str_is(key, "stream"))
            c->stream = str_is(p, "watch");
    }
}

static bool set_as(const struct clause *c, bool table_ok, bool discovery_ok, struct api_accept *ret)
{
    static const struct {
        const char *as;
        enum api_as value;
    } rows[] = { { "Table", AS_TABLE }, { "PartialObjectMetadata", AS_PARTIAL }, { "PartialObjectMetadataList", AS_PARTIAL_LIST } };
    if (str_is(c->g, "apidiscovery.k8s.io")) {
        ret->discovery = discovery_ok && str_is(c->v, "v2") && str_is(c->as, "APIGroupDiscoveryList");
        return ret->discovery;
    }
    if (!str_is(c->g, "meta.k8s.io") || !(str_is(c->v, "v1") || str_is(c->v, "v1beta1")) || !table_ok)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (str_is(c->as, rows[i].as)) {
            ret->as = rows[i].value;
            ret->as_version = c->v;
            return ret->as != AS_TABLE || ret->media != MEDIA_PROTOBUF;
        }
    return false;
}

/* Without protobuf_ok whole objects have no protobuf form; PartialObjectMetadata always has. */
bool api_negotiate(struct str accept, bool table_ok, bool discovery_ok, bool protobuf_ok, struct api_accept *ret)
{
    *ret = (struct api_accept){ .media = MEDIA_JSON };
    if (accept.len == 0)
        return true;
    while (accept.at) {
        struct str part = str_trim(str_cut(&accept, ','));
        struct clause c = { .as = STR_NONE };
        *ret = (struct api_accept){ .media = find_media(str_trim(str_cut(&part, ';'))) };
        if (!ret->media)
            continue;
        parse_params(part, &c);
        ret->stream_watch = c.stream;
        if (!c.as.len && ret->media == MEDIA_PROTOBUF && !protobuf_ok)
            continue;
        if (!c.as.len || set_as(&c, table_ok, discovery_ok, ret))
            return true;
    }
    return false;
}
