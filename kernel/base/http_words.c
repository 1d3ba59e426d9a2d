/* http_words.c - see http_words.h. */
#include "base/http_words.h"

const char *http_words(struct arena *a, uint32_t status, struct str body)
{
    if (status >= 200 && status < 300)
        return NULL;
    if (status == 404)
        return "the server could not find the requested resource";
    if (status >= 500) {
        const char *text = arena_printf(a, "an error on the server (\"" STR_FMT "\") has prevented the request from succeeding",
                                        STR_ARG(str_trim(body.len > 1024 ? str_n(body.at, 1024) : body)));
        return text ? text : "an error on the server has prevented the request from succeeding";
    }
    return status == 401 ? "the server has asked for the client to provide credentials" : status == 403 ? "forbidden" :
           status == 429 ? "the server has received too many requests and has asked us to try again later" :
                           "the server rejected our request for an unknown reason";
}

const char *http_hook_path(struct arena *a, struct str path, int64_t timeout_s)
{
    char *clean = arena_raw(a, path.len + 2);
    size_t n = 0;
    if (!clean)
        return NULL;
    while (path.len) {
        struct str part = str_cut(&path, '/');
        if (str_is(part, "..")) {
            while (n && clean[--n] != '/')
                ;
        } else if (part.len && !str_is(part, ".")) {
            clean[n++] = '/';
            memcpy(clean + n, part.at, part.len);
            n += part.len;
        }
    }
    return arena_printf(a, STR_FMT "?timeout=%llds", STR_ARG(n ? str_n(clean, n) : STR("/")), (long long)timeout_s);
}
