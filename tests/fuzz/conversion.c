/* conversion.c - any bytes as the answer of a conversion webhook to one or two objects (the first byte says, and which version of the review). What is
 * taken must be the same objects in the version that was wanted; what is not must be told. */
#include <stdlib.h>

#include "api/conversion.h"

static const struct str objects[] = {
    STR("{\"kind\":\"A\",\"apiVersion\":\"b.c/v1\",\"metadata\":{\"name\":\"n\",\"namespace\":\"s\",\"uid\":\"i\",\"labels\":{\"l\":\"m\"}},\"spec\":{}}"),
    STR("{\"kind\":\"A\",\"apiVersion\":\"b.c/v1\",\"metadata\":{\"name\":\"o\"}}"),
};

static void same(struct arena *a, struct str was, struct str now)
{
    static const char *const kept[] = { "kind", "metadata.name", "metadata.namespace", "metadata.uid" };
    struct val *x = json_parse(a, was, NULL), *y = json_parse(a, now, NULL);
    if (!y || !str_is(json_str(y, "apiVersion"), "b.c/v2"))
        abort();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (!str_eq(json_str(x, kept[i]), json_str(y, kept[i])))
            abort();
    struct val *labels = json_path(y, "metadata.labels");
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels)
            if (!val_is(l, VAL_STR))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
    if (n < 1)
        return 0;
    struct arena *a = arena_new(64 << 20);
    struct conversion_asked asked = { at[0] & 1 ? "v1" : "v1beta1", "u", "b.c/v2", objects, at[0] & 2 ? 2 : 1, NULL };
    struct str texts[2] = { STR_NONE, STR_NONE };
    const char *why = conversion_read(a, &asked, str_n((const char *)at + 1, n - 1), texts);
    if (why && !str_starts(str_of(why), STR("conversion webhook for b.c/v1, Kind=A ")))
        abort();
    for (unsigned i = 0; !why && i < asked.n; i++)
        same(a, objects[i], texts[i]);
    arena_free(a);
    return 0;
}
