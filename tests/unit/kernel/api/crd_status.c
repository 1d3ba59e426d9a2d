/* A definition is established when everybody reads that it is, and not before. */
#include <criterion/criterion.h>

#include "api/crd.h"

static const char spec[] = "\"metadata\":{\"name\":\"taxis.example.com\"},\"spec\":{\"group\":\"example.com\",\"names\":{\"kind\":\"Taxi\",\"plural\":\"taxis\"}}";

Test(crd_status, what_is_not_written_yet_is_not_established)
{
    struct arena *a = arena_new(0);
    struct list none;
    bool established = true;
    list_init(&none);
    struct val *crd = json_parse(a, str_of(arena_printf(a, "{%s}", spec)), NULL), *status = crd_status(&none, a, crd, &established);
    cr_expect_not(established);
    json_set(a, crd, STR("status"), status);
    cr_expect(val_equal(crd_status(&none, a, crd, &established), status));
    cr_expect(established);
    arena_free(a);
}
