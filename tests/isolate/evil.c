/* evil.c - a plugin of every interface that misbehaves at one call of them, as its settings say; every other call is answered well. Made by the signature
 * lists: a new call is in the matrix by being there. */
#include <keelson/cel.h>
#include <keelson/iface/audit.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/controller.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>
#include <keelson/iface/volume.h>
#include <keelson/signature.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct conf {
    const char *call, *how, *once;
};

/* Static: `examine` has no self. One process, one instance. */
static const struct conf *conf;
static const struct kl_host *host;

#pragma GCC diagnostic ignored "-Wanalyzer-infinite-recursion"
static void hang(void)
{
    for (;;)
        pause();
}

static void crash(void)
{
    *(volatile int *)(uintptr_t)16 = 1;
}

static void leave(void)
{
    exit(3);
}

static void leak(void)
{
    for (int i = 0; i < 2048; i++)
        if (mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
            break;
    abort();
}

static void flood(void)
{
    while (open("/dev/null", O_RDONLY) >= 0) { }
    if (open("/dev/null", O_RDONLY) < 0)
        abort();
}

static void on_signal(int signum)
{
    (void)signum;
}

/* The fault comes again each time its handler returns. */
static void steal(void)
{
    for (int i = 1; i < 65; i++)
        signal(i, on_signal);
    crash();
}

static volatile int depth;
static int deeper(volatile char *above)
{
    volatile char here[4096];
    here[0] = above[0];
    depth++;
    return deeper(here) + here[1];
}

static void overflow(void)
{
    volatile char c = 1;
    depth = deeper(&c);
}

/* All that this process can write and the daemon reads: whoever believes it is lost. */
static void scribble(void)
{
    char line[512];
    unsigned long from, to;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        if (strstr(line, "keelson-plugin") && sscanf(line, "%lx-%lx", &from, &to) == 2)
            memset((void *)from, 0xa5, to - from);
    char *heap = malloc(64);
    memset(heap, 0xa5, 4096);
    free(heap);
    abort();
}

static void late(void)
{
    const struct timespec long_time = { 5, 0 };
    nanosleep(&long_time, NULL);
}

static void bomb(void)
{
    for (int i = 0; i < 40; i++)
        if (fork() == 0)
            hang();
    hang();
}

static const struct {
    const char *how;
    void (*act)(void);
} ways[] = {
    { "crash", crash }, { "hang", hang }, { "exit", leave }, { "leak", leak }, { "flood", flood }, { "steal", steal }, { "overflow", overflow },
    { "scribble", scribble }, { "late", late }, { "bomb", bomb },
};

/* 1: the answer must be wrong. */
static int act(const char *call)
{
    if (!conf || !conf->call || strcmp(conf->call, call) != 0)
        return 0;
    if (conf->once && conf->once[0] && unlink(conf->once) < 0)
        return 0;
    if (strcmp(conf->how, "wrong") == 0)
        return 1;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].how, conf->how) == 0)
            ways[i].act();
    return 0;
}

/* --- every call --- */

#define WILD ((const void *)(uintptr_t)24)
#define SPOIL(...) KL_SIG_EACH(SPOIL_ONE, __VA_ARGS__)
#define SPOIL_ONE(kind, name, of) KL_SIG_CAT(SPOIL_, KL_SIG_IS_NONE(kind))(kind, name)
#define SPOIL_0(kind, name) SPOIL_##kind(name)
#define SPOIL_1(kind, name)
#define SPOIL_CALL(n)       memset(&n->err, 0xa5, sizeof n->err);
#define SPOIL_HANDLE(n)
#define SPOIL_TABLE(n)
#define SPOIL_I32(n)
#define SPOIL_U32(n)
#define SPOIL_I64(n)
#define SPOIL_U64(n)
#define SPOIL_SIZE(n)
#define SPOIL_FD(n)
#define SPOIL_STR(n)
#define SPOIL_STRS(n)
#define SPOIL_BYTES(n)
#define SPOIL_BYTES_LIST(n)
#define SPOIL_STRUCT(n)
#define SPOIL_STRUCTS(n)
#define SPOIL_OUT_HANDLE(n)  if (n) memset(n, 0xff, sizeof *n);
#define SPOIL_OUT_I32(n)     if (n) *n = INT32_MIN;
#define SPOIL_OUT_U32(n)     if (n) *n = UINT32_MAX;
#define SPOIL_OUT_I64(n)     if (n) *n = INT64_MIN;
#define SPOIL_OUT_FD(n)      if (n) *n = 12345;
#define SPOIL_OUT_STR(n)     if (n) *n = WILD;
#define SPOIL_OUT_STRS(n)    if (n) *n = WILD;
#define SPOIL_OUT_BYTES(n)   if (n) *n = (struct kl_bytes){ WILD, 100 };
#define SPOIL_OUT_MEMORY(n)
#define SPOIL_OUT_STRUCT(n)  if (n) memset(n, 0xa5, sizeof *n);
#define SPOIL_OUT_STRUCTS(n) if (n) *n = WILD;

#define WRONG_VOID
#define WRONG_INT INT32_MIN
#define WRONG_U64 UINT64_MAX
#define WRONG_I64 INT64_MIN
#define WRONG_STR (const char *)WILD
#define RIGHT_VOID
/* That a node fits, and that a review is wanted. */
#define RIGHT_INT (strcmp(__func__, "kl_scheduler_fit") == 0 || strcmp(__func__, "kl_admission_wants") == 0)
#define RIGHT_U64 0
#define RIGHT_I64 0
#define RIGHT_STR "evil"

#define FUNCTION(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name(void *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        (void)self; \
        if (act(#S "." #name)) { \
            SPOIL(__VA_ARGS__) \
            return WRONG_##result; \
        } \
        return RIGHT_##result; \
    }
#define POINTER(S, name, ...) .name = S##_##name,

static int evil_open(const struct kl_host *h, const void *c, void **self, struct kl_call *call)
{
    (void)call;
    conf = c;
    host = h;
    *self = (void *)(uintptr_t)conf;
    return act("open") ? INT32_MIN : 0;
}

static int evil_probe(void *self, struct kl_call *c)
{
    (void)self;
    (void)c;
    return act("probe") ? INT32_MIN : 0;
}

static int evil_reconfigure(void *self, const void *c, struct kl_call *call)
{
    (void)self;
    (void)c;
    (void)call;
    return act("reconfigure") ? INT32_MIN : 0;
}

static void evil_close(void *self)
{
    (void)self;
    act("close");
}

#define LIFE .life = { .open = evil_open, .reconfigure = evil_reconfigure, .probe = evil_probe, .close = evil_close }
#define TABLE(T, CALLS, ...) \
    CALLS(FUNCTION, T) \
    static const struct T T##_evil = { .size = sizeof(struct T), LIFE, CALLS(POINTER, T) __VA_ARGS__ };

static const char *const pods[] = { "/pods", NULL };
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), "/configmaps", NULL, NULL } };

TABLE(kl_scheduler, KL_SCHEDULER_CALLS)
TABLE(kl_authn, KL_AUTHN_CALLS)
TABLE(kl_authz, KL_AUTHZ_CALLS)
TABLE(kl_admission, KL_ADMISSION_CALLS, .resources = pods, .operations = "CREATE")
TABLE(kl_controller, KL_CONTROLLER_CALLS, .watches = KL_ARRAY_OF(watches))
TABLE(kl_audit, KL_AUDIT_CALLS)
TABLE(kl_network, KL_NETWORK_CALLS)
TABLE(kl_node, KL_NODE_CALLS)
TABLE(kl_proxy, KL_PROXY_CALLS)
TABLE(kl_runtime, KL_RUNTIME_CALLS)
TABLE(kl_store, KL_STORE_CALLS)
TABLE(kl_volume, KL_VOLUME_CALLS)

static const struct kl_provider provides[] = {
    { KL_SCHEDULER_0, "evil-scheduler", -100, &kl_scheduler_evil }, { KL_AUTHN_0, "evil-authn", -100, &kl_authn_evil }, { KL_AUTHZ_0, "evil-authz", -100, &kl_authz_evil },
    { KL_ADMISSION_0, "evil-admission", -100, &kl_admission_evil }, { KL_CONTROLLER_0, "evil-controller", -100, &kl_controller_evil }, { KL_AUDIT_0, "evil-audit", -100, &kl_audit_evil },
    { KL_NETWORK_0, "evil-network", -100, &kl_network_evil }, { KL_NODE_0, "evil-node", -100, &kl_node_evil }, { KL_PROXY_0, "evil-proxy", -100, &kl_proxy_evil },
    { KL_RUNTIME_0, "evil-runtime", -100, &kl_runtime_evil }, { KL_STORE_0, "evil-store", -100, &kl_store_evil },
    { KL_VOLUME_0, "evil-volume", -100, &kl_volume_evil },
};
static const struct kl_conf_field fields[] = {
    { "call", KL_CONF_STR, offsetof(struct conf, call), 0, NULL, 0, 0, NULL, "kl_scheduler.score, ..., open, probe, reconfigure, close" },
    { "how", KL_CONF_STR, offsetof(struct conf, how), 0, "crash", 0, 0, NULL, "crash, hang, exit, leak, flood, steal, overflow, scribble, late, wrong, bomb" },
    { "once", KL_CONF_STR, offsetof(struct conf, once), 0, "", 0, 0, NULL, "only when this file can be removed" },
};

KL_PLUGIN_DEFINE("dev.keelson.test-evil", "0.1.0",
                 "keelson.scheduler/0:evil-scheduler keelson.authn/0:evil-authn keelson.authz/0:evil-authz keelson.admission/0:evil-admission keelson.controller/0:evil-controller keelson.audit/0:evil-audit "
                 "keelson.network/0:evil-network keelson.node/0:evil-node keelson.proxy/0:evil-proxy keelson.runtime/0:evil-runtime keelson.store/0:evil-store "
                 "keelson.volume/0:evil-volume",
                 "", .summary = "misbehaves", .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
