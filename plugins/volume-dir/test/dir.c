/* dir.c - a volume's life as a folder. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <keelson/iface/volume.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tree.h"

extern const struct kl_plugin kl_plugin;

static const struct kl_volume *t;
static void *self;
static char dir[64];
static struct kl_call call;
static struct {
    const char *dir;
} conf = { dir };

static void begin(void)
{
    static const struct kl_host host = { .size = sizeof host };
    t = kl_plugin.providers.at[0].table;
    snprintf(dir, sizeof dir, "/tmp/volume-dir.XXXXXX");
    cr_assert(mkdtemp(dir));
    call = (struct kl_call){ .size = sizeof call, .arena = arena_new(1 << 20), .alloc = (void *(*)(void *, size_t))arena_alloc };
    kl_err_init(&call.err);
    cr_assert_eq(t->life.open(&host, &conf, &self, &call), 0);
}

static void end(void)
{
    t->life.close(self);
    arena_free(call.arena);
    int root = open("/tmp", O_RDONLY | O_DIRECTORY);
    cr_assert_eq(tree_remove(root, dir + 5), 0);
    close(root);
}

TestSuite(dir, .init = begin, .fini = end);

static int make(const char *name, int64_t bytes, const char *from)
{
    struct kl_volume_spec s = { .size = sizeof s, .name = name, .bytes = bytes, .from = from };
    struct kl_volume_made m = { .size = sizeof m };
    int rc = t->create(self, &call, &s, &m);
    if (rc == 0)
        cr_assert_str_eq(m.id, name);
    return rc;
}

static const char *where(const char *id)
{
    struct kl_volume_use u = { .size = sizeof u, .id = id };
    const char *path = NULL;
    return t->publish(self, &call, &u, &path) == 0 ? path : NULL;
}

static int drop(const char *id)
{
    struct kl_volume_use u = { .size = sizeof u, .id = id };
    return t->remove(self, &call, &u);
}

static void put(const char *volume, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", where(volume), name);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

static bool holds(const char *volume, const char *name, const char *text)
{
    char path[300], got[64] = "";
    snprintf(path, sizeof path, "%s/%s", where(volume), name);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(got, 1, sizeof got - 1, f);
    got[n] = '\0';
    fclose(f);
    return strcmp(got, text) == 0;
}

Test(dir, life)
{
    cr_assert_eq(make("v", 1 << 20, NULL), 0);
    cr_assert_eq(make("v", 1 << 20, NULL), 0, "again: the same");
    cr_assert_eq(make("v", 1 << 21, NULL), -KL_ALREADY_EXISTS);
    put("v", "a", "kept");
    cr_assert(holds("v", "a", "kept"));
    cr_assert_eq(make("w", 1, "v"), 0, "%s", call.err.msg);
    put("v", "a", "new");
    cr_assert(holds("w", "a", "kept"), "a copy of its own");
    cr_assert_eq(drop("v"), 0);
    cr_assert_eq(drop("v"), 0);
    cr_assert_null(where("v"));
    cr_assert_eq(call.err.code, KL_NOT_FOUND);
    cr_assert_eq(make("x", 1, "v"), -KL_NOT_FOUND, "nothing to copy");
    cr_assert_null(where("x"), "and nothing half made");
}

Test(dir, grows)
{
    struct kl_volume_use u = { .size = sizeof u, .id = "v" };
    int64_t now = 0;
    cr_assert_eq(make("v", 100, NULL), 0);
    cr_assert_eq(t->expand(self, &call, &u, 300, &now), 0);
    cr_assert_eq(now, 300);
    cr_assert_eq(t->expand(self, &call, &u, 200, &now), 0, "never smaller");
    cr_assert_eq(now, 300);
    u.id = "w";
    cr_assert_eq(t->expand(self, &call, &u, 200, &now), -KL_NOT_FOUND);
}

/* Ids come from PersistentVolumes that users write, and what is in a volume was made by its pods. */
Test(dir, stays_in_its_folder)
{
    char path[200];
    struct stat st;
    static const char *const bad[] = { "", ".", "..", "../x", "a/b", "/etc", ".hidden", "a\nb" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(make(bad[i], 1, NULL), -KL_INVALID, "'%s'", bad[i]);
        cr_assert_null(where(bad[i]));
        cr_assert_eq(drop(bad[i]), 0);
    }
    snprintf(path, sizeof path, "%s/beside", dir);
    cr_assert_eq(mkdir(path, 0755), 0);
    cr_assert_eq(make("v", 1, NULL), 0);
    char link[200];
    snprintf(link, sizeof link, "%s/link", where("v"));
    cr_assert_eq(symlink(path, link), 0);
    cr_assert_eq(make("w", 1, "v"), 0);
    cr_assert_eq(drop("v"), 0);
    cr_assert_eq(drop("w"), 0);
    cr_assert_eq(stat(path, &st), 0, "a link's target is not followed");
    snprintf(link, sizeof link, "%s/evil", dir);
    cr_assert_eq(symlink("/etc", link), 0);
    cr_assert_null(where("evil"));
}
