/* zone.h - a zone for tests, and questions about it. */
#ifndef DNS_TEST_ZONE_H
#define DNS_TEST_ZONE_H

#include <ldns/ldns.h>

#include "dns.h"

extern struct zone zone;
void zone_set_up(void);
void zone_tear_down(void);
void put_service(const char *service, const char *slice);       /* JSON; slice NULL: none */
size_t query(uint8_t *at, const char *name, ldns_rr_type type);
/* What a message says, as "RCODE aa tc; answers; authority types", for comparison. */
const char *says(const uint8_t *at, size_t n);

#endif
