#include "policy/edit.c"
#include "test.h"

TEST(edits_remove_rename_and_set)
{
    _Alignas(8) static char seg[1024];
    struct fgw_l_part part = {.kind = FGW_PART_TEXT, .text = {900, 1}};
    memcpy(seg + 800, "x-a", 3), memcpy(seg + 810, "x-b", 3), memcpy(seg + 820, "x-c", 3), memcpy(seg + 900, "1", 1), memcpy(seg + 8, &part, sizeof part);
    struct fgw_l_edit e[] = {
        {.op = FGW_EDIT_REMOVE, .id = FGW_H_OTHER, .name = {800, 3}},
        {.op = FGW_EDIT_RENAME, .id = FGW_H_OTHER, .to_id = FGW_H_OTHER, .name = {810, 3}, .to = {820, 3}},
        {.op = FGW_EDIT_SET, .id = FGW_H_OTHER, .name = {800, 3}, .value = {8, 1}}};
    memcpy(seg + 64, e, sizeof e);
    const struct fgw_l_headers h = {.request = {64, 3}};
    struct fgw_blocks blocks;
    static char first[2048];
    struct fgw_req r = {.seg = seg};
    fgw_blocks_init(&blocks, 0);
    fgw_arena_init(&r.arena, &blocks, first, sizeof first, 8192);
    fgw_fields_add(&r.arena, &r.out, FGW_H_OTHER, FGW_STR("X-A"), FGW_STR("old"));
    fgw_fields_add(&r.arena, &r.out, FGW_H_OTHER, FGW_STR("X-B"), FGW_STR("kept"));
    EQ(fgw_step_headers.on_request(&r, &h, NULL), FGW_NEXT);
    struct fgw_out_field *a = fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("x-a")), *c = fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("x-c"));
    OK(a && a->value_len == 1 && a->value[0] == '1');
    OK(c && c->value_len == 4);
    OK(!fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("x-b")));
    fgw_arena_fini(&r.arena);
    fgw_blocks_fini(&blocks);
}

TEST_MAIN()
