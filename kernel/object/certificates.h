/* certificates.h - certificates in PEM, as configurations name them (caBundle). [any] */
#ifndef OBJECT_CERTIFICATES_H
#define OBJECT_CERTIFICATES_H

#include "base/str.h"

/* NULL: at least one, and none that cannot be read; else why not, in upstream's words. */
const char *certificates_in(struct str pem);

#endif
