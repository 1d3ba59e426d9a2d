/* Plugins of the program itself stand for files named "builtin:NAME". */
#include "plugin/builtin.h"

#include <criterion/criterion.h>

#include "base/json.h"

static const struct kl_provider provides[] = { { "keelson.scheduler/0", "one", 0, NULL }, { "keelson.scheduler/0", "two", 0, NULL } };
static const struct kl_need needs[] = { { "keelson.host.objects/0", 0 }, { "keelson.host.env/0", 1 } };
static const struct kl_plugin plugin = { .size = sizeof plugin, .abi_major = KL_ABI_MAJOR, .id = "x.one", .version = "1.2", .needs = KL_ARRAY_OF(needs),
                                         .providers = KL_ARRAY_OF(provides) };
static const struct plugin_builtin table[] = { { "scheduler-one", &plugin }, { NULL, NULL } };

Test(builtin, by_name)
{
    struct plugin_note note;
    struct plugin_trial trial = { .digest = STR_NONE };
    const struct kl_plugin *p = NULL;
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_null(builtin_at(0));
    cr_assert_neq(plugin_note_read("builtin:scheduler-one", &note, &err), 0);
    builtin_set(table);
    cr_assert_eq(builtin_at(0), &table[0]);
    cr_assert_null(builtin_at(1));
    cr_assert_null(builtin_of_file("scheduler-one"));
    cr_assert_null(builtin_of_file("builtin:scheduler-two"));
    cr_assert_eq(plugin_note_read("builtin:scheduler-one", &note, &err), 0);
    cr_assert_str_eq(note.id, "x.one");
    cr_assert_str_eq(note.provides, "keelson.scheduler/0:one keelson.scheduler/0:two");
    cr_assert_str_eq(note.needs, "keelson.host.objects/0 keelson.host.env/0");
    void *handle;
    cr_assert_eq(plugin_trial_begin(&trial, "builtin:scheduler-one", &err), 0);
    cr_assert_eq(plugin_trial_end(&trial, &err), 0);
    cr_assert_eq(plugin_dlopen("builtin:scheduler-one", &p, &handle, &err), 0);
    cr_assert_eq(p, &plugin);
}
