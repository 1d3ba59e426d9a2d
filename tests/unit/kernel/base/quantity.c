#include "base/quantity.h"

#include <criterion/criterion.h>

Test(quantity, canonical_text)
{
    static const char *const rows[][2] = {
        { "1000m", "1" }, { "1024Mi", "1Gi" }, { "0.5", "500m" }, { "1e3", "1e3" }, { "1500", "1500" }, { "1000", "1k" },
        { "0", "0" }, { "100Ki", "100Ki" }, { "1023Ki", "1023Ki" }, { "1000Ki", "1000Ki" }, { "0.5Gi", "512Mi" },
        { "-1.5", "-1500m" }, { "1.5Ki", "1536" }, { "0.0001n", "1n" }, { "9223372036854775808", "9223372036854775807" },
        { "1E", "1E" }, { "1E3", "1e3" }, { "100m", "100m" }, { ".5", "500m" }, { "5.", "5" }, { "+2", "2" }, { "0.1Ki", "102400m" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct quantity q;
        char text[QUANTITY_TEXT];
        cr_assert(quantity_parse(str_of(rows[i][0]), &q), "%s", rows[i][0]);
        quantity_format(q, text);
        cr_expect_str_eq(text, rows[i][1], "%s gives %s", rows[i][0], text);
    }
}

Test(quantity, refuses)
{
    static const char *const bad[] = { "", "m", "1x", "1 ", "1mm", "--1", "1e", "e3", "1.2.3", ".", "1Kii", "1e+-3" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct quantity q;
        cr_expect_not(quantity_parse(str_of(bad[i]), &q), "%s", bad[i]);
    }
}

Test(quantity, values_round_up)
{
    cr_expect_eq(quantity_text_value(STR("1500m"), 0), 2);
    cr_expect_eq(quantity_text_milli(STR("0.5"), 0), 500);
    cr_expect_eq(quantity_text_milli(STR("1u"), 0), 1);
    cr_expect_eq(quantity_text_value(STR("1Gi"), 0), 1 << 30);
}

/* The finest unit of a large value needs more than 64 bits. */
Test(quantity, large_and_fine_keeps_every_digit)
{
    struct quantity q, again;
    char text[QUANTITY_TEXT];
    cr_assert(quantity_parse(STR("922337308265477.000000000005155806"), &q));
    quantity_format(q, text);
    cr_expect_str_eq(text, "922337308265477000000001n");
    cr_assert(quantity_parse(str_of(text), &again));
    cr_expect_eq(quantity_cmp(q, again), 0);
}
