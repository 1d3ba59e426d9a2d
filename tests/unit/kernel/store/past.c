/* past.c - lists of what was: whatever happened since, a list at a revision shows what a list showed at that time. */
#include "rig.h"

#define PODS "/pods"
#define KEYS 40
#define STEPS 400

/* "a=1 c=2 " of a list. */
struct shown {
    char text[KEYS * 24];
    size_t n;
    unsigned most;                      /* stop after that many; 0: all */
    unsigned count;
};

static bool each(void *ctx, struct store_object *o)
{
    struct shown *s = ctx;
    struct str name = store_object_name(o);
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, STR_FMT "@%llu ", STR_ARG(name),
                             (unsigned long long)store_object_revision(o));
    return ++s->count != s->most;
}

static int at(struct rig *r, uint64_t revision, const char *after, unsigned most, struct shown *ret)
{
    struct store_range range = { .resource = STR(PODS) };
    if (after) {
        range.after_ns = STR("ns");
        range.after_name = str_of(after);
    }
    *ret = (struct shown){ .most = most };
    return store_list_at(r->store, &range, revision, each, ret);
}

static void step(struct rig *r, unsigned *seed)
{
    char name[16];
    *seed = *seed * 1103515245 + 12345;
    snprintf(name, sizeof name, "k%02u", (*seed >> 16) % KEYS);
    if (!rig_number(r, PODS, name, true))
        rig_create(r, PODS, name, 1);
    else if (*seed >> 8 & 1)
        rig_update(r, PODS, name, 2, 0);
    else
        rig_delete(r, PODS, name);
    if (*seed >> 9 & 1)
        rig_run(r);
}

Test(past, as_it_was)
{
    static struct rig r;
    static struct shown then[STEPS];
    static uint64_t revisions[STEPS];
    unsigned seed = 7;
    rig_open(&r, (struct store_conf){ 0 });
    for (int i = 0; i < STEPS; i++) {
        struct store_range all = { .resource = STR(PODS) };
        step(&r, &seed);
        revisions[i] = store_revision(r.store);
        store_list(r.store, &all, each, &then[i]);
    }
    for (int i = 0; i < STEPS; i++) {
        static struct shown now, part;
        cr_assert_eq(at(&r, revisions[i], NULL, 0, &now), 0);
        cr_assert_str_eq(now.text, then[i].text, "revision %llu", (unsigned long long)revisions[i]);
        if (now.count < 3)
            continue;
        /* page by page */
        char last[4] = "";
        cr_assert_eq(at(&r, revisions[i], NULL, 2, &part), 0);
        cr_assert_eq(strncmp(part.text, now.text, part.n), 0);
        memcpy(last, strchr(part.text, ' ') + 1, 3);
        size_t before = part.n;
        cr_assert_eq(at(&r, revisions[i], last, 0, &part), 0);
        cr_assert_str_eq(part.text, now.text + before);
    }
    rig_close(&r);
}

Test(past, another_resource_and_namespace)
{
    static struct rig r;
    static struct shown s;
    struct store_range other = { .resource = STR("/nothing") }, ns = { .resource = STR(PODS), .ns = STR("elsewhere") };
    rig_open(&r, (struct store_conf){ 0 });
    rig_create(&r, PODS, "a", 1);
    rig_run(&r);
    rig_delete(&r, PODS, "a");
    rig_run(&r);
    cr_assert_eq(store_list_at(r.store, &other, 1, each, &s), 0);
    cr_assert_eq(store_list_at(r.store, &ns, 1, each, &s), 0);
    cr_assert_eq(s.count, 0);
    rig_close(&r);
}

Test(past, forgotten)
{
    static struct rig r;
    static struct shown s;
    rig_open(&r, (struct store_conf){ .history = 10 });
    rig_create(&r, PODS, "a", 1);
    rig_run(&r);
    for (int i = 0; i < 20; i++)
        rig_update(&r, PODS, "a", i + 2, 0);
    rig_run(&r);
    cr_assert_eq(at(&r, 1, NULL, 0, &s), -KL_EXPIRED);
    cr_assert_eq(at(&r, 10, NULL, 0, &s), -KL_EXPIRED);
    cr_assert_eq(at(&r, 11, NULL, 0, &s), 0);
    cr_assert_str_eq(s.text, "a@11 ");
    rig_close(&r);
}
