/* known.c - see known.h. */
#include "known.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "subject.h"

#define TAIL 32                         /* of the signature: nothing differs more */

static struct known **slot_of(struct known_all *all, const unsigned char *der, size_t n)
{
    unsigned h = 2166136261u;
    for (size_t i = n > TAIL ? n - TAIL : 0; i < n; i++)
        h = (h ^ der[i]) * 16777619u;
    return &all->at[h % KNOWN_SLOTS];
}

static void fingerprint(const void *der, size_t n, char ret[KNOWN_ID])
{
    unsigned char digest[32] = { 0 };
    int at = snprintf(ret, KNOWN_ID, "X509SHA256=");
    gnutls_hash_fast(GNUTLS_DIG_SHA256, der, n, digest);
    for (size_t i = 0; i < sizeof digest; i++, at += 2)
        snprintf(ret + at, KNOWN_ID - (size_t)at, "%02x", digest[i]);
}

static struct known *read_it(const void *der, size_t n)
{
    char uid[SUBJECT_UID_MOST];
    const char *why;
    subject_uid(der, n, uid, &why);
    size_t len = strlen(uid);
    struct known *k = mem_alloc(sizeof *k + n + len + 1);
    if (!k)
        return NULL;
    k->n = n;
    k->why = why;
    memcpy(k->der, der, n);
    k->uid = memcpy(k->der + n, uid, len + 1);
    fingerprint(der, n, k->id);
    return k;
}

const struct known *known_of(struct known_all *all, const void *der, size_t n)
{
    struct known **slot = slot_of(all, der, n), *k = *slot;
    if (k && k->n == n && memcmp(k->der, der, n) == 0)
        return k;
    if (!(k = read_it(der, n)))
        return NULL;
    mem_free(*slot);
    return *slot = k;
}

void known_free(struct known_all *all)
{
    for (size_t i = 0; i < KNOWN_SLOTS; i++)
        mem_free(all->at[i]);
}
