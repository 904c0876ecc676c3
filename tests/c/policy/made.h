/* tests/c/policy/made.h: a request with an arena, and a segment that is written as it is needed: for tests of steps.
 * One of each a program; begin and end frame a test. */
#ifndef FGW_TESTS_MADE_H
#define FGW_TESTS_MADE_H
#include <string.h>
#include "policy/req.h"

static struct fgw_blocks blocks;
static char first[512];
_Alignas(8) static char seg[4096];
static uint32_t used;
static struct fgw_req r;
static inline void begin(uint32_t max)
{
    memset(&r, 0, sizeof r), memset(seg, 0, sizeof seg), used = 64;
    fgw_blocks_init(&blocks, 0);
    fgw_arena_init(&r.arena, &blocks, first, sizeof first, max);
    r.seg = seg;
}
static inline void end(void) { fgw_arena_fini(&r.arena), fgw_blocks_fini(&blocks); }
static inline struct fgw_l_str text(const char *t)
{
    struct fgw_l_str s = {used, (uint32_t)strlen(t)};
    memcpy(seg + used, t, s.len);
    used += s.len;
    return s;
}
static inline uint32_t record(const void *p, size_t n)
{
    used = (used + 7) & ~7u;
    uint32_t at = used;
    memcpy(seg + at, p, n);
    used += (uint32_t)n;
    return at;
}
static inline struct fgw_l_arr literal(const char *t)
{
    struct fgw_l_part p = {.kind = FGW_PART_TEXT, .text = text(t)};
    return (struct fgw_l_arr){record(&p, sizeof p), 1};
}

#endif
