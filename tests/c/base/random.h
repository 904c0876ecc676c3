/* tests/c/base/random.h: the same "random" numbers at every run (splitmix64; Steele, Lea, Flood 2014). */
#ifndef FGW_TESTS_RANDOM_H
#define FGW_TESTS_RANDOM_H
#include <stdint.h>

static uint64_t random_state_;
static inline void random_seed(uint64_t seed) { random_state_ = seed; }
static inline uint64_t random_u64(void)
{
    uint64_t z = random_state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline uint64_t random_below(uint64_t n) { return random_u64() % n; }
#endif
