/* encrypt.h - encryption at rest: an EncryptionConfiguration (apiserver.config.k8s.io/v1) as the cipher between the store and its provider. Objects are
 * plain in memory and sealed in what the provider gets: read with any key that their resource's providers list, written with the first.
 *
 * Life: encryption_open reads the file (KMS plugins are asked at once) -> store_open with its cipher opens what is stored -> encryption_watch: the file is
 * looked at every minute, and KMS plugins are asked whether their key has changed -> encryption_stop while the loop runs -> encryption_free behind
 * store_close. [loop]
 */
#ifndef API_ENCRYPT_H
#define API_ENCRYPT_H

#include <keelson/error.h>

#include "store/store.h"

struct encryption;

/* KL_INVALID: what is wrong with the file, and where. KL_UNAVAILABLE: a KMS plugin does not answer. */
int encryption_open(const char *file, struct encryption **ret, struct kl_err *err);
const struct store_cipher *encryption_cipher(struct encryption *e);
void encryption_watch(struct encryption *e, struct loop *l);
/* Reads the file again now. The old configuration stays when the new one is wrong. */
int encryption_reload(struct encryption *e, struct kl_err *err);
/* NULL while KMS plugins are well. ctx: the encryption. */
const char *encryption_trouble(void *ctx);
void encryption_stop(struct encryption *e);
void encryption_free(struct encryption *e);             /* NULL is fine */

#endif
