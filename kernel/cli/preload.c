/* preload.c - images that were installed beside the program (PREFIX/share/keelson/images, as distributions have them) into the node's store, once each:
 * a machine without a network starts pods of them. What cannot be taken in is told and costs nobody the start. */
#include <glob.h>
#include <libgen.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "image/image.h"

/* What is there, in a line each: it is looked at again when this changes. */
static void describe(const glob_t *g, struct buf *ret)
{
    struct stat st;
    for (size_t i = 0; i < g->gl_pathc; i++)
        if (stat(g->gl_pathv[i], &st) == 0)
            buf_printf(ret, "%s %lld %lld\n", g->gl_pathv[i], (long long)st.st_size, (long long)st.st_mtime);
}

static void import_all(struct image_store *s, const glob_t *g)
{
    for (size_t i = 0; i < g->gl_pathc; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        const char **names;
        uint32_t n;
        struct kl_err err;
        kl_err_init(&err);
        if (a && image_import(s, a, g->gl_pathv[i], NULL, &names, &n, &err) == 0)
            log_info("images", "'%s' is in the store", n ? names[0] : g->gl_pathv[i]);
        else
            log_warn("images", "'%s' cannot be taken in: %s", g->gl_pathv[i], err.msg);
    }
}

void preload_images(const struct options *o)
{
    char exe[PATH_MAX - 64] = "", pattern[PATH_MAX], dir[PATH_MAX], seen[PATH_MAX];
    _cleanup_buf_ struct buf now = BUF_INIT(1 << 20), before = BUF_INIT(1 << 20);
    struct image_store *s = NULL;
    struct kl_err err;
    glob_t g;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    kl_err_init(&err);
    snprintf(pattern, sizeof pattern, "%s/../share/keelson/images/*.tar.zst", n > 0 ? dirname(exe) : ".");
    if (glob(pattern, 0, NULL, &g) != 0)
        return;
    snprintf(dir, sizeof dir, "%.4000s/images", o->state);
    snprintf(seen, sizeof seen, "%.4000s/images/preloaded", o->state);
    describe(&g, &now);
    if (access(seen, F_OK) != 0 || cli_read_file(seen, &before, &err) < 0 || !str_eq(buf_str(&before), buf_str(&now))) {
        if (image_store_open(dir, &s, &err) == 0)
            import_all(s, &g);
        if (!s || cli_write_file(seen, 0644, buf_str(&now), &err) < 0)
            log_warn("images", "%s", err.msg);
        image_store_close(s);
    }
    globfree(&g);
}
