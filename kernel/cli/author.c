/* author.c - see author.h. */
#include "cli/author.h"

#include <string.h>

#include "cli/cli.h"
#include "conformance/conform.h"
#include "conformance/replay.h"

static int test(int argc, char **argv)
{
    struct conform_options o = { .file = NULL };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            conform_list(stdout);
            return 0;
        }
        if (strcmp(argv[i], "--brief") == 0) {
            o.brief = true;
            continue;
        }
        int rc = cli_option(argc, argv, &i, "--settings", &o.settings);
        if (rc == 0)
            rc = cli_option(argc, argv, &i, "--policy", &o.policy);
        if (rc == 2)
            return 2;
        if (rc == 1)
            continue;
        if (argv[i][0] == '-' || o.file)
            return cli_fail(2, "plugin test: unknown argument '%s'\nusage:\n" AUTHOR_USAGE, argv[i]);
        o.file = argv[i];
    }
    if (!o.file)
        return cli_fail(2, "plugin test: which file?\nusage:\n" AUTHOR_USAGE);
    return conform_run(&o, stdout);
}

static int replay(int argc, char **argv)
{
    struct replay_options o = { .session = NULL };
    for (int i = 1; i < argc; i++) {
        int rc = cli_option(argc, argv, &i, "--settings", &o.settings);
        if (rc == 0)
            rc = cli_option(argc, argv, &i, "--instance", &o.instance);
        if (rc == 2)
            return 2;
        if (rc == 1)
            continue;
        if (argv[i][0] == '-' || o.file)
            return cli_fail(2, "plugin replay: unknown argument '%s'\nusage:\n" AUTHOR_USAGE, argv[i]);
        *(o.session ? &o.file : &o.session) = argv[i];
    }
    if (!o.file)
        return cli_fail(2, "plugin replay: which session, and which file?\nusage:\n" AUTHOR_USAGE);
    return replay_run(&o, stdout);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = { { "test", test }, { "new", author_new }, { "replay", replay } };

bool author_knows(const char *command)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, command) == 0)
            return true;
    return false;
}

int author_run(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs("usage:\n" AUTHOR_USAGE, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, argv[0]) == 0)
            return commands[i].run(argc, argv);
    return 2;
}
