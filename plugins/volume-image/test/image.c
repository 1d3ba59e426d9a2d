/* image.c - files of volumes; what takes loop devices is in tests/e2e/volumes-image.sh. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <keelson/iface/volume.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

extern const struct kl_plugin kl_plugin;

static const struct kl_volume *t;
static void *self;
static char dir[64];
static struct kl_call call;
static struct {
    const char *dir, *mkfs, *fsck, *resize;
    int32_t thick;
} conf = { dir, "/bin/true", "/bin/true", "/bin/true", 0 };

static void begin(void)
{
    static const struct kl_host host = { .size = sizeof host };
    t = kl_plugin.providers.at[0].table;
    snprintf(dir, sizeof dir, "/tmp/volume-image.XXXXXX");
    cr_assert(mkdtemp(dir));
    call = (struct kl_call){ .size = sizeof call, .arena = arena_new(1 << 20), .alloc = (void *(*)(void *, size_t))arena_alloc };
    kl_err_init(&call.err);
    cr_assert_eq(t->life.open(&host, &conf, &self, &call), 0);
}

static void end(void)
{
    t->life.close(self);
    arena_free(call.arena);
    cr_assert_eq(rmdir(dir), 0, "nothing is left");
}

TestSuite(image, .init = begin, .fini = end);

static int make(const char *name, int64_t bytes, const char *const *parameters, struct kl_volume_made *ret)
{
    struct kl_volume_spec s = { .size = sizeof s, .name = name, .bytes = bytes, .parameters = parameters };
    *ret = (struct kl_volume_made){ .size = sizeof *ret };
    return t->create(self, &call, &s, ret);
}

static int64_t blocks(const char *name)
{
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? st.st_blocks * 512 : -1;
}

static void drop(const char *name)
{
    struct kl_volume_use u = { .size = sizeof u, .id = name };
    cr_assert_eq(t->remove(self, &call, &u), 0);
    cr_assert_eq(t->remove(self, &call, &u), 0);
}

Test(image, files)
{
    struct kl_volume_made m;
    int64_t now;
    cr_assert_eq(make("v", 5000000, NULL, &m), 0, "%s", call.err.msg);
    cr_assert_eq(m.bytes, 5001216, "in whole blocks");
    cr_assert_eq(make("v", 5000000, NULL, &m), 0);
    cr_assert_eq(make("v", 9000000, NULL, &m), -KL_ALREADY_EXISTS);
    cr_assert_lt(blocks("v"), 1000000, "room is taken when it is used");
    struct kl_volume_use u = { .size = sizeof u, .id = "v" };
    cr_assert_eq(t->expand(self, &call, &u, 8000000, &now), 0);
    cr_assert(now >= 8000000);
    cr_assert_eq(t->expand(self, &call, &u, 1, &now), 0);
    cr_assert(now >= 8000000, "never smaller");
    drop("v");
    cr_assert_eq(make("small", 1, NULL, &m), 0);
    cr_assert_eq(m.bytes, 2 << 20, "an ext4 needs as much");
    drop("small");
    cr_assert_eq(make("thick", 4 << 20, (const char *const[]){ "thick", "true", NULL }, &m), 0);
    cr_assert_geq(blocks("thick"), 4 << 20);
    drop("thick");
}

Test(image, refuses)
{
    struct kl_volume_made m;
    cr_assert_eq(make("v", 1, (const char *const[]){ "thick", "maybe", NULL }, &m), -KL_INVALID);
    cr_assert_eq(make("v", 1, (const char *const[]){ "color", "blue", NULL }, &m), -KL_INVALID);
    cr_assert_eq(make("../v", 1, NULL, &m), -KL_INVALID);
    conf.mkfs = "/bin/false";
    cr_assert_eq(make("v", 1, NULL, &m), -KL_INTERNAL);
    conf.mkfs = "/no/such/program";
    cr_assert_eq(make("v", 1, NULL, &m), -KL_UNAVAILABLE);
    conf.mkfs = "/bin/true";
    cr_assert_eq(blocks("v"), -1, "nothing half made");
}
