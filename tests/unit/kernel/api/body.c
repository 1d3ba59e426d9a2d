/* Envelopes of bodies in protobuf: good, cut short, of nothing, of none. */
#include <criterion/criterion.h>

#include "api/api-internal.h"

Test(body, envelopes)
{
    static const char none[] = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]", cut[] = "unexpected EOF";
    static const struct {
        const char *bytes;
        size_t n;
        const char *fault, *version, *kind;
    } rows[] = {
#define ROW(bytes, ...) { bytes, sizeof(bytes) - 1, __VA_ARGS__ }
        ROW("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x01x", NULL, "v1", "Pod"),
        ROW("k8s\0\x0a\x00\x12\x00", NULL, "", ""),
        ROW("k8s\0\x12\x00", NULL, "", ""),
        ROW("", "empty data", "", ""),
        ROW("k8s", none, "", ""),
        ROW("{\"kind\":\"Pod\"}", none, "", ""),
        ROW("k8s\0", "empty body", "", ""),
        ROW("k8s\0\x0a\x09\x0a\x02v1\x12\x03Po", cut, "", ""),
        ROW("k8s\0\x0a\x09\x0a\x02v1\x12\x09Pod", cut, "v1", ""),
        ROW("k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", cut, "", ""),
        ROW("k8s\0\x12", cut, "", ""),
        ROW("k8s\0\x12\x00\0", "proto: Unknown: illegal tag 0 (wire type 0)", "", ""),
        ROW("k8s\0\x0a\x02\x18\x01\x12\x00", NULL, "", ""),
        ROW("k8s\0\x0a\x01\x0c", "proto: TypeMeta: wiretype end group for non-group", "", ""),
        ROW("k8s\0\x08\x01", "proto: wrong wireType = 0 for field TypeMeta", "", ""),
        ROW("k8s\0\x0a\x02\x08\x01", "proto: wrong wireType = 0 for field APIVersion", "", ""),
        ROW("k8s\0\x28\x07\x31" "12345678" "\x3d" "1234" "\x43\x48\x07\x4b\x4c\x44\x12\x00", NULL, "", ""),
        ROW("k8s\0\x43\x48\x07", cut, "", ""),
        ROW("k8s\0\x2f", "proto: illegal wireType 7", "", ""),
    };
    struct arena *a = arena_new(0);
    cr_assert(a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str version, kind;
        const char *fault = api_envelope(a, str_n(rows[i].bytes, rows[i].n), &version, &kind);
        cr_expect(fault ? rows[i].fault && strcmp(fault, rows[i].fault) == 0 : !rows[i].fault, "row %zu: %s", i, fault ? fault : "no fault");
        cr_expect(str_is(version, rows[i].version) && str_is(kind, rows[i].kind), "row %zu", i);
    }
    arena_free(a);
}
