/* plugin.c - proxy-nftables: apply, update, teardown. One call, one transaction. */
#include <errno.h>

#include "base/cleanup.h"
#include "proxy.h"

static int nf_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct proxy *p = mem_alloc(sizeof *p);
    if (!p || !model_init(&p->model)) {
        mem_free(p);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    p->host = h;
    p->conf = conf;
    *self = p;
    return 0;
}

/* The rules stay: Services work while nobody looks after them. */
static void nf_close(void *self)
{
    struct proxy *p = self;
    services_free(p);
    model_free(&p->model);
    nft_close(p->socket);
    mem_free(p);
}

/* --- one transaction --- */

static int write_and_commit(struct proxy *p, bool whole, int *ret_errno, struct kl_err *err)
{
    struct batch b;
    if (!batch_init(&b))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (whole)
        ruleset_write(&b, p->pods, p->n_pods);
    model_write(&p->model, &b, whole);
    int rc = batch_commit(&b, p->socket, ret_errno, err);
    batch_free(&b);
    return rc;
}

/* Somebody may have removed our table (nft flush ruleset). Looks closer only when there was a foreign transaction. */
static int look_at_kernel(struct proxy *p, struct kl_err *err)
{
    uint32_t generation;
    uint64_t handle;
    int rc = nft_generation(p->socket, &generation, err);
    if (rc == 0 && generation != p->nft_generation) {
        rc = nft_table_handle(p->socket, &handle, err);
        if (handle != p->handle)
            p->handle = 0;
        p->nft_generation = generation;
    }
    return rc;
}

static int commit(struct proxy *p, struct kl_err *err)
{
    if (p->model.lost)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (!p->socket && !(p->socket = nft_open(err)))
        return -err->code;
    int why = 0, rc = look_at_kernel(p, err);
    if (rc < 0)
        return rc;
    bool whole = p->handle == 0;
    rc = write_and_commit(p, whole, &why, err);
    if (rc < 0 && !whole && why != EPERM) {     /* it is not as we left it */
        kl_log(p->host, KL_WARN, "%s; the table is written anew", err->msg);
        whole = true;
        kl_err_init(err);
        rc = write_and_commit(p, whole, &why, err);
    }
    if (rc < 0) {
        p->handle = 0;
        return rc;
    }
    unsigned n = 0;
    struct kl_err minor;
    kl_err_init(&minor);
    if (p->udp_changed && conntrack_flush(p->socket, &p->model, &n, &minor) < 0)
        kl_log(p->host, KL_WARN, "%s", minor.msg);
    p->udp_changed = false;
    model_done(&p->model, whole);
    if (whole)
        rc = nft_table_handle(p->socket, &p->handle, err);
    return rc < 0 ? rc : nft_generation(p->socket, &p->nft_generation, err);
}

/* After running out of memory nothing here can be trusted. What is in the kernel stays until all is read anew. */
static int forget(struct proxy *p, struct kl_err *err)
{
    services_free(p);
    model_free(&p->model);
    p->node_hash = p->pods_hash = p->handle = 0;
    p->services = (struct map){ 0 };
    return model_init(&p->model) ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static int nf_apply(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes state)
{
    struct proxy *p = self;
    if (generation < p->generation)
        return 0;
    int rc = p->model.lost || !p->model.buckets ? forget(p, &c->err) : 0;
    if (rc == 0)
        rc = services_read(p, str_n(state.at, state.len), true, &c->err);
    if (rc == 0)
        rc = commit(p, &c->err);
    if (rc == 0)
        p->generation = generation;
    return rc;
}

static int nf_update(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes changes)
{
    struct proxy *p = self;
    if (!p->generation || p->model.lost || generation != p->generation + 1)
        return kl_fail(c, KL_CONFLICT, "the proxy needs the whole state: generation %llu does not follow %llu", (unsigned long long)generation,
                       (unsigned long long)p->generation);
    int rc = services_read(p, str_n(changes.at, changes.len), false, &c->err);
    if (rc == 0)
        rc = commit(p, &c->err);
    p->generation = rc == 0 ? generation : 0;
    return rc;
}

static int nf_teardown(void *self, struct kl_call *c)
{
    struct proxy *p = self;
    struct batch b;
    if (!p->socket && !(p->socket = nft_open(&c->err)))
        return -c->err.code;
    if (!batch_init(&b))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    put_table(&b, true);
    put_table(&b, false);
    int rc = batch_commit(&b, p->socket, NULL, &c->err);
    batch_free(&b);
    p->generation = 0;
    forget(p, &c->err);
    return rc;
}

static const struct kl_proxy table = {
    .size = sizeof table,
    .life = { .open = nf_open, .close = nf_close },
    .apply = nf_apply,
    .teardown = nf_teardown,
    .update = nf_update,
};

static const struct kl_provider provides[] = { { KL_PROXY_0, "nftables", 0, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "localhost", .type = KL_CONF_BOOL, .offset = offsetof(struct conf, localhost), .fallback = "true",
      .doc = "node ports answer on 127.0.0.1 too, for endpoints of this node" },
};

KL_PLUGIN_DEFINE("dev.keelson.proxy-nftables", "0.1.0", "keelson.proxy/0:nftables", "", .summary = "Services by one nftables table",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
