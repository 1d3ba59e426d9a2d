/* live.h - the commands that change instances of the running server. */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <stdbool.h>

#define LIVE_COMMANDS "load", "reload", "set", "replace", "remove"
#define LIVE_USAGE \
    "usage: keelson plugin load PLUGIN [--as NAME] [--provider P] [--isolate LEVEL] [--before INSTANCE] [--set KEY=VALUE]...   one instance more\n" \
    "       keelson plugin reload INSTANCE [--file FILE]           its file is loaded anew (or another build of it), with the same settings\n" \
    "       keelson plugin set INSTANCE KEY=VALUE...               other settings; a list or a list of groups is written as JSON\n" \
    "       keelson plugin replace INSTANCE PLUGIN [--provider P] [--isolate LEVEL] [--set KEY=VALUE]...     another plugin of the same interface\n" \
    "       keelson plugin remove INSTANCE\n"

bool live_knows(const char *word);
int live_run(int argc, char **argv);    /* argv[0]: the command */

#endif
