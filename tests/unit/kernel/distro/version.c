/* Versions and ranges of them. */
#include "distro/internal.h"

#include <criterion/criterion.h>

Test(version, forms)
{
    static const char *const good[] = { "0", "1", "0.1.0", "10.20.30.40" }, *const wrong[] = { "", "1.", ".1", "1..2", "v1", "1.0-beta", "1 ", "1.2.3.4.5.6.7" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(version_ok(str_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not(version_ok(str_of(wrong[i])), "'%s'", wrong[i]);
}

Test(version, ranges)
{
    static const struct {
        const char *version, *range;
        bool in;
    } rows[] = {
        { "0.1.0", "", true },           { "0.1.0", "0.1.0", true },       { "0.1.0", "0.1", true },          { "0.1.1", "0.1", false },
        { "0.1.0", ">=0.1", true },      { "0.1.0", ">0.1", false },       { "0.10.0", ">0.9", true },        { "0.9", "<0.10", true },
        { "0.1.5", ">=0.1 <0.2", true }, { "0.2.0", ">=0.1 <0.2", false }, { "0.2.0", ">=0.1  <=0.2", true }, { "1", "=1.0.0", true },
        { "2", ">=3 <1", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert(range_ok(str_of(rows[i].range)), "'%s'", rows[i].range);
        cr_assert_eq(version_in(str_of(rows[i].version), str_of(rows[i].range)), rows[i].in, "'%s' in '%s'", rows[i].version, rows[i].range);
    }
    cr_assert_not(range_ok(STR(">>1")));
    cr_assert_not(range_ok(STR(">=")));
    cr_assert_not(range_ok(STR(">=1 or 2")));
}
