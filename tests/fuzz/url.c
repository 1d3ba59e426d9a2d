/* url.c - method, path and query of a request to the tuple that authorization and storage share. */
#include "api/api-internal.h"
#include "fuzz.h"

FUZZ(data)
{
    static const char *const methods[] = { "GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "X Y" };
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    struct api_error e = { 0 };
    struct api_info info;
    struct str method = str_of(methods[fuzz_pick(&data, sizeof methods / sizeof *methods)]);
    struct str path = str_cut(&data, '?');
    if (!path.len || path.at[0] != '/')
        return;                         /* kernel/http refuses those */
    if (api_parse_request(a, method, path, data.at ? data : STR(""), &info, &e) < 0) {
        must(e.code && e.message);
        return;
    }
    const struct kl_request *t = &info.tuple;
    const char *const parts[] = { t->group, t->version, t->resource, t->subresource, t->ns, t->name };
    must(t->verb && t->path);
    for (size_t i = 0; t->is_resource && i < sizeof parts / sizeof *parts; i++)
        must(parts[i] && strcmp(parts[i], ".") != 0 && strcmp(parts[i], "..") != 0);
    must(!strchr(t->resource, '/') && !strchr(t->ns, '/') && !strchr(t->group, '/'));
    struct api_accept accept;
    api_negotiate(path, &(struct api_can){ .transforms = true, .discovery = true }, &accept);
    api_routes(path, STR("application/json, application/yaml"));
    api_media_of(path);
}
