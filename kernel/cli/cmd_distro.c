/* cmd_distro.c - `keelson distro build | verify | diff | run | init`. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "distro/distro.h"

#define TRUSTED_DIR "/etc/keelson/trust"

static const char usage_text[] =
    "usage: keelson distro init NAME                               writes NAME.cfg, a manifest to begin with\n"
    "       keelson distro build MANIFEST --output DIR [OPTION...] program, plugins, configuration and images of a manifest, as archives\n"
    "       keelson distro check MANIFEST [OPTION...]              the same until something would be compiled\n"
    "       keelson distro verify PATH [--trusted-keys DIR] [--signed]  is every file what was built? (output folder, archive, unpacked files)\n"
    "       keelson distro diff A B                                what differs: folders or archives (.tar.zst)\n"
    "       keelson distro run ARCHIVE [--dir DIR] [OPTION...]     verifies, unpacks and runs it: `keelson up` with these options\n"
    "  --output DIR         is made; an earlier build's is replaced\n"
    "  --key NAME.sec       signs everything (keelson plugin keys generate NAME); NAME.pub travels inside\n"
    "  --locked             takes only inputs that the lock file names with their digests\n"
    "  --lock FILE          MANIFEST's name with .lock\n"
    "  --tree DIR           the sources; else those around the manifest or this program\n"
    "  --from DIR           takes program and plugins of this build or installation; nothing is compiled\n"
    "  --work DIR           where it is compiled, kept for the next time\n"
    "  --trusted-keys DIR   public keys that may have signed (" TRUSTED_DIR ")\n"
    "  --signed             without a good signature it is refused\n"
    "  --dir DIR            where it is unpacked and keeps its state; else a folder that is removed at the end\n"
    "Times are those of SOURCE_DATE_EPOCH, or 1980.\n";

struct words {
    struct distro_build build;
    const char *trusted, *dir;
    bool is_signed;
    char **at;                          /* what is no option */
    int n;
};

/* --- options --- */

static int read_option(int argc, char **argv, int *i, struct words *w)
{
    const struct {
        const char *name, **to;
    } all[] = { { "--output", &w->build.output }, { "--key", &w->build.key },   { "--lock", &w->build.lock },         { "--tree", &w->build.tree },
                { "--from", &w->build.from },     { "--work", &w->build.work }, { "--trusted-keys", &w->trusted }, { "--dir", &w->dir } };
    const struct {
        const char *name;
        bool *to;
    } flags[] = { { "--locked", &w->build.locked }, { "--signed", &w->is_signed } };
    int rc = 0;
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
        if (strcmp(argv[*i], flags[k].name) == 0) {
            *flags[k].to = true;
            return 1;
        }
    for (size_t k = 0; k < sizeof all / sizeof *all && rc == 0; k++)
        rc = cli_option(argc, argv, i, all[k].name, all[k].to);
    return rc;
}

/* rest: options that are not ours stop the reading; they are another's. */
static int read_words(int argc, char **argv, bool rest, struct words *w)
{
    static char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    w->build.self = n > 0 ? self : "keelson";
    w->trusted = TRUSTED_DIR;
    w->at = argv + 1;                   /* in place: behind what was read already */
    for (int i = 1; i < argc; i++) {
        int rc = read_option(argc, argv, &i, w);
        if (rc == 2)
            return 2;
        if (rc == 0 && argv[i][0] == '-' && !rest)
            return cli_fail(2, "distro: unknown argument '%s'\n%s", argv[i], usage_text);
        if (rc == 0)
            w->at[w->n++] = argv[i];
    }
    return 0;
}

static int wrong_use(const char *what)
{
    return cli_fail(2, "distro %s\n%s", what, usage_text);
}

/* --- commands --- */

static int build(struct words *w)
{
    struct kl_err err;
    kl_err_init(&err);
    if (w->n != 1)
        return wrong_use("build: needs one MANIFEST");
    if (!w->build.output && !w->build.check)
        return wrong_use("build: --output is missing: the folder that is made");
    w->build.manifest = w->at[0];
    if (distro_make(&w->build, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    if (w->build.check)
        printf("%s: no mistakes found\n", w->at[0]);
    else
        printf("%s\n", w->build.output);
    return 0;
}

static int check(struct words *w)
{
    w->build.check = true;
    w->build.output = NULL;
    return build(w);
}

static int verify(struct words *w)
{
    _cleanup_buf_ struct buf report = BUF_INIT(16 << 20);
    const struct distro_trust trust = { .keys_dir = w->trusted, .required = w->is_signed };
    struct kl_err err;
    kl_err_init(&err);
    if (w->n != 1)
        return wrong_use("verify: needs one PATH");
    int rc = distro_verify(w->at[0], &trust, &report, &err);
    fwrite(report.at ? report.at : "", 1, report.len, stdout);
    return rc < 0 ? cli_fail(1, "%s", err.msg) : 0;
}

static int diff(struct words *w)
{
    _cleanup_buf_ struct buf report = BUF_INIT(16 << 20);
    struct kl_err err;
    kl_err_init(&err);
    if (w->n != 2)
        return wrong_use("diff: needs two, A and B");
    int rc = distro_diff(w->at[0], w->at[1], &report, &err);
    fwrite(report.at ? report.at : "", 1, report.len, stdout);
    return rc < 0 ? cli_fail(2, "%s", err.msg) : rc;
}

static int init(struct words *w)
{
    _cleanup_buf_ struct buf text = BUF_INIT(65536);
    char path[PATH_MAX];
    struct kl_err err;
    kl_err_init(&err);
    size_t n = w->n == 1 ? strspn(w->at[0], "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
    if (w->n != 1 || !n || w->at[0][n])
        return wrong_use("init: needs one NAME of small letters, digits and '-'");
    snprintf(path, sizeof path, "%s.cfg", w->at[0]);
    if (access(path, F_OK) == 0)
        return cli_fail(1, "'%s' is there already", path);
    for (const char *p = distro_template; *p; p++)
        if (p[0] == '%' && p[1] == 's') {
            buf_add_z(&text, w->at[0]);
            p++;
        } else {
            buf_add_c(&text, *p);
        }
    if (cli_write_file(path, 0644, buf_str(&text), &err) < 0)
        return cli_fail(1, "%s", err.msg);
    printf("%s\n", path);
    return 0;
}

/* --- run --- */

static pid_t running;

static void pass_on(int sig)
{
    if (running > 0)
        kill(running, sig);
}

static int run_child(const char *const *argv)
{
    int status = 0;
    running = fork();
    if (running == 0) {
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    while (running > 0 && waitpid(running, &status, 0) < 0 && errno == EINTR) { }
    running = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

struct unpacked {
    char dir[PATH_MAX - 256], program[PATH_MAX], config[PATH_MAX], plugins[PATH_MAX], trust[PATH_MAX], state[PATH_MAX], run[PATH_MAX], log[PATH_MAX];
};

static int start(const struct unpacked *u, const struct words *w)
{
    const char *argv[64] = { u->program, "up", "--config", u->config, "--plugins", u->plugins, "--trusted-keys", u->trust, "--state-dir", u->state,
                             "--run-dir", u->run, "--log-dir", u->log };
    int n = 14;
    for (int i = 1; i < w->n && n < 62; i++)
        argv[n++] = w->at[i];
    return run_child(argv);
}

static void paths(struct unpacked *u, const char *dir)
{
    snprintf(u->dir, sizeof u->dir, "%s", dir);
    const struct {
        char *to;
        const char *below;
    } all[] = { { u->program, "files/bin/keelson" }, { u->config, "files/etc/keelson/keelson.cfg" }, { u->plugins, "files/lib/keelson/plugins" },
                { u->trust, "files/etc/keelson/trust" }, { u->state, "state" }, { u->run, "run" }, { u->log, "log" } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        snprintf(all[i].to, PATH_MAX, "%s/%s", u->dir, all[i].below);
}

/* What it made on this machine goes with it, when its folder does. */
static int run_unpacked(const struct unpacked *u, const struct words *w, bool keep)
{
    const char *const reset[] = { u->program, "reset", "--all", "--state-dir", u->state, "--run-dir", u->run, "--log-dir", u->log, "--config", u->config,
                                  "--plugins", u->plugins, "--trusted-keys", u->trust, NULL };
    const char *const remove[] = { "/bin/rm", "-rf", u->dir, NULL };
    signal(SIGINT, pass_on);
    signal(SIGTERM, pass_on);
    int rc = start(u, w);
    if (!keep) {
        run_child(reset);
        run_child(remove);
    }
    return rc;
}

static int run(struct words *w)
{
    static struct unpacked u;
    _cleanup_buf_ struct buf report = BUF_INIT(16 << 20);
    const struct distro_trust trust = { .keys_dir = w->trusted, .required = w->is_signed };
    char dir[PATH_MAX], files[PATH_MAX + 8];
    struct kl_err err;
    kl_err_init(&err);
    if (w->n < 1)
        return wrong_use("run: needs one ARCHIVE");
    if (distro_verify(w->at[0], &trust, &report, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    const char *temp = getenv("TMPDIR");
    if (w->dir)
        snprintf(dir, sizeof dir, "%s", w->dir);
    else
        snprintf(dir, sizeof dir, "%s/keelson-run-XXXXXX", temp && *temp ? temp : "/tmp");
    if (!w->dir && !mkdtemp(dir))
        return cli_fail(1, "distro run: the folder '%s' cannot be made: %s", dir, strerror(errno));
    snprintf(files, sizeof files, "%s/files", dir);
    if (access(files, F_OK) != 0 && distro_unpack(w->at[0], files, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    paths(&u, dir);
    return run_unpacked(&u, w, w->dir != NULL);
}

int cmd_distro(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct words *w);
    } commands[] = { { "build", build }, { "check", check }, { "verify", verify }, { "diff", diff }, { "run", run }, { "init", init } };
    static const char *const known[] = { "build", "check", "verify", "diff", "run", "init", NULL };
    struct words w = { .n = 0 };
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage_text, stdout);
            return 0;
        }
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            int rc = read_words(argc - 1, argv + 1, strcmp(argv[1], "run") == 0, &w);
            return rc ? rc : commands[i].run(&w);
        }
    if (argc < 2 || !cli_known("distro", argv[1], known))
        fputs(usage_text, stderr);
    return 2;
}
