/* parcel.h - the form of what handover.c writes and heritage.c reads. */
#ifndef STORE_PARCEL_H
#define STORE_PARCEL_H

#include "store-internal.h"

#define FORMAT 2u
#define STATE  0u                       /* in place of an event's type: an object that is there */
#define END    255u
#define PART   (1u << 20)               /* is written, and read, at a time */

enum old_state { OLD_NONE = 0, OLD_KNOWN, OLD_TOLD };

struct parcel_head {
    uint32_t format, n_resources;
    uint64_t after, revision, oldest, n_events;      /* what happened behind `after`, up to `revision` */
};
struct event_head {
    uint64_t revision, object_revision, old_revision;
    uint32_t resource_len, ns_len, name_len, json_len, old_len;
    uint8_t type, old, dead, zero;
};
struct forgotten_head {
    uint64_t forgotten;
    uint64_t name_len;
};

struct told {                           /* an event, counted */
    const char *resource;
    struct event event;
};
#endif
