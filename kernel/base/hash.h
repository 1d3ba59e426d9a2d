/* hash.h - SipHash-2-4 (keys that clients choose), CRC-32C (damage on disk), FNV-1a 32 (pod template hashes). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

uint64_t hash_sip(const uint64_t key[2], const void *at, size_t n);
uint32_t hash_crc32c(uint32_t crc, const void *at, size_t n);           /* start with 0 */
uint32_t hash_fnv32a(struct str s);

#endif
