/* start.c - perf_start: runs `keelson server ...` and prints the milliseconds from exec to the first 200 of /readyz, then ends it.
 *
 * usage: perf_start PORT PROGRAM ARGUMENT...      The daemon is told the port by its arguments; CPU affinity is inherited from us.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

static pid_t start(char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* One GET of /readyz on a connection of its own. */
static bool ready(int port)
{
    struct load_conf c = { .address = "127.0.0.1", .port = port, .connections = 1, .streams = 1, .method = "GET", .path = "/readyz",
                           .type = "application/json", .quiet = true };
    struct load *l = NULL;
    bool ok = load_new(&c, &l) == 0 && load_run_count(l, 1, 1.0) == 0 && load_counts(l)->answers > 0;
    load_free(l);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int port = (int)strtol(argv[1], NULL, 10), status;
    double began = load_clock();
    pid_t pid = start(argv + 2);
    while (!ready(port)) {
        if (load_clock() - began > 120 || waitpid(pid, &status, WNOHANG) == pid) {
            fprintf(stderr, "perf_start: the server did not become ready\n");
            kill(pid, SIGKILL);
            return 1;
        }
        usleep(300);
    }
    printf("%.1f\n", (load_clock() - began) * 1e3);
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    return 0;
}
