/* encrypt_box.c - XSalsa20-Poly1305 (NaCl's secretbox). GnuTLS has neither HSalsa20 nor Poly1305 of its own in its interface; both are short. No branch
 * and no index depends on what is secret. */
#include <string.h>

#include "encrypt-internal.h"

static uint32_t load32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store32(unsigned char *p, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(x >> (8 * i));
}

static uint32_t rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

/* --- Salsa20 --- */

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *b ^= rotl(*a + *d, 7);
    *c ^= rotl(*b + *a, 9);
    *d ^= rotl(*c + *b, 13);
    *a ^= rotl(*d + *c, 18);
}

static void rounds(uint32_t x[16])
{
    for (int i = 0; i < 10; i++) {
        quarter(&x[0], &x[4], &x[8], &x[12]);
        quarter(&x[5], &x[9], &x[13], &x[1]);
        quarter(&x[10], &x[14], &x[2], &x[6]);
        quarter(&x[15], &x[3], &x[7], &x[11]);
        quarter(&x[0], &x[1], &x[2], &x[3]);
        quarter(&x[5], &x[6], &x[7], &x[4]);
        quarter(&x[10], &x[11], &x[8], &x[9]);
        quarter(&x[15], &x[12], &x[13], &x[14]);
    }
}

static void state(uint32_t x[16], const unsigned char in[16], const unsigned char key[32])
{
    static const uint32_t constants[4] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
    for (int i = 0; i < 4; i++) {
        x[5 * i] = constants[i];
        x[1 + i] = load32(key + 4 * i);
        x[11 + i] = load32(key + 16 + 4 * i);
        x[6 + i] = load32(in + 4 * i);
    }
}

static void block(unsigned char ret[64], const unsigned char in[16], const unsigned char key[32])
{
    uint32_t x[16], y[16];
    state(x, in, key);
    memcpy(y, x, sizeof y);
    rounds(x);
    for (int i = 0; i < 16; i++)
        store32(ret + 4 * i, x[i] + y[i]);
}

static void hsalsa(unsigned char ret[32], const unsigned char in[16], const unsigned char key[32])
{
    uint32_t x[16];
    state(x, in, key);
    rounds(x);
    for (int i = 0; i < 4; i++) {
        store32(ret + 4 * i, x[5 * i]);
        store32(ret + 16 + 4 * i, x[6 + i]);
    }
}

/* The stream's first 32 bytes are the authenticator's key; the text begins behind them. */
struct stream {
    unsigned char key[32], in[16], at[64];
    unsigned used;
};

static void stream_start(struct stream *s, const unsigned char nonce[24], const unsigned char key[32])
{
    hsalsa(s->key, nonce, key);
    memset(s->in, 0, sizeof s->in);
    memcpy(s->in, nonce + 16, 8);
    block(s->at, s->in, s->key);
    s->used = 32;
}

static void stream_xor(struct stream *s, unsigned char *ret, const unsigned char *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->used == 64) {
            for (int k = 8; k < 16 && ++s->in[k] == 0; k++)
                ;
            block(s->at, s->in, s->key);
            s->used = 0;
        }
        ret[i] = from[i] ^ s->at[s->used++];
    }
}

/* --- Poly1305: five limbs of 26 bits --- */

struct poly {
    uint32_t r[5], h[5];
};

#define LIMB 0x3ffffffu

static void poly_block(struct poly *p, const unsigned char m[16], uint32_t end)
{
    uint64_t d[5];
    uint32_t *h = p->h, *r = p->r;
    h[0] += load32(m) & LIMB;
    h[1] += load32(m + 3) >> 2 & LIMB;
    h[2] += load32(m + 6) >> 4 & LIMB;
    h[3] += load32(m + 9) >> 6 & LIMB;
    h[4] += load32(m + 12) >> 8 | end << 24;
    for (int i = 0; i < 5; i++) {
        d[i] = 0;
        for (int k = 0; k < 5; k++)
            d[i] += (uint64_t)h[k] * (k <= i ? r[i - k] : 5 * r[5 + i - k]);
    }
    uint64_t carry = 0;
    for (int i = 0; i < 5; i++) {
        d[i] += carry;
        h[i] = (uint32_t)d[i] & LIMB;
        carry = d[i] >> 26;
    }
    h[0] += (uint32_t)carry * 5;
    h[1] += h[0] >> 26;
    h[0] &= LIMB;
}

static void poly_end(struct poly *p, const unsigned char s[16], unsigned char ret[16])
{
    uint32_t *h = p->h, g[5], carry = 0, mask;
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 5; i++) {
            h[i] += carry;
            carry = h[i] >> 26;
            h[i] &= LIMB;
        }
        carry *= 5;
    }
    h[0] += carry;
    carry = 5;
    for (int i = 0; i < 5; i++) {       /* h - p, if that is not negative */
        g[i] = h[i] + carry;
        carry = g[i] >> 26;
        g[i] &= LIMB;
    }
    mask = 0u - carry;                  /* carry: h + 5 reached 2^130 */
    for (int i = 0; i < 5; i++)
        h[i] = (h[i] & ~mask) | (g[i] & mask);
    const uint32_t w[4] = { h[0] | h[1] << 26, h[1] >> 6 | h[2] << 20, h[2] >> 12 | h[3] << 14, h[3] >> 18 | h[4] << 8 };
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += (uint64_t)w[i] + load32(s + 4 * i);
        store32(ret + 4 * i, (uint32_t)sum);
        sum >>= 32;
    }
}

static void tag(unsigned char ret[16], const unsigned char *m, size_t n, const unsigned char key[32])
{
    struct poly p = { .r = { load32(key) & 0x3ffffff, load32(key + 3) >> 2 & 0x3ffff03, load32(key + 6) >> 4 & 0x3ffc0ff,
                             load32(key + 9) >> 6 & 0x3f03fff, load32(key + 12) >> 8 & 0x00fffff } };
    unsigned char last[16] = { 0 };
    for (; n >= 16; m += 16, n -= 16)
        poly_block(&p, m, 1);
    if (n) {
        memcpy(last, m, n);
        last[n] = 1;
        poly_block(&p, last, 0);
    }
    poly_end(&p, key + 16, ret);
}

/* --- the box --- */

void secretbox_seal(unsigned char *ret, const void *plain, size_t n, const unsigned char nonce[24], const unsigned char key[32])
{
    struct stream s;
    unsigned char auth[32];
    stream_start(&s, nonce, key);
    memcpy(auth, s.at, sizeof auth);
    stream_xor(&s, ret + 16, plain, n);
    tag(ret, ret + 16, n, auth);
}

bool secretbox_open(unsigned char *ret, const void *box, size_t n, const unsigned char nonce[24], const unsigned char key[32])
{
    struct stream s;
    unsigned char wanted[16], differs = 0;
    const unsigned char *at = box;
    if (n < 16)
        return false;
    stream_start(&s, nonce, key);
    tag(wanted, at + 16, n - 16, s.at);
    for (int i = 0; i < 16; i++)
        differs |= wanted[i] ^ at[i];
    if (!differs)
        stream_xor(&s, ret, at + 16, n - 16);
    return !differs;
}
