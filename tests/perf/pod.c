/* pod.c - perf_pod: creates pods one after the other and measures, as a watching client sees it, the time from the request to Running and ready, and
 * from the deletion to its event.
 *
 * usage: perf_pod PORT CERT KEY COUNT BODY     BODY: a pod as JSON, '@' in it becomes a number. Prints "start MS" and "delete MS" a pod.
 */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct line {
    int fd;
    gnutls_session_t tls;
    char *at;
    size_t len, cap;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "perf_pod: %s\n", what);
    exit(1);
}

static void line_open(struct line *l, int port, gnutls_certificate_credentials_t cred)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 30 };
    int on = 1;
    *l = (struct line){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .cap = 1 << 16 };
    l->at = malloc(l->cap);
    if (!l->at || connect(l->fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("cannot connect");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    gnutls_init(&l->tls, GNUTLS_CLIENT);
    gnutls_set_default_priority(l->tls);
    gnutls_credentials_set(l->tls, GNUTLS_CRD_CERTIFICATE, cred);
    gnutls_transport_set_int(l->tls, l->fd);
    if (gnutls_handshake(l->tls) < 0)
        die("no TLS");
}

static void line_close(struct line *l)
{
    gnutls_deinit(l->tls);
    close(l->fd);
    free(l->at);
}

static void line_send(struct line *l, const char *method, const char *path, const char *body)
{
    char head[512];
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", method, path,
                     body ? strlen(body) : 0);
    if (gnutls_record_send(l->tls, head, (size_t)n) < 0 || (body && gnutls_record_send(l->tls, body, strlen(body)) < 0))
        die("cannot send");
}

/* Some more bytes, at the end of what is there. */
static void line_more(struct line *l)
{
    if (l->cap - l->len < 1 << 15) {
        l->cap *= 2;
        l->at = realloc(l->at, l->cap);
        if (!l->at)
            die("out of memory");
    }
    ssize_t n;
    do
        n = gnutls_record_recv(l->tls, l->at + l->len, l->cap - l->len - 1);
    while (n == GNUTLS_E_INTERRUPTED);
    if (n <= 0)
        die("the server fell silent");
    l->len += (size_t)n;
    l->at[l->len] = '\0';
}

/* Takes one answer with a Content-Length off the line. */
static void line_answer(struct line *l)
{
    l->len = 0;
    do
        line_more(l);
    while (!strstr(l->at, "\r\n\r\n"));
    const char *length = strcasestr(l->at, "\r\ncontent-length:"), *body = strstr(l->at, "\r\n\r\n") + 4;
    size_t head = (size_t)(body - l->at), want = length ? (size_t)strtoul(length + 17, NULL, 10) : 0;
    if (strncmp(l->at, "HTTP/1.1 2", 10) != 0)
        die(l->at);
    while (l->len < head + want)
        line_more(l);
}

/* Waits for an event of that pod that holds the words; earlier ones are thrown away. */
static void line_await(struct line *l, const char *name, const char *const *words)
{
    for (;;) {
        char *from = l->at, *end;
        while ((end = memchr(from, '\n', l->len - (size_t)(from - l->at)))) {
            *end = '\0';
            bool is = strstr(from, name) != NULL;
            for (size_t i = 0; is && words[i]; i++)
                is = strstr(from, words[i]) != NULL;
            from = end + 1;
            if (is)
                break;
        }
        size_t left = l->len - (size_t)(from - l->at);
        memmove(l->at, from, left);
        l->len = left;
        l->at[left] = '\0';
        if (end)
            return;
        line_more(l);
    }
}

static void fill(char *ret, size_t cap, const char *text, int number)
{
    size_t n = 0;
    for (; *text && n + 16 < cap; text++)
        n += *text == '@' ? (size_t)snprintf(ret + n, cap - n, "%d", number) : (size_t)snprintf(ret + n, cap - n, "%c", *text);
}

int main(int argc, char **argv)
{
    static const char *const running[] = { "\"phase\":\"Running\"", "\"ready\":true", NULL }, *const gone[] = { "\"type\":\"DELETED\"", NULL };
    static const char pods[] = "/api/v1/namespaces/default/pods";
    gnutls_certificate_credentials_t cred;
    struct line watch, ask;
    if (argc != 6)
        return 2;
    int port = (int)strtol(argv[1], NULL, 10), count = (int)strtol(argv[4], NULL, 10);
    gnutls_certificate_allocate_credentials(&cred);
    if (gnutls_certificate_set_x509_key_file(cred, argv[2], argv[3], GNUTLS_X509_FMT_PEM) < 0)
        die("no certificate");
    line_open(&watch, port, cred);
    line_open(&ask, port, cred);
    line_send(&watch, "GET", "/api/v1/namespaces/default/pods?watch=true&resourceVersion=0", NULL);
    for (int i = 1; i <= count; i++) {
        char body[4096], path[128], name[64];
        fill(body, sizeof body, argv[5], i);
        snprintf(name, sizeof name, "\"name\":\"perf-%d\"", i);
        snprintf(path, sizeof path, "%s/perf-%d", pods, i);
        double from = now_ms();
        line_send(&ask, "POST", pods, body);
        line_answer(&ask);
        line_await(&watch, name, running);
        printf("start %.2f\n", now_ms() - from);
        from = now_ms();
        line_send(&ask, "DELETE", path, NULL);
        line_answer(&ask);
        line_await(&watch, name, gone);
        printf("delete %.2f\n", now_ms() - from);
    }
    line_close(&watch);
    line_close(&ask);
    gnutls_certificate_free_credentials(cred);
    return 0;
}
