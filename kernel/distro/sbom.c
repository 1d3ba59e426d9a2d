/* sbom.c - what is inside, as SPDX 2.3 JSON: the distribution, the kernel, every plugin, the libraries that it links, every file with its digests. */
#include <time.h>

#include "distro/internal.h"

struct sbom {
    struct distro *d;
    struct arena *a;
    struct val *packages, *files, *relations;
};

static void set(struct sbom *s, struct val *v, const char *key, const char *text)
{
    json_set_str(s->a, v, str_of(key), str_of(text));
}

static void relate(struct sbom *s, const char *from, const char *how, const char *to)
{
    struct val *r = val_push(s->relations, val_new(s->a, VAL_OBJ));
    set(s, r, "spdxElementId", from);
    set(s, r, "relationshipType", how);
    set(s, r, "relatedSpdxElement", to);
}

/* An SPDX id has letters, digits, '.' and '-'. */
static const char *id_of(struct sbom *s, const char *kind, struct str name)
{
    char *id = arena_printf(s->a, "SPDXRef-%s-" STR_FMT, kind, STR_ARG(name));
    for (char *p = id; p && *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *p))
            *p = '-';
    return id;
}

static struct val *package(struct sbom *s, const char *id, const char *name, const char *version, const char *license)
{
    struct val *p = val_push(s->packages, val_new(s->a, VAL_OBJ));
    set(s, p, "SPDXID", id);
    set(s, p, "name", name);
    set(s, p, "versionInfo", version);
    set(s, p, "downloadLocation", "NOASSERTION");
    json_set_bool(s->a, p, STR("filesAnalyzed"), false);
    set(s, p, "licenseConcluded", "NOASSERTION");
    set(s, p, "licenseDeclared", license[0] ? license : "NOASSERTION");
    set(s, p, "copyrightText", "NOASSERTION");
    return p;
}

static void checksum(struct sbom *s, struct val *of, const char *alg, const char *hex)
{
    struct val *c = val_push(json_arr(s->a, of, STR("checksums")), val_new(s->a, VAL_OBJ));
    set(s, c, "algorithm", alg);
    json_set_str(s->a, c, STR("checksumValue"), arena_str(s->a, str_of(hex)));
}

static const char *digest_of_input(const struct distro *d, const char *kind, struct str name)
{
    val_each(v, d->inputs)
        if (str_is(json_str(v, "kind"), kind) && (!name.len || str_eq(json_str(v, "name"), name)))
            return json_str(v, "digest").at;
    return NULL;
}

static void add_plugins(struct sbom *s)
{
    for (unsigned i = 0; i < s->d->n_plugins; i++) {
        const struct distro_plugin *p = &s->d->plugins[i];
        const char *id = id_of(s, "Plugin", str_of(p->name)), *text = arena_dup(s->a, json_str(p->facts, "id"));
        struct val *v = package(s, id, text, arena_dup(s->a, json_str(p->facts, "version")), arena_dup(s->a, json_str(p->facts, "license")));
        const char *digest = digest_of_input(s->d, "plugin", str_of(p->name));
        set(s, v, "summary", arena_dup(s->a, json_str(p->facts, "summary")));
        set(s, v, "comment", p->is_static ? "linked into bin/keelson" : arena_printf(s->a, PLUGIN_DIR "/%s.so", p->name));
        if (digest && p->origin == OF_FILE)
            checksum(s, v, "SHA256", digest);
        else if (digest)
            set(s, v, "sourceInfo", arena_printf(s->a, "sources locked as sha256:%.64s", digest));
        relate(s, "SPDXRef-Distribution", "CONTAINS", id);
        relate(s, "SPDXRef-Kernel", p->is_static ? "STATIC_LINK" : "DYNAMIC_LINK", id);
    }
}

static void add_libraries(struct sbom *s)
{
    val_each(l, s->d->libraries) {
        bool archive = json_bool(l, "archive", false);
        const char *id = id_of(s, archive ? "Archive" : "Library", json_str(l, "name"));
        struct str version = json_str(l, "version");
        struct val *v = package(s, id, arena_dup(s->a, json_str(l, "name")), version.len ? arena_dup(s->a, version) : "NOASSERTION", "");
        const char *digest = digest_of_input(s->d, archive ? "archive" : "library", json_str(l, "name"));
        if (digest)
            checksum(s, v, "SHA256", digest);
        if (json_str(l, "package").len)
            set(s, v, "sourceInfo", arena_printf(s->a, "package " STR_FMT, STR_ARG(json_str(l, "package"))));
        relate(s, "SPDXRef-Kernel", archive ? "STATIC_LINK" : "DYNAMIC_LINK", id);
    }
}

static int add_files(struct sbom *s, struct kl_err *err)
{
    struct val *list = NULL;
    int rc = files_list(s->a, s->d->stage, &list, err);
    for (struct val *f = rc == 0 ? list->first : NULL; f && rc == 0; f = f->next) {
        _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
        char hex[129];
        rc = files_read(arena_printf(s->a, "%s/" STR_FMT, s->d->stage, STR_ARG(val_str(f))), &b, err);
        if (rc < 0)
            break;
        struct val *v = val_push(s->files, val_new(s->a, VAL_OBJ));
        const char *id = id_of(s, "File", val_str(f));
        set(s, v, "SPDXID", id);
        set(s, v, "fileName", arena_printf(s->a, "./" STR_FMT, STR_ARG(val_str(f))));
        digest_of_text("SHA1", buf_str(&b), hex);
        checksum(s, v, "SHA1", hex);
        digest_of_text("SHA256", buf_str(&b), hex);
        checksum(s, v, "SHA256", hex);
        set(s, v, "licenseConcluded", "NOASSERTION");
        set(s, v, "copyrightText", "NOASSERTION");
        relate(s, "SPDXRef-Distribution", "CONTAINS", id);
    }
    return rc;
}

static void add_head(struct sbom *s, struct val *doc, struct str lock)
{
    char hex[129], when[40];
    struct tm tm;
    time_t t = (time_t)s->d->epoch;
    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    digest_of_text("SHA256", lock, hex);
    set(s, doc, "spdxVersion", "SPDX-2.3");
    set(s, doc, "dataLicense", "CC0-1.0");
    set(s, doc, "SPDXID", "SPDXRef-DOCUMENT");
    set(s, doc, "name", arena_printf(s->a, "keelson-%s-%s", s->d->name, s->d->version));
    /* Named by what it is made of: equal inputs, equal name. */
    set(s, doc, "documentNamespace", arena_printf(s->a, "urn:keelson:distro:%s:%s:%s", s->d->name, s->d->version, hex));
    struct val *info = json_obj(s->a, doc, STR("creationInfo"));
    json_set_str(s->a, info, STR("created"), arena_str(s->a, str_of(when)));
    val_push(json_arr(s->a, info, STR("creators")), val_of_str(s->a, STR("Tool: keelson-" KEELSON_VERSION)));
}

int sbom_write(struct distro *d, struct buf *ret, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf lock = BUF_INIT(16 << 20);
    struct val *doc = a ? val_new(a, VAL_OBJ) : NULL;
    int rc = doc ? lock_text(d, &lock, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0)
        return rc;
    struct sbom s = { .d = d, .a = a };
    add_head(&s, doc, buf_str(&lock));
    s.packages = json_arr(a, doc, STR("packages"));
    s.files = json_arr(a, doc, STR("files"));
    s.relations = json_arr(a, doc, STR("relationships"));
    struct val *all = package(&s, "SPDXRef-Distribution", arena_printf(a, "keelson-%s", d->name), d->version, "");
    set(&s, all, "summary", d->summary);
    package(&s, "SPDXRef-Kernel", "keelson", KEELSON_VERSION, "");
    relate(&s, "SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Distribution");
    relate(&s, "SPDXRef-Distribution", "CONTAINS", "SPDXRef-Kernel");
    add_plugins(&s);
    add_libraries(&s);
    rc = add_files(&s, err);
    if (rc == 0 && !arena_exhausted(a))
        json_write_pretty(ret, doc);
    buf_add_c(ret, '\n');
    return rc < 0 ? rc : ret->failed || arena_exhausted(a) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}
