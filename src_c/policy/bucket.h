/* policy/bucket.h: token buckets in shared memory, exact over all workers that take from them.
 *
 *   a set, 128 bytes:  [ insertion | entry 0 .. entry 5 | shared ]        entry: {tag, time}
 *
 * GCRA     a bucket is one time: that at which it will be full again. A request of cost c takes c * unit from it: the time moves
 *          that much into the future, from now if it lies in the past. It passes if the time is then at most tau = burst * unit ahead.
 * Key      the 64-bit keyed hash of what the limit counts by. Its upper half picks the set, the whole is the tag: whoever does not
 *          know the hash key can neither fill one set nor meet another's bucket.
 * Room     an entry whose time has passed is full, so nothing is lost when another key takes its place. When all entries of a set
 *          have debts, a key that has none of them uses the set's `shared` bucket, with all others that found no room. A key that
 *          gets an entry later begins there with the debt of the shared bucket: so nobody ever gets more than one bucket, however
 *          many keys are tried, and no debt is forgotten. Sharing can give a key less than its due, never more.
 * Steps    every step is one atomic operation, and whatever another left unfinished anybody can finish: nobody waits, and a process
 *          killed between any two steps leaves a table that is whole.
 *   take     {K, t} -> {K, t'}                                     a compare-and-swap of the pair
 *   empty    {V, t}, t passed -> {0, t}                            only while no insertion is announced
 *   insert   announce {n, K, i} -> {0, x} -> {K, FRESH | x+1} -> announce {n+1}
 *            one announcement a set at a time, so a key is never in two entries; who meets one finishes it first.
 *   A FRESH entry has paid nothing yet: it owes what `shared` owes when it is first used. Who paid into `shared` looks at the
 *   announcement again afterwards: unchanged means that every later entry of its key begins with that payment.
 * Time     1/16 ns since boot (CLOCK_MONOTONIC, the same in all processes). A worker whose clock is behind takes more, never less.
 * Owner    the supervisor gives out the memory; all zero is an empty table. Thread any, any process.
 * Cost     a key that has its entry: its set's two cache lines, one locked instruction, no allocation; a new key: four. */
#ifndef FGW_POLICY_BUCKET_H
#define FGW_POLICY_BUCKET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/pair.h"

#ifndef FGW_BUCKET_WAYS
#define FGW_BUCKET_WAYS 6                  /* the model check makes do with fewer */
#endif
#define FGW_BUCKET_NS 16ull                /* units of time in a nanosecond */

struct fgw_bucket_set {
    struct fgw_pair insertion;             /* lo: number << 8 | entry << 1 | announced; hi: the tag */
    struct fgw_pair e[FGW_BUCKET_WAYS];    /* lo: tag, 0 for none; hi: time */
    _Atomic uint64_t shared;               /* time of the shared bucket */
    uint64_t pad;
};
_Static_assert(FGW_BUCKET_WAYS != 6 || sizeof(struct fgw_bucket_set) == 128, "two cache lines");

struct fgw_bucket {                        /* the outcome of a take, and what is needed to put it back */
    bool pass, was_shared;
    uint64_t full_at;                      /* the bucket's time afterwards; of a refusal: as it was */
    struct fgw_bucket_set *set;
    uint32_t entry;
    uint64_t before, after;                /* the word as it was and as it was left; of a shared one: its time */
    uint64_t tag;
};

static inline struct fgw_bucket_set *fgw_bucket_set_of(void *table, uint32_t sets, uint64_t tag)
{
    return (struct fgw_bucket_set *)table + ((tag >> 32) * sets >> 32);
}
/* Take `cost` units of time for key `tag` if that leaves the bucket at most `tau` ahead of `now`. cost > 0, tag != 0. */
struct fgw_bucket fgw_bucket_take(struct fgw_bucket_set *set, uint64_t tag, uint64_t now, uint64_t cost, uint64_t tau);
/* Undo a take that passed, if nobody has touched that bucket since. */
bool fgw_bucket_put_back(const struct fgw_bucket *b);

#endif
