/* particular_volume.c - storage drivers: a volume's life, twice each step, and what must not be reached by names and ids. */
#include <keelson/iface/volume.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "particular.h"

#define MIB (1024 * 1024)

struct trial {
    struct bench *b;
    const struct kl_volume *t;
    struct arena *arena;
    struct kl_call call;
    char target[64];                    /* a folder */
    char id[132];                       /* of the volume that was made last */
    int64_t bytes;
    const char *const *context;
};

static void next(struct trial *x, enum policy p, const char *call)
{
    bench_now(x->b, p, p, call, CALL_NS);
    report_asked(x->b->report, p);
    kl_err_init(&x->call.err);
    test_host_be(TEST_WORKER);
}

static const char *const *copy_list(struct arena *a, const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    const char **copy = arena_alloc(a, (n + 1) * sizeof *copy);
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = arena_dup(a, str_of(list[i]));
    return copy;
}

static struct kl_volume_use use_of(struct trial *x, const char *id)
{
    return (struct kl_volume_use){ .size = sizeof(struct kl_volume_use), .id = id, .context = x->context, .target = x->target };
}

static int ask(struct trial *x, const char *name, int64_t bytes, const char *const *parameters, struct kl_volume_made *ret)
{
    struct kl_volume_spec s = { .size = sizeof s, .name = name, .bytes = bytes, .parameters = parameters, .node = "n1" };
    *ret = (struct kl_volume_made){ .size = sizeof *ret };
    return x->t->create(x->b->self, &x->call, &s, ret);
}

static int create(struct trial *x, const char *name, int64_t bytes)
{
    struct kl_volume_made m;
    int rc = ask(x, name, bytes, NULL, &m);
    x->id[0] = '\0';
    if (rc < 0)
        return rc;
    size_t n = m.id ? strlen(m.id) : 0;
    report_check(x->b->report, P_VOL_MADE, "create", n > 0 && n <= 128 && !strpbrk(m.id, "\r\n"), "the id has %zu bytes, or a line break", n);
    snprintf(x->id, sizeof x->id, "%s", m.id ? m.id : "");
    x->bytes = m.bytes > 0 ? m.bytes : bytes;
    x->context = copy_list(x->arena, m.context);
    report_check(x->b->report, P_VOL_MADE, "create", x->bytes >= bytes, "of %lld bytes it makes %lld", (long long)bytes, (long long)x->bytes);
    return 0;
}

static int publish(struct trial *x, const char *id, char ret_path[512])
{
    struct kl_volume_use v = use_of(x, id);
    const char *path = NULL;
    int rc = x->t->publish(x->b->self, &x->call, &v, &path);
    if (rc == 0)
        snprintf(ret_path, 512, "%s", path && *path ? path : x->target);
    return rc;
}

static int unpublish(struct trial *x, const char *id)
{
    struct kl_volume_use v = use_of(x, id);
    return x->t->unpublish(x->b->self, &x->call, &v);
}

static int drop(struct trial *x, const char *id)
{
    struct kl_volume_use v = use_of(x, id);
    return x->t->remove(x->b->self, &x->call, &v);
}

#define CHECK(x, p, call, ok, ...) report_check((x)->b->report, p, call, ok, __VA_ARGS__)

/* --- names --- */

/* False: nothing can be made here: no rights, nobody at the other end. */
static bool names(struct trial *x, char first[132])
{
    struct kl_volume_made m;
    next(x, P_VOL_MADE, "create");
    int rc = create(x, "pvc-one", MIB);
    if (rc == -KL_UNAVAILABLE || rc == -KL_FORBIDDEN)
        return false;
    CHECK(x, P_VOL_MADE, "create", rc == 0, "it fails: %s", x->call.err.msg);
    if (rc < 0)
        return false;
    snprintf(first, 132, "%s", x->id);
    int64_t bytes = x->bytes;
    next(x, P_VOL_SAME, "create");
    rc = create(x, "pvc-one", MIB);
    CHECK(x, P_VOL_SAME, "create", rc == 0, "the second time it fails: %s", x->call.err.msg);
    CHECK(x, P_VOL_SAME, "create", rc < 0 || (strcmp(x->id, first) == 0 && x->bytes == bytes), "it is '%s' with %lld bytes, then '%s' with %lld", first, (long long)bytes, x->id,
          (long long)x->bytes);
    next(x, P_VOL_OTHER, "create");
    rc = ask(x, "pvc-one", bytes + 8 * MIB, NULL, &m);
    CHECK(x, P_VOL_OTHER, "create", rc == -KL_ALREADY_EXISTS, "with a larger capacity the name is answered with %d", rc);
    next(x, P_VOL_WISH, "create");
    rc = ask(x, "pvc-wish", MIB, (const char *const[]){ "no-such-parameter", "x", NULL }, &m);
    CHECK(x, P_VOL_WISH, "create", rc == -KL_INVALID, "a parameter 'no-such-parameter' is answered with %d", rc);
    return true;
}

/* --- what is in it --- */

static bool put(const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%s/kept", folder);
    FILE *f = fopen(path, "we");
    return f && fputs("kept", f) >= 0 && fclose(f) == 0;
}

static bool holds(const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%s/kept", folder);
    return access(path, F_OK) == 0;
}

static void content(struct trial *x, const char *id)
{
    char path[512] = "", again[512] = "";
    struct stat st;
    next(x, P_VOL_PUBLISH, "publish");
    int rc = publish(x, id, path);
    if (rc == -KL_UNAVAILABLE || rc == -KL_FORBIDDEN)
        return;
    CHECK(x, P_VOL_PUBLISH, "publish", rc == 0, "it fails: %s", x->call.err.msg);
    CHECK(x, P_VOL_PUBLISH, "publish", rc < 0 || (path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode)), "at '%.200s' there is no folder", path);
    if (rc < 0)
        return;
    rc = publish(x, id, again);
    CHECK(x, P_VOL_PUBLISH, "publish", rc == 0 && strcmp(path, again) == 0, "the second time it %s%s", rc < 0 ? "fails: " : "is elsewhere: ", rc < 0 ? x->call.err.msg : again);
    bool written = put(path);
    next(x, P_VOL_KEPT, "unpublish");
    rc = unpublish(x, id);
    CHECK(x, P_VOL_KEPT, "unpublish", rc == 0, "it fails: %s", x->call.err.msg);
    CHECK(x, P_VOL_KEPT, "unpublish", rc < 0 || rmdir(x->target) == 0, "something is left on its target");
    mkdir(x->target, 0700);
    bench_close(x->b);
    if (bench_open(x->b, NULL) < 0)
        _exit(0);                       /* policy OPEN has said so */
    test_host_be(TEST_WORKER);
    rc = publish(x, id, again);
    CHECK(x, P_VOL_KEPT, "publish", rc == 0, "after a new open it fails: %s", x->call.err.msg);
    CHECK(x, P_VOL_KEPT, "publish", rc < 0 || !written || holds(again), "what was written is not there any more");
    unpublish(x, id);
}

static void growth(struct trial *x, const char *id)
{
    int64_t now = 0, wish = x->bytes + 4 * MIB;
    struct kl_volume_use v = use_of(x, id);
    if (!KL_HAS(x->t, expand))
        return;
    next(x, P_VOL_EXPAND, "expand");
    int rc = x->t->expand(x->b->self, &x->call, &v, wish, &now);
    CHECK(x, P_VOL_EXPAND, "expand", rc < 0 || now >= wish, "to %lld bytes it makes it %lld", (long long)wish, (long long)now);
    CHECK(x, P_VOL_EXPAND, "expand", rc == 0, "it fails: %s", x->call.err.msg);
    wish = now;
    rc = rc < 0 ? rc : x->t->expand(x->b->self, &x->call, &v, MIB, &now);
    CHECK(x, P_VOL_EXPAND, "expand", rc < 0 || now >= wish, "asked for less than it has it makes it %lld", (long long)now);
    CHECK(x, P_VOL_EXPAND, "expand", rc == 0, "asked for what it has it fails: %s", x->call.err.msg);
}

/* --- what is not there, and what must not be --- */

static void not_there(struct trial *x, const char *id, const char *what)
{
    char path[512];
    struct kl_volume_use v = use_of(x, id);
    int64_t bytes;
    next(x, P_VOL_UNKNOWN, "publish");
    int rc = publish(x, id, path);
    CHECK(x, P_VOL_UNKNOWN, "publish", rc == -KL_NOT_FOUND || rc == -KL_INVALID, "of %s it answers %d", what, rc);
    if (KL_HAS(x->t, expand)) {
        next(x, P_VOL_UNKNOWN, "expand");
        rc = x->t->expand(x->b->self, &x->call, &v, 8 * MIB, &bytes);
        CHECK(x, P_VOL_UNKNOWN, "expand", rc == -KL_NOT_FOUND || rc == -KL_INVALID, "of %s it answers %d", what, rc);
    }
    next(x, P_VOL_ABSENT, "unpublish");
    rc = unpublish(x, id);
    CHECK(x, P_VOL_ABSENT, "unpublish", rc == 0, "of %s it fails: %s", what, x->call.err.msg);
    next(x, P_VOL_ABSENT, "remove");
    rc = drop(x, id);
    CHECK(x, P_VOL_ABSENT, "remove", rc == 0, "of %s it fails: %s", what, x->call.err.msg);
}

/* The end: twice, and a name that comes again is a new volume. */
static void end(struct trial *x, const char *id)
{
    char path[512];
    next(x, P_VOL_GONE, "remove");
    int rc = drop(x, id);
    CHECK(x, P_VOL_GONE, "remove", rc == 0, "it fails: %s", x->call.err.msg);
    if (rc < 0)
        return;
    not_there(x, id, "what was removed");
    next(x, P_VOL_GONE, "create");
    rc = create(x, "pvc-one", MIB);
    if (rc == 0 && publish(x, x->id, path) == 0)
        CHECK(x, P_VOL_GONE, "publish", !holds(path), "a new volume of that name holds what the old one held");
    CHECK(x, P_VOL_GONE, "create", rc == 0, "the name cannot be used again: %s", x->call.err.msg);
    unpublish(x, x->id);
    drop(x, x->id);
}

/* Files beside: an id that is a path must not reach them. */
static bool paths(struct trial *x)
{
    char folder[80], file[128], up[160], path[512];
    snprintf(folder, sizeof folder, "%s.beside", x->target);
    snprintf(file, sizeof file, "%s/data", folder);
    snprintf(up, sizeof up, "../../../../../../../../..%s", folder);
    const char *const ids[] = { up, folder, "..", ".", "" };
    bool ok = mkdir(folder, 0700) == 0 && mkdir(file, 0700) == 0;
    for (size_t i = 0; ok && i < sizeof ids / sizeof *ids; i++) {
        next(x, P_VOL_PATHS, "publish");
        int rc = publish(x, ids[i], path);
        CHECK(x, P_VOL_PATHS, "publish", rc < 0, "with the id '%s' it gives '%.200s'", ids[i], path);
        next(x, P_VOL_PATHS, "remove");
        drop(x, ids[i]);
        ok = rc < 0 && access(file, F_OK) == 0;
        CHECK(x, P_VOL_PATHS, "remove", access(file, F_OK) == 0, "with the id '%s' it removes what is none of its volumes", ids[i]);
    }
    rmdir(file);
    rmdir(folder);
    return ok;                          /* else who knows what is left */
}

void particular_volume(struct bench *b)
{
    struct trial x = { .b = b, .t = (const void *)b->table };
    _cleanup_arena_ struct arena *a = arena_new(0);
    char id[132];
    snprintf(x.target, sizeof x.target, "/tmp/keelson-volume.XXXXXX");
    if (!a || !mkdtemp(x.target))
        return;
    x.arena = a;
    x.call = (struct kl_call){ .size = sizeof x.call, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    if (names(&x, id) && paths(&x)) {
        not_there(&x, "pvc-absent", "what is not there");
        content(&x, id);
        growth(&x, id);
        end(&x, id);
    }
    umount2(x.target, MNT_DETACH);
    rmdir(x.target);
    test_host_be(TEST_NOBODY);
}
