/* store.c - as of release 0.1: a store. Each commit is one line of a file, written and synced before it is acknowledged; open reads them all.
 *
 * A line: REVISION TYPE KEYBYTES VALUEBYTES KEY VALUE. Values are JSON and hold no line break. */
#include <errno.h>
#include <fcntl.h>
#include <keelson/iface/store.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct conf {
    const char *path;
};

struct record {                         /* sorted by key */
    char *key, *value;
    size_t key_len, value_len;
    uint64_t revision;
};

struct store {
    int fd, broken;                     /* broken: what the file holds is not known since a sync failed */
    uint64_t revision;
    struct record *at;
    size_t n, cap;
};

static int compare(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);
    return c ? c : n < m ? -1 : n > m;
}

/* Where the key is, or where it belongs. */
static size_t place(const struct store *s, const char *key, size_t len)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (compare(s->at[mid].key, s->at[mid].key_len, key, len) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void drop(struct store *s, size_t i)
{
    free(s->at[i].key);
    free(s->at[i].value);
    memmove(&s->at[i], &s->at[i + 1], (--s->n - i) * sizeof *s->at);
}

/* Recovery only: the kernel itself holds what comes later. */
static int put(struct store *s, const char *key, size_t key_len, const char *value, size_t value_len, uint64_t revision)
{
    size_t i = place(s, key, key_len);
    if (i < s->n && compare(s->at[i].key, s->at[i].key_len, key, key_len) == 0)
        drop(s, i);
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct record *at = realloc(s->at, cap * sizeof *at);
        if (!at)
            return -1;
        s->at = at;
        s->cap = cap;
    }
    struct record r = { malloc(key_len + 1), malloc(value_len + 1), key_len, value_len, revision };
    if (!r.key || !r.value) {
        free(r.key);
        free(r.value);
        return -1;
    }
    memcpy(r.key, key, key_len);
    memcpy(r.value, value, value_len);
    memmove(&s->at[i + 1], &s->at[i], (s->n++ - i) * sizeof *s->at);
    s->at[i] = r;
    return 0;
}

static int recover(struct store *s, const char *path, struct kl_call *c)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    unsigned long number = 0;
    int rc = f ? 0 : kl_fail(c, KL_UNAVAILABLE, "'%s' cannot be read: %s", path, strerror(errno));
    for (ssize_t n; rc == 0 && (n = getline(&line, &room, f)) > 0;) {
        unsigned long long revision;
        unsigned type;
        size_t key, value;
        int head = 0;
        number++;
        if (line[n - 1] != '\n')
            break;                      /* torn by a crash: it was never acknowledged */
        if (sscanf(line, "%llu %u %zu %zu %n", &revision, &type, &key, &value, &head) != 4 || (size_t)head + key + 1 + value + 1 != (size_t)n) {
            rc = kl_fail(c, KL_CORRUPT, "'%s', line %lu: no record", path, number);
        } else if (type == KL_STORE_DELETE) {
            size_t i = place(s, line + head, key);
            if (i < s->n && compare(s->at[i].key, s->at[i].key_len, line + head, key) == 0)
                drop(s, i);
        } else if (put(s, line + head, key, line + head + key + 1, value, revision) < 0) {
            rc = kl_fail(c, KL_NO_MEMORY, "out of memory");
        }
        s->revision = rc == 0 ? revision : s->revision;
    }
    free(line);
    if (f)
        fclose(f);
    return rc;
}

static void close_(void *self)
{
    struct store *s = self;
    while (s->n)
        drop(s, s->n - 1);
    free(s->at);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf *x = conf;
    struct store *s = calloc(1, sizeof *s);
    (void)h;
    if (!s)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    s->fd = open(x->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int rc = s->fd < 0 ? kl_fail(c, KL_UNAVAILABLE, "'%s' cannot be opened: %s", x->path, strerror(errno)) :
             flock(s->fd, LOCK_EX | LOCK_NB) < 0 ? kl_fail(c, KL_UNAVAILABLE, "'%s' is used by another process", x->path) : recover(s, x->path, c);
    if (rc < 0) {
        close_(s);
        return rc;
    }
    *self = s;
    return 0;
}

static uint64_t revision(void *self)
{
    return ((struct store *)self)->revision;
}

static int range(void *self, struct kl_call *c, struct kl_bytes after, uint32_t max, const struct kl_store_record **ret, uint32_t *ret_n)
{
    const struct store *s = self;
    size_t i = after.len ? place(s, after.at, after.len) : 0;
    if (after.len && i < s->n && compare(s->at[i].key, s->at[i].key_len, after.at, after.len) == 0)
        i++;
    size_t n = s->n - i < max ? s->n - i : max;
    struct kl_store_record *at = kl_alloc(c, (n + 1) * sizeof *at);
    if (!at)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (size_t k = 0; k < n; k++) {
        const struct record *r = &s->at[i + k];
        at[k] = (struct kl_store_record){ sizeof *at, { r->key, r->key_len }, { r->value, r->value_len }, r->revision };
    }
    *ret = at;
    *ret_n = (uint32_t)n;
    return 0;
}

/* All commits as one text, so that they get to the disk together. */
static char *text_of(const struct kl_store_commit *commits, uint32_t n, size_t *ret_len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_len);
    if (!f)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < commits[i].n; k++) {
            const struct kl_store_op *op = &commits[i].ops[k];
            size_t value = op->type == KL_STORE_DELETE ? 0 : op->value.len;
            fprintf(f, "%llu %d %zu %zu ", (unsigned long long)commits[i].revision, op->type, op->key.len, value);
            fwrite(op->key.at, 1, op->key.len, f);
            fputc(' ', f);
            if (value)
                fwrite(op->value.at, 1, value, f);
            fputc('\n', f);
        }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int append(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    struct store *s = self;
    size_t len = 0;
    if (s->broken)
        return kl_fail(c, KL_UNAVAILABLE, "the file could not be synced; it must be opened anew");
    if (n && commits[0].revision <= s->revision)
        return kl_fail(c, KL_INVALID, "revision %llu is not above %llu", (unsigned long long)commits[0].revision, (unsigned long long)s->revision);
    char *text = text_of(commits, n, &len);
    off_t end = lseek(s->fd, 0, SEEK_END);
    if (!text)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int written = write(s->fd, text, len) == (ssize_t)len, e = errno;
    free(text);
    if (!written && ftruncate(s->fd, end) == 0)
        return kl_fail(c, e == ENOSPC ? KL_STORAGE_FULL : KL_UNAVAILABLE, "nothing was written: %s", strerror(e));
    if (!written || fdatasync(s->fd) < 0) {
        s->broken = 1;                  /* never sync such a file again and believe it */
        return kl_fail(c, KL_UNAVAILABLE, "the commits may not last: %s", strerror(errno));
    }
    s->revision = n ? commits[n - 1].revision : s->revision;
    return 0;
}

static int stats(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    const struct store *s = self;
    char text[80];
    int n = snprintf(text, sizeof text, "{\"bytes\":%lld}", (long long)lseek(s->fd, 0, SEEK_END));
    *ret = (struct kl_bytes){ kl_dup(c, text, (size_t)n), (size_t)n };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static const struct kl_store table = {
    .size = sizeof table, .life = { .open = open_, .close = close_ }, .revision = revision, .range = range, .append = append, .stats = stats,
};
static const struct kl_provider provides[] = { { KL_STORE_0, "old-store", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "path", .type = KL_CONF_STR, .offset = offsetof(struct conf, path), .flags = KL_CONF_REQUIRED, .doc = "the file" },
};

KL_PLUGIN_DEFINE("org.example.old-store", "0.1.0", "keelson.store/0:old-store", "", .summary = "a line for each commit", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
