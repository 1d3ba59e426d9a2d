/* heir_start.c - starts the process that is to follow this one: our own arguments, our listening sockets and a socket to talk over. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "cli/handover.h"
#include "cli/message.h"

#define ARGUMENTS_MOST 512

extern char **environ;

/* What was started as this program, in its present file: an upgrade puts another one in its place. */
static int own_binary(char ret[PATH_MAX], struct kl_err *err)
{
    static const char gone[] = " (deleted)";
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
    if (n <= 0)
        return kl_err_set(err, KL_UNAVAILABLE, "the program's own file is not known: %s", strerror(errno));
    ret[n] = '\0';
    size_t tail = sizeof gone - 1;
    if ((size_t)n > tail && strcmp(ret + n - tail, gone) == 0)
        ret[(size_t)n - tail] = '\0';
    return 0;
}

/* Our own arguments, as they were given. */
static int own_arguments(struct buf *text, char **argv, struct kl_err *err)
{
    unsigned n = 0;
    _cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 1; fd >= 0 && got > 0;) {
        char *room = buf_room(text, 65536);
        got = room ? read(fd, room, 65536) : -1;
        text->len += got > 0 ? (size_t)got : 0;
    }
    for (size_t at = 0; at < text->len && n < ARGUMENTS_MOST; at += strlen(text->at + at) + 1)
        argv[n++] = text->at + at;
    argv[n] = NULL;
    return n && n < ARGUMENTS_MOST && !text->failed ? 0 : kl_err_set(err, KL_UNAVAILABLE, "the program's own arguments are not known");
}

static char **surroundings(char *variable)
{
    size_t n = 0, k = 0;
    while (environ[n])
        n++;
    char **env = mem_alloc((n + 2) * sizeof *env);
    for (size_t i = 0; env && i < n; i++)
        if (strncmp(environ[i], HEIR_VARIABLE "=", sizeof HEIR_VARIABLE) != 0)
            env[k++] = environ[i];
    if (env)
        env[k] = variable;
    return env;
}

/* They keep their numbers; posix_spawn's dup2 onto itself lets them stay open. */
static int keep(posix_spawn_file_actions_t *f, const struct heir_start *s, int talk, struct buf *variable)
{
    buf_printf(variable, HEIR_VARIABLE "=to=%d", talk);
    int rc = posix_spawn_file_actions_adddup2(f, talk, talk);
    for (int i = 0; i < SOCKETS && rc == 0; i++)
        if (s->sockets[i] >= 0) {
            buf_printf(variable, " %s=%d", socket_names[i], s->sockets[i]);
            rc = posix_spawn_file_actions_adddup2(f, s->sockets[i], s->sockets[i]);
        }
    return variable->failed ? ENOMEM : rc;
}

static int spawn(const struct heir_start *s, const char *binary, int talk, pid_t *ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(0), variable = BUF_INIT(0);
    char *argv[ARGUMENTS_MOST + 1];
    posix_spawn_file_actions_t f;
    posix_spawnattr_t a;
    sigset_t none;
    int rc = own_arguments(&text, argv, err);
    if (rc < 0)
        return rc;
    posix_spawn_file_actions_init(&f);
    posix_spawnattr_init(&a);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&a, &none);
    posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSIGMASK);
    rc = keep(&f, s, talk, &variable);
    char **env = rc == 0 ? surroundings(variable.at) : NULL;
    rc = !env ? ENOMEM : posix_spawn(ret, binary, &f, &a, argv, env);
    posix_spawnattr_destroy(&a);
    posix_spawn_file_actions_destroy(&f);
    mem_free(env);
    return rc ? kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be started: %s", binary, strerror(rc)) : 0;
}

int heir_start(const struct heir_start *s, pid_t *ret_pid, int *ret_fd, struct kl_err *err)
{
    char own[PATH_MAX];
    int pair[2];
    int rc = s->binary ? 0 : own_binary(own, err);
    if (rc == 0 && (rc = message_pair(pair)) < 0)
        rc = kl_err_set(err, KL_UNAVAILABLE, "no socket to talk over: %s", strerror(-rc));
    if (rc < 0)
        return rc;
    rc = spawn(s, s->binary ? s->binary : own, pair[1], ret_pid, err);
    close(pair[1]);
    if (rc < 0)
        close(pair[0]);
    else
        *ret_fd = pair[0];
    return rc;
}
