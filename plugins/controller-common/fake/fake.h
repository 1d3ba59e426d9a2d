/* fake.h - a host for tests: objects in memory behind keelson.host.objects/0, a clock that stands still, writes that are counted. */
#ifndef CONTROLLER_FAKE_H
#define CONTROLLER_FAKE_H

#include <keelson/iface/auth.h>

#include "ctl.h"

struct fake_object {
    const char *resource;
    struct val *v;                      /* NULL: gone */
    struct kl_bytes told;               /* as the last controller's map was told of it */
};

struct fake {
    struct kl_host host;                /* first */
    struct arena *arena;
    struct fake_object at[4096];
    const struct kl_controller *told;   /* who was told */
    uint32_t n, creates, updates, removes, events, keys, listed;    /* listed: objects handed out by lists */
    uint64_t revision;
    int64_t now_ns;
    const char *refuse;                 /* message with which the next creations are forbidden; NULL: none */
    const char *may;                    /* what everybody may, "VERB RESOURCE[/SUBRESOURCE] NAME|..."; NULL: all */
    char last_event[256];               /* "Reason: message" */
    char last_propagation[16];          /* of the last removal, "" when none was given */
    struct kl_call call;
    struct ctl ctl;
};

void fake_init(struct fake *f);
void fake_done(struct fake *f);
/* f, new for each test of a suite that needs nothing else. */
#define FAKE_SUITE(NAME) \
    static struct fake *const f = &(struct fake){ .n = 0 }; \
    static void fake_begin(void) { fake_init(f); } \
    static void fake_end(void) { fake_done(f); } \
    TestSuite(NAME, .init = fake_begin, .fini = fake_end)
/* Puts an object there as it is, with uid and resourceVersion. */
struct val *fake_put(struct fake *f, const char *resource, const char *json);
struct val *fake_get(struct fake *f, const char *resource, const char *ns, const char *name);
uint32_t fake_count(struct fake *f, const char *resource);
struct fake_ask {
    const char *verb, *resource, *subresource, *name, *object, *old_object, *user;     /* resource "group/plural"; verb NULL: create; user NULL: "ann" */
    const char *const *groups;
    const char *ns;                     /* NULL: "default" */
};
/* One review by an admission plugin; *ret (may be NULL): its verdict. The call's error is f->call.err. */
int fake_review(struct fake *f, const struct kl_admission *t, void *self, const struct fake_ask *q, struct kl_admission_verdict *ret);
/* One call of a controller's table; before it, its map is told what has changed (trees that the test changed in place, too). */
int fake_reconcile(struct fake *f, const struct kl_controller *t, const char *key, int64_t *ret_again_ns);

#endif
