/* quantity.c - canonical text is a fixed point; arithmetic and times do not overflow. */
#include "base/clock.h"
#include "base/quantity.h"
#include "fuzz.h"

static void check_time(struct str s)
{
    char text[CLOCK_TEXT];
    int64_t ns, again;
    if (!clock_parse(s, &ns))
        return;
    clock_format_nano(ns, text);
    must(clock_parse(str_of(text), &again) && again == ns);
    clock_format(ns, text);
    clock_format_ms(ns, text);
    clock_format_micro(ns, text);
}

FUZZ(data)
{
    struct quantity q, again;
    char text[QUANTITY_TEXT], second[QUANTITY_TEXT];
    check_time(data);
    struct str first = str_cut(&data, ' ');
    if (!quantity_parse(first, &q))
        return;
    size_t n = quantity_format(q, text);
    must(n == strlen(text));
    must(quantity_parse(str_of(text), &again));
    must(quantity_cmp(q, again) == 0);
    quantity_format(again, second);
    must(strcmp(text, second) == 0);
    must(quantity_value(q) == quantity_value(again));
    quantity_milli(q);
    if (data.at && quantity_parse(data, &again)) {
        quantity_format(quantity_add(q, again), text);
        quantity_format(quantity_sub(q, again), text);
        must(quantity_cmp(q, again) == -quantity_cmp(again, q));
    }
}
