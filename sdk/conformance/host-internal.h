/* host-internal.h - what the files of the test host share. */
#ifndef CONFORMANCE_HOST_INTERNAL_H
#define CONFORMANCE_HOST_INTERNAL_H

#include "host.h"

/* Counts a call; true: it must fail, c says so. */
bool test_host_fails(const struct kl_host *h, struct kl_call *c);

/* objects.c: keelson.host.objects/0 */
extern const struct kl_host_objects test_objects_table;
bool test_objects_put(struct test_host *h, const char *resource, const char *json);

#endif
