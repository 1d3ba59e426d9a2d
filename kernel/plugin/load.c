/* load.c - see load.h. */
#include "plugin/load.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "plugin/builtin.h"
#include "plugin/verify.h"

struct plugin_module {
    const struct kl_plugin *plugin;
    void *handle;                       /* NULL: it is part of this program */
    int copy;                           /* its descriptor is closed behind the file's end: the linker knows it by this number. -1: none */
    atomic_uint holders;
    struct code_range range;
    char name[64];
};

/* --- where it lies --- */

struct search {
    uintptr_t base;
    struct code_range *ret;
};

static int look(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct search *s = ctx;
    (void)size;
    if (info->dlpi_addr != s->base)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = s->base + p->p_vaddr, to = from + p->p_memsz;
        if (p->p_type != PT_LOAD)
            continue;
        if (!s->ret->to || from < s->ret->from)
            s->ret->from = from;
        if (to > s->ret->to)
            s->ret->to = to;
    }
    return 1;
}

static void find_range(struct plugin_module *m)
{
    struct link_map *l = NULL;
    struct search s = { 0, &m->range };
    if (!m->handle || dlinfo(m->handle, RTLD_DI_LINKMAP, &l) != 0 || !l)
        return;
    s.base = l->l_addr;
    dl_iterate_phdr(look, &s);
}

bool module_range(const struct plugin_module *m, struct code_range *ret)
{
    *ret = m->range;
    return m->range.to != 0;
}

const struct kl_plugin *module_plugin(const struct plugin_module *m)
{
    return m->plugin;
}

/* --- life --- */

static struct plugin_module *module_new(const struct kl_plugin *p, void *handle, int copy)
{
    struct plugin_module *m = mem_alloc(sizeof *m);
    if (!m)
        return NULL;
    m->plugin = p;
    m->handle = handle;
    m->copy = copy;
    m->holders = 1;
    snprintf(m->name, sizeof m->name, "%s", p->id);
    find_range(m);
    return m;
}

struct plugin_module *module_of_handle(const struct kl_plugin *p, void *handle)
{
    return module_new(p, handle, -1);
}

void module_hold(struct plugin_module *m)
{
    m->holders++;
}

/* A file may ask to stay (thread-local destructors, unique symbols): then its name may not be used again either. */
static void unload(struct plugin_module *m)
{
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", m->copy);
    dlclose(m->handle);
    void *still = m->copy < 0 ? NULL : dlopen(name, RTLD_NOW | RTLD_NOLOAD);
    if (still) {
        dlclose(still);
        log_warn("plugin", "'%s' does not let itself be unloaded: its memory stays", m->name);
    } else if (m->copy >= 0) {
        close(m->copy);
    }
}

void module_drop(struct plugin_module *m)
{
    if (!m || --m->holders)
        return;
    if (m->handle)
        unload(m);
    mem_free(m);
}

void module_forget(struct plugin_module *m)
{
    if (m && --m->holders == 0)
        mem_free(m);
}

/* --- loading --- */

static int load_copy(const char *path, int copy, struct plugin_module **ret, struct kl_err *err)
{
    struct plugin_trial t = { .digest = STR_NONE };
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", copy);
    int rc = plugin_note_read_fd(copy, path, &t.note, err);
    if (rc == 0)
        rc = plugin_trial_start(&t, path, name, copy, err);
    if (rc == 0)
        rc = plugin_trial_end(&t, err);
    if (rc < 0)
        return rc;
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    const struct kl_plugin *p = handle ? dlsym(handle, "kl_plugin") : NULL;
    if (!p) {
        rc = kl_err_set(err, KL_INVALID, "'%s' cannot be loaded: %s", path, dlerror());
        if (handle)
            dlclose(handle);
        return rc;
    }
    *ret = module_new(p, handle, copy);
    if (*ret)
        return 0;
    dlclose(handle);
    return kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

int module_load(const char *path, struct str digest, struct plugin_module **ret, struct kl_err *err)
{
    const struct kl_plugin *builtin = builtin_plugin(path);
    int copy = -1;
    if (builtin) {
        *ret = module_new(builtin, NULL, -1);
        return *ret ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    int rc = plugin_trust(path, err);
    if (rc == 0)
        rc = verify_copy(path, digest, &copy, err);
    if (rc == 0 && (rc = load_copy(path, copy, ret, err)) < 0)
        close(copy);
    return rc;
}
