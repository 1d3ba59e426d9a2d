/* bad.c - plugins that are wrong in one way each: -DBAD_<WAY>. Without any: a good one. */
#include <keelson/iface/scheduler.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int bad_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    (void)self;
    (void)c;
#ifdef BAD_OPEN
    return kl_fail(c, KL_UNAVAILABLE, "the moon is in the wrong place");
#endif
    return 0;
}

static int bad_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)self;
    (void)c;
    (void)cycle;
    (void)pod;
    (void)node;
    return 1;
}

/* The program's child writes its number where the test can look whether it is gone. */
__attribute__((unused)) static void linger(void)
{
    const char *path = getenv("BAD_PID");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f) {
        fprintf(f, "%d\n", (int)getpid());
        fclose(f);
    }
    for (;;)
        pause();
}

#ifdef BAD_DEEP
int bad_deep(int n);
int bad_deep(int n)
{
    volatile char room[4096];
    room[0] = (char)n;
    return bad_deep(n + 1) + room[0];
}
#endif
#ifdef BAD_UNDEFINED
int nowhere(void);
int (*volatile bad_pointer)(void) = nowhere;
#endif

__attribute__((constructor)) static void start(void)
{
#if defined(BAD_CRASH)
    *(volatile int *)0 = 1;
#elif defined(BAD_ABORT)
    abort();
#elif defined(BAD_KILL)
    raise(SIGKILL);
#elif defined(BAD_EXIT)
    exit(3);
#elif defined(BAD_LEAVE)
    _exit(0);
#elif defined(BAD_HANG)
    for (;;)
        pause();
#elif defined(BAD_SPIN)
    for (volatile int i = 0;; i++) { }
#elif defined(BAD_DEEP)
    bad_deep(0);
#elif defined(BAD_FORK)
    if (fork() == 0)
        linger();
    usleep(100000);
#elif defined(BAD_DAEMON)
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            linger();
        _exit(0);
    }
    usleep(100000);
#elif defined(BAD_FORK_CRASH)
    if (fork() == 0)
        linger();
    usleep(100000);
    *(volatile int *)0 = 1;
#elif defined(BAD_CLOSE)
    for (int i = 3; i < 256; i++)
        close(i);
#endif
}

static const struct kl_scheduler table = {
#ifdef BAD_SMALL
    .size = 8,
#else
    .size = sizeof table,
#endif
#ifndef BAD_NO_OPEN
    .life = { .open = bad_open },
#endif
#ifndef BAD_NO_SCORE
    .score = bad_score,
#endif
};

#if defined(BAD_REVISION)
#define IFACE "keelson.scheduler/9"
#elif defined(BAD_IFACE)
#define IFACE "keelson.astrology/0"
#elif defined(BAD_CYCLE_A)
#define IFACE "com.acme.a/0"
#elif defined(BAD_CYCLE_B)
#define IFACE "com.acme.b/0"
#else
#define IFACE KL_SCHEDULER_0
#endif

#if defined(BAD_NEED)
#define NEED "keelson.host.astrology/0"
#elif defined(BAD_NEED_REVISION)
#define NEED "keelson.host.objects/9"
#elif defined(BAD_NEED_OTHER)
#define NEED "com.acme.nobody/0"
#elif defined(BAD_CYCLE_A)
#define NEED "com.acme.b/0"
#elif defined(BAD_CYCLE_B)
#define NEED "com.acme.a/0"
#else
#define NEED ""
#endif

static const struct kl_provider provides[] = {
#ifdef BAD_NO_TABLE
    { IFACE, BAD_NAME, 0, NULL },
    { IFACE, BAD_NAME "2", 0, &table },
#else
    { IFACE, BAD_NAME, 0, &table },
#endif
};

__attribute__((unused)) static const struct kl_need needs[] = { { NEED, 0 } };

#ifdef BAD_NEED_HIDDEN
#define NOTE_NEED "keelson.host.env/0"
#else
#define NOTE_NEED NEED
#endif

KL_PLUGIN_DEFINE("x." BAD_NAME, "1", IFACE ":" BAD_NAME, NOTE_NEED, .summary = "bad", .providers = KL_ARRAY_OF(provides),
#ifdef BAD_ABI
                 .abi_major = 9,
#endif
                 .needs = { needs, sizeof NEED > 1, sizeof *needs });
