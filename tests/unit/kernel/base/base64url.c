#include <criterion/criterion.h>

#include "base/base64url.h"
#include "base/cleanup.h"

Test(base64url, both_ways)
{
    static const char *const rows[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "\xff\xfe\xfd", "__79" } };
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        base64url_encode(&b, rows[i][0], strlen(rows[i][0]));
        cr_expect(str_is(buf_str(&b), rows[i][1]), "%zu", i);
        cr_expect(str_is(base64url_decode(a, str_of(rows[i][1])), rows[i][0]), "%zu", i);
    }
}

Test(base64url, refused)
{
    static const char *const rows[] = { "A", "Zg==", "Zg+/", "Zg Zg", "Zm9vY" };
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(!base64url_decode(a, str_of(rows[i])).at, "%s", rows[i]);
}
