/* credential.c - see credential.h. */
#include "cli/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define CSRS       "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define CALL_NS    (30 * NS_PER_S)
#define LOOK_NS    NS_PER_S             /* at a request that is not signed yet, at first */
#define LOOK_MOST  (15 * NS_PER_S)
#define RETRY_NS   (2 * NS_PER_S)
#define RETRY_MOST (300 * NS_PER_S)
#define PATIENCE   (900 * NS_PER_S)     /* then another request is made */
#define HOUR_NS    (3600 * NS_PER_S)
#define BODY_MOST  (1u << 20)

enum step { STEP_IDLE, STEP_ASK, STEP_LOOK };

struct credential {
    struct credential_conf conf;
    struct http_client *http;
    const char *token;
    struct arena *own;                  /* of what counts */
    struct str cert, key;
    int64_t since_s, until_s;           /* wall */
    double share;                       /* of its life, after which another is asked for */
    struct arena *next;                 /* of what is asked for */
    struct str next_key, name;          /* name: of the request */
    int64_t asked_ns, wait_ns;
    enum step step;
    struct loop_timer timer;
    struct http_call *call;
    int status;
    struct buf body;
    bool running;
};

static void step(void *ctx);

static void in(struct credential *k, int64_t ns)
{
    loop_timer_start(k->conf.loop, &k->timer, ns, step, k);
}

/* --- the file --- */

static bool take(struct credential *k, struct str cert, struct str key, int64_t since_s)
{
    int64_t until;
    uint32_t any;
    struct arena *a = arena_new(0);
    struct str c = a ? arena_str(a, cert) : STR_NONE, p = a ? arena_str(a, key) : STR_NONE;
    if (!c.at || !p.at || !csr_certificate(c, p, &until) || until * NS_PER_S <= env_wall_ns()) {
        arena_free(a);
        return false;
    }
    arena_free(k->own);
    k->own = a;
    k->cert = c;
    k->key = p;
    k->until_s = until;
    k->since_s = since_s;
    env_random(&any, sizeof any);
    k->share = 0.7 + 0.2 * (double)any / (double)UINT32_MAX;
    return true;
}

/* What a certificate says of its beginning is backdated, because clocks differ: its life is counted from when it came. */
static void load(struct credential *k)
{
    char text[65536];
    struct stat st;
    _cleanup_close_ int fd = open(k->conf.file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 && fstat(fd, &st) == 0 ? read(fd, text, sizeof text) : -1;
    if (n > 0)
        take(k, str_n(text, (size_t)n), str_n(text, (size_t)n), (int64_t)st.st_mtime);
}

static int save(const struct credential *k)
{
    char temp[4200];
    snprintf(temp, sizeof temp, "%.4180s.tmp", k->conf.file);
    _cleanup_close_ int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, k->cert.at, k->cert.len) == (ssize_t)k->cert.len && write(fd, "\n", 1) == 1 &&
              write(fd, k->key.at, k->key.len) == (ssize_t)k->key.len && fsync(fd) == 0 && rename(temp, k->conf.file) == 0;
    if (!ok)
        log_error("agent", "'%s' cannot be written: %s", k->conf.file, strerror(errno));
    return ok ? 0 : -1;
}

struct str credential_cert(const struct credential *k)
{
    return k->cert;
}

struct str credential_key(const struct credential *k)
{
    return k->key;
}

void credential_adopt(struct credential *k, struct str cert, struct str key, int64_t since_s)
{
    int64_t until;
    if (csr_certificate(cert, key, &until) && until > k->until_s)
        take(k, cert, key, since_s);
}

/* --- when --- */

/* Somewhere between 70 and 90 % of its life, so that nodes made together do not all ask together. */
static int64_t renew_in(const struct credential *k)
{
    if (!k->cert.at)
        return 0;
    double life = (double)(k->until_s - k->since_s) * k->share;
    int64_t at = (int64_t)(((double)k->since_s + (life > 0 ? life : 0)) * (double)NS_PER_S), left = at - env_wall_ns();
    return left > 0 ? left : 0;
}

/* The wall clock may be set meanwhile: it is looked at again each hour. */
static void rest(void *ctx)
{
    struct credential *k = ctx;
    int64_t left = renew_in(k);
    k->next = arena_free(k->next);
    k->step = STEP_ASK;
    k->wait_ns = 0;
    if (left > HOUR_NS)
        loop_timer_start(k->conf.loop, &k->timer, HOUR_NS, rest, k);
    else
        in(k, left);
}

static void retry(struct credential *k, const char *why)
{
    k->wait_ns = k->wait_ns ? k->wait_ns * 2 : RETRY_NS;
    if (k->wait_ns > RETRY_MOST)
        k->wait_ns = RETRY_MOST;
    log_warn("agent", "certificate of %s: %s; again in %lld s", k->conf.signer, why, (long long)(k->wait_ns / NS_PER_S));
    k->next = arena_free(k->next);
    k->step = STEP_ASK;
    in(k, k->wait_ns);
}

/* --- calls --- */

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct credential *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct credential *)ctx)->body, bytes);
}

static void asked(struct credential *k, const struct val *v)
{
    char why[300];
    k->name = arena_str(k->next, json_str(v, "metadata.name"));
    if (k->status != 201 || !k->name.len) {
        snprintf(why, sizeof why, "the server answers %d: " STR_FMT, k->status, STR_ARG(json_str(v, "message")));
        retry(k, why);
        return;
    }
    log_info("agent", "asked for a certificate of %s: request " STR_FMT, k->conf.signer, STR_ARG(k->name));
    k->asked_ns = env_mono_ns();
    k->wait_ns = 0;
    k->step = STEP_LOOK;
    in(k, LOOK_NS / 5);
}

static const char *refused(const struct val *v)
{
    const struct val *list = json_path(v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Denied") || str_is(json_str(c, "type"), "Failed"))
                return str_is(json_str(c, "type"), "Denied") ? "the request was denied" : "the signer cannot sign the request";
    return NULL;
}

static void signed_now(struct credential *k, struct str cert)
{
    if (!take(k, cert, k->next_key, env_wall_ns() / NS_PER_S)) {
        retry(k, "what was signed is not for the key that was asked for");
        return;
    }
    save(k);
    log_info("agent", "there is a new certificate of %s, for %lld s", k->conf.signer, (long long)(k->until_s - k->since_s));
    rest(k);
    k->conf.changed(k->conf.ctx);
}

static void looked(struct credential *k, const struct val *v)
{
    struct str cert = csr_unbase64(k->next, json_str(v, "status.certificate"));
    const char *why = refused(v);
    if (cert.len) {
        signed_now(k, cert);
    } else if (why || k->status == 404 || env_mono_ns() - k->asked_ns > PATIENCE) {
        retry(k, why ? why : "the request is gone, or nobody has approved it");
    } else {
        k->wait_ns = k->wait_ns ? k->wait_ns * 2 : LOOK_NS;
        if (k->wait_ns > LOOK_MOST)
            k->wait_ns = LOOK_MOST;
        in(k, k->wait_ns);
    }
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct credential *k = ctx;
    _cleanup_arena_ struct arena *a = arena_new(4u << 20);
    k->call = NULL;
    struct val *v = a && !err ? json_parse(a, buf_str(&k->body), NULL) : NULL;
    if (err && k->step == STEP_ASK)
        retry(k, err->msg);
    else if (err || !v)
        in(k, LOOK_MOST);               /* the request stands */
    else if (k->step == STEP_ASK)
        asked(k, v);
    else
        looked(k, v);
    buf_free(&k->body);
}

static void call(struct credential *k, const char *method, const char *path, struct str body)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct http_header h[3] = { { STR("accept"), STR("application/json") }, { STR("content-type"), STR("application/json") } };
    char bearer[512];
    unsigned n = 2;
    if (k->token) {
        snprintf(bearer, sizeof bearer, "Bearer %s", k->token);
        h[n++] = (struct http_header){ STR("authorization"), str_of(bearer) };
    }
    k->status = 0;
    k->body = (struct buf)BUF_INIT(BODY_MOST);
    k->call = http_call_new(k->http, method, path, h, n, body, CALL_NS, &ev, k);
    if (!k->call)
        retry(k, "out of memory");
}

static struct str request_text(struct credential *k, struct str request)
{
    struct arena *a = k->next;
    _cleanup_buf_ struct buf b = BUF_INIT(BODY_MOST);
    struct val *v = val_new(a, VAL_OBJ), *spec = json_obj(a, v, STR("spec")), *usages = json_arr(a, spec, STR("usages"));
    json_set_str(a, v, STR("apiVersion"), STR("certificates.k8s.io/v1"));
    json_set_str(a, v, STR("kind"), STR("CertificateSigningRequest"));
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("generateName"), STR("csr-"));
    json_set_str(a, spec, STR("signerName"), str_of(k->conf.signer));
    json_set_str(a, spec, STR("request"), csr_base64(a, request));
    val_push(usages, val_of_str(a, STR("digital signature")));
    val_push(usages, val_of_str(a, str_of(k->conf.usage)));
    if (arena_exhausted(a))
        return STR_NONE;
    json_write(&b, v);
    return b.failed ? STR_NONE : arena_str(a, buf_str(&b));
}

static void ask(struct credential *k)
{
    struct kl_err err;
    struct str request = STR_NONE, text;
    kl_err_init(&err);
    arena_free(k->next);
    k->next = arena_new(0);
    int rc = k->next ? csr_make(k->next, &k->conf.wish, &k->next_key, &request, &err) : kl_err_set(&err, KL_NO_MEMORY, "out of memory");
    text = rc == 0 ? request_text(k, request) : STR_NONE;
    if (text.at)
        call(k, "POST", CSRS, text);
    else
        retry(k, err.code ? err.msg : "out of memory");
}

static void look(struct credential *k)
{
    char path[400];
    snprintf(path, sizeof path, CSRS "/" STR_FMT, STR_ARG(k->name));
    call(k, "GET", path, STR(""));
}

static void step(void *ctx)
{
    struct credential *k = ctx;
    (k->step == STEP_LOOK ? look : ask)(k);
}

/* --- life --- */

struct credential *credential_new(const struct credential_conf *c)
{
    struct credential *k = mem_alloc(sizeof *k);
    if (!k)
        return NULL;
    k->conf = *c;
    load(k);
    return k;
}

void credential_run(struct credential *k, struct http_client *http, const char *token)
{
    k->http = http;
    k->token = token;
    if (k->running)
        return;
    k->running = true;
    rest(k);
}

void credential_stop(struct credential *k)
{
    if (!k || !k->running)
        return;
    k->running = false;
    loop_timer_stop(&k->timer);
    if (k->call) {
        http_call_cancel(k->call);
        buf_free(&k->body);
    }
    k->call = NULL;
    k->next = arena_free(k->next);
    k->step = STEP_IDLE;
}

void credential_free(struct credential *k)
{
    if (!k)
        return;
    credential_stop(k);
    arena_free(k->own);
    mem_free(k);
}
