/* conform.c - see conform.h: the parent's side. It never runs a plugin's code itself. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/volume.h>

#include "base/env.h"
#include "bench.h"
#include "box.h"
#include "child.h"
#include "plugin/signature.h"

#define SCENARIO_NS (180 * NS_PER_S)

void conform_list(FILE *to)
{
    for (unsigned i = 0; i < P_END; i++)
        fprintf(to, "%s  %s\n            %s\n", policy_row(i)->number, policy_row(i)->sentence, policy_row(i)->advice);
}

struct session {
    const struct conform_options *o;
    FILE *to;
    struct box box;
    struct report *report;              /* shared with the children */
    unsigned only, number, passed, failed, beside;
};

/* --- one child --- */

static void last_words(const char *log, char *ret, size_t room)
{
    char line[400];
    FILE *f = fopen(log, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "SUMMARY:", 8) == 0 || strstr(line, "runtime error:"))
            snprintf(ret, room, "; %.*s", (int)strcspn(line, "\n"), line);
    if (f)
        fclose(f);
}

static void ended(struct session *s, int status, const char *log)
{
    struct report *r = s->report;
    char words[400] = "";
    if (r->done)
        return;
    last_words(log, words, sizeof words);
    if (WIFSIGNALED(status))
        report_fail(r, (enum policy)r->now, r->call, "the process dies by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)), words);
    else
        report_fail(r, (enum policy)r->now, r->call, "the process ends with status %d%s", WEXITSTATUS(status), words);
}

/* Waits for the end, or ends it: what hangs breaks the policy that the child named before. */
static void await(struct session *s, pid_t pid, const char *log)
{
    struct report *r = s->report;
    int status = 0, pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int64_t end = env_mono_ns() + SCENARIO_NS;
    for (;;) {
        struct pollfd p = { pidfd, POLLIN, 0 };
        poll(&p, pidfd >= 0, pidfd >= 0 ? 100 : 5);
        if (waitpid(pid, &status, WNOHANG) == pid) {
            ended(s, status, log);
            break;
        }
        int64_t now = env_mono_ns(), until = __atomic_load_n(&r->until_ns, __ATOMIC_RELAXED);
        if ((until && now > until) || now > end) {
            report_fail(r, (enum policy)(until ? r->late : r->now), r->call, "it has not returned after %d s", until ? (int)((r->late == P_SURVIVE ? CALL_NS : SOON_NS) / NS_PER_S) :
                        (int)(SCENARIO_NS / NS_PER_S));
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
    }
    if (pidfd >= 0)
        close(pidfd);
    kill(-pid, SIGKILL);                /* what it started */
    while (waitpid(-1, NULL, WNOHANG) > 0) { }
}

/* scenario -1: the descriptor itself. */
static void run_child(struct session *s, unsigned provider, int scenario)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    char log[96];
    struct report *r = s->report;
    if (!a)
        return;
    const char *dir = box_folder(&s->box, a, ++s->number);
    if (!dir)
        return;
    snprintf(log, sizeof log, "%s/%u.log", s->box.dir, s->number);
    r->now = r->late = P_SURVIVE;
    r->until_ns = 0;
    r->done = 0;
    snprintf(r->call, sizeof r->call, "load");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        conform_child(s->o->file, provider, scenario, box_settings(&s->box, a, dir), log, r);
    if (pid < 0)
        report_fail(r, P_SURVIVE, "fork", "%s", strerror(errno));
    else
        await(s, pid, log);
}

/* --- what came of it --- */

static void tell(struct session *s, unsigned p)
{
    const struct verdict *v = &s->report->at[p];
    const struct policy_row *row = policy_row(p);
    if (s->only != P_END && s->only != p)
        return;
    if (v->failures) {
        s->failed++;
        fprintf(s->to, "  FAILED  %s  %s\n              %s: %s%s\n              What to do: %s\n", row->number, row->sentence, v->call, v->text,
                v->failures > 1 ? " (and more)" : "", row->advice);
    } else if (v->asked) {
        s->passed++;
        if (!s->o->brief)
            fprintf(s->to, "  ok      %s  %s\n", row->number, row->sentence);
    } else {
        s->beside++;
        if (!s->o->brief)
            fprintf(s->to, "  -       %s  nothing here that it is about\n", row->number);
    }
}

static bool needs_a_node(const char *iface)
{
    return strcmp(iface, KL_NETWORK_0) == 0 || strcmp(iface, KL_PROXY_0) == 0 || strcmp(iface, KL_RUNTIME_0) == 0 || strcmp(iface, KL_NODE_0) == 0 ||
           strcmp(iface, KL_VOLUME_0) == 0;
}

static void run_provider(struct session *s, unsigned k, struct str what)
{
    char iface[128];
    struct str rest = what, id = str_cut(&rest, ':');
    snprintf(iface, sizeof iface, STR_FMT, STR_ARG(id));
    fprintf(s->to, STR_FMT "\n", STR_ARG(what));
    const struct kl_sig_table *sig = signature_find(iface);
    if (!sig || !invoke_known(sig)) {
        fprintf(s->to, "  not known to this harness: only that the file loads was looked at\n");
        return;
    }
    if (needs_a_node(iface) && geteuid() == 0 && !s->box.apart) {
        fprintf(s->to, "  left out: root without namespaces of its own would change this machine\n");
        return;
    }
    memset(s->report->at, 0, sizeof s->report->at);
    for (unsigned i = 0; i < n_scenarios; i++)
        run_child(s, k, (int)i);
    for (unsigned p = P_SETTINGS + 1; p < P_END; p++)
        if (!policy_row(p)->iface || strcmp(policy_row(p)->iface, iface) == 0)
            tell(s, p);
}

static void run_file(struct session *s, const struct plugin_note *n)
{
    struct kl_err err;
    kl_err_init(&err);
    fprintf(s->to, "%s  %s %s\n", s->o->file, n->id, n->version);
    report_asked(s->report, P_LOAD);
    if (plugin_probe(s->o->file, &err) < 0)
        report_fail(s->report, P_LOAD, "load", "%s", err.msg);
    tell(s, P_LOAD);
    if (err.code)
        return;
    run_child(s, 0, -1);
    tell(s, P_SETTINGS);
    unsigned k = 0;
    for (struct str rest = str_of(n->provides); rest.at && rest.len; k++)
        run_provider(s, k, str_cut(&rest, ' '));
}

int conform_run(const struct conform_options *o, FILE *to)
{
    struct session s = { .o = o, .to = to, .only = o->policy ? policy_find(o->policy) : P_END };
    struct plugin_note note;
    struct kl_err err;
    kl_err_init(&err);
    if (o->policy && s.only == P_END)
        return fprintf(stderr, "keelson: plugin test: there is no policy '%s'; --list shows all\n", o->policy), 2;
    if (plugin_note_read(o->file, &note, &err) < 0)
        return fprintf(stderr, "keelson: plugin test: %s\n", err.msg), 1;
    s.report = mmap(NULL, sizeof *s.report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.report == MAP_FAILED || box_open(&s.box, o->file, o->settings, &err) < 0)
        return fprintf(stderr, "keelson: plugin test: %s\n", err.code ? err.msg : "out of memory"), o->settings ? 2 : 1;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int64_t began = env_mono_ns();
    run_file(&s, &note);
    int64_t ms = (env_mono_ns() - began) / NS_PER_MS;
    fprintf(to, "%u policies hold, %u do not, %u have nothing to say here; %lld.%02lld s\n", s.passed, s.failed, s.beside, (long long)(ms / 1000), (long long)(ms % 1000 / 10));
    box_close(&s.box);
    munmap(s.report, sizeof *s.report);
    return s.failed ? 1 : 0;
}
