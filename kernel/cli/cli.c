/* cli.c - small helpers of the commands, and the small commands. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "object/object.h"

int cli_fail(int status, const char *fmt, ...)
{
    va_list ap;
    fputs("keelson: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
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

int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("keelson %s (Kubernetes API 1.36)\n", KEELSON_VERSION);
    return 0;
}

static bool form_known(const char *s)
{
    return strcmp(s, "json") == 0 || strcmp(s, "yaml") == 0 || strcmp(s, "protobuf") == 0;
}

int cmd_convert(int argc, char **argv)
{
    const char *from = "json", *to = "json";
    _cleanup_buf_ struct buf in = BUF_INIT((size_t)64 << 20), out = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 1; i < argc; i++) {
        int rc = cli_option(argc, argv, &i, "--from", &from);
        if (rc == 0)
            rc = cli_option(argc, argv, &i, "--to", &to);
        if (rc != 1)
            return rc == 2 ? 2 : cli_fail(2, "convert: unknown argument '%s' (usage: keelson convert --from json|yaml|protobuf --to json|yaml|protobuf)", argv[i]);
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
