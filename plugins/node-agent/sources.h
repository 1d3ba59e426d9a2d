/* sources.h - contents of ConfigMaps and Secrets, for volumes and environments. */
#ifndef SOURCES_H
#define SOURCES_H

#include "agent.h"

/* data (and binaryData, decoded) as {name: bytes}. KL_NOT_FOUND with upstream's words. */
int source_data(struct agent *a, struct kl_call *c, const struct pod_view *v, struct str name, const char *resource,
                struct val **ret);
bool base64_decode(struct arena *a, struct str s, struct str *ret);

#endif
