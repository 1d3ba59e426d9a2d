/* cmd_plugin.c - `keelson plugin inspect FILE | list | status`; sign, verify and keys are in cmd_sign.c. */
#include "base/cleanup.h"
#include "cli/author.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/fetch.h"
#include "cli/live.h"
#include "plugin/signature.h"

static const char usage_text[] =
    "usage: keelson plugin inspect [--calls] FILE   what a plugin file is, without running it, and whether it loads; --calls: the calls\n"
    "                                           of its interfaces\n"
    "       keelson plugin inspect --json FILE...  the same of many, for programs\n"
    "       keelson plugin list [OPTION...]     the instances that the configuration makes (options as of `keelson up`)\n"
    "       keelson plugin status [OPTION...]   the instances of the running server: a line each, its name first\n"
    "       keelson plugin load|reload|set|replace|remove ...  changes instances of the running server (keelson plugin reload --help)\n"
    "       keelson plugin sign|verify|keys ... signatures (keelson plugin sign --help)\n"
    AUTHOR_USAGE;

static void print_call(const struct kl_sig_call *c)
{
    printf("  %s %s(", signature_result_text(c->result), c->name);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct kl_sig_item *a = &c->arguments[i];
        const char *kind = signature_kind_text(a->kind);
        printf("%s%s%s%s %s", i ? ", " : "", kind, a->of && kind[0] ? " " : "", a->of ? a->of->name : "", a->name);
    }
    printf(")  [%s%s%s]\n", signature_thread_text(c->thread), c->flags & KL_SIG_MANY ? ", many at once" : "", c->flags & KL_SIG_OPTIONAL ? ", optional" : "");
}

/* provides: "keelson.scheduler/0:binpack keelson.x/0:y". Each interface once. */
static void print_calls(const char *provides)
{
    for (size_t i = 0; i < signature_count(); i++) {
        const struct kl_sig_table *t = signature_at(i);
        bool provided = false;
        for (struct str rest = str_of(provides); rest.at;) {
            struct str one = str_cut(&rest, ' ');
            provided |= str_is(str_cut(&one, ':'), t->id);
        }
        if (!provided)
            continue;
        printf("%s\n", t->id);
        for (uint32_t k = 0; k < t->n_calls; k++)
            print_call(&t->calls[k]);
    }
}

static int inspect(const char *file, bool calls)
{
    struct plugin_note n;
    struct kl_err err;
    kl_err_init(&err);
    if (plugin_note_read(file, &n, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    if (calls) {
        print_calls(n.provides);
        return 0;
    }
    printf("id        %s\nversion   %s\nabi       %s\nprovides  %s\nneeds     %s\n", n.id, n.version, n.abi, n.provides, n.needs);
    if (plugin_trust(file, &err) < 0 || plugin_probe(file, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    printf("probe     loads\n");
    return 0;
}

static int list(struct options *o)
{
    struct plugin_host *h = NULL;
    struct kl_err err;
    kl_err_init(&err);
    struct plugin_host_conf hc = { .config = o->tree, .plugin_dir = o->plugin_dir, .roles = ROLE_SERVER | ROLE_NODE, .variable = options_variable,
                                   .ctx = o };
    if (plugin_host_new(&hc, &h, &err) < 0)
        return cli_fail(2, "%s", err.msg);
    for (unsigned k = 0; k < plugin_host_count(h); k++) {
        struct plugin_instance *i = plugin_host_at(h, k);
        const char *where = i->roles == ROLE_NODE ? "node" : i->roles == ROLE_SERVER ? "server" : "any";
        if (i->plugin)
            printf("%-28s %-24s %-30s %-8s %s\n", i->name, i->provider->iface, i->plugin->id, i->plugin->version, where);
        else
            printf("%-28s %s: %s\n", i->name, plugin_state_text(i->state), i->reason);
    }
    plugin_host_free(h);
    return 0;
}

static int status(struct options *o)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
    struct kl_err err;
    kl_err_init(&err);
    if (!a || fetch(o->kubeconfig_path, "/debug/plugins", &b, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    struct val *v = json_parse(a, buf_str(&b), &err), *list_v = json_get(v, STR("instances"));
    if (!val_is(list_v, VAL_ARR))
        return cli_fail(1, "the server's answer is not understood");
    val_each(i, list_v) {
        struct val *c = json_get(i, STR("controller"));
        printf("%-28.*s %-30.*s %-8.*s %-7.*s %-11.*s calls=%lld errors=%lld", STR_ARG(json_str(i, "name")), STR_ARG(json_str(i, "plugin")),
               STR_ARG(json_str(i, "version")), STR_ARG(json_str(i, "isolation")), STR_ARG(json_str(i, "state")),
               (long long)json_int(c, "calls", json_int(i, "calls", 0)), (long long)json_int(c, "failures", json_int(i, "errors", 0)));
        if (json_int(i, "crashes", 0))
            printf(" crashes=%lld", (long long)json_int(i, "crashes", 0));
        struct str reason = json_str(i, "reason").len ? json_str(i, "reason") : json_str(c, "lastError");
        if (reason.len)
            printf("  " STR_FMT, STR_ARG(reason));
        putchar('\n');
    }
    return 0;
}

int cmd_plugin(int argc, char **argv)
{
    static struct options o;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "inspect") == 0) {
        if (argc == 3 && strcmp(argv[2], "--help") == 0) {
            fputs(usage_text, stdout);
            return 0;
        }
        if (argc > 3 && strcmp(argv[2], "--json") == 0)
            return cli_inspect_json(argc - 3, argv + 3);
        bool calls = argc > 2 && strcmp(argv[2], "--calls") == 0;
        if (argc == 3 + calls && argv[2 + calls][0] != '-')
            return inspect(argv[2 + calls], calls);
    }
    if (argc >= 2 && live_knows(argv[1]))
        return live_run(argc - 1, argv + 1);
    if (argc >= 2 && author_knows(argv[1]))
        return author_run(argc - 1, argv + 1);
    if (argc >= 2 && (strcmp(argv[1], "sign") == 0 || strcmp(argv[1], "verify") == 0 || strcmp(argv[1], "keys") == 0))
        return cmd_sign(argc - 1, argv + 1);
    static const char *const known[] = { "inspect", "list", "status", LIVE_COMMANDS, "sign", "verify", "keys", AUTHOR_COMMANDS, NULL };
    if (argc < 2 || cli_known("plugin", argv[1], known) || strcmp(argv[1], "inspect") == 0) {
        fputs(usage_text, stderr);
        return 2;
    }
    int rc = options_read(&o, argc > 1 && argv[1][0] == 'l' ? "plugin list" : "plugin status", argc - 1, argv + 1);
    if (rc || o.help)
        return rc;
    return argv[1][0] == 'l' ? list(&o) : status(&o);
}
