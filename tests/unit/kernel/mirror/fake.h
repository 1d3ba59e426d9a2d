/* fake.h - an API server of config maps and a few other things on the test's loop, that does as it is told: streams its lists or not, ends watches, forgets, refuses. */
#ifndef TEST_MIRROR_FAKE_H
#define TEST_MIRROR_FAKE_H

#include "base/list.h"
#include "base/map.h"
#include "http/http.h"
#include "mirror/mirror.h"

#define FAKE_OBJECTS 4096

struct fake_object {
    char name[64], uid[64], data[64];
    uint64_t revision;
    bool there;
};

struct fake_event {
    const char *type;
    char text[512];
    uint64_t revision;
};

struct fake {
    struct loop *loop;
    struct http_server *http;
    struct http_client *client;
    struct mirror *mirror;
    char path[64];
    struct fake_object at[FAKE_OBJECTS];
    unsigned n;
    uint64_t revision, oldest;
    struct fake_event *events;
    unsigned n_events, cap_events;
    struct http_req *watchers[16];
    unsigned n_watchers;
    /* what it is told */
    bool no_stream;                     /* initial events are not streamed: 422 */
    int refuse;                         /* status of everything about config maps, 0: none */
    bool names_only;                    /* 403 for config maps as a whole, not for one by name */
    int page;                           /* objects per page of a list, 0: all */
    bool mute;                          /* watchers are told nothing (the news waits) */
    bool drop_get;                      /* GETs of one object are never answered */
    /* what it saw */
    char last_watch[512], last_body[2048], last_path[512], last_method[16], last_type[128];
    unsigned lists, streams, watches, writes, gets;
};

struct fake *fake_open(void);
void fake_close(struct fake *f);
void fake_listen(struct fake *f);       /* again, after fake_away */
void fake_away(struct fake *f);         /* closes the port and every connection */
void fake_put(struct fake *f, const char *name, const char *data);       /* makes or changes */
void fake_delete(struct fake *f, const char *name);
void fake_tell(struct fake *f);         /* watchers get what they have missed */
void fake_end_watches(struct fake *f, bool clean);
void fake_forget(struct fake *f);       /* revisions up to now are too old */
void fake_error(struct fake *f, int code);      /* an ERROR event to every watcher */

/* Runs the loop until cond(f) holds; fails after 20 s. */
void fake_until(struct fake *f, bool (*cond)(struct fake *f));
bool fake_synced(struct fake *f);
/* data.k of a config map in the mirror's store; "" not there. */
const char *fake_see(struct fake *f, const char *name);
unsigned fake_held(struct fake *f);

/* One call of the objects service from a thread, the loop running meanwhile. */
struct fake_call {
    const char *verb, *name, *sub, *body, *field_selector, *owner;
    int32_t patch_type;
    int64_t grace;
    int rc;
    struct kl_err err;
    char got[4096];
    uint32_t n;
};
void fake_call(struct fake *f, struct fake_call *c);
/* get of the same thread right after: what own reads see. */
void fake_call_then_get(struct fake *f, struct fake_call *c, struct fake_call *then);

#endif
