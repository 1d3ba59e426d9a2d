/* plugin_json.c - `keelson plugin inspect --json FILE...`: what plugin files are, for programs: one JSON array. "builtin:NAME" is a file too. */
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/cli.h"
#include "plugin/builtin.h"
#include "plugin/host.h"

static void add_lists(struct arena *a, struct val *one, const struct kl_plugin *p)
{
    struct val *provides = json_arr(a, one, STR("provides")), *needs = json_arr(a, one, STR("needs"));
    for (uint32_t i = 0; i < p->providers.n; i++) {
        const struct kl_provider *v = KL_AT(struct kl_provider, p->providers, i);
        struct val *to = val_push(provides, val_new(a, VAL_OBJ));
        json_set_str(a, to, STR("interface"), str_of(v->iface));
        json_set_str(a, to, STR("name"), str_of(v->name));
    }
    for (uint32_t i = 0; i < p->needs.n; i++) {
        const struct kl_need *n = KL_AT(struct kl_need, p->needs, i);
        struct val *to = val_push(needs, val_new(a, VAL_OBJ));
        json_set_str(a, to, STR("id"), str_of(n->id));
        json_set_bool(a, to, STR("optional"), n->optional != 0);
        json_set_bool(a, to, STR("host"), plugin_host_knows(n->id));
    }
}

int cli_inspect_json(int n, char **files)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf out = BUF_INIT(16 << 20);
    struct val *list = a ? val_new(a, VAL_ARR) : NULL;
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 0; i < n && list; i++) {
        const struct kl_plugin *p = NULL;
        void *handle;
        if (str_starts(str_of(files[i]), STR(BUILTIN_PREFIX)) && !builtin_of_file(files[i]))
            return cli_fail(1, "this program has no plugin '%s'", files[i] + sizeof BUILTIN_PREFIX - 1);
        if (plugin_probe(files[i], &err) < 0 || plugin_dlopen(files[i], &p, &handle, &err) < 0)
            return cli_fail(1, "%s", err.msg);
        struct val *one = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("file"), str_of(files[i]));
        json_set_str(a, one, STR("id"), str_of(p->id));
        json_set_str(a, one, STR("version"), str_of(p->version));
        json_set_str(a, one, STR("summary"), str_of(p->summary));
        json_set_str(a, one, STR("license"), str_of(p->license));
        add_lists(a, one, p);
    }
    if (!list || arena_exhausted(a))
        return cli_fail(1, "out of memory");
    json_write_pretty(&out, list);
    printf(STR_FMT "\n", STR_ARG(buf_str(&out)));
    return 0;
}
