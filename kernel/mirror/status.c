/* status.c - a Status of the API as an error: by its reason, else by the HTTP status. */
#include "mirror-internal.h"

static int code_of(struct str reason, int http)
{
    for (int code = 1; code < KL_CODE_END; code++)
        if (str_is(reason, kl_code_row(code)->reason))
            return code;
    for (int code = 1; code < KL_CODE_END; code++)
        if (kl_code_row(code)->http == http)
            return code == KL_ALREADY_EXISTS ? KL_CONFLICT : code;
    return http >= 500 ? KL_INTERNAL : KL_BAD_REQUEST;
}

int status_error(int http, struct str body, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    struct kl_err bad;
    kl_err_init(&bad);
    struct val *v = a && body.len <= 256 << 10 ? json_parse(a, body, &bad) : NULL;
    struct str message = json_str(v, "message"), reason = json_str(v, "reason");
    if (!message.len)
        return kl_err_set(err, code_of(STR_NONE, http), "the server answered %d", http);
    return kl_err_set(err, code_of(reason, http), STR_FMT, STR_ARG(message));
}
