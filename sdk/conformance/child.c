/* child.c - see child.h. A fault says by its address what was done wrong: the arguments of a call are guarded (pen.h). */
#include "child.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench.h"
#include "conf/bind.h"
#include "heap.h"

static struct report *reported;

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct report *r = reported;
    enum pen_place place = number == SIGSEGV || number == SIGBUS ? pen_place_of(info->si_addr) : PEN_ELSEWHERE;
    (void)context;
    if (place == PEN_SEALED)
        report_fail(r, P_BORROWED, r->call, "it writes to its arguments");
    else if (place == PEN_HOLE)
        report_fail(r, P_BORROWED, r->call, "it reads behind the end of an argument");
    else if (place == PEN_GONE)
        report_fail(r, P_KEPT, r->call, "it uses what belonged to a call that is over");
    else if (place == PEN_OLD_SETTINGS)
        report_fail(r, P_RECONFIGURE, r->call, "it uses settings that are not its own any more");
    else
        report_fail(r, (enum policy)r->now, r->call, "it dies by signal %d (%s) at address %p", number, strsignal(number), info->si_addr);
    r->done = 1;
    _exit(0);
}

static void catch_faults(struct report *r)
{
    static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
    static char room[65536];
    stack_t stack = { .ss_sp = room, .ss_size = sizeof room };
    struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    reported = r;
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &act, NULL);
}

/* --- the descriptor --- */

static void check_field(const struct kl_plugin *p, uint32_t i, struct report *r)
{
    static const size_t bytes[] = { [KL_CONF_STR] = sizeof(char *), [KL_CONF_INT] = 8, [KL_CONF_BOOL] = 4, [KL_CONF_DURATION] = 8, [KL_CONF_QUANTITY] = 8,
                                    [KL_CONF_ENUM] = sizeof(char *), [KL_CONF_LIST] = sizeof(char *), [KL_CONF_GROUPS] = sizeof(char *),
                                    [KL_CONF_SECRET] = sizeof(char *) };
    const struct kl_conf_field *f = KL_AT(struct kl_conf_field, p->conf, i);
    const char *key = f->key ? f->key : "?";
    report_check(r, P_SETTINGS, key, f->key && *f->key, "setting %u has no key", i);
    report_check(r, P_SETTINGS, key, f->type >= KL_CONF_STR && f->type <= KL_CONF_SECRET, "its type %u is none", f->type);
    if (!f->key || f->type < KL_CONF_STR || f->type > KL_CONF_SECRET)
        return;
    report_check(r, P_SETTINGS, key, f->offset + bytes[f->type] <= p->conf_size, "its place %u ends behind conf_size %zu", f->offset, p->conf_size);
    report_check(r, P_SETTINGS, key, f->offset % bytes[f->type] == 0, "its place %u is not aligned to %zu", f->offset, bytes[f->type]);
    report_check(r, P_SETTINGS, key, f->doc && *f->doc, "no line explains it");
    report_check(r, P_SETTINGS, key, f->min <= f->max, "its range is empty: %lld to %lld", (long long)f->min, (long long)f->max);
    report_check(r, P_SETTINGS, key, f->type != KL_CONF_ENUM || (f->choices && *f->choices), "an enum needs choices");
    for (uint32_t k = 0; k < i; k++) {
        const struct kl_conf_field *o = KL_AT(struct kl_conf_field, p->conf, k);
        report_check(r, P_SETTINGS, key, !o->key || strcmp(o->key, f->key) != 0, "two settings have that name");
        report_check(r, P_SETTINGS, key, o->offset != f->offset, "it lies where '%s' does", o->key ? o->key : "?");
    }
}

/* Fallbacks are bound as the host does, without what must be given. */
static void check_fallbacks(const struct kl_plugin *p, struct report *r)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_err err;
    void *conf;
    kl_err_init(&err);
    for (uint32_t i = 0; i < p->conf.n; i++)
        if (KL_AT(struct kl_conf_field, p->conf, i)->flags & KL_CONF_REQUIRED)
            return;                     /* seen when it is opened with settings */
    int rc = a ? conf_bind(a, p, NULL, "fallbacks", &conf, &err) : 0;
    report_check(r, P_SETTINGS, "fallback", rc >= 0, "%s", err.msg);
}

static void check_settings(const struct kl_plugin *p, struct report *r)
{
    report_asked(r, P_SETTINGS);
    bool before = false;
    for (uint32_t i = 0; i < p->conf.n; i++) {
        check_field(p, i, r);
        before |= r->at[P_SETTINGS].failures > 0;
    }
    if (!before)
        check_fallbacks(p, r);
}

/* --- the child --- */

static void output_to(const char *log)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

void conform_child(const char *file, unsigned provider, int scenario, const struct val *settings, const char *log, struct report *r)
{
    struct kl_err err;
    const struct kl_plugin *p;
    struct bench b;
    void *handle;
    kl_err_init(&err);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    output_to(log);
    if (plugin_dlopen(file, &p, &handle, &err) < 0) {
        report_fail(r, P_LOAD, "load", "%s", err.msg);
    } else if (scenario < 0) {
        check_settings(p, r);
    } else if (bench_init(&b, p, KL_AT(struct kl_provider, p->providers, provider), settings, r)) {
        heap_watch(dlopen(file, RTLD_NOW | RTLD_LOCAL));
        if (!scenarios[scenario].plain)
            catch_faults(r);
        scenarios[scenario].run(&b);
    }
    r->until_ns = 0;
    r->done = 1;
    _exit(0);
}
