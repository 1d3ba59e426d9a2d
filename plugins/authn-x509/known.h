/* known.h - what certificates say, worked out once: each request of a connection brings the same one again, and a digest costs more than a look. */
#ifndef X509_KNOWN_H
#define X509_KNOWN_H

#include <stddef.h>

#define KNOWN_SLOTS 256                 /* certificates; one that falls into another's slot takes its place */
#define KNOWN_ID    76                  /* "X509SHA256=", 64 digits, NUL */

struct known {
    char id[KNOWN_ID];                  /* the credential's identifier */
    const char *uid;                    /* "": none */
    const char *why;                    /* it names nobody, because; else NULL */
    size_t n;                           /* of der */
    unsigned char der[];
};

struct known_all {
    struct known *at[KNOWN_SLOTS];
};

/* Until the next call for the same slot; NULL: out of memory. [loop] */
const struct known *known_of(struct known_all *all, const void *der, size_t n);
void known_free(struct known_all *all);

#endif
