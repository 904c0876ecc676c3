#include "policy/test_steps.c"
#include "test.h"

static char heard[64];
static size_t heard_n;
static bool copy(struct fgw_body_out *o, const void *p, size_t n) { (void)o; memcpy(heard + heard_n, p, n); heard_n += n; return true; }

TEST(shouting_upper_cases_and_marks_the_end)
{
    struct fgw_blocks blocks;
    struct fgw_req r = {0};
    struct fgw_body_out out = {.copy = copy};
    fgw_blocks_init(&blocks, 0);
    struct fgw_block *b = fgw_block_get(&blocks, 8);
    memcpy(b->data, "a{Zz1", 5);
    OK(fgw_step_test_body.on_body[FGW_DIR_REPLY](&r, NULL, NULL, (struct fgw_span){b, 0, 5}, false, &out));
    OK(fgw_step_test_body.on_body[FGW_DIR_REPLY](&r, NULL, NULL, (struct fgw_span){0}, true, &out));
    EQ_BYTES(heard, heard_n, "A{ZZ1!");
    fgw_block_unref(b);
    fgw_blocks_fini(&blocks);
}

static bool refuse(struct fgw_body_out *o, const void *p, size_t n) { (void)o, (void)p, (void)n; return false; }

TEST(shouting_takes_long_pieces_and_tells_of_no_memory)
{
    struct fgw_blocks blocks;
    struct fgw_req r = {0};
    struct fgw_body_out good = {.copy = copy}, bad = {.copy = refuse};
    fgw_blocks_init(&blocks, 0);
    struct fgw_block *b = fgw_block_get(&blocks, 60);
    memset(b->data, 'z', 60);
    heard_n = 0;
    OK(fgw_step_test_body.on_body[FGW_DIR_REQUEST](&r, NULL, NULL, (struct fgw_span){b, 0, 60}, false, &good));
    EQ(heard_n, 60);
    OK(fgw_step_test_body.on_body[FGW_DIR_REQUEST](&r, NULL, NULL, (struct fgw_span){0}, true, &good));
    EQ(heard_n, 60);                     /* nothing is added to a request */
    OK(!fgw_step_test_body.on_body[FGW_DIR_REQUEST](&r, NULL, NULL, (struct fgw_span){b, 0, 60}, false, &bad));
    EQ(r.fail.code, FGW_E_NO_MEMORY);
    fgw_block_unref(b);
    fgw_blocks_fini(&blocks);
}

TEST(the_call_step_asks_once_and_tells_what_came)
{
    struct fgw_blocks blocks;
    struct fgw_req r = {0};
    static char first[1024];
    struct call_state state = {0};
    fgw_blocks_init(&blocks, 0);
    fgw_arena_init(&r.arena, &blocks, first, sizeof first, 4096);
    EQ(fgw_step_test_call.on_request(&r, NULL, &state), FGW_PARK);
    EQ_STR(r.call.path, "/probe");
    r.call_status = 207;
    EQ(fgw_step_test_call.on_request(&r, NULL, &state), FGW_NEXT);
    struct fgw_out_field *f = fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("x-probe"));
    OK(f && f->value_len == 3 && memcmp(f->value, "207", 3) == 0);
    fgw_arena_fini(&r.arena);
    fgw_blocks_fini(&blocks);
}

TEST_MAIN()
