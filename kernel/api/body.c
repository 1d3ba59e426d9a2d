/* body.c - the envelope of a body in protobuf ("k8s\0", then {1 {1 apiVersion, 2 kind}, 2 raw}): upstream's decoder looks at it before at what it holds. What is
 * wrong with one in JSON that says not even what it is. */
#include "api-internal.h"
#include "base/varint.h"

#define MAGIC 4

static const char cut[] = "unexpected EOF";

struct message {
    const char *name, *const *fields;   /* of number 1 and on; all of them have a length */
    unsigned n;
};
static const char *const type_fields[] = { "APIVersion", "Kind" }, *const unknown_fields[] = { "TypeMeta", "Raw", "ContentEncoding", "ContentType" };
static const struct message type_meta = { "TypeMeta", type_fields, 2 }, unknown = { "Unknown", unknown_fields, 4 };

static const char *take(struct str *s, uint64_t n, struct str *ret)
{
    if (n > s->len)
        return cut;
    *ret = str_n(s->at, (size_t)n);
    *s = str_skip(*s, (size_t)n);
    return NULL;
}

/* What no one knows is stepped over, with all that is in a group. */
static const char *step_over(struct arena *a, struct str *s, unsigned wire)
{
    uint64_t n = 0;
    struct str ignored;
    unsigned depth = 0;
    do {
        switch (wire) {
        case 0:
            if (!varint_take(s, &n))
                return cut;
            break;
        case 2:
            if (!varint_take(s, &n) || take(s, n, &ignored))
                return cut;
            break;
        case 1: case 5:
            if (take(s, wire == 1 ? 8 : 4, &ignored))
                return cut;
            break;
        case 3: depth++; break;
        case 4: depth--; break;         /* outside of a group nobody comes here */
        default: return arena_printf(a, "proto: illegal wireType %u", wire);
        }
        if (depth && !varint_take(s, &n))
            return cut;
        wire = (unsigned)(n & 7);
    } while (depth);
    return NULL;
}

/* The next member: its number, and what it holds (of one that is not known nothing). */
static const char *member(struct arena *a, const struct message *m, struct str *s, uint64_t *ret_number, struct str *ret)
{
    uint64_t key, len;
    if (!varint_take(s, &key))
        return cut;
    unsigned wire = (unsigned)(key & 7);
    int32_t number = (int32_t)(key >> 3);
    *ret_number = (uint64_t)number;
    *ret = STR_NONE;
    if (wire == 4)
        return arena_printf(a, "proto: %s: wiretype end group for non-group", m->name);
    if (number <= 0)
        return arena_printf(a, "proto: %s: illegal tag %d (wire type %llu)", m->name, number, (unsigned long long)key);
    if ((unsigned)number > m->n)
        return step_over(a, s, wire);
    if (wire != 2)
        return arena_printf(a, "proto: wrong wireType = %u for field %s", wire, m->fields[number - 1]);
    return varint_take(s, &len) ? take(s, len, ret) : cut;
}

const char *api_envelope(struct arena *a, struct str body, struct str *ret_version, struct str *ret_kind)
{
    const char *fault = NULL;
    uint64_t number, what;
    struct str one, type;
    *ret_version = *ret_kind = STR("");
    if (!body.len)
        return "empty data";
    if (body.len < MAGIC || memcmp(body.at, "k8s\0", MAGIC) != 0)
        return "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    if (body.len == MAGIC)
        return "empty body";
    for (body = str_skip(body, MAGIC); body.len && !fault;) {
        fault = member(a, &unknown, &body, &number, &type);
        while (!fault && number == 1 && type.len) {
            fault = member(a, &type_meta, &type, &what, &one);
            if (!fault && what <= 2)
                *(what == 1 ? ret_version : ret_kind) = one;
        }
    }
    return fault;
}

const char *api_not_registered(struct arena *a, struct str version, struct str kind)
{
    return arena_printf(a, "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "\" in scheme \"pkg/runtime/scheme.go:111\"", STR_ARG(kind), STR_ARG(version));
}

const char *api_parse_fault(struct arena *a, const struct kl_err *err)
{
    const char *place = strstr(err->msg, " (byte ");
    return place ? arena_dup(a, str_n(err->msg, (size_t)(place - err->msg))) : err->msg;
}

const char *api_json_fault(struct arena *a, const struct val *raw, const struct kl_err *err)
{
    static const char *const types[] = { [VAL_ARR] = "array", [VAL_STR] = "string", [VAL_BOOL] = "bool" };
    static const char head[] = "couldn't get version/kind; json parse error: ";
    if (!raw)
        return arena_printf(a, "%s%s", head, api_parse_fault(a, err));
    if (raw->type == VAL_OBJ || raw->type == VAL_NULL)
        return NULL;
    const char *type = raw->type < sizeof types / sizeof *types ? types[raw->type] : NULL;
    return arena_printf(a, "%sjson: cannot unmarshal %s into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
                        "\"json:\\\"kind,omitempty\\\"\" }", head, type ? type : "number");
}
