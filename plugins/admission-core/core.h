/* core.h - the providers of admission-core. */
#ifndef ADMISSION_CORE_H
#define ADMISSION_CORE_H

#include <keelson/iface/auth.h>

/* C name, provider's name */
#define CORE_FIRST(X) X(serviceaccount, "serviceaccount")
#define CORE_MORE(X) X(priority, "priority") X(tolerations, "default-toleration-seconds")
#define CORE_PROVIDERS(X) CORE_FIRST(X) CORE_MORE(X)

#define DECLARE(ID, NAME) extern const struct kl_admission ID##_admission;
CORE_PROVIDERS(DECLARE)

#endif
