#include "policy/answer.c"
#include "test.h"

TEST(a_static_answer_and_a_redirect_fill_the_reply)
{
    static const char seg[] = "....x-abody/to";
    const struct fgw_l_answer a = {.status = 418, .body = {7, 4}};
    struct fgw_blocks blocks;
    static char first[512];
    struct fgw_req r = {.seg = seg};
    fgw_blocks_init(&blocks, 0);
    fgw_arena_init(&r.arena, &blocks, first, sizeof first, 4096);
    EQ(fgw_step_answer.on_request(&r, &a, NULL), FGW_REPLY);
    EQ(r.answer.status, 418);
    EQ_STR(r.answer.body, "body");
    EQ(r.reply.n, 0);
    _Alignas(8) char other[128] = {0};
    struct fgw_l_part part = {.kind = FGW_PART_TEXT, .text = {100, 3}};
    memcpy(other + 8, &part, sizeof part), memcpy(other + 100, "/to", 3);
    const struct fgw_l_redirect d = {.status = 302, .location = {8, 1}};
    r.seg = other;
    EQ(fgw_step_redirect.on_request(&r, &d, NULL), FGW_REPLY);
    EQ(r.answer.status, 302);
    EQ(r.reply.n, 1);
    EQ_BYTES(r.reply.v[0].value, r.reply.v[0].value_len, "/to");
    fgw_arena_fini(&r.arena);
    fgw_blocks_fini(&blocks);
}

TEST_MAIN()
