/* handover.c - what one store tells, another one has: objects, and events for watches from before; a gap is noticed, and so is what cannot be read. */
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"

#define PODS "/pods"

static void wake(void *ctx)
{
    (void)ctx;
}

static int parcel(struct rig *r, uint64_t after, uint64_t *ret_revision)
{
    int fd = memfd_create("parcel", MFD_CLOEXEC);
    struct store_parcel *p = store_parcel_new(r->store, after);
    cr_assert(p && store_parcel_write(p, fd) == 0);
    *ret_revision = store_parcel_revision(p);
    store_parcel_free(p);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Told in two parcels; with so much written before, between and behind. */
static struct store_heritage *tell(struct rig *r, unsigned between)
{
    struct store_heritage *x = store_heritage_new();
    struct kl_err err;
    uint64_t told, ignored;
    kl_err_init(&err);
    int first = parcel(r, 0, &told);
    cr_assert_eq(store_heritage_read(x, first, &err), 0, "%s", err.msg);
    rig_update(r, PODS, "a", 3, 0);
    rig_delete(r, PODS, "b");
    rig_create(r, "/services", "new", 7);
    for (unsigned i = 0; i < between; i++) {
        rig_update(r, PODS, "c", 100 + (int)i, 0);
        rig_run(r);
    }
    rig_run(r);
    int second = parcel(r, told, &ignored);
    cr_assert_eq(store_heritage_read(x, second, &err), 0, "%s", err.msg);
    close(first);
    close(second);
    return x;
}

static void fill(struct rig *r, struct store_conf conf)
{
    rig_open(r, conf);
    rig_create(r, PODS, "a", 1);
    rig_create(r, PODS, "b", 2);
    rig_create(r, PODS, "c", 2);
    rig_create(r, "/nodes", "n", 5);
    rig_run(r);
    rig_update(r, PODS, "a", 2, 0);
    rig_run(r);
}

/* What a watch of pods shows: type, number before and after, as text. */
static void story(struct store *s, uint64_t from, char *ret, size_t room)
{
    struct store_watch *w;
    struct store_event e;
    struct kl_err err;
    bool expired = false;
    size_t n = 0;
    kl_err_init(&err);
    cr_assert_eq(store_watch_new(s, STR(PODS), STR_NONE, from, wake, NULL, &w, &err), 0, "%s", err.msg);
    *ret = '\0';
    while (store_watch_next(w, &e, &expired)) {
        struct str old = e.old ? store_object_json(e.old) : STR("-"), now = store_object_json(e.object);
        n += (size_t)snprintf(ret + n, room - n, "%d@%llu " STR_FMT " " STR_FMT "\n", e.type, (unsigned long long)e.revision, STR_ARG(old), STR_ARG(now));
    }
    store_watch_free(w);
}

Test(handover, objects_and_events_go_over)
{
    struct rig one = { 0 }, two = { 0 };
    char before[4096], after[4096];
    fill(&one, (struct store_conf){ 0 });
    struct store_heritage *x = tell(&one, 3);
    store_freeze(one.store);
    two.provider.revision = store_revision(one.store);
    two.provider.n = 0;                 /* nothing is read: what is there was told */
    rig_open(&two, (struct store_conf){ .heritage = x });
    store_heritage_free(x);
    cr_assert_eq(store_revision(two.store), store_revision(one.store));
    cr_assert(rig_number(&two, PODS, "a", false) == 3 && !rig_number(&two, PODS, "b", true) && rig_number(&two, PODS, "c", false) == 102);
    cr_assert(rig_number(&two, "/services", "new", false) == 7 && rig_number(&two, "/nodes", "n", false) == 5);
    cr_assert_eq(store_count(two.store, STR(PODS)), 2);
    struct str resource;
    cr_assert(store_by_uid(two.store, STR("uid-a"), &resource) && !store_by_uid(two.store, STR("uid-b"), &resource));
    for (uint64_t from = 0; from <= store_revision(one.store); from++) {
        story(one.store, from, before, sizeof before);
        story(two.store, from, after, sizeof after);
        cr_assert_str_eq(after, before, "from %llu", (unsigned long long)from);
    }
    rig_update(&two, PODS, "a", 9, 0);
    rig_create(&two, PODS, "b", 4);
    rig_run(&two);
    cr_assert(rig_number(&two, PODS, "a", false) == 9 && rig_number(&two, PODS, "b", false) == 4);
    rig_close(&two);
    rig_close(&one);
}

/* More has happened between two parcels than is remembered: objects come from the provider, and who knows less than all lists anew. */
Test(handover, a_gap_is_noticed)
{
    struct rig one = { 0 }, two = { 0 };
    struct kl_store_record record = { sizeof record, { "/pods/ns/z", 10 }, { "{\"n\":1}", 7 }, 1 };
    struct store_watch *w;
    fill(&one, (struct store_conf){ .history = 4 });
    struct store_heritage *x = tell(&one, 10);
    two.provider.revision = store_revision(one.store);
    two.provider.records = &record;
    two.provider.n = 1;
    rig_open(&two, (struct store_conf){ .heritage = x });
    store_heritage_free(x);
    cr_assert(rig_number(&two, PODS, "z", false) == 1 && !rig_number(&two, PODS, "a", false));
    cr_assert_eq(store_watch_new(two.store, STR(PODS), STR_NONE, 5, wake, NULL, &w, &two.err), -KL_EXPIRED);
    rig_close(&two);
    rig_close(&one);
}

/* Somebody else has written since: what was told is of another time. */
Test(handover, another_revision_is_read)
{
    struct rig one = { 0 }, two = { 0 };
    struct store_watch *w;
    fill(&one, (struct store_conf){ 0 });
    struct store_heritage *x = tell(&one, 0);
    two.provider.revision = store_revision(one.store) + 1;
    rig_open(&two, (struct store_conf){ .heritage = x });
    store_heritage_free(x);
    cr_assert_eq(store_count(two.store, STR(PODS)), 0);
    cr_assert_eq(store_watch_new(two.store, STR(PODS), STR_NONE, store_revision(one.store), wake, NULL, &w, &two.err), -KL_EXPIRED);
    rig_close(&two);
    rig_close(&one);
}

Test(handover, cut_short)
{
    struct rig r = { 0 };
    uint64_t revision;
    struct kl_err err;
    char bytes[8192];
    fill(&r, (struct store_conf){ 0 });
    int fd = parcel(&r, 0, &revision);
    ssize_t n = read(fd, bytes, sizeof bytes);
    cr_assert(n > 0 && n < (ssize_t)sizeof bytes);
    for (ssize_t len = 0; len < n; len++) {
        struct store_heritage *x = store_heritage_new();
        int part = memfd_create("part", MFD_CLOEXEC);
        cr_assert(write(part, bytes, (size_t)len) == len && lseek(part, 0, SEEK_SET) == 0);
        kl_err_init(&err);
        cr_assert_lt(store_heritage_read(x, part, &err), 0, "%zd bytes", len);
        store_heritage_free(x);
        close(part);
    }
    close(fd);
    rig_close(&r);
}

Test(handover, frozen)
{
    struct rig r = { 0 };
    fill(&r, (struct store_conf){ 0 });
    rig_update(&r, PODS, "a", 8, 0);    /* accepted: it lasts before the store is given up */
    unsigned answered = r.answered;
    store_freeze(r.store);
    cr_assert_eq(r.answered, answered + 1);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 8);
    cr_assert_eq(rig_update(&r, PODS, "a", 9, 0), -KL_UNAVAILABLE);
    unsigned appends = r.provider.appends;
    r.provider.wants = true;
    rig_run(&r);
    cr_assert(r.provider.appends == appends && !r.provider.parts);
    store_thaw(r.store, &rig_table, &r.provider);
    cr_assert_eq(rig_update(&r, PODS, "a", 9, 0), 0);
    rig_run(&r);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 9);
    store_freeze(r.store);
    store_forget_events(r.store);
    rig_close(&r);
}
