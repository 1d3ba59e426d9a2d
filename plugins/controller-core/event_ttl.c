/* event_ttl.c - Events are forgotten some time after they last happened. */
#include "core.h"

#define EVENTS "/events"

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    static const char *const times[] = { "metadata.creationTimestamp", "firstTimestamp", "lastTimestamp", "eventTime", "series.lastObservedTime" };
    const struct core_conf *conf = r->ctl->conf;
    struct val *e;
    int64_t last = 0;
    int rc = ctl_get(r, EVENTS, ns, name, &e);
    if (rc < 0 || !e)
        return rc;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (meta_time(e, times[i]) > last)
            last = meta_time(e, times[i]);
    if (last + conf->event_ttl > r->now_ns) {
        ctl_again(r, last + conf->event_ttl - r->now_ns);
        return 0;
    }
    return ctl_delete(r, EVENTS, e, NULL);
}

CTL_RUN(event_ttl, run)

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), EVENTS, NULL, NULL } };
CTL_TABLE(event_ttl, watches, NULL);
