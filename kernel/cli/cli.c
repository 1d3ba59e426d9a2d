/* cli.c - small helpers of the commands, and the small commands. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/heir.h"
#include "conf/load.h"
#include "object/object.h"

int cli_fail(int status, const char *fmt, ...)
{
    va_list ap;
    char text[2048];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "keelson: %s\n", text);
    heir_failed(text);
    return status;
}

int cli_option(int argc, char **argv, int *i, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0 || (argv[*i][n] != '\0' && argv[*i][n] != '='))
        return 0;
    if (argv[*i][n] == '=') {
        *value = argv[*i] + n + 1;
        return 1;
    }
    if (*i + 1 >= argc)
        return cli_fail(2, "%s needs a value", name);
    *value = argv[++*i];
    return 1;
}

int cli_known(const char *command, const char *word, const char *const *known)
{
    unsigned n = 0;
    for (; word && known[n]; n++)
        if (strcmp(known[n], word) == 0)
            return 0;
    const char *near = n ? conf_nearest(str_of(word), known, n, sizeof *known) : NULL;
    return !word ? 0 : cli_fail(2, "%s%sunknown command '%s'%s%s%s", command, *command ? ": " : "", word, near ? "; did you mean '" : "", near ? near : "",
                                near ? "'?" : "");
}

int cmd_version(int argc, char **argv)
{
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    if (help)
        puts("usage: keelson version\nThe program's version and that of the API it serves.");
    else if (argc > 1)
        return cli_fail(2, "version: unknown argument '%s'", argv[1]);
    if (!help)
        printf("keelson %s (Kubernetes API 1.36)\n", KEELSON_VERSION);
    return 0;
}

static bool form_known(const char *s)
{
    return strcmp(s, "json") == 0 || strcmp(s, "yaml") == 0 || strcmp(s, "protobuf") == 0;
}

static const char convert_usage[] =
    "usage: keelson convert [--from json|yaml|protobuf] [--to json|yaml|protobuf]   (json)\n"
    "Reads an object on standard input and writes it in the other form. No server is asked.";

int cmd_convert(int argc, char **argv)
{
    const char *from = "json", *to = "json";
    _cleanup_buf_ struct buf in = BUF_INIT((size_t)64 << 20), out = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            puts(convert_usage);
            return 0;
        }
        int rc = cli_option(argc, argv, &i, "--from", &from);
        if (rc == 0)
            rc = cli_option(argc, argv, &i, "--to", &to);
        if (rc != 1)
            return rc == 2 ? 2 : cli_fail(2, "convert: unknown argument '%s'\n%s", argv[i], convert_usage);
    }
    if (!form_known(from) || !form_known(to))
        return cli_fail(2, "convert: a form is json, yaml or protobuf, not '%s'", form_known(from) ? to : from);
    for (ssize_t n = 1; n > 0;) {
        char *room = buf_room(&in, 65536);
        n = room ? read(STDIN_FILENO, room, 65536) : -1;
        in.len += n > 0 ? (size_t)n : 0;
    }
    if (in.failed)
        return cli_fail(1, "convert: the input is larger than 64 MiB");
    if (object_convert(from, to, buf_str(&in), &out, &err) < 0)
        return cli_fail(1, "convert: %s", err.msg);
    return fwrite(out.at, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : cli_fail(1, "convert: the output cannot be written");
}
