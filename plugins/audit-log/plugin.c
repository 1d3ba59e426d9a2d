/* plugin.c - audit-log: keeps the trail of requests in a file. */
#include <keelson/iface/audit.h>

#include "writer.h"

static void say(void *ctx, const char *text)
{
    const struct kl_host *h = ctx;
    h->log(h, KL_ERROR, text);
}

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct writer *w = NULL;
    int rc = writer_new(conf, say, (void *)h, &w, &c->err);
    *self = w;
    return rc;
}

static void close_(void *self)
{
    writer_free(self);
}

static int write_(void *self, struct kl_call *c, uint32_t n, struct kl_bytes lines)
{
    (void)n;
    return writer_add(self, str_n(lines.at, lines.len)) ? 0 : kl_fail(c, KL_STORAGE_FULL, "the audit log does not keep up: its buffer is full");
}

static const struct kl_audit table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .write = write_ };
static const struct kl_provider provides[] = { { KL_AUDIT_0, "log", 0, &table } };

#define AT(member) offsetof(struct writer_conf, member)
static const struct kl_conf_field fields[] = {
    { "path", KL_CONF_STR, AT(path), KL_CONF_REQUIRED, NULL, 0, 0, NULL, "the file; -: standard output" },
    { "max_size", KL_CONF_QUANTITY, AT(max_size), 0, "100Mi", 1, INT64_MAX, NULL, "a larger file is put aside" },
    { "max_backups", KL_CONF_INT, AT(max_backups), 0, "0", 0, 1000000, NULL, "how many of those stay; 0: all" },
    { "max_age_days", KL_CONF_INT, AT(max_age_days), 0, "0", 0, 36500, NULL, "how long they stay; 0: for ever" },
    { "buffer", KL_CONF_QUANTITY, AT(buffer), 0, "16Mi", 4096, 1 << 30, NULL, "what may wait to be written" },
};

KL_PLUGIN_DEFINE("dev.keelson.audit-log", "0.1.0", "keelson.audit/0:log", "", .summary = "the trail of requests in a file", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct writer_conf));
