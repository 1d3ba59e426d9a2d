/* env.c - pieces of randomness as long as a UUID come from a page that is filled at once: none comes twice, not even in a child. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/env.h"

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

Test(env, no_piece_comes_twice)
{
    enum { MINE = 1000, CHILDS = 20 };
    static unsigned char got[MINE + 2 * CHILDS][16];
    int fd[2];
    for (int i = 0; i < MINE; i++)
        env_random(got[i], 16);
    cr_assert_eq(pipe(fd), 0);
    for (int child = 0; child < 2; child++) {
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            unsigned char own[CHILDS][16];
            for (int i = 0; i < CHILDS; i++)
                env_random(own[i], 16);
            _exit(write(fd[1], own, sizeof own) == (ssize_t)sizeof own ? 0 : 1);
        }
        int status = -1;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0);
        cr_assert_eq(read(fd[0], got[MINE + child * CHILDS], CHILDS * 16), CHILDS * 16);
    }
    close(fd[0]);
    close(fd[1]);
    qsort(got, sizeof got / 16, 16, by_bytes);
    for (size_t i = 1; i < sizeof got / 16; i++)
        cr_assert(memcmp(got[i - 1], got[i], 16) != 0);
}
