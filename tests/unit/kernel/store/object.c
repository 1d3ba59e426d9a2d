/* object.c - what a stored object knows of its own text. */
#include <criterion/criterion.h>

#include "store/store-internal.h"

static struct store_object *made(const char *json)
{
    struct store_op op = { .ns = STR("n"), .name = STR("a"), .json = str_of(json) };
    struct store_object *o = object_new(&op, 1);
    cr_assert(o);
    return o;
}

Test(object, managed_fields_are_told_where_they_come_last)
{
    struct store_object *declared = made("{\"kind\":\"X\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"managedFields\":[{\"manager\":\"m\"}]},\"spec\":{}}");
    struct store_object *by_name = made("{\"kind\":\"X\",\"metadata\":{\"managedFields\":[{\"manager\":\"m\"}],\"name\":\"a\",\"uid\":\"u\"},\"spec\":{}}");
    const struct kl_places *p = store_object_places(declared);
    cr_expect(str_starts(str_skip(store_object_json(declared), p->managed), STR("[{\"manager\"")));
    cr_expect_eq(store_object_places(by_name)->managed, 0, "the name and the uid stand behind them");
    cr_expect(store_object_places(by_name)->spec);
    cr_expect(str_is(store_object_uid(by_name), "u"));
    store_object_unref(declared);
    store_object_unref(by_name);
}
