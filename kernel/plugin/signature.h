/* signature.h - the signature tables of every interface and host service that this build knows. */
#ifndef PLUGIN_SIGNATURE_H
#define PLUGIN_SIGNATURE_H

#include <keelson/signature.h>

size_t signature_count(void);
const struct kl_sig_table *signature_at(size_t i);
const struct kl_sig_table *signature_find(const char *id);              /* "keelson.scheduler/0"; NULL: not known */
/* The known id of the same name and another revision ("keelson.scheduler/0" for "keelson.scheduler/7"), or NULL. */
const char *signature_other_revision(const char *id);
bool signature_is_service(const struct kl_sig_table *t);                /* of the host; else an interface */
/* The first function that the interface demands and the table lacks, or NULL. */
const char *signature_missing(const struct kl_sig_table *t, const void *table);

/* For people: "int score(call c, handle cycle, kl_pod_view pod, kl_node_view node)   [loop]". Texts of kinds live for ever. */
const char *signature_kind_text(uint32_t kind);
const char *signature_result_text(uint32_t result);
const char *signature_thread_text(uint32_t thread);

#endif
