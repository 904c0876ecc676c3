#include "base/hash.h"
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }
static inline uint64_t load_le(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return le64toh(v); }

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1]; v[1] = rotl(v[1], 13) ^ v[0]; v[0] = rotl(v[0], 32);
    v[2] += v[3]; v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3]; v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1]; v[1] = rotl(v[1], 17) ^ v[2]; v[2] = rotl(v[2], 32);
}

/* `each` rounds a word and `last` at the end; both are constants at the call, so the loops unroll. */
static inline uint64_t sip(const struct fgw_hash_key *key, const unsigned char *p, size_t n, int each, int last)
{
    uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                     key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
    uint64_t m, tail = (uint64_t)n << 56;
    for (; n >= 8; p += 8, n -= 8) {
        m = load_le(p);
        v[3] ^= m;
        for (int i = 0; i < each; i++) sip_round(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < n; i++) tail |= (uint64_t)p[i] << 8 * i;
    v[3] ^= tail;
    for (int i = 0; i < each; i++) sip_round(v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    for (int i = 0; i < last; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t fgw_hash_sip13(const struct fgw_hash_key *key, const void *p, size_t n) { return sip(key, p, n, 1, 3); }

uint64_t fgw_hash_xxh3(const void *p, size_t n) { return XXH3_64bits(p, n); }

int fgw_hash_key_random(struct fgw_hash_key *key)
{
    ssize_t n;
    do n = getrandom(key, sizeof(*key), 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*key) ? 0 : -1;    /* up to 256 bytes come whole or not at all */
}
