/* network.c - as of release 0.1: a network that hands out addresses of the node's range and makes nothing. What a real one makes per pod belongs where the
 * comments say so. */
#define _GNU_SOURCE                     /* memmem */
#include <arpa/inet.h>
#include <keelson/iface/network.h>
#include <pthread.h>
#include <stdlib.h>

#define PODS 250u

struct conf {
    const char *range;
};

struct pod {
    char uid[64];                       /* "": free */
};

struct network {
    pthread_mutex_t lock;               /* attach, detach and list come many at once */
    uint32_t first;                     /* address of pods[0] */
    struct pod pods[PODS];
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf *x = conf;
    struct in_addr a;
    struct network *n = calloc(1, sizeof *n);
    (void)h;
    if (!n)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (inet_pton(AF_INET, x->range, &a) != 1) {
        free(n);
        return kl_fail(c, KL_INVALID, "'%s' is no IPv4 address", x->range);
    }
    n->first = ntohl(a.s_addr) + 2;
    pthread_mutex_init(&n->lock, NULL);
    *self = n;
    return 0;
}

static void close_(void *self)
{
    struct network *n = self;
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static int configure(void *self, struct kl_call *c, struct kl_bytes config)
{
    (void)self;
    (void)c;
    (void)config;                       /* bridge and routes: here. What is there already is kept */
    return 0;
}

/* The text member "uid" of a flat object. */
static int uid_of(struct kl_bytes pod, char ret[64], struct kl_call *c)
{
    static const char member[] = "\"uid\":\"";
    const char *at = (const char *)memmem(pod.at, pod.len, member, sizeof member - 1), *end = NULL;
    if (at)
        end = (const char *)memchr(at + sizeof member - 1, '"', (size_t)(pod.at + pod.len - at) - (sizeof member - 1));
    size_t n = end ? (size_t)(end - at) - (sizeof member - 1) : 0;
    if (!n || n >= 64)
        return kl_fail(c, KL_INVALID, "the pod has no uid");
    memcpy(ret, at + sizeof member - 1, n);
    ret[n] = '\0';
    return 0;
}

static struct pod *find(struct network *n, const char *uid)
{
    for (unsigned i = 0; i < PODS; i++)
        if (strcmp(n->pods[i].uid, uid) == 0)
            return &n->pods[i];
    return NULL;
}

static int describe(const struct network *n, const struct pod *p, char *to, size_t room)
{
    struct in_addr a = { htonl(n->first + (uint32_t)(p - n->pods)) };
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &a, ip, sizeof ip);
    return snprintf(to, room, "{\"uid\":\"%s\",\"netns\":\"\",\"ips\":[\"%s\"]}", p->uid, ip);
}

/* The same pod again gets the same address. */
static int attach(void *self, struct kl_call *c, struct kl_bytes pod, struct kl_bytes *ret)
{
    struct network *n = self;
    char uid[64], text[256];
    int rc = uid_of(pod, uid, c);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&n->lock);
    struct pod *p = find(n, uid);
    if (!p && (p = find(n, "")))
        snprintf(p->uid, sizeof p->uid, "%s", uid);          /* namespace and link: here */
    int len = p ? describe(n, p, text, sizeof text) : 0;
    pthread_mutex_unlock(&n->lock);
    if (!p)
        return kl_fail(c, KL_UNAVAILABLE, "all %u addresses are taken", PODS);
    *ret = (struct kl_bytes){ kl_dup(c, text, (size_t)len), (size_t)len };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int detach(void *self, struct kl_call *c, const char *uid)
{
    struct network *n = self;
    (void)c;
    pthread_mutex_lock(&n->lock);
    struct pod *p = *uid ? find(n, uid) : NULL;
    if (p)
        p->uid[0] = '\0';
    pthread_mutex_unlock(&n->lock);
    return 0;                           /* without attach: success */
}

static int list(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct network *n = self;
    size_t room = PODS * 160 + 32, len = 0;
    char *text = kl_alloc(c, room);
    if (!text)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    len += (size_t)snprintf(text, room, "{\"pods\":[");
    pthread_mutex_lock(&n->lock);
    for (unsigned i = 0; i < PODS; i++)
        if (n->pods[i].uid[0]) {
            if (text[len - 1] == '}')
                text[len++] = ',';
            len += (size_t)describe(n, &n->pods[i], text + len, room - len);
        }
    pthread_mutex_unlock(&n->lock);
    len += (size_t)snprintf(text + len, room - len, "]}");
    *ret = (struct kl_bytes){ text, len };
    return 0;
}

static int teardown(void *self, struct kl_call *c)
{
    struct network *n = self;
    (void)c;
    pthread_mutex_lock(&n->lock);
    memset(n->pods, 0, sizeof n->pods);
    pthread_mutex_unlock(&n->lock);
    return 0;
}

static const struct kl_network table = {
    .size = sizeof table, .life = { .open = open_, .close = close_ }, .configure = configure, .attach = attach, .detach = detach, .list = list, .teardown = teardown,
};
static const struct kl_provider provides[] = { { KL_NETWORK_0, "old-network", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "range", .type = KL_CONF_STR, .offset = offsetof(struct conf, range), .fallback = "10.244.0.0", .doc = "where its 250 addresses begin" },
};

KL_PLUGIN_DEFINE("org.example.old-network", "0.1.0", "keelson.network/0:old-network", "", .summary = "addresses without a network", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
