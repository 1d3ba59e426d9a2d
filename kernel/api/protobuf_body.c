/* protobuf_body.c - the envelope of a body in protobuf ("k8s\0", then {1 {1 apiVersion, 2 kind}, 2 raw}): upstream's decoder looks at it before at what it holds. */
#include "api-internal.h"
#include "base/varint.h"

#define MAGIC 4

/* The next member that has a length. False: it is cut short, or has none. */
static bool member(struct str *s, uint64_t *ret_tag, struct str *ret)
{
    uint64_t key, len;
    if (!varint_take(s, &key) || (key & 7) != 2 || !varint_take(s, &len) || len > s->len)
        return false;
    *ret_tag = key >> 3;
    *ret = str_n(s->at, (size_t)len);
    *s = str_skip(*s, (size_t)len);
    return true;
}

enum api_envelope api_envelope(struct str body, struct str *ret_version, struct str *ret_kind)
{
    uint64_t tag;
    struct str one, type;
    *ret_version = *ret_kind = STR("");
    if (!body.len)
        return ENVELOPE_NOTHING;
    if (body.len < MAGIC || memcmp(body.at, "k8s\0", MAGIC) != 0)
        return ENVELOPE_NONE;
    if (body.len == MAGIC)
        return ENVELOPE_EMPTY;
    for (body = str_skip(body, MAGIC); body.len;) {
        if (!member(&body, &tag, &type))
            return ENVELOPE_CUT;
        while (tag == 1 && type.len) {
            uint64_t what;
            if (!member(&type, &what, &one))
                return ENVELOPE_CUT;
            if (what == 1 || what == 2)
                *(what == 1 ? ret_version : ret_kind) = one;
        }
    }
    return ENVELOPE_GOOD;
}

const char *api_envelope_fault(enum api_envelope e)
{
    static const char *const texts[] = { [ENVELOPE_NOTHING] = "empty data", [ENVELOPE_EMPTY] = "empty body", [ENVELOPE_CUT] = "unexpected EOF",
                                         [ENVELOPE_NONE] = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]" };
    return e == ENVELOPE_GOOD ? NULL : texts[e];
}

const char *api_not_registered(struct arena *a, struct str version, struct str kind)
{
    return arena_printf(a, "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "\" in scheme \"pkg/runtime/scheme.go:111\"", STR_ARG(kind), STR_ARG(version));
}
