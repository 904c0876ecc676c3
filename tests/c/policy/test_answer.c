#include "policy/answer.c"
#include "policy/made.h"
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


TEST(a_static_answer_has_its_fields_in_order)
{
    begin(8192);
    struct fgw_l_pair p[2] = {{.name = text("Content-Type"), .value = text("text/plain")}, {.name = text("X-A"), .value = text("1")}};
    struct fgw_l_answer a = {.status = 200, .fields = {record(p, sizeof p), 2}, .body = text("hello")};
    OK(fgw_answer_static(&r, &a));
    EQ(r.answer.why, FGW_E_NONE);
    EQ_STR(r.answer.body, "hello");
    EQ(r.reply.n, 2);
    EQ(r.reply.v[0].id, FGW_H_CONTENT_TYPE);
    EQ(r.reply.v[1].id, FGW_H_OTHER);
    EQ_BYTES(r.reply.v[1].value, r.reply.v[1].value_len, "1");
    end();
}

TEST(a_redirect_is_made_of_the_requests_parts)
{
    begin(8192);
    struct fgw_l_part p[] = {{.kind = FGW_PART_TEXT, .text = text("https://")}, {.kind = FGW_PART_HOST}, {.kind = FGW_PART_PATH},
                             {.kind = FGW_PART_TEXT, .text = text("?")}, {.kind = FGW_PART_QUERY}};
    struct fgw_l_redirect d = {.status = 308, .location = {record(p, sizeof p), FGW_COUNT(p)}};
    r.host = FGW_STR("example.org"), r.target.path = FGW_STR("/a"), r.target.query = FGW_STR("q=1");
    EQ(fgw_step_redirect.on_request(&r, &d, NULL), FGW_REPLY);
    EQ(r.answer.status, 308);
    EQ(r.answer.body.n, 0);
    EQ(r.reply.v[0].id, FGW_H_LOCATION);
    EQ_BYTES(r.reply.v[0].value, r.reply.v[0].value_len, "https://example.org/a?q=1");
    end();
}

TEST(without_room_neither_answers)
{
    begin(16);
    r.arena.end = r.arena.p;             /* nothing left of the first piece either */
    struct fgw_l_pair p = {.name = text("A"), .value = text("1")};
    struct fgw_l_answer a = {.status = 200, .fields = {record(&p, sizeof p), 1}};
    EQ(fgw_step_answer.on_request(&r, &a, NULL), FGW_FAIL);
    EQ(r.fail.code, FGW_E_NO_MEMORY);
    struct fgw_l_redirect d = {.status = 302, .location = literal("/x")};
    r.fail = (struct fgw_fail){0};
    EQ(fgw_step_redirect.on_request(&r, &d, NULL), FGW_FAIL);
    EQ(r.fail.code, FGW_E_NO_MEMORY);
    end();
}

TEST_MAIN()
