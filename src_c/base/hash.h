/* base/hash.h: hashes. Tables that clients feed use SipHash-1-3 with the process key; contents that we made use xxh3.
 * SipHash: Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012. Thread: any. */
#ifndef FGW_BASE_HASH_H
#define FGW_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

struct fgw_hash_key { uint64_t k0, k1; };
uint64_t fgw_hash_sip13(const struct fgw_hash_key *key, const void *p, size_t n);
uint64_t fgw_hash_xxh3(const void *p, size_t n);
int fgw_hash_key_random(struct fgw_hash_key *key);   /* getrandom(2); -1: errno */

#endif
