/* facts.c - what plugins say about themselves, and whether they fit together. The program that will load them is asked (`plugin inspect --json`), so
 * that what was looked at is what will be met. */
#include "distro/internal.h"

int facts_read(struct distro *d, const char *program, const char *const *names, struct val **ret, struct kl_err *err)
{
    const char *argv[256] = { program ? program : d->build->self, "plugin", "inspect", "--json" };
    unsigned n = 4;
    _cleanup_buf_ struct buf out = BUF_INIT(16 << 20), said = BUF_INIT(64 << 10);
    while (*names && n < 255)
        argv[n++] = *names++;
    int rc = child_text(argv, &out, &said, err);
    if (rc > 0) {
        struct str why = str_trim(buf_str(&said));
        if (str_starts(why, STR("keelson: ")))
            why = str_skip(why, 9);
        return kl_err_set(err, KL_INVALID, STR_FMT, STR_ARG(why));
    }
    if (rc < 0)
        return rc;
    *ret = json_parse(d->arena, arena_str(d->arena, buf_str(&out)), err);
    return val_is(*ret, VAL_ARR) ? 0 : kl_err_set(err, KL_INTERNAL, "'%s' does not say what its plugins are", argv[0]);
}

/* --- versions --- */

static int check_version(struct distro *d, const struct distro_plugin *p, struct kl_err *err)
{
    struct str has = json_str(p->facts, "version");
    if (!p->wanted[0] || version_in(has, str_of(p->wanted)))
        return 0;
    return distro_wrong(d, json_get(p->entry, STR("version")), err, "plugin '%s' is version " STR_FMT ", and '%s' is wanted", p->name, STR_ARG(has), p->wanted);
}

/* --- providers --- */

static int check_providers(struct distro *d, unsigned k, struct kl_err *err)
{
    const struct val *mine = json_get(d->plugins[k].facts, STR("provides"));
    for (unsigned i = 0; i < k; i++) {
        const struct val *theirs = json_get(d->plugins[i].facts, STR("provides"));
        if (!mine || !theirs)
            continue;
        val_each(m, mine)
            val_each(t, theirs)
                if (val_equal(m, t))
                    return distro_wrong(d, d->plugins[k].entry, err, "'%s' and '%s' (%s) both provide '" STR_FMT "' of " STR_FMT ": one of them must go",
                                        d->plugins[k].name, d->plugins[i].name, conf_where(d->arena, d->plugins[i].entry), STR_ARG(json_str(m, "name")),
                                        STR_ARG(json_str(m, "interface")));
    }
    if (!d->plugins[k].facts)
        return 0;
    for (unsigned i = 0; i < k; i++)
        if (d->plugins[i].facts && str_eq(json_str(d->plugins[i].facts, "id"), json_str(d->plugins[k].facts, "id")))
            return distro_wrong(d, d->plugins[k].entry, err, "'%s' and '%s' (%s) are both the plugin " STR_FMT, d->plugins[k].name, d->plugins[i].name,
                                conf_where(d->arena, d->plugins[i].entry), STR_ARG(json_str(d->plugins[k].facts, "id")));
    return 0;
}

/* --- needs --- */

static bool provides(const struct distro_plugin *p, struct str id)
{
    const struct val *list = json_get(p->facts, STR("provides"));
    for (const struct val *v = list ? list->first : NULL; v; v = v->next)
        if (str_eq(json_str(v, "interface"), id))
            return true;
    return false;
}

static bool of_host(const struct val *need)
{
    return json_bool(need, "host", false);
}

static int check_needs(struct distro *d, const struct distro_plugin *p, struct kl_err *err)
{
    const struct val *needs = json_get(p->facts, STR("needs"));
    for (const struct val *n = needs ? needs->first : NULL; n; n = n->next) {
        bool met = of_host(n) || json_bool(n, "optional", false);
        for (unsigned i = 0; i < d->n_plugins && !met; i++)
            met = provides(&d->plugins[i], json_str(n, "id"));
        if (!met)
            return distro_wrong(d, p->entry, err, "plugin '%s' needs '" STR_FMT "', which no plugin here provides: add one that does", p->name,
                                STR_ARG(json_str(n, "id")));
    }
    return 0;
}

/* The first provider that waits for something itself, when none of them is ready; -1: nothing to wait for. */
static int waits_for(const struct distro *d, const struct val *need, const bool *ready)
{
    int first = -1;
    for (unsigned i = 0; i < d->n_plugins && !of_host(need); i++) {
        if (!provides(&d->plugins[i], json_str(need, "id")))
            continue;
        if (ready[i])
            return -1;
        first = first < 0 ? (int)i : first;
    }
    return first;
}

static int first_wait(const struct distro *d, unsigned k, const bool *ready)
{
    const struct val *needs = json_get(d->plugins[k].facts, STR("needs"));
    int at = -1;
    for (const struct val *n = needs ? needs->first : NULL; n && at < 0; n = n->next)
        at = waits_for(d, n, ready);
    return at;
}

static int tell_circle(struct distro *d, unsigned k, const bool *ready, bool *seen, struct kl_err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(4096);
    for (; !seen[k]; k = (unsigned)first_wait(d, k, ready))     /* what leads to the circle does not count */
        seen[k] = true;
    unsigned from = k;
    do {
        buf_printf(&text, "'%s' needs ", d->plugins[k].name);
        k = (unsigned)first_wait(d, k, ready);
    } while (k != from);
    return distro_wrong(d, d->plugins[from].entry, err, "plugins need each other in a circle: " STR_FMT "'%s'", STR_ARG(buf_str(&text)), d->plugins[from].name);
}

/* The order in which the host would open them, without opening. */
static int check_circles(struct distro *d, struct kl_err *err)
{
    bool *ready = arena_alloc(d->arena, d->n_plugins + 1), *seen = arena_alloc(d->arena, d->n_plugins + 1);
    if (!ready || !seen)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned k = 0; k < d->n_plugins; k++)
            if (!ready[k] && first_wait(d, k, ready) < 0)
                ready[k] = moved = true;
    }
    for (unsigned k = 0; k < d->n_plugins; k++)
        if (!ready[k])
            return tell_circle(d, k, ready, seen, err);
    return 0;
}

int facts_check(struct distro *d, bool all, struct kl_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++) {
        if (d->plugins[i].facts)
            rc = check_version(d, &d->plugins[i], err);
        if (rc == 0)
            rc = check_providers(d, i, err);
    }
    if (rc == 0)
        rc = check_circles(d, err);
    for (unsigned i = 0; i < d->n_plugins && rc == 0 && all; i++)
        rc = check_needs(d, &d->plugins[i], err);
    return rc;
}
