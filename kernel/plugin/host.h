/* host.h - all plugin instances of a process: from the configuration's `instances` to open providers, their services, their end. [loop]
 * except where said.
 *
 * Life: plugin_host_new reads the list, probes and loads the files (FOUND -> LOADED, or REFUSED with the reason) -> plugin_host_open opens
 * what the role wants in the order of needs (READY, or FAILED) -> plugin_host_run starts the controllers -> plugin_host_stop lets them
 * end -> plugin_host_free closes everything in reverse order.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <keelson/plugin.h>

#include "api/api.h"
#include "plugin/plugin.h"
#include "reconcile/objects.h"

struct plugin_host;

#define ROLE_SERVER 1u
#define ROLE_NODE   2u

struct plugin_host_conf {
    struct loop *loop;                  /* NULL: nothing will run (check-config, plugin list) */
    const struct val *config;           /* tree of conf_load; lives as long as the host */
    const char *plugin_dir;
    unsigned roles;
    /* Value of $(NAME) in settings and field selectors; NULL: not known. Texts live as long as the host.
     * name empty: the names that are known, with blanks between. */
    const char *(*variable)(void *ctx, struct str name);
    void *ctx;
};

/* KL_INVALID (with file and line): the configuration is wrong. A bad plugin file is no error here: its instances are REFUSED. */
int plugin_host_new(const struct plugin_host_conf *c, struct plugin_host **ret, struct kl_err *err);
/* What need not stop a start but is a mistake: refused plugins, needs that nobody meets. KL_INVALID with file and line. */
int plugin_host_check(struct plugin_host *h, struct kl_err *err);
/* What is opened from here on goes on where another process has stopped: KL_CALL_CONTINUES. */
void plugin_host_continues(struct plugin_host *h, bool yes);
/* Opens the instances of that interface (NULL: all that are left). Fails when one that is required does not become READY. */
int plugin_host_open(struct plugin_host *h, const char *iface, struct kl_err *err);
/* What services stand on; before the instances that need them are opened. */
void plugin_host_set_objects(struct plugin_host *h, struct store *s, struct objects *o);
void plugin_host_set_api(struct plugin_host *h, struct api *a);          /* of a server, likewise */
/* Starts every READY controller over the store (of a server, or a node's mirror); again behind the end of plugin_host_stop. */
int plugin_host_run(struct plugin_host *h, struct kl_err *err);
/* Those first by whose controllers requests are decided (RBAC, quotas, webhooks): in the same call they have seen all there is. */
int plugin_host_run_deciders(struct plugin_host *h, struct kl_err *err);
bool plugin_host_decides(const struct plugin_host *h);        /* they have worked off what they have seen */
void plugin_host_stop(struct plugin_host *h, loop_fn gone, void *ctx);
void plugin_host_stop_others(struct plugin_host *h, loop_fn gone, void *ctx);          /* all but the deciders; plugin_host_stop follows */
/* handover.c: closes the instances of that interface; opens them again; of a stopped host, closes controllers but for node agents, whose streams go on. */
void plugin_host_let_go(struct plugin_host *h, const char *iface);
int plugin_host_take_again(struct plugin_host *h, const char *iface, struct kl_err *err);
void plugin_host_retire(struct plugin_host *h);
/* Closes, in reverse order, what does not implement that interface (the store, which others write to until their end). */
void plugin_host_close(struct plugin_host *h, const char *but_iface);
void plugin_host_free(struct plugin_host *h);                           /* closes the rest too; NULL is fine */

/* [loop] The instance of that interface and name, or the default one. */
/* A call of a storage driver of this process, from an API server elsewhere (elsewhere.c). [worker] */
int plugin_host_answer(struct plugin_host *h, struct kl_call *c, struct kl_bytes request, struct kl_bytes *ret);
struct plugin_instance *plugin_host_find(struct plugin_host *h, const char *iface, const char *name, struct kl_err *err);
unsigned plugin_host_count(const struct plugin_host *h);
struct plugin_instance *plugin_host_at(const struct plugin_host *h, unsigned i);
/* {"instances":[{"name","plugin","version","interface","state","reason","queue"...}]} */
struct val *plugin_host_debug(struct plugin_host *h, struct arena *a);

/* [any] Is that id a service of the host itself? */
bool plugin_host_knows(const char *id);

/* live.c: instances are changed while everything runs. */
struct plugin_change {
    const char *action;                 /* "load", "reload", "set", "replace", "remove" */
    struct str instance;                /* "NAME" or "INTERFACE:NAME" ("authz:node"); load: of the new one, empty: as its provider is called */
    struct str file;                    /* a path, or a plugin's name; empty (reload, set): what it was made from */
    struct str provider;                /* load, replace: which of the file's; empty: the only one, or the one of the interface */
    struct str isolate;                 /* load, replace: "none", "process" or "sandbox"; empty: as what is there, or none */
    struct str before;                  /* load: its place in a chain; empty: by chains of the configuration, else the end */
    const struct val *settings;         /* an object; NULL: none */
    const char *user;                   /* who asks, for the log */
};
/* text: what was done, and what is still to be known. err: why not; then all is as it was. */
typedef void (*plugin_changed_fn)(void *ctx, const struct kl_err *err, const char *text);
/* [loop] One at a time, in order. done comes always, maybe at once; not after plugin_host_stop. What c points to is copied. */
void plugin_host_change(struct plugin_host *h, const struct plugin_change *c, plugin_changed_fn done, void *ctx);

/* audit.c: gives n audit events, a line each, to every instance of keelson.audit/0 (ctx: the host). < 0: one at least has lost them. */
int plugin_host_audit(void *ctx, uint32_t n, struct str lines);
/* reload.c: what instances read from files that have changed is read again. By itself each minute. */
void plugin_host_reload(struct plugin_host *h);
/* metrics.c: workqueue_* of every controller and how long admission takes, for api_metrics_add (ctx: the host). */
void plugin_host_metrics(void *ctx, struct prom *p);

/* chain.c: the request chains, as hooks of kernel/api (ctx: the host). */
void plugin_host_hooks(struct plugin_host *h, struct api_hooks *ret);

#endif
