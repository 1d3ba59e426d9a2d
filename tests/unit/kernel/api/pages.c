/* How long pages of a list that was begun can be asked for. */
#include "api/api-internal.h"
#include "base/env.h"

#include <criterion/criterion.h>

Test(pages, tokens_end_after_five_minutes)
{
    struct api_marks m = { 0 };
    api_marks_add(&m, 1000 * NS_PER_S, 70);         /* the token of 70 */
    for (int s = 20; s < 300; s += 20) {
        api_marks_add(&m, (1000 + s) * NS_PER_S, (uint64_t)(70 + s));
        cr_expect_eq(m.expired, 0, "after %d s", s);
        cr_expect(m.n <= API_MARKS);
    }
    api_marks_add(&m, 1300 * NS_PER_S, 400);
    cr_expect_eq(m.expired, 70);
    api_marks_add(&m, 1359 * NS_PER_S, 500);
    cr_expect_eq(m.expired, 70);
    api_marks_add(&m, 1360 * NS_PER_S, 501);
    cr_expect_eq(m.expired, 130, "one a minute is remembered");
    api_marks_add(&m, 9000 * NS_PER_S, 502);
    cr_expect_eq(m.expired, 501, "and nothing for ever");
    cr_expect_eq(m.n, 1);
}
