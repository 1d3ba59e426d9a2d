/* http_words.c - see http_words.h. */
#include "base/http_words.h"

#include "base/json.h"

static const struct {
    uint32_t status;
    const char *words;                  /* NULL: the body's own */
} known[] = {
    { 400, "the server rejected our request for an unknown reason" },
    { 401, "the server has asked for the client to provide credentials" },
    { 403, NULL },
    { 404, "the server could not find the requested resource" },
    { 405, "the server does not allow this method on the requested resource" },
    { 406, NULL },
    { 409, "the server reported a conflict" },
    { 415, NULL },
    { 422, "the server rejected our request due to an error in our request" },
    { 429, "the server has received too many requests and has asked us to try again later" },
    { 503, "the server is currently unable to handle the request" },
    { 504, "the server was unable to return a response in the time allotted, but may still be processing the request" },
};

/* What a Status says of itself. */
static const char *told(struct arena *a, struct str body)
{
    const struct val *v = body.len && body.at[0] == '{' ? json_parse(a, body, NULL) : NULL;
    struct str message = json_str(v, "message");
    return message.len && str_is(json_str(v, "kind"), "Status") ? arena_dup(a, message) : NULL;
}

const char *http_words(struct arena *a, uint32_t status, struct str body)
{
    if (status >= 200 && status <= 206)
        return NULL;
    struct str shown = str_trim(body.len > 1024 ? str_n(body.at, 1024) : body);
    const char *text = told(a, body);
    if (shown.len && shown.at[0] == '{')        /* not meant to be read */
        shown = STR("unknown");
    for (size_t i = 0; i < sizeof known / sizeof *known && !text; i++)
        if (known[i].status == status)
            text = known[i].words ? known[i].words : arena_dup(a, shown);
    if (!text)
        text = status >= 500 ? arena_printf(a, "an error on the server (\"" STR_FMT "\") has prevented the request from succeeding", STR_ARG(shown)) :
                               arena_printf(a, "the server responded with the status code %u but did not return more information", status);
    return text ? text : "out of memory";
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

const char *http_dial_words(struct arena *a, const char *why)
{
    static const struct {
        const char *system, *go;        /* behind the address */
    } rows[] = { { ": Connection refused", "connection refused" }, { ": No route to host", "no route to host" }, { ": Network is unreachable", "network is unreachable" } };
    struct str s = str_of(why);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_ends(s, str_of(rows[i].system))) {
            const char *text = arena_printf(a, "dial tcp " STR_FMT ": connect: %s", STR_ARG(str_n(s.at, s.len - strlen(rows[i].system))), rows[i].go);
            return text ? text : why;
        }
    return why;
}
