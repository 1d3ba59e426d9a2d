/* identity.c - the API server's own Lease in kube-system: who serves, and since when. Upstream renews it every ten seconds; each renewal is a durable
 * write, so it is renewed six times within the hour that it is valid for, and an idle machine's disk rests. Leases of servers that are gone end. */
#include <unistd.h>

#include "base/hash.h"
#include "core.h"

#define LEASES   "coordination.k8s.io/leases"
#define NS       "kube-system"
#define IDENTITY "apiserver.kubernetes.io/identity"
#define VALID_S  3600
#define RENEW_NS (600 * NS_S)

/* 26 letters and digits out of the host's name: the same at each start, another on another machine. */
static const char *lease_name(struct arena *a, const char *host)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    char *name = arena_printf(a, "apiserver-%26s", "");
    char *at = name ? name + strlen("apiserver-") : NULL;
    for (uint64_t i = 0; at && i < 26; i++) {
        uint64_t key[2] = { i, 0 };
        at[i] = digits[hash_sip(key, host, strlen(host)) % 32];
    }
    return name;
}

static struct val *fresh(struct ctl_run *r, const char *name, const char *host)
{
    struct arena *a = r->arena;
    struct val *v = val_new(a, VAL_OBJ);
    unsigned char id[16];
    char hex[33];
    r->ctl->env->random(r->ctl->host, id, sizeof id);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), str_of(name));
    meta_set_label(a, v, IDENTITY, STR("kube-apiserver"));
    meta_set_label(a, v, "kubernetes.io/hostname", str_of(host));
    json_set_str(a, json_obj(a, v, STR("spec")), STR("holderIdentity"), str_of(arena_printf(a, "%s_%s", name, hex)));
    json_set_int(a, json_obj(a, v, STR("spec")), STR("leaseDurationSeconds"), VALID_S);
    return v;
}

static int renew(struct ctl_run *r, const char *name, const char *host)
{
    char now[CLOCK_TEXT];
    struct val *old;
    int rc = ctl_get(r, LEASES, STR(NS), str_of(name), &old);
    if (rc < 0)
        return rc;
    int64_t age = old ? r->now_ns - meta_time(old, "spec.renewTime") : 0;
    if (old && age >= 0 && age < RENEW_NS) {
        ctl_again(r, RENEW_NS - age);
        return 0;
    }
    struct val *v = old ? val_copy(r->arena, old) : fresh(r, name, host);
    clock_format_micro(r->now_ns, now);
    json_set_str(r->arena, json_obj(r->arena, v, STR("spec")), STR("renewTime"), arena_str(r->arena, str_of(now)));
    ctl_again(r, RENEW_NS);
    return old ? ctl_update(r, LEASES, NULL, old, v, NULL) : ctl_create(r, LEASES, STR(NS), v, NULL);
}

static int end_expired(struct ctl_run *r, const char *own)
{
    struct ctl_list all;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = LEASES, .ns = NS, .label_selector = IDENTITY "=kube-apiserver" }, &all);
    for (uint32_t i = 0; rc == 0 && i < all.n; i++) {
        int64_t until = meta_time(all.at[i], "spec.renewTime") + json_int(all.at[i], "spec.leaseDurationSeconds", 0) * NS_S;
        if (until < r->now_ns && !str_is(meta_name(all.at[i]), own))
            rc = ctl_delete(r, LEASES, all.at[i], NULL);
    }
    return rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    char host[256] = "";
    if (ns.len || !str_is(name, NS))
        return 0;
    gethostname(host, sizeof host - 1);
    const char *own = lease_name(r->arena, host);
    if (!own)
        return ctl_no_memory(r);
    int rc = renew(r, own, host);
    return rc < 0 ? rc : end_expired(r, own);
}

CTL_RUN(identity, run)

/* The Lease that somebody deletes comes back. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    (void)old;
    (void)obj;
    if (r->call->flags & KL_CALL_DELETED)
        ctl_key_add(keys, STR(""), STR(NS));
    return 0;
}

CTL_MAP(identity, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), NAMESPACES, "metadata.name=" NS, NULL },
    { sizeof(struct kl_watch), LEASES, "metadata.namespace=" NS, "map" },
};
CTL_TABLE(identity, watches, identity_map);
