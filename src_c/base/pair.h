/* base/pair.h: two words that change together.
 *
 * Read word by word: a compare-and-swap of the pair tells afterwards whether what was read belonged together.
 * Memory   16-byte aligned, in shared memory or anywhere. Thread any, any process.
 * Order    the swap is a full barrier, whether it succeeds or not.
 * Cost     one locked instruction (x86-64: cmpxchg16b, in every such processor since 2006; else the compiler's own). */
#ifndef FGW_BASE_PAIR_H
#define FGW_BASE_PAIR_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fgw_pair { _Alignas(16) _Atomic uint64_t lo; _Atomic uint64_t hi; };
struct fgw_pair_value { uint64_t lo, hi; };

/* If *p is `old`, make it `new`. false: it was something else. */
static inline bool fgw_pair_cas(struct fgw_pair *p, struct fgw_pair_value old, struct fgw_pair_value new)
{
#if defined(__x86_64__)
    bool done;
    __asm__ __volatile__("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*p), "+a"(old.lo), "+d"(old.hi)
                         : "b"(new.lo), "c"(new.hi)
                         : "memory");
    return done;
#else
    unsigned __int128 o = (unsigned __int128)old.hi << 64 | old.lo, n = (unsigned __int128)new.hi << 64 | new.lo;
    return __sync_bool_compare_and_swap((unsigned __int128 *)(void *)p, o, n);
#endif
}

#endif
