/* Envelopes of bodies in protobuf: good, cut short, of nothing, of none. */
#include <criterion/criterion.h>

#include "api/api-internal.h"

Test(protobuf_body, envelopes)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum api_envelope want;
        const char *version, *kind;
    } rows[] = {
#define ROW(bytes, ...) { bytes, sizeof(bytes) - 1, __VA_ARGS__ }
        ROW("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x01x", ENVELOPE_GOOD, "v1", "Pod"),
        ROW("k8s\0\x0a\x00\x12\x00", ENVELOPE_GOOD, "", ""),
        ROW("k8s\0\x12\x00", ENVELOPE_GOOD, "", ""),
        ROW("", ENVELOPE_NOTHING, "", ""),
        ROW("k8s", ENVELOPE_NONE, "", ""),
        ROW("{\"kind\":\"Pod\"}", ENVELOPE_NONE, "", ""),
        ROW("k8s\0", ENVELOPE_EMPTY, "", ""),
        ROW("k8s\0\x0a\x09\x0a\x02v1\x12\x03Po", ENVELOPE_CUT, "", ""),
        ROW("k8s\0\x0a\x09\x0a\x02v1\x12\x09Pod", ENVELOPE_CUT, "v1", ""),
        ROW("k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ENVELOPE_CUT, "", ""),
        ROW("k8s\0\x12", ENVELOPE_CUT, "", ""),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str version, kind;
        enum api_envelope e = api_envelope(str_n(rows[i].bytes, rows[i].n), &version, &kind);
        cr_expect_eq(e, rows[i].want, "row %zu: %d", i, (int)e);
        cr_expect(str_is(version, rows[i].version) && str_is(kind, rows[i].kind), "row %zu", i);
        cr_expect_eq(api_envelope_fault(e) == NULL, e == ENVELOPE_GOOD);
    }
}
