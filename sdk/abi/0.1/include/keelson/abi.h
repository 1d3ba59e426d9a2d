/* abi.h - ground rules of everything that crosses between host and plugin.
 *
 * Every struct that crosses begins with its own size, tables grow only at their end, nothing that may grow is embedded
 * by value or passed as a bare array. A break of an interface is a new id ("keelson.store/2"), never a new layout.
 */
#ifndef KEELSON_ABI_H
#define KEELSON_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define KL_BEGIN extern "C" {
#define KL_END   }
#else
#define KL_BEGIN
#define KL_END
#endif

#define KL_ABI_MAJOR 1u

/* First member of every struct that crosses: sizeof, as seen by whoever fills it. */
#define KL_STRUCT_HEAD uint32_t size

/* Is the table new enough to have member M, and is it set? */
#define KL_HAS(T, M) \
    ((T) != NULL && (T)->size >= offsetof(__typeof__(*(T)), M) + sizeof((T)->M) && (T)->M != NULL)

/* An array whose element may grow: readers copy min(stride, sizeof element) over zeroes. */
#define KL_ARRAY(T) \
    struct { \
        const T *at; \
        uint32_t n, stride; \
    }
#define KL_ARRAY_OF(a) { (a), (uint32_t)(sizeof(a) / sizeof *(a)), (uint32_t)sizeof *(a) }

/* The i-th element of a KL_ARRAY, by its stride (members past it are not there: check with KL_HAS where they may lack). */
#define KL_AT(T, array, i) ((const T *)(const void *)((const char *)(array).at + (size_t)(i) * (array).stride))

/* Bytes with a length; not zero-terminated unless the text that hands it out says so. Borrowed, never owned. */
struct kl_bytes {
    const char *at;
    size_t len;
};

#endif
