/* error.h - one table of error codes for plugin authors, the queue's back-off and the API server.
 *
 * A function returns 0 or a positive number on success and -KL_<CODE> on failure; the reason is in a struct kl_err that
 * the caller owns. Nobody allocates an error. Messages name the object in single quotes; each layer puts its context in
 * front with kl_err_wrap. Code that returns an error does not log it.
 */
#ifndef KEELSON_ERROR_H
#define KEELSON_ERROR_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abi.h"

/* name, HTTP status, Status.reason of the Kubernetes API, worth a retry without change */
#define KL_CODES(X) \
    X(INVALID, 422, "Invalid", 0) \
    X(BAD_REQUEST, 400, "BadRequest", 0) \
    X(UNAUTHORIZED, 401, "Unauthorized", 0) \
    X(FORBIDDEN, 403, "Forbidden", 0) \
    X(NOT_FOUND, 404, "NotFound", 0) \
    X(METHOD_NOT_ALLOWED, 405, "MethodNotAllowed", 0) \
    X(NOT_ACCEPTABLE, 406, "NotAcceptable", 0) \
    X(ALREADY_EXISTS, 409, "AlreadyExists", 0) \
    X(CONFLICT, 409, "Conflict", 1) \
    X(EXPIRED, 410, "Expired", 1) \
    X(TOO_LARGE, 413, "RequestEntityTooLarge", 0) \
    X(UNSUPPORTED_MEDIA, 415, "UnsupportedMediaType", 0) \
    X(TOO_MANY_REQUESTS, 429, "TooManyRequests", 1) \
    X(INTERNAL, 500, "InternalError", 1) \
    X(UNAVAILABLE, 503, "ServiceUnavailable", 1) \
    X(TIMEOUT, 504, "Timeout", 1) \
    X(STORAGE_FULL, 507, "StorageFull", 1) \
    X(NO_MEMORY, 500, "InternalError", 1) \
    X(CANCELLED, 499, "Cancelled", 0) \
    X(UNSUPPORTED, 501, "NotImplemented", 0) \
    X(CORRUPT, 500, "StoreReadError", 0) \
    X(PENDING, 503, "ServiceUnavailable", 1)

enum kl_code {
    KL_OK = 0,
#define KL_X(name, http, reason, retry) KL_##name,
    KL_CODES(KL_X)
#undef KL_X
    KL_CODE_END
};

/* Frozen for ABI 1: 256 bytes, the caller's. */
struct kl_err {
    KL_STRUCT_HEAD;
    int32_t code;
    char msg[248];
};

static inline void kl_err_init(struct kl_err *e)
{
    e->size = (uint32_t)sizeof *e;
    e->code = 0;
    e->msg[0] = '\0';
}

/* Sets code and text, returns -code: "return kl_err_set(e, KL_CONFLICT, ...)" is one statement. e may be NULL. */
__attribute__((format(printf, 3, 4))) static inline int kl_err_set(struct kl_err *e, int code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        e->code = code;
        vsnprintf(e->msg, sizeof e->msg, fmt, ap);
        va_end(ap);
    }
    return -code;
}

/* Puts "prefix: " before the text; keeps the code. Returns -code. */
__attribute__((format(printf, 2, 3))) static inline int kl_err_wrap(struct kl_err *e, const char *fmt, ...)
{
    if (!e)
        return -KL_INTERNAL;
    char old[sizeof e->msg];
    memcpy(old, e->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n + 3 < sizeof e->msg)
        snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", old);
    return -e->code;
}

struct kl_code_row {
    const char *name, *reason;
    int http, retry;
};

/* The row of a code (positive or negative); the row of KL_INTERNAL for one out of range. */
static inline const struct kl_code_row *kl_code_row(int code)
{
    static const struct kl_code_row rows[] = {
        { "OK", "", 200, 0 },
#define KL_X(name, http, reason, retry) { #name, reason, http, retry },
        KL_CODES(KL_X)
#undef KL_X
    };
    if (code < 0)
        code = -code;
    return code < KL_CODE_END ? &rows[code] : &rows[KL_INTERNAL];
}

#endif
