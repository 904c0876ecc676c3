#include "policy/req.c"
#include "test.h"

static struct fgw_blocks blocks;
static char first[256];
static void begin(struct fgw_req *r)
{
    memset(r, 0, sizeof *r);
    fgw_blocks_init(&blocks, 0);
    fgw_arena_init(&r->arena, &blocks, first, sizeof first, 64 << 10);
}
static void end(struct fgw_req *r) { fgw_arena_fini(&r->arena); fgw_blocks_fini(&blocks); }

TEST(fields_grow_are_found_and_dropped)
{
    struct fgw_req r;
    begin(&r);
    for (int i = 0; i < 20; i++) OK(fgw_fields_add(&r.arena, &r.out, FGW_H_OTHER, i % 2 ? FGW_STR("X-A") : FGW_STR("x-b"), FGW_STR("v")));
    EQ(r.out.n, 20);
    OK(fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("x-a")) == &r.out.v[1]);
    fgw_fields_drop(&r.out, FGW_H_OTHER, FGW_STR("x-a"));
    OK(!fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("X-A")));
    OK(fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("X-B")) == &r.out.v[0]);
    end(&r);
}

TEST(a_template_joins_texts_and_facts)
{
    static const char seg[] = "id=/";
    const struct fgw_l_part parts[] = {{.kind = FGW_PART_TEXT, .text = {0, 3}}, {.kind = FGW_PART_REQUEST_ID}, {.kind = FGW_PART_PARAM, .param = 1}};
    struct fgw_req r;
    begin(&r);
    r.seg = seg, r.request_id = FGW_STR("abc"), r.params[1] = FGW_STR("7");
    EQ_STR(fgw_template(&r, parts, 3), "id=abc7");
    OK(fgw_template(&r, parts, 1).p == seg);          /* one literal is a view */
    end(&r);
}

TEST_MAIN()
