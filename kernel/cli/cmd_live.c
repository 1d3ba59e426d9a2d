/* cmd_live.c - `keelson plugin load | reload | set | replace | remove`: instances of the running server are changed, by its API. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/fetch.h"
#include "cli/live.h"

#define OTHERS_MOST 64

struct order {
    const char *action, *instance, *file, *as, *provider, *isolate, *before;
    const char *settings[OTHERS_MOST];
    unsigned n_settings;
    char *others[OTHERS_MOST];          /* options of every command that reads the configuration */
    int n_others;
};

static const char *const actions[] = { LIVE_COMMANDS, NULL };

bool live_knows(const char *word)
{
    for (unsigned i = 0; actions[i]; i++)
        if (strcmp(actions[i], word) == 0)
            return true;
    return false;
}

/* --- the command line --- */

static int usage(const char *action, FILE *to)
{
    fputs(LIVE_USAGE
          "\n"
          "INSTANCE is a name as `keelson plugin status` shows it, or INTERFACE:NAME (\"authz:node\") where two have it. PLUGIN is a file, or a name of the\n"
          "plugin folder. No request fails meanwhile: calls under way end in the instance that they began in, later ones go to the new one. When the new one\n"
          "cannot be loaded or opened the earlier one goes on as if nothing had been. What is changed lasts until the server is restarted: what is to stay\n"
          "belongs into the configuration. Status: 0 done, 1 it could not be done, 2 the command is wrong (an unknown instance or setting, a value out of range).\n",
          to);
    (void)action;
    return to == stdout ? 0 : 2;
}

static int keep_other(struct order *o, int argc, char **argv, int *i)
{
    if (o->n_others + 2 > OTHERS_MOST)
        return cli_fail(2, "plugin %s: too many arguments", o->action);
    o->others[o->n_others++] = argv[*i];
    if (!strchr(argv[*i], '=') && *i + 1 < argc)
        o->others[o->n_others++] = argv[++*i];
    return 0;
}

static int take_setting(struct order *o, const char *text)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return cli_fail(2, "plugin %s: '%s' is not KEY=VALUE", o->action, text);
    if (o->n_settings == OTHERS_MOST)
        return cli_fail(2, "plugin %s: too many settings", o->action);
    o->settings[o->n_settings++] = text;
    return 0;
}

/* INSTANCE, PLUGIN, KEY=VALUE by their order. */
static int take_word(struct order *o, const char *word)
{
    bool load = strcmp(o->action, "load") == 0, replace = strcmp(o->action, "replace") == 0;
    if (strcmp(o->action, "set") == 0 && o->instance)
        return take_setting(o, word);
    const char **at = load || (replace && o->instance) ? &o->file : &o->instance;
    if (*at)
        return cli_fail(2, "plugin %s: unexpected argument '%s'", o->action, word);
    *at = word;
    return 0;
}

static int take_flag(struct order *o, int argc, char **argv, int *i)
{
    bool load = strcmp(o->action, "load") == 0, replace = strcmp(o->action, "replace") == 0, reload = strcmp(o->action, "reload") == 0;
    const char *setting = NULL;
    const struct {
        const char *flag, **at;
        bool mine;
    } flags[] = { { "--as", &o->as, load },         { "--before", &o->before, load },      { "--provider", &o->provider, load || replace },
                  { "--isolate", &o->isolate, load || replace },
                  { "--file", &o->file, reload },   { "--set", &setting, load || replace } };
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        int rc = flags[k].mine ? cli_option(argc, argv, i, flags[k].flag, flags[k].at) : 0;
        if (rc == 1 && setting)
            return take_setting(o, setting) ? 2 : 1;
        if (rc)
            return rc;
    }
    return 0;
}

static int read_order(struct order *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int rc = argv[i][0] == '-' ? take_flag(o, argc, argv, &i) : 0;
        if (rc == 1)
            continue;
        if (rc == 0)
            rc = argv[i][0] == '-' ? keep_other(o, argc, argv, &i) : take_word(o, argv[i]);
        if (rc)
            return 2;
    }
    bool load = strcmp(o->action, "load") == 0;
    if ((!o->instance && !load) || (!o->file && (load || strcmp(o->action, "replace") == 0)) || (!o->n_settings && strcmp(o->action, "set") == 0))
        return usage(o->action, stderr);
    return 0;
}

/* --- what is sent --- */

static int put_file(struct arena *a, struct val *body, const char *file)
{
    char *real = NULL;
    if (!file)
        return 0;
    struct str s = str_of(file);
    if (str_find(s, '/') >= 0 || (str_ends(s, STR(".so")) && access(file, F_OK) == 0)) {
        real = realpath(file, NULL);
        if (!real)
            return cli_fail(1, "'%s' is not there", file);
        s = str_of(real);
    }
    json_set_str(a, body, STR("file"), arena_str(a, s));
    free(real);
    return 0;
}

static int put_settings(struct arena *a, struct val *body, const struct order *o)
{
    struct val *all = o->n_settings ? json_obj(a, body, STR("settings")) : NULL;
    for (unsigned i = 0; i < o->n_settings; i++) {
        struct str value = str_of(o->settings[i]), key = str_cut(&value, '=');
        struct val *v = NULL;
        struct kl_err err;
        kl_err_init(&err);
        if (value.len && (value.at[0] == '[' || value.at[0] == '{')) {
            if (!(v = json_parse(a, value, &err)))
                return cli_fail(2, "plugin %s: '" STR_FMT "' is no JSON: %s", o->action, STR_ARG(key), err.msg);
        } else {
            v = val_of_str(a, value);
        }
        json_set(a, all, key, v);
    }
    return 0;
}

static void put_text(struct arena *a, struct val *body, const char *key, const char *text)
{
    if (text)
        json_set_str(a, body, str_of(key), str_of(text));
}

static int send(const struct order *o, const struct options *opt, struct arena *a)
{
    _cleanup_buf_ struct buf body = BUF_INIT(1 << 20), path = BUF_INIT(1024), answer = BUF_INIT(1 << 20);
    struct val *v = val_new(a, VAL_OBJ);
    struct kl_err err;
    const char *instance = o->instance ? o->instance : o->as ? o->as : "-";
    int status = 0, rc = put_file(a, v, o->file);
    kl_err_init(&err);
    if (rc == 0)
        rc = put_settings(a, v, o);
    if (rc)
        return rc;
    put_text(a, v, "provider", o->provider);
    put_text(a, v, "isolate", o->isolate);
    put_text(a, v, "before", o->before);
    json_write(&body, v);
    buf_lit(&path, "/debug/plugins/");
    for (const char *c = instance; *c; c++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:", *c))
            buf_add_c(&path, *c);
        else
            buf_printf(&path, "%%%02X", (unsigned)(unsigned char)*c);
    buf_printf(&path, "/%s", o->action);
    buf_add_c(&path, '\0');
    if (body.failed || path.failed)
        return cli_fail(1, "out of memory");
    if (fetch_post(opt->kubeconfig_path, path.at, buf_str(&body), &answer, &status, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    struct val *said = json_parse(a, buf_str(&answer), &err);
    struct str message = json_str(said, "message");
    if (status == 200) {
        printf(STR_FMT "\n", STR_ARG(message));
        return 0;
    }
    return cli_fail(status == 400 || status == 404 || status == 422 ? 2 : 1, "plugin %s: " STR_FMT, o->action, STR_ARG(message.len ? message : buf_str(&answer)));
}

int live_run(int argc, char **argv)
{
    static struct options opt;
    struct order o = { .action = argv[0], .n_others = 1 };
    _cleanup_arena_ struct arena *a = arena_new(0);
    o.others[0] = argv[0];
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return usage(o.action, stdout);
    int rc = read_order(&o, argc, argv);
    if (rc == 0)
        rc = options_read(&opt, arena_printf(a, "plugin %s", o.action), o.n_others, o.others);
    return rc ? rc : send(&o, &opt, a);
}
