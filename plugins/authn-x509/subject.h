/* subject.h - what authn-x509 reads of a certificate itself: the user's uid, an attribute of the subject that Kubernetes registered. */
#ifndef X509_SUBJECT_H
#define X509_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

#define SUBJECT_UID_MOST 1024

/* The uid that the subject of a DER certificate names. 1; 0: none; < 0: it cannot be told, *ret_why says why. ret is zero-terminated. [any] */
int subject_uid(const void *der, size_t n, char ret[SUBJECT_UID_MOST], const char **ret_why);

#endif
