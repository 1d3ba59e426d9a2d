/* image.c - layers and archives through the rules of unpacking, and the documents around them: nothing that is let through may leave the
 * folder. */
#include "fuzz.h"
#include "image/internal.h"
#include "image/unpack.h"

static void check_documents(struct str data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    char full[IMAGE_NAME_MOST], candidate[IMAGE_NAME_MOST];
    struct kl_err err;
    kl_err_init(&err);
    struct val *doc = json_parse(a, data, &err);
    if (doc) {
        manifest_is_index(doc);
        manifest_check(doc, &err);
    }
    const char *ref = arena_dup(a, data);
    if (ref_full(ref, true, full, &err) == 0)
        must(strlen(full) < sizeof full);
    for (unsigned i = 0; i < 8 && ref_candidate(ref, i, candidate); i++)
        must(strlen(candidate) < sizeof candidate);
    must(!digest_valid(data) || data.len == 71);
}

FUZZ(data)
{
    static const struct unpack_limits limits = { .bytes = 1 << 20, .entries = 200, .ratio = 100 };
    struct kl_err err;
    kl_err_init(&err);
    unsigned mode = fuzz_pick(&data, 4);
    if (mode == 3)
        check_documents(data);
    else if (unpack_check_all(data, (enum unpack_mode)mode, &limits, &err) < 0)
        fuzz_failed(&err);
}
