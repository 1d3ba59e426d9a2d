/* main.c - picks the command. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd_image.h"
#include "isolate/isolate.h"
#include "plugin/builtin.h"
#include "plugin/signature.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "up", cmd_up, "a whole cluster of one node in one process" },
    { "server", cmd_server, "store, API, controllers and schedulers in one process" },
    { "agent", cmd_agent, "a node of a cluster whose server is another process" },
    { "pki", cmd_pki, "node NAME: credentials for a node's agent" },
    { "check-config", cmd_check_config, "reads the configuration and says what is wrong with it" },
    { "convert", cmd_convert, "an object from one form to another: --from json|yaml|protobuf --to json|yaml|protobuf" },
    { "image", cmd_image, "the node's image store: build, import, list, inspect, remove" },
    { "reset", cmd_reset, "removes this node's pods and all that was made for them; --all: every trace" },
    { "restart", cmd_restart, "lets a new process, of a newer program perhaps, go on in place of the running server, without a gap" },
    { "plugin", cmd_plugin, "inspect FILE, list, status: plugin files, configured instances, running instances" },
    { "distro", cmd_distro, "distributions: init, build, verify, diff, run" },
    { "store", cmd_store, "check, repair: the store's files, while no server uses them" },
    { "version", cmd_version, "what this is" },
};

static void usage(FILE *to)
{
    fputs("usage: keelson COMMAND [ARGUMENT...]\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
    builtin_set(keelson_builtins);
    if (argc > 1 && strcmp(argv[1], "plugin-cell") == 0)        /* started by the daemon only: isolate/README.md */
        return isolate_child(argc - 1, argv + 1, signature_find, builtin_plugin);
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    const char *known[sizeof commands / sizeof *commands + 1] = { NULL };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        known[i] = commands[i].name;
    cli_known("", argv[1], known);
    usage(stderr);
    return 2;
}
