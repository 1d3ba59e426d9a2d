/* Deployments against a host in memory: sets, revisions, collisions, pauses, history. The ReplicaSets' controller is played by hand. */
#include <criterion/criterion.h>

#include "fake.h"
#include "rollout.h"

static struct fake f;

static void setup(void)
{
    fake_init(&f);
    fake_put(&f, DEPLOYMENTS, "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"namespace\":\"d\",\"generation\":1},\"spec\":{\"replicas\":4,"
                              "\"progressDeadlineSeconds\":600,\"revisionHistoryLimit\":1,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"strategy\":{\"type\":\"RollingUpdate\","
                              "\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":1}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"
                              "\"name\":\"c\",\"image\":\"1\"}]}}}}");
}

static void teardown(void)
{
    fake_done(&f);
}

TestSuite(deployment, .init = setup, .fini = teardown);

static struct val *web(void)
{
    return fake_get(&f, DEPLOYMENTS, "d", "web");
}

static void change(const char *image)
{
    json_set_str(f.arena, json_path(web(), "spec.template.spec.containers")->first, STR("image"), str_of(image));
    json_set_int(f.arena, json_get(web(), STR("metadata")), STR("generation"), json_int(web(), "metadata.generation", 0) + 1);
}

static void sync(void)
{
    int64_t again = 1;
    for (int i = 0; again == 1 && i < 10; i++)
        cr_assert_eq(fake_reconcile(&f, &deployment_controller, "d/web", &again), 0, "%s", f.call.err.msg);
}

/* Every set gets the pods it asks for, all available. */
static void obey(void)
{
    static const char *const members[] = { "replicas", "readyReplicas", "availableReplicas" };
    for (uint32_t i = 0; i < f.n; i++) {
        struct val *v = f.at[i].v;
        if (!v || strcmp(f.at[i].resource, REPLICASETS) != 0)
            continue;
        for (size_t k = 0; k < 3; k++)
            json_set_int(f.arena, json_obj(f.arena, v, STR("status")), str_of(members[k]), json_int(v, "spec.replicas", 0));
    }
}

static void roll_out(void)
{
    for (int i = 0; i < 20; i++) {
        sync();
        obey();
    }
}

static const char *reason(const char *type)
{
    struct val *c = cond_find(json_path(web(), "status.conditions"), type);
    return arena_dup(f.arena, c ? json_str(c, "reason") : STR("none"));
}

Test(deployment, a_set_per_template_and_the_old_one_goes_down)
{
    roll_out();
    cr_expect_eq(fake_count(&f, REPLICASETS), 1);
    cr_expect_str_eq(reason("Progressing"), "NewReplicaSetAvailable");
    cr_expect_str_eq(reason("Available"), "MinimumReplicasAvailable");
    cr_expect(str_is(meta_annotation(web(), REVISION), "1"));
    change("2");
    sync();
    cr_expect_eq(fake_count(&f, REPLICASETS), 2);
    int64_t all = 0;
    for (uint32_t i = 0; i < f.n; i++)
        if (strcmp(f.at[i].resource, REPLICASETS) == 0)
            all += set_wanted(f.at[i].v);
    cr_expect_leq(all, 5);
    roll_out();
    cr_expect(str_is(meta_annotation(web(), REVISION), "2"));
    cr_expect_eq(json_int(web(), "status.updatedReplicas", 0), 4);
    uint32_t writes = f.creates + f.updates + f.removes;
    sync();
    cr_expect_eq(f.creates + f.updates + f.removes, writes, "at rest nothing is written");
}

Test(deployment, an_old_template_gets_its_set_back_with_a_new_revision)
{
    roll_out();
    change("2");
    roll_out();
    change("1");
    roll_out();
    cr_expect_eq(fake_count(&f, REPLICASETS), 2);
    cr_expect(str_is(meta_annotation(web(), REVISION), "3"));
    for (uint32_t i = 0; i < f.n; i++)
        if (strcmp(f.at[i].resource, REPLICASETS) == 0 && set_wanted(f.at[i].v))
            cr_expect(str_is(meta_annotation(f.at[i].v, "deployment.kubernetes.io/revision-history"), "1"));
}

Test(deployment, old_sets_are_forgotten_above_the_limit)
{
    static const char *const images[] = { "1", "2", "3", "4" };
    for (size_t i = 0; i < 4; i++) {
        change(images[i]);
        roll_out();
    }
    cr_expect_eq(fake_count(&f, REPLICASETS), 2);
}

Test(deployment, a_taken_name_costs_a_collision)
{
    struct ctl_run r = { .arena = f.arena };
    const char *hash = template_hash(&r, json_path(web(), "spec.template"), 0);
    fake_put(&f, REPLICASETS, arena_printf(f.arena, "{\"metadata\":{\"name\":\"web-%s\",\"namespace\":\"d\"},\"spec\":{\"template\":{\"spec\":{}}}}", hash));
    sync();
    cr_expect_eq(json_int(web(), "status.collisionCount", 0), 1);
    cr_expect_eq(fake_count(&f, REPLICASETS), 2);
}

Test(deployment, a_pause_holds_the_rollout_but_not_the_size)
{
    roll_out();
    json_set_bool(f.arena, json_get(web(), STR("spec")), STR("paused"), true);
    change("2");
    sync();
    cr_expect_str_eq(reason("Progressing"), "DeploymentPaused");
    cr_expect_eq(fake_count(&f, REPLICASETS), 1);
    json_set_int(f.arena, json_get(web(), STR("spec")), STR("replicas"), 7);
    roll_out();
    cr_expect_eq(json_int(web(), "status.replicas", 0), 7);
    json_set_bool(f.arena, json_get(web(), STR("spec")), STR("paused"), false);
    roll_out();
    cr_expect_eq(fake_count(&f, REPLICASETS), 2);
    cr_expect_str_eq(reason("Progressing"), "NewReplicaSetAvailable");
}

Test(deployment, no_progress_in_time_is_told_once)
{
    sync();
    f.now_ns += 599 * NS_S;
    sync();
    cr_expect_str_neq(reason("Progressing"), "ProgressDeadlineExceeded");
    f.now_ns += 2 * NS_S;
    sync();
    cr_expect_str_eq(reason("Progressing"), "ProgressDeadlineExceeded");
    roll_out();                         /* it still may get there */
    cr_expect_str_eq(reason("Progressing"), "NewReplicaSetAvailable");
}

Test(deployment, recreate_waits_until_the_old_pods_have_gone)
{
    json_set_str(f.arena, json_path(web(), "spec.strategy"), STR("type"), STR("Recreate"));
    roll_out();
    struct val *set = NULL;
    for (uint32_t i = 0; i < f.n; i++)
        if (strcmp(f.at[i].resource, REPLICASETS) == 0)
            set = f.at[i].v;
    fake_put(&f, PODS, arena_printf(f.arena, "{\"metadata\":{\"name\":\"last\",\"namespace\":\"d\",\"ownerReferences\":[{\"uid\":\"" STR_FMT "\"}]}}", STR_ARG(meta_uid(set))));
    change("2");
    roll_out();
    cr_expect_eq(fake_count(&f, REPLICASETS), 1, "its pod is still there");
    json_set_str(f.arena, json_obj(f.arena, fake_get(&f, PODS, "d", "last"), STR("status")), STR("phase"), STR("Succeeded"));
    roll_out();
    cr_expect_eq(fake_count(&f, REPLICASETS), 2);
    cr_expect_eq(json_int(web(), "status.updatedReplicas", 0), 4);
}

/* As upstream's: sizes are noted when a set is scaled, not when the strategy is another. */
Test(deployment, another_strategy_alone_leaves_the_set_as_it_is)
{
    roll_out();
    json_set_str(f.arena, json_path(web(), "spec.strategy"), STR("type"), STR("Recreate"));
    uint32_t updates = f.updates;
    sync();
    cr_expect_eq(f.updates, updates);
    for (uint32_t i = 0; i < f.n; i++)
        if (f.at[i].v && strcmp(f.at[i].resource, REPLICASETS) == 0)
            cr_expect(str_is(meta_annotation(f.at[i].v, "deployment.kubernetes.io/max-replicas"), "5"));
}
