/* rotate.c - container logs that have grown too large: "0.log" becomes "0.log.<time>", the runtime opens a new one, old ones go. */
#include "agent.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ROTATED_MOST 256

/* Names of the rotated files of one log, oldest first (their times sort as text). */
static int rotated(const char *dir, const char *base, struct dirent ***ret)
{
    struct dirent **all;
    size_t n = strlen(base);
    int found = scandir(dir, &all, NULL, alphasort), kept = 0;
    for (int i = 0; i < found; i++)
        if (strncmp(all[i]->d_name, base, n) == 0 && all[i]->d_name[n] == '.' && kept < ROTATED_MOST)
            all[kept++] = all[i];
        else
            free(all[i]);
    if (found >= 0)
        *ret = all;
    return found < 0 ? -1 : kept;
}

/* All but the newest `keep`. */
static void drop_rotated(struct arena *ar, const char *dir, const char *base, int keep)
{
    struct dirent **all;
    int n = rotated(dir, base, &all);
    for (int i = 0; i < n; i++) {
        char *path = i < n - keep ? arena_printf(ar, "%s/%s", dir, all[i]->d_name) : NULL;
        if (path)
            unlink(path);
        free(all[i]);
    }
    if (n >= 0)
        free(all);
}

void rotate_drop(struct arena *ar, const char *path)
{
    char *dir = arena_dup(ar, str_of(path)), *base = dir ? strrchr(dir, '/') : NULL;
    unlink(path);
    if (!base)
        return;
    *base++ = '\0';
    drop_rotated(ar, dir, base, 0);
}

static void rotate(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *record)
{
    char *path = arena_dup(ar, json_str(record, "logPath")), *id = arena_dup(ar, json_str(record, "id")), when[CLOCK_TEXT];
    struct stat st;
    if (!path || !id || !path[0] || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < a->conf->log_max_bytes)
        return;
    clock_format_ms(agent_wall(a), when);
    char *aside = arena_printf(ar, "%s.%s", path, when), *dir = arena_dup(ar, str_of(path)), *base = dir ? strrchr(dir, '/') : NULL;
    if (!aside || !base || rename(path, aside) != 0)
        return;
    *base++ = '\0';
    if (a->rt->reopen_log(a->rt_self, c, id) < 0) {
        kl_log(a->host, KL_WARN, "rotating '%s': %s", path, c->err.msg);
        rename(aside, path);                /* better too large than lost */
        return;
    }
    drop_rotated(ar, dir, base, (int)a->conf->log_files - 1);
}

void rotate_logs(struct agent *a, struct kl_call *c, const struct val *list)
{
    const struct val *all = json_get(list, STR("containers"));
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    if (ar && val_is(all, VAL_ARR))
        val_each(k, all)
            if (str_ends(json_str(k, "state"), STR("RUNNING")))
                rotate(a, c, ar, k);
}
