/* cmd_image.c - `keelson image`: the node's image store on the command line, without a server. */
#include "cli/cmd_image.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "image/image.h"

#define DEFAULT_DIR "/var/lib/keelson/images"
#define LIST_MOST   64

static const char usage_text[] =
    "usage: keelson image [--dir DIR] build|import|list|inspect|remove ...\n"
    "\n"
    "  build (--rootfs DIR | --busybox[=FILE]) [--entrypoint WORD]... [--cmd WORD]... [--env NAME=VALUE]...\n"
    "        [--user USER] [--workdir DIR] NAME      make an image of one layer\n"
    "  import [--name NAME] PATH...                  add an OCI layout (folder or tar) or a docker archive\n"
    "  list [--json]                                 names, ids and sizes\n"
    "  inspect NAME...                               the image and its config as JSON\n"
    "  remove NAME...                                take names away, and what nothing else needs\n"
    "\n"
    "  --dir DIR   the image store (default " DEFAULT_DIR ")\n";

struct words {
    const char *at[LIST_MOST + 1];
    size_t n;
};

struct options {
    const char *dir, *rootfs, *busybox, *name, *user, *workdir;
    bool json, want_busybox;
    struct words entrypoint, cmd, env;
};

static int wrong_use(const char *text, const char *what)
{
    fprintf(stderr, "keelson image: %s%s\n%s", text, what, usage_text);
    return 2;
}

static int failed(const struct kl_err *err)
{
    fprintf(stderr, "keelson image: %s\n", err->msg);
    return 1;
}

static bool add_word(struct words *w, const char *text)
{
    if (w->n == LIST_MOST)
        return false;
    w->at[w->n++] = text;
    return true;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {
        { "dir", required_argument, NULL, 'd' },      { "rootfs", required_argument, NULL, 'r' },
        { "busybox", optional_argument, NULL, 'b' },  { "entrypoint", required_argument, NULL, 'e' },
        { "cmd", required_argument, NULL, 'c' },      { "env", required_argument, NULL, 'E' },
        { "name", required_argument, NULL, 'n' },     { "user", required_argument, NULL, 'u' },
        { "workdir", required_argument, NULL, 'w' },  { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },           { NULL, 0, NULL, 0 },
    };
    bool fits = true;
    opterr = 0;                         /* the words are ours */
    optind = 0;
    for (int c; (c = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (c) {
        case 'd': o->dir = optarg; break;
        case 'r': o->rootfs = optarg; break;
        case 'b': o->want_busybox = true; o->busybox = optarg; break;
        case 'e': fits &= add_word(&o->entrypoint, optarg); break;
        case 'c': fits &= add_word(&o->cmd, optarg); break;
        case 'E': fits &= strchr(optarg, '=') && add_word(&o->env, optarg); break;
        case 'n': o->name = optarg; break;
        case 'u': o->user = optarg; break;
        case 'w': o->workdir = optarg; break;
        case 'j': o->json = true; break;
        case 'h': return 1;
        default: return -1;
        }
    }
    return fits ? 0 : -1;
}

static void print_json(const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    json_write_pretty(&b, v);
    printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
}

static int run_build(struct image_store *s, struct arena *a, const struct options *o, char **names, struct kl_err *err)
{
    struct image_build b = { .rootfs = o->rootfs, .busybox = o->busybox, .tag = names[0], .entrypoint = o->entrypoint.at,
                             .cmd = o->cmd.at, .env = o->env.at, .user = o->user, .workdir = o->workdir };
    char id[DIGEST_TEXT];
    (void)a;
    if (!o->rootfs == !o->want_busybox)
        return wrong_use("build needs either --rootfs or --busybox", "");
    if (!names[0] || names[1])
        return wrong_use("build needs one NAME", "");
    if (image_build(s, &b, id, err) < 0)
        return failed(err);
    printf("%s\n", id);
    return 0;
}

static int run_import(struct image_store *s, struct arena *a, const struct options *o, char **names, struct kl_err *err)
{
    if (!names[0])
        return wrong_use("import needs a PATH", "");
    for (; *names; names++) {
        const char **added;
        uint32_t n;
        if (image_import(s, a, *names, o->name, &added, &n, err) < 0)
            return failed(err);
        for (uint32_t i = 0; i < n; i++)
            printf("%s\n", added[i]);
    }
    return 0;
}

static int run_list(struct image_store *s, struct arena *a, const struct options *o, char **names, struct kl_err *err)
{
    struct image **all;
    uint32_t n;
    if (names[0])
        return wrong_use("list takes no names", "");
    if (image_list(s, a, &all, &n, err) < 0)
        return failed(err);
    struct val *list = val_new(a, VAL_ARR);
    if (!o->json)
        printf("%-50s %-14s %s\n", "NAME", "ID", "SIZE");
    for (uint32_t i = 0; i < n; i++) {
        val_push(list, image_json(a, all[i], false));
        for (uint32_t k = 0; !o->json && k < all[i]->n_names; k++)
            printf("%-50s %-14.12s %.1f MiB\n", all[i]->names[k], all[i]->id + 7, (double)all[i]->size / 1048576);
    }
    if (o->json)
        print_json(list);
    return 0;
}

static int run_inspect(struct image_store *s, struct arena *a, const struct options *o, char **names, struct kl_err *err)
{
    (void)o;
    if (!names[0])
        return wrong_use("inspect needs a NAME", "");
    for (; *names; names++) {
        struct image *i;
        if (image_find(s, a, *names, &i, err) < 0)
            return failed(err);
        struct val *v = image_json(a, i, false);
        json_set_str(a, v, STR("manifest"), str_of(i->manifest));
        for (uint32_t n = 0; n < i->n_layers; n++)
            val_push(json_arr(a, v, STR("layers")), val_of_str(a, str_of(i->layers[n].digest)));
        json_set(a, v, STR("document"), val_copy(a, i->config));
        print_json(v);
    }
    return 0;
}

static int run_remove(struct image_store *s, struct arena *a, const struct options *o, char **names, struct kl_err *err)
{
    (void)o;
    (void)a;
    if (!names[0])
        return wrong_use("remove needs a NAME", "");
    for (; *names; names++)
        if (image_remove(s, *names, err) < 0)
            return failed(err);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct image_store *s, struct arena *a, const struct options *o, char **names, struct kl_err *err);
} commands[] = { { "build", run_build }, { "import", run_import }, { "list", run_list }, { "inspect", run_inspect },
                 { "remove", run_remove } };

int cmd_image(int argc, char **argv)
{
    struct options o = { .dir = DEFAULT_DIR };
    struct kl_err err;
    kl_err_init(&err);
    int rc = parse(argc, argv, &o);
    if (rc > 0) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (rc < 0)
        return wrong_use("an option is not understood: ", optind > 0 && optind <= argc ? argv[optind - 1] : "");
    const char *name = optind < argc ? argv[optind++] : "";
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name) != 0)
            continue;
        struct image_store *s;
        if (image_store_open(o.dir, &s, &err) < 0)
            return failed(&err);
        _cleanup_arena_ struct arena *a = arena_new(256 << 20);
        rc = a ? commands[i].run(s, a, &o, argv + optind, &err) : 1;
        image_store_close(s);
        return rc;
    }
    static const char *const known[] = { "build", "import", "list", "inspect", "remove", NULL };
    if (*name && cli_known("image", name, known))
        fputs(usage_text, stderr);
    return *name ? 2 : wrong_use("a command is missing", "");
}
