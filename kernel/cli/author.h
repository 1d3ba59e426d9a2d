/* author.h - `keelson plugin test | new | replay`: what authors of plugins use. */
#ifndef CLI_AUTHOR_H
#define CLI_AUTHOR_H

#include <stdbool.h>

#define AUTHOR_COMMANDS "test", "new", "replay"
#define AUTHOR_USAGE \
    "       keelson plugin test [--settings FILE] [--policy NUMBER] [--brief] FILE\n" \
    "                                           runs the policies of its interfaces: no cluster, no root; --list: what they say\n" \
    "       keelson plugin new KIND NAME        writes the folder NAME: a plugin that builds against the SDK, loads and passes\n" \
    "       keelson plugin replay [--settings FILE] [--instance NAME] SESSION FILE\n" \
    "                                           makes the calls that layer-record recorded to that file, and says which answers differ\n"

bool author_knows(const char *command);
/* argv[0]: the command. Exit status as of cli.h; test: 1 when a policy does not hold. */
int author_run(int argc, char **argv);
/* author_new.c */
int author_new(int argc, char **argv);

#endif
