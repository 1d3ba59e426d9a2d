/* config.c - a configuration file, and each of its groups bound to a plugin's struct of every type of setting. */
#include <sys/mman.h>
#include <unistd.h>

#include "conf/bind.h"
#include "conf/load.h"
#include "fuzz.h"

struct conf {
    const char *text, *pick, *groups;
    int64_t number, time, amount;
    int32_t flag;
    const char *const *list;
};
#define AT(member) (uint32_t)offsetof(struct conf, member)

/* libconfig's own, once per file that ends within a text: it is read at the start and never again. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:strbuf_append\nleak:libconfig_yy";
}

static const struct kl_conf_field fields[] = {
    { "text", KL_CONF_STR, AT(text), 0, "x", 0, 0, NULL, "a text" },
    { "pick", KL_CONF_ENUM, AT(pick), 0, "a", 0, 0, "a|bc|d", NULL },
    { "groups", KL_CONF_GROUPS, AT(groups), 0, NULL, 0, 0, NULL, "groups" },
    { "number", KL_CONF_INT, AT(number), 0, "3", -5, 700, NULL, "a number" },
    { "time", KL_CONF_DURATION, AT(time), 0, "1s", 0, 0, NULL, "a time" },
    { "amount", KL_CONF_QUANTITY, AT(amount), 0, "64Mi", 1, INT64_MAX, NULL, "bytes" },
    { "flag", KL_CONF_BOOL, AT(flag), 0, "true", 0, 0, NULL, "a switch" },
    { "list", KL_CONF_LIST, AT(list), 0, "a,b", 0, 0, NULL, "texts" },
};

static const struct kl_plugin plugin = { .size = sizeof plugin, .id = "fuzz", .version = "0", .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf) };

static const struct conf_row rows[] = { { "text", VAL_STR, 0, 0, "a|b" }, { "number", VAL_INT, 1, 9, NULL }, { "list", VAL_ARR, 0, 0, NULL },
                                        { "flag", VAL_BOOL, 0, 0, NULL }, { "group", VAL_OBJ, 0, 0, NULL } };

static void check_bound(const struct conf *c)
{
    must(c->text && c->pick && (strcmp(c->pick, "a") == 0 || strcmp(c->pick, "bc") == 0 || strcmp(c->pick, "d") == 0));
    must(c->number >= -5 && c->number <= 700 && c->amount >= 1 && (c->flag == 0 || c->flag == 1) && c->time >= 0);
    for (const char *const *l = c->list; *l; l++)
        must(strlen(*l) < 1 << 20);
}

FUZZ(data)
{
    static int fd = -1;
    static char path[64];
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    struct kl_err err;
    struct val *tree = NULL;
    void *bound;
    kl_err_init(&err);
    if (memmem(data.at, data.len, "@include", 8))
        return;                         /* files of this machine are not the input */
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(ftruncate(fd, 0) == 0 && pwrite(fd, data.at, data.len, 0) == (ssize_t)data.len);
    if (conf_load(a, path, &tree, &err) < 0) {
        fuzz_failed(&err);
        return;
    }
    conf_check(a, tree, rows, sizeof rows / sizeof *rows, &err);
    val_each(group, tree) {
        kl_err_init(&err);
        must(strstr(conf_where(a, group), ":"));
        if (conf_bind(a, &plugin, group, "fuzz", &bound, &err) == 0)
            check_bound(bound);
        else
            fuzz_failed(&err);
    }
}
