/* process.c - see process.h. */
#include "process.h"

#include <dirent.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static unsigned entries(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static unsigned children(void)
{
    char path[64], text[512] = "";
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    if (f && fgets(text, sizeof text, f))
        for (const char *at = text; *at; at++)
            n += *at == ' ';
    if (f)
        fclose(f);
    return n;
}

static uint64_t environment(void)
{
    uint64_t h = 14695981039346656037u;
    for (char **e = environ; e && *e; e++)
        for (const char *at = *e; *at; at++)
            h = (h ^ (unsigned char)*at) * 1099511628211u;
    return h;
}

void process_read(struct process_state *s)
{
    memset(s, 0, sizeof *s);
    s->fds = entries("/proc/self/fd");
    s->threads = entries("/proc/self/task");
    s->children = children();
    for (int i = 1; i < 32; i++)
        sigaction(i, NULL, &s->signals[i]);
    sigprocmask(SIG_SETMASK, NULL, &s->mask);
    if (!getcwd(s->folder, sizeof s->folder))
        s->folder[0] = '\0';
    s->umask = umask(0);
    umask(s->umask);
    snprintf(s->locale, sizeof s->locale, "%s", setlocale(LC_ALL, NULL));
    s->environment = environment();
}

bool process_same(const struct process_state *before, struct process_state *ret, char what[400])
{
    for (int tries = 0; tries < 300; tries++) {
        process_read(ret);
        if (ret->threads <= before->threads && ret->fds <= before->fds && ret->children <= before->children)
            return true;
        usleep(10000);
    }
    if (ret->threads > before->threads)
        snprintf(what, 400, "%u threads run that were not there", ret->threads - before->threads);
    else if (ret->children > before->children)
        snprintf(what, 400, "%u child processes are there that nobody waited for", ret->children - before->children);
    else
        snprintf(what, 400, "%u descriptors are open that were not", ret->fds - before->fds);
    return false;
}

bool process_untouched(const struct process_state *before, char what[400])
{
    struct process_state now;
    process_read(&now);
    for (int i = 1; i < 32; i++)
        if (now.signals[i].sa_handler != before->signals[i].sa_handler)
            return snprintf(what, 400, "what happens on signal %d (%s) was changed", i, strsignal(i)), false;
    if (memcmp(&now.mask, &before->mask, sizeof now.mask) != 0)
        return snprintf(what, 400, "the calling thread's signal mask was changed"), false;
    if (strcmp(now.folder, before->folder) != 0)
        return snprintf(what, 400, "the current folder was changed to '%.200s'", now.folder), false;
    if (now.umask != before->umask)
        return snprintf(what, 400, "the umask was changed from %03o to %03o", before->umask, now.umask), false;
    if (strcmp(now.locale, before->locale) != 0)
        return snprintf(what, 400, "the locale was changed to '%.200s'", now.locale), false;
    if (now.environment != before->environment)
        return snprintf(what, 400, "an environment variable was set, changed or removed"), false;
    return true;
}
