/* author_new.c - `keelson plugin new KIND NAME`: a folder with a plugin that builds, loads and passes. The texts are sdk/template, within the program. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/author.h"
#include "cli/cli.h"
#include "conf/load.h"
#include "conformance/templates.h"

#define NAME_MOST 40

static const struct {
    const char *kind, *iface, *header;
} kinds[] = {
    { "admission", "keelson.admission/0", "auth" },    { "audit", "keelson.audit/0", "audit" },       { "authn", "keelson.authn/0", "auth" },
    { "authz", "keelson.authz/0", "auth" },            { "controller", "keelson.controller/0", "controller" },
    { "layer", "keelson.layer/0", "layer" },           { "network", "keelson.network/0", "network" },     { "node", "keelson.node/0", "node" },          { "proxy", "keelson.proxy/0", "proxy" },
    { "runtime", "keelson.runtime/0", "runtime" },     { "scheduler", "keelson.scheduler/0", "scheduler" }, { "store", "keelson.store/0", "store" },
    { "volume", "keelson.volume/0", "volume" },
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static bool name_ok(struct str s)
{
    bool ok = s.len > 0 && s.len <= NAME_MOST && s.at[0] >= 'a' && s.at[0] <= 'z' && s.at[s.len - 1] != '-';
    for (size_t i = 0; ok && i < s.len; i++)
        ok = (s.at[i] >= 'a' && s.at[i] <= 'z') || (s.at[i] >= '0' && s.at[i] <= '9') || s.at[i] == '-';
    return ok;
}

/* @NAME@ and its kin become what they stand for. */
static void fill(struct buf *to, struct str text, unsigned kind, const char *name)
{
    const struct {
        const char *mark, *before, *value;
    } marks[] = { { "@NAME@", "", name }, { "@ID@", "org.example.", name }, { "@IFACE@", "", kinds[kind].iface }, { "@HEADER@", "", kinds[kind].header } };
    while (text.len) {
        size_t i = 0, n = 0;
        for (i = 0; i < sizeof marks / sizeof *marks; i++)
            if (str_starts(text, str_of(marks[i].mark)))
                break;
        if (i == sizeof marks / sizeof *marks) {
            buf_add_c(to, text.at[0]);
            n = 1;
        } else {
            buf_add_z(to, marks[i].before);
            buf_add_z(to, marks[i].value);
            n = strlen(marks[i].mark);
        }
        text = str_skip(text, n);
    }
}

static struct str template_of(const char *name)
{
    for (size_t i = 0; i < n_templates; i++)
        if (strcmp(templates[i].name, name) == 0)
            return str_n((const char *)templates[i].at, templates[i].len);
    return STR_NONE;
}

static int write_one(const char *folder, const char *file, struct str text, unsigned kind, const char *name)
{
    char path[256];
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    fill(&b, text, kind, name);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = b.failed || !text.len ? NULL : fopen(path, "wxe");
    bool ok = f && fwrite(b.at, 1, b.len, f) == b.len;
    if (f)
        ok = fclose(f) == 0 && ok;
    return ok ? 0 : cli_fail(1, "plugin new: '%s' cannot be written: %s", path, strerror(errno));
}

static int write_all(const char *name, unsigned kind)
{
    char source[64], settings[64];
    snprintf(source, sizeof source, "kinds/%s.c", kinds[kind].kind);
    snprintf(settings, sizeof settings, "settings/%s.cfg", kinds[kind].kind);
    const struct {
        const char *file, *from;
    } files[] = { { "CMakeLists.txt", "CMakeLists.txt.in" }, { "README.md", "README.md.in" }, { "plugin.c", source },
                  { "settings.cfg", template_of(settings).len ? settings : "settings/default.cfg" } };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++)
        rc = write_one(name, files[i].file, template_of(files[i].from), kind, name);
    for (size_t i = 0; rc != 0 && i < sizeof files / sizeof *files; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", name, files[i].file);
        unlink(path);
    }
    return rc;
}

int author_new(int argc, char **argv)
{
    const char *known[N_KINDS + 1] = { NULL };
    for (size_t i = 0; i < N_KINDS; i++)
        known[i] = kinds[i].kind;
    if (argc != 3 || argv[1][0] == '-')
        return cli_fail(2, "plugin new: it takes a kind and a name\nusage:\n" AUTHOR_USAGE);
    unsigned kind = 0;
    while (kind < N_KINDS && strcmp(known[kind], argv[1]) != 0)
        kind++;
    if (kind == N_KINDS) {
        const char *near = conf_nearest(str_of(argv[1]), known, N_KINDS, sizeof *known);
        return cli_fail(2, "plugin new: there is no kind '%s'%s%s%s (kinds: admission audit authn authz controller layer network node proxy runtime scheduler store volume)", argv[1],
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (!name_ok(str_of(argv[2])))
        return cli_fail(2, "plugin new: a name has at most %d small letters, digits and '-', begins with a letter and does not end with '-': not '%s'", NAME_MOST,
                        argv[2]);
    if (mkdir(argv[2], 0777) < 0)
        return cli_fail(1, errno == EEXIST ? "plugin new: '%s' is there already" : "plugin new: the folder '%s' cannot be made: %s", argv[2], strerror(errno));
    int rc = write_all(argv[2], kind);
    if (rc) {
        rmdir(argv[2]);
        return rc;
    }
    printf("%s: a plugin for %s\n  cmake -S %s -B %s/build && cmake --build %s/build && ctest --test-dir %s/build\n", argv[2], kinds[kind].iface, argv[2], argv[2],
           argv[2], argv[2]);
    return 0;
}
