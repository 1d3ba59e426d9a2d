/* heir.c - see heir.h. */
#include "cli/heir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/message.h"

const char *const socket_names[SOCKETS] = { "api", "door", "node", "relay", "control" };

static struct {
    int to;                             /* 0: this is no heir */
    int sockets[SOCKETS];
    bool served;
} heir;

static void take(struct str name, int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return;
    if (str_is(name, "to")) {
        heir.to = fd;
        return;
    }
    for (int i = 0; i < SOCKETS; i++)
        if (str_is(name, socket_names[i])) {
            heir.sockets[i] = fd;
            return;
        }
    close(fd);                          /* of a version that knows more */
}

void heir_begin(void)
{
    const char *all = getenv(HEIR_VARIABLE);
    if (!all)
        return;
    for (struct str rest = str_of(all); rest.len;) {
        struct str value = str_cut(&rest, ' '), name = str_cut(&value, '=');
        int64_t fd = 0;
        if (value.at && str_int(value, &fd) && fd > 2 && fd < 1 << 20)
            take(name, (int)fd);
    }
    unsetenv(HEIR_VARIABLE);
}

bool heir_is(void)
{
    return heir.to > 0;
}

int heir_socket(int which)
{
    int fd = heir.sockets[which];
    heir.sockets[which] = 0;
    return fd;
}

void heir_point(const char *name)
{
    const char *path = heir_is() ? getenv("KEELSON_HANDOVER_FAULT") : NULL;
    _cleanup_file_ FILE *f = path ? fopen(path, "re") : NULL;
    char line[64];
    if (!f || !fgets(line, sizeof line, f))
        return;
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, name) == 0)
        raise(SIGKILL);
}

void heir_failed(const char *why)
{
    char text[MESSAGE_MOST];
    if (!heir_is() || heir.served)
        return;
    snprintf(text, sizeof text, "failed %s", why);
    message_send(heir.to, text, -1);
}

static void read_parcel(struct store_heritage *x, int fd)
{
    struct kl_err err;
    kl_err_init(&err);
    char rest[4096];
    if (store_heritage_read(x, fd, &err) == 0)
        return;
    while (read(fd, rest, sizeof rest) > 0)
        ;                               /* the other one writes all of it */
    log_warn("server", "%s: clients that know less than the present state list anew", err.msg);
}

/* The next message, "events" or "go"; what it brings is read. 1: more follow, 0: that was the last. */
static int hear(struct store_heritage *x, struct kl_err *err)
{
    char text[MESSAGE_MOST];
    int fd, rc = message_receive(heir.to, text, &fd);
    bool more = rc > 0 && strcmp(text, "events") == 0;
    if (rc <= 0 || (!more && strcmp(text, "go") != 0))
        rc = kl_err_set(err, KL_CANCELLED, "the process that was to be followed %s", rc <= 0 ? "has gone" : "says something else than was expected");
    else if (fd >= 0 && x)
        read_parcel(x, fd);
    if (fd >= 0)
        close(fd);
    return rc < 0 ? rc : more;
}

static int say(const char *word, struct kl_err *err)
{
    int rc = message_send(heir.to, word, -1);
    return rc < 0 ? kl_err_set(err, KL_CANCELLED, "the process that was to be followed has gone: %s", strerror(-rc)) : 0;
}

int heir_wait(struct store_heritage **ret, struct kl_err *err)
{
    if (!heir_is())
        return 0;
    heir_point("ready");
    *ret = store_heritage_new();
    int rc = say("ready", err);
    while (rc == 0 && (rc = hear(*ret, err)) > 0) {
        heir_point("events");
        rc = say("read", err);
    }
    heir_point("go");
    return rc;
}

void heir_serves(void)
{
    if (!heir_is())
        return;
    heir_point("serving");
    heir.served = true;
    for (int i = 0; i < SOCKETS; i++)
        if (heir.sockets[i] > 0)
            close(heir.sockets[i]);     /* this configuration has no use for it */
    message_send(heir.to, "serving", -1);
    heir_point("served");
    /* It stays open: the other one sees by it that we live. */
}
