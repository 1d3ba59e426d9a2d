/* conversion_call.c - where a conversion webhook is called, and what it is sent. */
#include "conversion.h"

#include "base/http_words.h"

#define TIMEOUT_S 30                    /* as upstream's client has it; conversion.c keeps to it */

/* "https://host:port/path": the server and the rest. */
static const char *url_target(struct arena *a, struct str url, struct conversion_target *ret)
{
    struct str head = STR("https://"), rest = str_skip(url, head.len), host = str_cut(&rest, '/');
    if (!str_starts(url, head))
        return "the url must begin with https://";
    ret->client.url = arena_printf(a, "https://" STR_FMT, STR_ARG(host));
    ret->path = http_hook_path(a, rest, TIMEOUT_S);
    ret->shown = arena_printf(a, "https://" STR_FMT "%s", STR_ARG(host), ret->path ? ret->path : "");
    return NULL;
}

static const char *service_target(struct api *api, struct arena *a, const struct crd_webhook *w, struct conversion_target *ret)
{
    struct api_service_port p = { w->ns, w->service, w->port, NULL };
    struct str port;
    ret->path = http_hook_path(a, w->path, TIMEOUT_S);
    ret->client.server_name = arena_printf(a, STR_FMT "." STR_FMT ".svc", STR_ARG(w->service), STR_ARG(w->ns));
    ret->shown = arena_printf(a, "https://" STR_FMT "." STR_FMT ".svc:%lld%s", STR_ARG(w->service), STR_ARG(w->ns), (long long)w->port,
                              ret->path ? ret->path : "");
    switch (api_endpoint_find(api, a, &p, &ret->client.url, &port)) {
    case ENDPOINT_FOUND: return NULL;
    case ENDPOINT_NO_SERVICE: return arena_printf(a, "service \"" STR_FMT "\" not found", STR_ARG(w->service));
    case ENDPOINT_NO_PORT: return arena_printf(a, "no service port %lld found for service \"" STR_FMT "\"", (long long)w->port, STR_ARG(w->service));
    default: return arena_printf(a, "no endpoints available for service \"" STR_FMT "\"", STR_ARG(w->service));
    }
}

const char *conversion_target(struct api *api, struct arena *a, const struct crd_webhook *w, struct conversion_target *ret)
{
    *ret = (struct conversion_target){ .client = { .ca = w->ca }, .path = "/", .shown = "" };
    const char *why = w->url ? url_target(a, str_of(w->url), ret) : service_target(api, a, w, ret);
    if (why || (ret->client.url && ret->path && ret->shown))
        return why;
    return "out of memory";
}

void conversion_write(struct buf *b, const struct conversion_asked *asked)
{
    buf_printf(b, "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/%s\",\"request\":{\"uid\":\"%s\",\"desiredAPIVersion\":\"%s\","
               "\"objects\":[", asked->review, asked->uid, asked->desired);
    for (unsigned i = 0; i < asked->n; i++) {
        if (i)
            buf_add_c(b, ',');
        buf_add_str(b, asked->objects[i]);
    }
    buf_lit(b, "]},\"response\":{\"uid\":\"\",\"convertedObjects\":null,\"result\":{\"metadata\":{}}}}");
}
