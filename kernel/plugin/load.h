/* load.h - files whose code comes and goes while the process runs. [worker] except where said.
 *
 * Such a file is copied into sealed memory, verified, tried in a child and loaded from the copy: the same path may hold another build by then, and what
 * is loaded twice is two libraries with their own static variables. It is unloaded once nobody holds it. */
#ifndef PLUGIN_LOAD_H
#define PLUGIN_LOAD_H

#include "plugin/gate.h"
#include "plugin/plugin.h"

struct plugin_module;

/* Ownership, digest (empty: any), signature, note and trial as at the start; then it is loaded, with one holder. */
int module_load(const char *path, struct str digest, struct plugin_module **ret, struct kl_err *err);
/* What was loaded by other means, with one holder. NULL: no memory. */
struct plugin_module *module_of_handle(const struct kl_plugin *p, void *handle);
const struct kl_plugin *module_plugin(const struct plugin_module *m);
void module_hold(struct plugin_module *m);              /* [any] */
void module_drop(struct plugin_module *m);              /* the last one unloads it; NULL is fine */
void module_forget(struct plugin_module *m);            /* the same at the end of a process, where nothing is unloaded */
/* [any] Where its code and constants lie. False: they stay. */
bool module_range(const struct plugin_module *m, struct code_range *ret);

#endif
