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

TEST_MAIN()
