/* fuzz.h - what the fuzz targets share: FUZZ(data) { ... } is the target's body; must() says what holds for every input. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"

#define FUZZ_ARENA ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

#define FUZZ(data) \
    static void fuzz_one(struct str data); \
    int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n) \
    { \
        fuzz_one(str_n((const char *)at, n)); \
        return 0; \
    } \
    static void fuzz_one(struct str data)

#define must(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
            abort(); \
        } \
    } while (0)

/* The first byte of *data as a number below n; *data is the rest. */
static inline unsigned fuzz_pick(struct str *data, unsigned n)
{
    unsigned v = data->len ? (unsigned char)data->at[0] % n : 0;
    *data = str_skip(*data, data->len ? 1 : 0);
    return v;
}

/* A failure always says why. */
static inline void fuzz_failed(const struct kl_err *err)
{
    must(err->code > 0 && err->code < KL_CODE_END);
    must(err->msg[0]);
}

#endif
