/* plugin.h - what a plugin file is: one descriptor symbol, an ELF note, providers, configuration, life.
 *
 * A plugin exports exactly one symbol, `kl_plugin`, and carries a note section `.note.keelson` with its identity, which
 * the host reads before it runs any code of the file. Everything else is hidden. The plugin links against nothing of
 * the host: services arrive as tables by id (host.h).
 *
 * Call order of an instance:
 *   FOUND    note read                  -> REFUSED (trust, ABI, a need is missing) or PROBED
 *   PROBED   loaded once in a child     -> LOADED or REFUSED
 *   LOADED   life.open(conf), once      -> READY or FAILED
 *   READY    interface methods, life.probe, life.reconfigure -> DRAINING
 *   DRAINING calls under way finish     -> CLOSED (life.close, once)
 *   CLOSED   nothing; the file is unloaded when its last instance is closed, unless the process ends with it
 *
 * An instance may be made anew while the host runs (`keelson plugin reload`): another instance of the same name and settings is opened, perhaps
 * from another build of the file, while the first still answers; then calls go to the second, and the first is closed once those in it have
 * returned. Both are loaded from copies: what is static in the file is there twice. No thread of an instance may be left after its close.
 */
#ifndef KEELSON_PLUGIN_H
#define KEELSON_PLUGIN_H

#include "call.h"
#include "host.h"

/* An id such as "keelson.host.objects/0" that must (or may) be offered by the host or another plugin. */
struct kl_need {
    const char *id;
    uint32_t optional;                  /* 1: the plugin works without */
};

/* One implementation of one interface. With several of equal interface the higher rank is the default. */
struct kl_provider {
    const char *iface;                  /* "keelson.scheduler/0" */
    const char *name;                   /* "binpack"; unique per interface */
    int32_t rank;
    const void *table;                  /* the interface's struct, which begins with size and struct kl_life */
};

enum kl_conf_type {
    KL_CONF_STR = 1,                    /* const char *          */
    KL_CONF_INT,                        /* int64_t, 32 bit range in files */
    KL_CONF_BOOL,                       /* int32_t 0/1           */
    KL_CONF_DURATION,                   /* int64_t ns; "30s" "5m" "250ms" "1h30m" */
    KL_CONF_QUANTITY,                   /* int64_t units; "5Gi" "100k" "2"        */
    KL_CONF_ENUM,                       /* const char *, one of choices           */
    KL_CONF_LIST,                       /* const char *const *, NULL-terminated   */
    KL_CONF_GROUPS,                     /* const char *: a libconfig list of groups, handed over as a JSON array */
    KL_CONF_SECRET                      /* const char *, read from the file that the setting names */
};

#define KL_CONF_REQUIRED 1u
#define KL_CONF_LIVE     2u             /* reconfigure can change it */
#define KL_CONF_FILE     4u             /* STR: names a file that the instance reads; once it has changed, reconfigure is called (with the same conf) */

/* One setting. The host binds it into the struct at offset, refuses unknown keys and values out of range. */
struct kl_conf_field {
    const char *key;
    uint32_t type;                      /* enum kl_conf_type */
    uint32_t offset;                    /* offsetof(struct conf, member) */
    uint32_t flags;
    const char *fallback;               /* as text; NULL: zero or NULL */
    int64_t min, max;                   /* both 0: no range; in the type's unit */
    const char *choices;                /* "a|b|c" for ENUM */
    const char *doc;                    /* one line */
};

/* Begins every interface table (behind size). Frozen for ABI 1. */
struct kl_life {
    /* [worker] conf: the bound struct, valid until close or the next successful reconfigure. *self goes to every call. */
    int (*open)(const struct kl_host *h, const void *conf, void **self, struct kl_call *c);
    /* [worker] NULL: any change is close and open. The old conf stays valid when this fails. Methods may be called meanwhile: what they use changes at once
     * or in a call of theirs. */
    int (*reconfigure)(void *self, const void *conf, struct kl_call *c);
    /* [worker] NULL: always well. 0 = working, else a failure with its reason. A node asks its runtime and its network each time it says how it is (every
     * ten seconds): one that fails makes it NotReady, with that reason. Nobody asks other plugins. */
    int (*probe)(void *self, struct kl_call *c);
    /* [worker] Last call of all; also frees self. Never called after a failed open. */
    void (*close)(void *self);
};

struct kl_plugin {
    KL_STRUCT_HEAD;
    uint32_t abi_major;
    const char *id, *version, *summary, *license;
    KL_ARRAY(struct kl_need) needs;
    KL_ARRAY(struct kl_provider) providers;
    KL_ARRAY(struct kl_conf_field) conf;
    size_t conf_size;
};

/* The note: name "keelson", type 1, descriptor = the text below, zero-terminated:
 *   "abi=1\nid=dev.keelson.x\nversion=0.1.0\nprovides=keelson.scheduler/0:x keelson.y/0:z\nneeds=keelson.host.objects/0\n" */
#define KL_NOTE_NAME "keelson"
#define KL_NOTE_TYPE 1u
#define KL_NOTE_MAX  4096u

#define KL_STR_(x) #x
#define KL_STR(x)  KL_STR_(x)

#ifdef KL_PLUGIN_STATIC                 /* -DKL_PLUGIN_STATIC=ident: many plugins in one binary */
#define KL_CAT_(a, b) a##b
#define KL_CAT(a, b)  KL_CAT_(a, b)
#define KL_PLUGIN_SYMBOL KL_CAT(kl_plugin_, KL_PLUGIN_STATIC)
#else
#define KL_PLUGIN_SYMBOL kl_plugin
#endif

/* Use once in a plugin:
 *   KL_PLUGIN_DEFINE("org.example.lottery", "0.1.0", "keelson.scheduler/0:lottery", "keelson.host.objects/0",
 *                    .summary = "...", .providers = KL_ARRAY_OF(provides), ...);
 * provides and needs are lists with spaces between, equal to the tables; the host refuses a file where they differ. */
#define KL_PLUGIN_DEFINE(ID, VERSION, PROVIDES, NEEDS, ...) \
    __attribute__((section(".note.keelson"), used, aligned(4))) static const struct { \
        uint32_t namesz, descsz, type; \
        char name[8]; \
        char desc[sizeof("abi=" KL_STR(1) "\nid=" ID "\nversion=" VERSION "\nprovides=" PROVIDES "\nneeds=" NEEDS "\n")]; \
    } kl_note_ = { sizeof KL_NOTE_NAME, \
                   sizeof("abi=" KL_STR(1) "\nid=" ID "\nversion=" VERSION "\nprovides=" PROVIDES "\nneeds=" NEEDS "\n"), \
                   KL_NOTE_TYPE, KL_NOTE_NAME, \
                   "abi=" KL_STR(1) "\nid=" ID "\nversion=" VERSION "\nprovides=" PROVIDES "\nneeds=" NEEDS "\n" }; \
    __attribute__((visibility("default"))) extern const struct kl_plugin KL_PLUGIN_SYMBOL; \
    const struct kl_plugin KL_PLUGIN_SYMBOL = { .size = sizeof(struct kl_plugin), .abi_major = KL_ABI_MAJOR, .id = ID, \
                                                .version = VERSION, __VA_ARGS__ }

#endif
