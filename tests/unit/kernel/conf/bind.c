/* Settings bound to a plugin's struct: every type, every refusal, fallbacks, and memory that runs out. */
#include "conf/bind.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

struct conf {
    const char *text, *pick, *groups, *secret;
    int64_t number, time, amount;
    int32_t flag;
    const char *const *list;
};
#define AT(member) (uint32_t)offsetof(struct conf, member)

static const struct kl_conf_field fields[] = {
    { "text", KL_CONF_STR, AT(text), KL_CONF_REQUIRED, NULL, 0, 0, NULL, "a text" },
    { "pick", KL_CONF_ENUM, AT(pick), 0, "slow", 0, 0, "slow|fast", "how" },
    { "groups", KL_CONF_GROUPS, AT(groups), 0, NULL, 0, 0, NULL, "groups" },
    { "secret", KL_CONF_SECRET, AT(secret), 0, NULL, 0, 0, NULL, "a file" },
    { "number", KL_CONF_INT, AT(number), 0, "3", -5, 700, NULL, "how many" },
    { "time", KL_CONF_DURATION, AT(time), 0, "1m30s", 0, 0, NULL, "how long" },
    { "amount", KL_CONF_QUANTITY, AT(amount), 0, "64Mi", 1, INT64_MAX, NULL, "how much" },
    { "flag", KL_CONF_BOOL, AT(flag), 0, "true", 0, 0, NULL, "whether" },
    { "list", KL_CONF_LIST, AT(list), 0, "a, b", 0, 0, NULL, "texts" },
};

static const struct kl_plugin plugin = { .size = sizeof plugin, .id = "org.example.x", .version = "1", .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf) };

static int bind(struct arena *a, const char *json, struct conf **ret, struct kl_err *err)
{
    void *bound = NULL;
    kl_err_init(err);
    struct val *v = json_parse(a, str_of(json), err);
    int rc = v ? conf_bind(a, &plugin, v, "file:1", &bound, err) : -err->code;
    *ret = bound;
    return rc;
}

Test(bind, fallbacks)
{
    struct arena *a = arena_new(0);
    struct conf *c;
    struct kl_err err;
    cr_assert_eq(bind(a, "{\"text\":\"x\"}", &c, &err), 0, "%s", err.msg);
    cr_expect_str_eq(c->text, "x");
    cr_expect_str_eq(c->pick, "slow");
    cr_expect_null(c->groups);
    cr_expect_null(c->secret);
    cr_expect_eq(c->number, 3);
    cr_expect_eq(c->time, 90000000000LL);
    cr_expect_eq(c->amount, 64 << 20);
    cr_expect_eq(c->flag, 1);
    cr_expect(strcmp(c->list[0], "a") == 0 && strcmp(c->list[1], "b") == 0 && !c->list[2]);
    arena_free(a);
}

Test(bind, every_type)
{
    char path[] = "/tmp/keelson-secret-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "  s3cret\n", 9) == 9);
    close(fd);
    struct arena *a = arena_new(0);
    struct conf *c;
    struct kl_err err;
    char *json = arena_printf(a, "{\"text\":7,\"pick\":\"fast\",\"groups\":[{\"a\":1,\"b\":[\"x\"]}],\"secret\":\"%s\",\"number\":\"-5\",\"time\":\"250ms\",\"amount\":\"1.5Gi\","
                                 "\"flag\":false,\"list\":[\"one\",\"two\"]}", path);
    cr_assert_eq(bind(a, json, &c, &err), 0, "%s", err.msg);
    cr_expect_str_eq(c->text, "7");
    cr_expect_str_eq(c->pick, "fast");
    cr_expect_str_eq(c->groups, "[{\"a\":1,\"b\":[\"x\"]}]");
    cr_expect_str_eq(c->secret, "s3cret");
    cr_expect_eq(c->number, -5);
    cr_expect_eq(c->time, 250000000);
    cr_expect_eq(c->amount, 3LL << 29);
    cr_expect_eq(c->flag, 0);
    cr_expect(strcmp(c->list[0], "one") == 0 && strcmp(c->list[1], "two") == 0 && !c->list[2]);
    unlink(path);
    arena_free(a);
}

Test(bind, refuses_in_words)
{
    static const char *const rows[][2] = {
        { "{}", "'org.example.x' needs the setting 'text' (a text)" },
        { "{\"text\":\"x\",\"tetx\":1}", "has no setting 'tetx'; did you mean 'text'?" },
        { "{\"text\":\"x\",\"unheard\":1}", "has no setting 'unheard'" },
        { "{\"text\":\"x\",\"number\":701}", "'number' is '701', must be -5..700 (how many)" },
        { "{\"text\":\"x\",\"number\":\"many\"}", "'number' is 'many', must be a number" },
        { "{\"text\":\"x\",\"number\":1.5}", "'number' is '1.5', must be a number" },
        { "{\"text\":\"x\",\"pick\":\"medium\"}", "'pick' is 'medium', must be slow|fast" },
        { "{\"text\":\"x\",\"time\":\"5\"}", "must be a duration such as 30s" },
        { "{\"text\":\"x\",\"time\":\"5 m\"}", "must be a duration" },
        { "{\"text\":\"x\",\"time\":\"99999999h\"}", "must be a duration" },
        { "{\"text\":\"x\",\"time\":\"h\"}", "must be a duration" },
        { "{\"text\":\"x\",\"amount\":\"5X\"}", "must be a quantity such as 64Mi" },
        { "{\"text\":\"x\",\"amount\":0}", "must be 1..9223372036854775807" },
        { "{\"text\":\"x\",\"flag\":\"yes\"}", "'flag' is 'yes', must be true or false" },
        { "{\"text\":{\"a\":1}}", "must be one value" },
        { "{\"text\":[1]}", "must be one value" },
        { "{\"text\":\"x\",\"list\":[1]}", "must be a list of texts" },
        { "{\"text\":\"x\",\"groups\":3}", "must be a list of groups" },
        { "{\"text\":\"x\",\"secret\":\"/nowhere/file\"}", "names the file '/nowhere/file', which cannot be read" },
        { "{\"text\":\"x\",\"secret\":\"/dev/zero\"}", "larger than 64 KiB" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct conf *c;
        struct kl_err err;
        cr_expect_lt(bind(a, rows[i][0], &c, &err), 0, "%s", rows[i][0]);
        cr_expect(strstr(err.msg, rows[i][1]), "%s: '%s' lacks '%s'", rows[i][0], err.msg, rows[i][1]);
        cr_expect(strncmp(err.msg, "file:1: ", 8) == 0, "%s", err.msg);
        arena_free(a);
    }
}

/* An older plugin's table has shorter rows; the host reads only what is there. */
Test(bind, rows_are_read_by_their_stride)
{
    struct long_row {
        struct kl_conf_field f;
        uint64_t more[3];
    };
    static const struct long_row rows[] = { { { "one", KL_CONF_INT, 0, 0, "1", 0, 0, NULL, NULL }, { 1, 2, 3 } }, { { "two", KL_CONF_INT, 8, 0, "2", 0, 0, NULL, NULL }, { 4, 5, 6 } } };
    static const struct kl_plugin p = { .size = sizeof p, .id = "x", .version = "1", .conf = { &rows[0].f, 2, sizeof *rows }, .conf_size = 16 };
    struct arena *a = arena_new(0);
    struct kl_err err;
    void *bound;
    struct val *v = json_parse(a, STR("{\"two\":22}"), &err);
    cr_assert_eq(conf_bind(a, &p, v, "f", &bound, &err), 0);
    cr_expect_eq(((int64_t *)bound)[0], 1);
    cr_expect_eq(((int64_t *)bound)[1], 22);
    arena_free(a);
}

/* A struct is whole, or there is none. */
Test(bind, little_memory)
{
    for (size_t cap = 1024; cap < 6000; cap += 8) {
        struct arena *a = arena_new(cap);
        struct conf *c;
        struct kl_err err;
        kl_err_init(&err);
        if (bind(a, "{\"text\":\"x\",\"groups\":[{\"a\":1}],\"list\":[\"one\",\"two\",\"three\"],\"pick\":\"fast\"}", &c, &err) < 0)
            cr_expect(err.code > 0 && err.msg[0], "cap %zu", cap);
        else
            cr_expect(c->text && c->pick && c->groups && c->list[0] && c->list[1] && c->list[2], "cap %zu: half a struct", cap);
        arena_free(a);
    }
}
