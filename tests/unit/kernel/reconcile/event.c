/* Events: equal ones count up, similar ones are combined, floods are cut. */
#include "reconcile/event.h"

#include <criterion/criterion.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"

#define KEPT 64

static struct arena *arena;
static struct val *kept[KEPT];
static int n_kept, n_patches;
static bool gone;
static struct event_recorder *recorder;
static int64_t wall = 1000 * NS_PER_S;

static int create(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    (void)o, (void)who, (void)k, (void)ret;
    cr_assert(n_kept < KEPT);
    kept[n_kept++] = json_parse(arena, arena_str(arena, str_n(obj.at, obj.len)), &c->err);
    return 0;
}

static int patch(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes p,
                 struct kl_bytes *ret)
{
    (void)o, (void)who, (void)type, (void)ret;
    if (gone)
        return -KL_NOT_FOUND;
    for (int i = 0; i < n_kept; i++)
        if (str_is(json_str(kept[i], "metadata.name"), k->name)) {
            struct val *more = json_parse(arena, arena_str(arena, str_n(p.at, p.len)), &c->err);
            val_each(m, more)
                json_set(arena, kept[i], val_key(m), val_copy(arena, m));
            n_patches++;
            return 0;
        }
    cr_assert_fail("a patch of %s, which is not there", k->name);
    return 0;
}

static const struct objects_ops ops = { .create = create, .patch = patch };
static struct objects objects = { &ops };
static struct env_ops fake;

static int64_t now(void *ctx)
{
    (void)ctx;
    return wall += 1000;
}

static void setup(void)
{
    fake = *env_real();
    fake.wall_ns = fake.mono_ns = now;
    env_set(&fake);
    arena = arena_new(4 << 20);
    recorder = event_recorder_new(NULL, &objects);
    n_kept = n_patches = 0;
    gone = false;
}

static void teardown(void)
{
    event_recorder_free(recorder);
    arena_free(arena);
    env_set(NULL);
}

TestSuite(event, .init = setup, .fini = teardown);

static void say(const char *who, const char *uid, const char *type, const char *reason, const char *fmt, int i)
{
    char message[80], about[160];
    snprintf(message, sizeof message, "%s %d", fmt, i);
    int n = snprintf(about, sizeof about, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"%s\"}", uid);
    event_write(recorder, who, str_n(about, (size_t)n), type, reason, message);
}

Test(event, equal_events_count_up)
{
    for (int i = 0; i < 3; i++)
        say("a", "1", "Normal", "Made", "made", 1);
    cr_assert_eq(n_kept, 1);
    cr_assert_eq(json_int(kept[0], "count", 0), 3);
    cr_assert(str_is(json_str(kept[0], "reportingComponent"), "a"));
}

/* Nine that differ only in their messages are written as they are; the others of ten minutes share one, which tells the latest. */
Test(event, similar_events_are_combined)
{
    for (int i = 0; i < 12; i++)
        say("a", "1", "Normal", "Made", "made", i);
    cr_assert_eq(n_kept, 10);
    cr_assert(str_is(json_str(kept[8], "message"), "made 8"));
    cr_assert(str_is(json_str(kept[9], "message"), "(combined from similar events): made 11"));
    cr_assert_eq(json_int(kept[9], "count", 0), 3);
    cr_assert(!json_get(kept[9], STR("reportingComponent")), "nobody reports what was combined");
    say("a", "1", "Normal", "Made", "made", 3);
    cr_assert_eq(json_int(kept[3], "count", 0), 2);
    say("a", "1", "Normal", "Other", "other", 1);
    cr_assert(str_is(json_str(kept[10], "message"), "other 1"));
    say("a", "2", "Normal", "Made", "made", 1);
    cr_assert(str_is(json_str(kept[11], "message"), "made 1"));
    wall += 601 * NS_PER_S;
    say("a", "1", "Normal", "Made", "made", 20);
    cr_assert(str_is(json_str(kept[12], "message"), "made 20"), "after ten minutes without them it begins anew");
}

/* 25 at once of each source, object and type; what was cut is counted all the same. */
Test(event, floods_are_cut)
{
    for (int i = 0; i < 30; i++)
        say("a", "1", "Normal", "Made", "made", 1);
    cr_assert_eq(json_int(kept[0], "count", 0), 25);
    say("a", "1", "Warning", "Bad", "bad", 1);
    say("b", "1", "Normal", "Made", "made", 1);
    cr_assert_eq(n_kept, 3);
    wall += 301 * NS_PER_S;
    say("a", "1", "Normal", "Made", "made", 1);
    cr_assert_eq(n_kept, 3);
    cr_assert_eq(json_int(kept[0], "count", 0), 31);
}

/* One that has expired meanwhile is written anew, and goes on counting. */
Test(event, counting_outlives_the_object)
{
    say("a", "1", "Normal", "Made", "made", 1);
    gone = true;
    say("a", "1", "Normal", "Made", "made", 1);
    cr_assert_eq(n_kept, 2);
    cr_assert_eq(json_int(kept[1], "count", 0), 2);
    cr_assert(str_eq(json_str(kept[0], "firstTimestamp"), json_str(kept[1], "firstTimestamp")));
}
