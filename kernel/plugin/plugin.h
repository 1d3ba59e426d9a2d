/* plugin.h - plugin files: what they are (read without running them), loading them, instances. [loop], at start-up.
 *
 * A file is refused with a sentence when its path can be changed by others, it is no ELF file of this machine, it carries no note, its ABI
 * differs, or it does not survive being loaded once in a child process (crash, hang, exit, undefined symbol). Only then is it
 * loaded here, for good: nothing is ever unloaded.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include <keelson/plugin.h>

#include "base/json.h"

struct plugin_note {
    char abi[16], id[128], version[64], provides[1024], needs[1024];
};

/* Reads the note of a file without running any of it. */
int plugin_note_read(const char *path, struct plugin_note *ret, struct kl_err *err);
/* Path and every folder above it belong to root, to us, or to the owner of this program, and nobody else may write there. */
int plugin_trust(const char *path, struct kl_err *err);
/* Loads the file once in a child; at most 2 s. */
int plugin_probe(const char *path, struct kl_err *err);
/* All of it: trust, note, probe, load, descriptor equal to note. */
int plugin_load(const char *path, const struct kl_plugin **ret, struct kl_err *err);

struct plugin_instance {
    char name[64];
    const struct kl_plugin *plugin;
    const struct kl_provider *provider;
    struct kl_host host;
    struct arena *arena;                /* its settings */
    void *self;
};

/* Opens the provider of that interface and name. settings: object or NULL. */
int plugin_open(const struct kl_plugin *p, const char *iface, const char *provider, const struct val *settings, struct plugin_instance **ret,
                struct kl_err *err);
void plugin_close(struct plugin_instance *i);

#endif
