#include "base/hash.c"
#include "../test.h"

static const struct fgw_hash_key PAPER = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};   /* key bytes 00 01 .. 0f */

static uint64_t counting(size_t n, int each, int last)    /* of the message 00 01 .. n-1, which ends at a page's edge */
{
    unsigned char text[64];
    for (size_t i = 0; i < n; i++) text[i] = (unsigned char)i;
    char *p = at_edge(text, n);
    uint64_t h = sip(&PAPER, (const unsigned char *)p, n, each, last);
    at_edge_free(p, n);
    return h;
}

/* The rounds are parameters of one function, so the authors' table for SipHash-2-4 (vectors.h of their reference code;
 * length 15 is the example of the paper, appendix A) tests all of it but the numbers 1 and 3. */
TEST(siphash_2_4_is_that_of_the_authors)
{
    static const uint64_t WANT[] = {
        0x726fdb47dd0e0e31u, 0x74f839c593dc67fdu, 0x0d6c8009d9a94f5au, 0x85676696d7fb7e2du, 0xcf2794e0277187b7u, 0x18765564cd99a68du,
        0xcbc9466e58fee3ceu, 0xab0200f58b01d137u, 0x93f5f5799a932462u, 0x9e0082df0ba9e4b0u, 0x7a5dbbc594ddb9f3u, 0xf4b32f46226bada7u,
        0x751e8fbc860ee5fbu, 0x14ea5627c0843d90u, 0xf723ca908e7af2eeu, 0xa129ca6149be45e5u,
    };
    for (size_t n = 0; n < 16; n++) EQ(counting(n, 2, 4), WANT[n]);
}

/* Same key and messages; from an independent implementation in Python's integers, which also gives the table above. */
TEST(siphash_1_3_on_counting_bytes)
{
    static const uint64_t WANT[] = {
        0xabac0158050fc4dcu, 0xc9f49bf37d57ca93u, 0x82cb9b024dc7d44du, 0x8bf80ab8e7ddf7fbu, 0xcf75576088d38328u, 0xdef9d52f49533b67u,
        0xc50d2b50c59f22a7u, 0xd3927d989bb11140u, 0x369095118d299a8eu, 0x25a48eb36c063de4u, 0x79de85ee92ff097fu, 0x70c118c1f94dc352u,
        0x78a384b157b4d9a2u, 0x306f760c1229ffa7u, 0x605aa111c0f95d34u, 0xd320d86d2a519956u, 0xcc4fdd1a7d908b66u,
    };
    unsigned char long_text[257];
    for (size_t n = 0; n < 17; n++) EQ(counting(n, 1, 3), WANT[n]);
    EQ(counting(63, 1, 3), 0x9d199062b7bbb3a8u);
    for (int i = 0; i < 256; i++) long_text[i] = (unsigned char)i;
    long_text[256] = 'x';                                   /* the length's low byte is 1 again */
    EQ(fgw_hash_sip13(&PAPER, long_text, sizeof(long_text)), 0x72f4ed1a3ef1541eu);
}

/* CPython's own: hash(b"...") in an interpreter whose sys.hash_info.algorithm is siphash13, PYTHONHASHSEED=1. Its key is
 * the first 16 bytes of x = x * 214013 + 2531011 (mod 2^32), one byte (x >> 16) a step, from x = 1 (bootstrap_hash.c). */
TEST(siphash_1_3_is_that_of_cpython)
{
    static const struct fgw_hash_key KEY = {0xaed66ce184be2329u, 0xebe9bbf1f1499052u};
    char xs[100];
    memset(xs, 'x', sizeof(xs));
    EQ(fgw_hash_sip13(&KEY, "a", 1), 0xd6300bc9f7cc0e73u);
    EQ(fgw_hash_sip13(&KEY, "host", 4), 0xd5787441de0760fau);
    EQ(fgw_hash_sip13(&KEY, "content-length", 14), 0x5177497bed385afcu);
    EQ(fgw_hash_sip13(&KEY, "0123456789abcdef", 16), 0x32fb2aa9e1a93942u);
    EQ(fgw_hash_sip13(&KEY, xs, sizeof(xs)), 0x7c54e260693052cau);
}

TEST(the_key_matters)
{
    struct fgw_hash_key other = PAPER;
    other.k1 ^= 1;
    OK(fgw_hash_sip13(&PAPER, "abc", 3) != fgw_hash_sip13(&other, "abc", 3));
    other = PAPER;
    other.k0 ^= 1ull << 63;
    OK(fgw_hash_sip13(&PAPER, "abc", 3) != fgw_hash_sip13(&other, "abc", 3));
}

/* The published values of XXH3_64bits with seed 0. They must not change: contents are addressed by them. */
TEST(xxh3_is_the_stable_one)
{
    EQ(fgw_hash_xxh3("", 0), 0x2d06800538d394c2u);
    EQ(fgw_hash_xxh3("a", 1), 0xe6c632b61e964e1fu);
    EQ(fgw_hash_xxh3("abc", 3), 0x78af5f94892f3950u);
}

TEST(random_keys_differ)
{
    struct fgw_hash_key a = {0}, b = {0};
    EQ(fgw_hash_key_random(&a), 0);
    EQ(fgw_hash_key_random(&b), 0);
    OK(a.k0 != b.k0 && a.k1 != b.k1 && a.k0 != a.k1);
}

TEST_MAIN()
