/* server.c - the name server over real sockets, with others behind it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "zone.h"

#define OWN   0x0a60000aU               /* 10.96.0.10 */
#define OTHER 0x0a600035U               /* the host's resolver, for the test */

static struct server *server;
static pthread_t thread;
static int other_fd[2];
static char resolv[64];

/* Answers everything with 192.0.2.7, by UDP and TCP; "silent..." never by UDP. */
static size_t other_answer(const uint8_t *q, size_t n, uint8_t *r)
{
    static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7 };
    memcpy(r, q, n);
    r[2] |= 0x80;
    r[7] = 1;
    memcpy(r + n, record, sizeof record);
    return n + sizeof record;
}

static void *other(void *ctx)
{
    uint8_t q[DNS_MESSAGE], r[DNS_MESSAGE];
    struct pollfd p[2] = { { other_fd[0], POLLIN, 0 }, { other_fd[1], POLLIN, 0 } };
    (void)ctx;
    for (;;) {
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        poll(p, 2, -1);
        if (p[0].revents & POLLNVAL)
            return NULL;
        if (p[0].revents) {
            ssize_t n = recvfrom(other_fd[0], q, sizeof q, 0, (struct sockaddr *)&from, &len);
            if (n == 1)
                return NULL;
            if (n > 0 && memcmp(q + 13, "silent", 6) != 0)
                sendto(other_fd[0], r, other_answer(q, (size_t)n, r), 0, (struct sockaddr *)&from, len);
        }
        if (p[1].revents) {
            int fd = accept(other_fd[1], NULL, NULL);
            ssize_t n = recv(fd, q, sizeof q, 0);
            size_t m = n > 2 ? other_answer(q + 2, (size_t)n - 2, r + 2) : 0;
            r[0] = (uint8_t)(m >> 8);
            r[1] = (uint8_t)m;
            if (m)
                send(fd, r, m + 2, 0);
            close(fd);
        }
    }
}

static struct sockaddr_in place(uint32_t ip, int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(ip) } };
}

static void set_up(void)
{
    struct sockaddr_in at = place(OTHER, 53);
    struct kl_err err;
    kl_err_init(&err);
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(unshare(CLONE_NEWNET), 0, "needs root: %s", strerror(errno));
    cr_assert_eq(system("ip link set lo up"), 0);
    zone_set_up();
    put_service("{\"metadata\":{\"namespace\":\"d\",\"name\":\"web\"},\"spec\":{\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"port\":80}]}}", NULL);
    put_service("{\"metadata\":{\"namespace\":\"d\",\"name\":\"out\"},\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"example.org\"}}", NULL);
    cr_assert_eq(address_add(OWN, &err), 0, "%s", err.msg);
    cr_assert_eq(address_add(OWN, &err), 0, "twice is fine");
    cr_assert_eq(address_add(OTHER, &err), 0);
    for (int tcp = 0; tcp < 2; tcp++) {
        other_fd[tcp] = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(other_fd[tcp], (struct sockaddr *)&at, sizeof at), 0);
    }
    listen(other_fd[1], 8);
    cr_assert_eq(pthread_create(&thread, NULL, other, NULL), 0);
    snprintf(resolv, sizeof resolv, "/tmp/keelson-dns-test.%d", getpid());
    FILE *f = fopen(resolv, "w");
    fprintf(f, "search x\nnameserver 10.96.0.10\nnameserver 10.96.0.53\n");     /* itself is not asked */
    fclose(f);
    cr_assert_eq(server_start(&zone, NULL, OWN, 53, resolv, &server, &err), 0, "%s", err.msg);
}

static void tear_down(void)
{
    struct sockaddr_in at = place(OTHER, 53);
    server_stop(server);
    sendto(other_fd[0], "x", 1, 0, (struct sockaddr *)&at, sizeof at);
    pthread_join(thread, NULL);
    close(other_fd[0]);
    close(other_fd[1]);
    address_remove(OWN);
    zone_tear_down();
    unlink(resolv);
}

TestSuite(server, .init = set_up, .fini = tear_down);

static int connect_to(int type, uint32_t from)
{
    struct sockaddr_in to = place(OWN, 53), own = place(from, 0);
    struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (from)
        cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
    return fd;
}

static const char *ask_udp(const char *name, ldns_rr_type type)
{
    uint8_t q[DNS_MESSAGE], r[DNS_MESSAGE];
    int fd = connect_to(SOCK_DGRAM, 0);
    size_t n = query(q, name, type);
    cr_assert_eq(send(fd, q, n, 0), (ssize_t)n);
    ssize_t m = recv(fd, r, sizeof r, 0);
    close(fd);
    return m < 0 ? "nothing" : says(r, (size_t)m);
}

static const char *read_tcp(int fd)
{
    uint8_t r[DNS_MESSAGE], head[2];
    if (recv(fd, head, 2, MSG_WAITALL) != 2)
        return "nothing";
    size_t n = (size_t)(head[0] << 8 | head[1]);
    return recv(fd, r, n, MSG_WAITALL) == (ssize_t)n ? says(r, n) : "cut short";
}

Test(server, by_udp)
{
    cr_expect_str_eq(ask_udp("web.d.svc.cluster.local", LDNS_RR_TYPE_A), "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    cr_expect_str_eq(ask_udp("x.d.svc.cluster.local", LDNS_RR_TYPE_A), "NXDOMAIN aa; SOA");
}

Test(server, by_tcp_several_in_one_connection)
{
    static const char *const names[] = { "web.d.svc.cluster.local", "example.org", "x.svc.cluster.local" };
    uint8_t all[DNS_MESSAGE];
    size_t n = 0;
    int fd = connect_to(SOCK_STREAM, 0);
    for (int i = 0; i < 3; i++) {
        size_t m = query(all + n + 2, names[i], LDNS_RR_TYPE_A);
        all[n] = (uint8_t)(m >> 8);
        all[n + 1] = (uint8_t)m;
        n += m + 2;
    }
    for (size_t i = 0; i < n; i += 7) { /* in pieces */
        send(fd, all + i, n - i < 7 ? n - i : 7, 0);
        usleep(500);
    }
    cr_expect_str_eq(read_tcp(fd), "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    cr_expect_str_eq(read_tcp(fd), "NOERROR; example.org. 9 IN A 192.0.2.7");
    cr_expect_str_eq(read_tcp(fd), "NXDOMAIN aa; SOA");
    close(fd);
}

Test(server, asks_others)
{
    cr_expect_str_eq(ask_udp("example.org", LDNS_RR_TYPE_A), "NOERROR; example.org. 9 IN A 192.0.2.7");
    cr_expect_str_eq(ask_udp("out.d.svc.cluster.local", LDNS_RR_TYPE_A),
                     "NOERROR; example.org. 9 IN A 192.0.2.7; out.d.svc.cluster.local. 5 IN CNAME example.org.");
    cr_expect_str_eq(ask_udp("silent.example.org", LDNS_RR_TYPE_A), "SERVFAIL");
}

Test(server, whom_it_does_not_know_gets_nothing)
{
    struct kl_err err;
    uint8_t q[DNS_MESSAGE], r[DNS_MESSAGE];
    kl_err_init(&err);
    cr_assert_eq(address_add(0xc0000205U, &err), 0);    /* 192.0.2.5: no pod, not the node's own */
    size_t n = query(q, "web.d.svc.cluster.local", LDNS_RR_TYPE_A);
    int fd = connect_to(SOCK_DGRAM, 0xc0000205U);
    cr_assert_eq(send(fd, q, n, 0), (ssize_t)n);
    cr_expect_str_eq(ask_udp("web.d.svc.cluster.local", LDNS_RR_TYPE_A), "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    cr_expect_eq(recv(fd, r, sizeof r, MSG_DONTWAIT), -1, "the later question was answered, the earlier one not");
    close(fd);
}

Test(server, connections_that_break_off)
{
    uint8_t q[DNS_MESSAGE];
    for (int i = 0; i < 50; i++) {
        int fd = connect_to(SOCK_STREAM, 0);
        size_t n = query(q + 2, i % 2 ? "silent.example.org" : "web.d.svc.cluster.local", LDNS_RR_TYPE_A);
        q[0] = 0;
        q[1] = (uint8_t)n;
        send(fd, q, i % 3 ? n + 2 : 5, 0);
        struct linger now = { 1, 0 };
        if (i % 5 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
    cr_expect_str_eq(ask_udp("web.d.svc.cluster.local", LDNS_RR_TYPE_A), "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
}

/* Whoever starts a process copies every socket into it, and for a moment they are open there when they are closed here: nothing of a connection that is gone may come then. */
Test(server, a_process_that_holds_its_sockets)
{
    uint8_t q[DNS_MESSAGE];
    int fd[20], hold[2];
    cr_assert_eq(pipe(hold), 0);
    size_t n = query(q + 2, "web.d.svc.cluster.local", LDNS_RR_TYPE_A);
    q[0] = 0;
    q[1] = (uint8_t)n;
    for (int i = 0; i < 20; i++) {
        fd[i] = connect_to(SOCK_STREAM, 0);
        send(fd[i], q, n + 2, 0);
        cr_expect_str_eq(read_tcp(fd[i]), "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    }
    pid_t child = fork();
    if (child == 0) {
        char c;
        close(hold[1]);
        _exit((int)read(hold[0], &c, 1));
    }
    cr_assert_gt(child, 0);
    for (int i = 0; i < 20; i++) {
        shutdown(fd[i], SHUT_RDWR);
        close(fd[i]);
    }
    for (int i = 0; i < 200; i++)
        cr_expect_str_eq(ask_udp("web.d.svc.cluster.local", LDNS_RR_TYPE_A), "NOERROR aa; web.d.svc.cluster.local. 5 IN A 10.96.0.9");
    close(hold[1]);
    close(hold[0]);
    cr_expect_eq(waitpid(child, NULL, 0), child);
}
