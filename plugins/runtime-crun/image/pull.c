/* pull.c - an image from a registry (the OCI distribution protocol): the manifest for this machine, then the blobs that the store has not. They become an OCI layout
 * in tmp/, which is imported as any other is: digests and sizes are checked there, and nothing has a name before all of it is sound.
 */
#include "image/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "image/fetch.h"

#define ACCEPT MEDIA_INDEX ", " MEDIA_MANIFEST ", application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
#define STALL_NS (60 * NS_PER_S)

struct pull {
    struct image_store *s;
    struct arena *a;
    const struct image_pull *q;
    struct kl_err *err;
    const char *base;                   /* "https://registry.example/v2/some/name" */
    const char *authorization;          /* that the registry has asked for */
    char dir[PATH_MAX];
};

/* In front of the reason, where the text has room for both: what went wrong is worth more than where. */
static int about(struct kl_err *err, const char *what, const char *ref)
{
    if (strlen(err->msg) + strlen(what) + strlen(ref) + 6 < sizeof err->msg)
        kl_err_wrap(err, "%s \"%s\"", what, ref);
    return -err->code;
}

/* --- credentials --- */

static const char *basic(struct arena *a, const char *user, const char *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *text = arena_printf(a, "%s:%s", user, password);
    size_t n = text ? strlen(text) : 0, at = 6;
    char *out = arena_alloc(a, n / 3 * 4 + 16);
    if (!text || !out)
        return NULL;
    memcpy(out, "Basic ", 6);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t w = (uint32_t)(unsigned char)text[i] << 16 | (i + 1 < n ? (uint32_t)(unsigned char)text[i + 1] << 8 : 0) |
                     (i + 2 < n ? (unsigned char)text[i + 2] : 0u);
        out[at++] = digits[w >> 18];
        out[at++] = digits[w >> 12 & 63];
        out[at++] = i + 1 < n ? digits[w >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? digits[w & 63] : '=';
    }
    return out;
}

/* key="value" of a challenge. */
static const char *parameter(struct arena *a, const char *challenge, const char *key)
{
    for (const char *p = strchr(challenge, ' '); p;) {
        p += strspn(p, " ,");
        size_t n = strcspn(p, "=");
        const char *value = p[n] == '=' && p[n + 1] == '"' ? p + n + 2 : NULL, *end = value ? strchr(value, '"') : NULL;
        if (!end)
            return NULL;
        if (n == strlen(key) && strncmp(p, key, n) == 0)
            return arena_dup(a, str_n(value, (size_t)(end - value)));
        p = strpbrk(end, ",");
    }
    return NULL;
}

static const char *escaped(struct arena *a, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    for (const char *c = text; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        buf_printf(&b, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    return b.failed ? NULL : arena_dup(a, buf_str(&b));
}

static struct fetch request(const struct pull *p, const char *url, int64_t most)
{
    return (struct fetch){ .url = url, .ca_file = p->q->ca_file, .stall_ns = STALL_NS, .stop = p->q->stop, .stop_ctx = p->q->stop_ctx, .most = most, .to = -1 };
}

static int ask_token(struct pull *p, const char *challenge)
{
    const char *realm = parameter(p->a, challenge, "realm"), *service = parameter(p->a, challenge, "service"), *scope = parameter(p->a, challenge, "scope");
    const char *url = realm ? arena_printf(p->a, "%s%c%s%s%s%s", realm, strchr(realm, '?') ? '&' : '?', service ? "service=" : "",
                                           service ? escaped(p->a, service) : "", scope ? "&scope=" : "", scope ? escaped(p->a, scope) : "") : NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct fetch_answer got;
    if (!url || (strncmp(p->base, "https", 5) == 0 && strncmp(url, "https", 5) != 0))
        return kl_err_set(p->err, KL_INVALID, "the registry asks for a token from '%.100s'", realm ? realm : "");
    struct fetch f = request(p, url, 1 << 19);
    f.body = &b;
    f.authorization = p->q->username ? basic(p->a, p->q->username, p->q->password ? p->q->password : "") : NULL;
    int rc = fetch_get(p->a, &f, &got, p->err);
    if (rc < 0)
        return kl_err_wrap(p->err, "failed to fetch token");
    if (got.status != 200)
        return kl_err_set(p->err, KL_FORBIDDEN, "failed to authorize: failed to fetch token: unexpected status from GET request to %.200s: %d", realm, got.status);
    struct val *v = json_parse(p->a, arena_str(p->a, buf_str(&b)), NULL);
    struct str token = json_str(v, "token").len ? json_str(v, "token") : json_str(v, "access_token");
    p->authorization = token.len ? arena_printf(p->a, "Bearer " STR_FMT, STR_ARG(token)) : NULL;
    return p->authorization ? 0 : kl_err_set(p->err, KL_INVALID, "the token server's answer holds no token");
}

static int authorize(struct pull *p, const char *challenge)
{
    if (challenge && strncasecmp(challenge, "Bearer ", 7) == 0)
        return ask_token(p, challenge);
    if (!challenge || strncasecmp(challenge, "Basic", 5) != 0)
        return kl_err_set(p->err, KL_UNSUPPORTED, "the registry asks for credentials of a kind that is not known");
    if (!p->q->username)
        return kl_err_set(p->err, KL_FORBIDDEN, "authorization failed: no basic auth credentials");
    p->authorization = basic(p->a, p->q->username, p->q->password ? p->q->password : "");
    return p->authorization ? 0 : kl_err_set(p->err, KL_NO_MEMORY, "out of memory");
}

/* --- what the registry has --- */

static int get(struct pull *p, const char *tail, const char *accept, int64_t most, int to, struct buf *body)
{
    struct fetch_answer got;
    struct fetch f = request(p, arena_printf(p->a, "%s/%s", p->base, tail), most);
    f.accept = accept;
    f.to = to;
    f.body = body;
    for (int i = 0; i < 2; i++) {
        f.authorization = p->authorization;
        int rc = f.url ? fetch_get(p->a, &f, &got, p->err) : kl_err_set(p->err, KL_NO_MEMORY, "out of memory");
        if (rc < 0 || got.status == 200)
            return rc;
        if (got.status != 401 || i)
            break;
        rc = authorize(p, got.challenge);
        if (rc < 0)
            return rc;
    }
    if (got.status == 404)
        return kl_err_set(p->err, KL_NOT_FOUND, "%s: not found", p->q->ref);
    if (got.status == 401 || got.status == 403)
        return kl_err_set(p->err, KL_FORBIDDEN, "pull access denied, repository does not exist or may require authorization: the registry answers %d", got.status);
    return kl_err_set(p->err, got.status == 429 ? KL_TOO_MANY_REQUESTS : KL_UNAVAILABLE, "unexpected status from GET request to %.300s: %d", f.url, got.status);
}

static int put_blob(struct pull *p, const char *digest, struct str text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3900s/blobs/sha256/%.64s", p->dir, digest_hex(digest));
    return fs_write(AT_FDCWD, path, text, false, p->err);
}

/* A manifest or index: text and digest. want "": whatever it is. */
static int get_manifest(struct pull *p, const char *tag_or_digest, const char *want, struct val **ret, char ret_digest[DIGEST_TEXT], int64_t *ret_size)
{
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST + 65536);
    int rc = get(p, arena_printf(p->a, "manifests/%s", tag_or_digest), ACCEPT, DOCUMENT_MOST, -1, &b);
    if (rc < 0)
        return rc;
    if (!digest_of(buf_str(&b), ret_digest))
        return kl_err_set(p->err, KL_NO_MEMORY, "out of memory");
    if (want[0] && strcmp(want, ret_digest) != 0)
        return kl_err_set(p->err, KL_CORRUPT, "the manifest is not what its digest says: it is '%s'", ret_digest);
    *ret_size = (int64_t)b.len;
    struct str text = arena_str(p->a, buf_str(&b));
    *ret = text.at ? json_parse(p->a, text, p->err) : NULL;
    if (!*ret)
        return text.at ? kl_err_wrap(p->err, "manifest") : kl_err_set(p->err, KL_NO_MEMORY, "out of memory");
    return put_blob(p, ret_digest, text);
}

/* The one of an index that runs here. */
static const struct val *choose(const struct val *index)
{
    const struct val *list = json_get(index, STR("manifests"));
    if (val_is(list, VAL_ARR))
        val_each(d, list)
            if (str_is(json_str(d, "platform.os"), "linux") && str_is(json_str(d, "platform.architecture"), manifest_arch()))
                return d;
    return NULL;
}

static int get_blob(struct pull *p, const struct val *descriptor)
{
    struct str digest;
    int64_t size;
    char z[DIGEST_TEXT], path[PATH_MAX];
    if (!descriptor_check(descriptor, &digest, &size))
        return kl_err_set(p->err, KL_INVALID, "a descriptor has no valid digest and size");
    snprintf(z, sizeof z, STR_FMT, STR_ARG(digest));
    if (blob_there(p->s, z))
        return 0;
    snprintf(path, sizeof path, "%.3900s/blobs/sha256/%.64s", p->dir, digest_hex(z));
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return kl_err_set(p->err, KL_INTERNAL, "cannot make '%s': %s", path, strerror(errno));
    int rc = get(p, arena_printf(p->a, "blobs/%s", z), NULL, size, fd, NULL);
    return rc < 0 ? about(p->err, "blob", z) : 0;
}

static int get_all(struct pull *p, const char *tag, const char *want, char top[DIGEST_TEXT])
{
    struct val *doc = NULL, *index = val_new(p->a, VAL_OBJ), *entry = NULL;
    char digest[DIGEST_TEXT], path[PATH_MAX];
    int64_t size = 0;
    int rc = get_manifest(p, want[0] ? want : tag, want, &doc, digest, &size);
    memcpy(top, digest, DIGEST_TEXT);
    if (rc == 0 && manifest_is_index(doc)) {
        const struct val *one = choose(doc);
        char *inner = one ? arena_dup(p->a, json_str(one, "digest")) : NULL;
        if (!inner || !digest_valid(str_of(inner)))
            return kl_err_set(p->err, KL_NOT_FOUND, "no match for platform in manifest: not found (linux/%s)", manifest_arch());
        rc = get_manifest(p, inner, inner, &doc, digest, &size);
    }
    if (rc < 0)
        return about(p->err, "failed to resolve reference", p->q->ref);
    rc = manifest_check(doc, p->err);
    if (rc == 0)
        rc = get_blob(p, json_get(doc, STR("config")));
    for (const struct val *l = rc == 0 ? json_get(doc, STR("layers"))->first : NULL; rc == 0 && l; l = l->next)
        rc = get_blob(p, l);
    if (rc < 0)
        return rc;
    entry = val_push(json_arr(p->a, index, STR("manifests")), val_new(p->a, VAL_OBJ));
    json_set_str(p->a, entry, STR("mediaType"), STR(MEDIA_MANIFEST));
    json_set_str(p->a, entry, STR("digest"), arena_str(p->a, str_of(digest)));
    json_set_int(p->a, entry, STR("size"), size);
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    json_write(&b, index);
    snprintf(path, sizeof path, "%.3900s/index.json", p->dir);
    return fs_write(AT_FDCWD, path, buf_str(&b), false, p->err);
}

/* --- where it is --- */

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

/* "registry/some/name": false when the registry is this machine's own store. */
static bool find_registry(struct pull *p, const char *name)
{
    const char *slash = strchr(name, '/');
    char registry[300], host[300];
    if (!slash)
        return false;
    snprintf(registry, sizeof registry, "%.*s", (int)(slash - name), name);
    snprintf(host, sizeof host, "%s", registry);
    char *port = strrchr(host, ':');
    if (strcmp(registry, "localhost") == 0)
        return false;
    if (port && (host[0] != '[' || port[-1] == ']'))
        *port = '\0';
    bool plain = is_loopback(host);
    for (const char *const *i = p->q->insecure; i && *i; i++)
        plain |= strcmp(*i, registry) == 0;
    if (strcmp(registry, "docker.io") == 0)
        snprintf(registry, sizeof registry, "registry-1.docker.io");
    p->base = arena_printf(p->a, "%s://%s/v2/%s", plain ? "http" : "https", registry, slash + 1);
    return p->base != NULL;
}

int image_pull(struct image_store *s, const struct image_pull *q, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct pull p = { .s = s, .a = a, .q = q, .err = err };
    char full[IMAGE_NAME_MOST], name[IMAGE_NAME_MOST], top[DIGEST_TEXT], blobs[PATH_MAX];
    const char *at = strchr(q->ref, '@'), *want = at ? at + 1 : "";
    uint64_t salt;
    int rc = a ? ref_canonical(q->ref, full, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0)
        return rc;
    snprintf(name, sizeof name, "%s", full);
    name[strcspn(name, "@")] = '\0';
    const char *slash = strrchr(name, '/');
    char *tag = strchr(slash ? slash : name, ':');
    if (tag)
        *tag++ = '\0';
    if (!find_registry(&p, name))
        return kl_err_set(err, KL_NOT_FOUND, "image '%.100s' is not in the image store '%.60s', and its name says of no registry; bring it there with "
                          "'keelson image import' or 'keelson image build'", q->ref, s->dir);
    env_random(&salt, sizeof salt);
    snprintf(p.dir, sizeof p.dir, "%.3900s/tmp/pull-%016llx", s->dir, (unsigned long long)salt);
    snprintf(blobs, sizeof blobs, "%.4000s/blobs/sha256", p.dir);
    rc = disk_mkdirs(blobs, 0700, err);
    if (rc == 0)
        rc = get_all(&p, tag ? tag : "latest", want, top);
    if (rc == 0)
        rc = image_adopt(s, a, p.dir, full, err);
    fs_remove(AT_FDCWD, p.dir, NULL);
    return rc < 0 ? about(err, "failed to pull and unpack image", q->ref) : 0;
}
