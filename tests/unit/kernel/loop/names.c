/* Names that nobody answers for: what others do on the workers goes on. */
#include <criterion/criterion.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/loop.h"

#define LOOKUPS 16

static pthread_mutex_t silence = PTHREAD_MUTEX_INITIALIZER;
static atomic_int asked;
static int answered, worked;
static struct loop *loop;

/* In place of libc's: whoever asks waits. */
__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    (void)host, (void)port, (void)hints;
    atomic_fetch_add(&asked, 1);
    pthread_mutex_lock(&silence);
    pthread_mutex_unlock(&silence);
    *ret = NULL;
    return EAI_NONAME;
}

static void on_answer(void *ctx, struct addrinfo *found, const char *why)
{
    (void)ctx;
    cr_expect(!found && why && *why);
    if (++answered == LOOKUPS)
        loop_stop(loop);
}

static void on_worker(void *ctx)
{
    (void)ctx;
}

static void on_worked(void *ctx)
{
    (void)ctx;
    worked++;
    cr_expect_eq(answered, 0, "no name was answered yet");
    pthread_mutex_unlock(&silence);
}

Test(names, leave_workers_for_others, .timeout = 120)
{
    loop = loop_new();
    cr_assert(loop);
    pthread_mutex_lock(&silence);
    for (int i = 0; i < LOOKUPS; i++)
        loop_lookup(loop, "nobody.example", "443", NULL, on_answer, NULL);
    loop_work(loop, on_worker, on_worked, NULL);
    loop_run(loop);
    cr_expect_eq(worked, 1);
    cr_expect_eq(answered, LOOKUPS);
    cr_expect_eq(atomic_load(&asked), LOOKUPS, "this test's own getaddrinfo is the one that is asked");
    loop_free(loop);
}
