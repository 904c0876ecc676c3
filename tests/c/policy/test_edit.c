#include "policy/edit.c"
#include "policy/made.h"
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


static struct fgw_l_edit edit_of(enum fgw_edit_op op, const char *name, const char *more)
{
    struct fgw_l_edit e = {.op = (uint8_t)op, .id = (uint8_t)fgw_field_id(name, strlen(name)), .name = text(name)};
    if (op == FGW_EDIT_RENAME) e.to = text(more), e.to_id = (uint8_t)fgw_field_id(more, strlen(more));
    else if (more) e.value = literal(more);
    return e;
}
static struct fgw_l_headers edits(struct fgw_l_edit *e, uint32_t n)
{
    return (struct fgw_l_headers){.request = {record(e, n * sizeof *e), n}};
}
static void add(struct fgw_fields *f, const char *name, const char *value)
{
    OK(fgw_fields_add(&r.arena, f, fgw_field_id(name, strlen(name)), fgw_str(name, strlen(name)), fgw_str(value, strlen(value))));
}
/* "name=value name=value ": what is left, in order. */
static const char *left(const struct fgw_fields *f)
{
    static char out[512];
    out[0] = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->v[i].flags & FGW_FIELD_DROP) continue;
        strncat(out, f->v[i].name, f->v[i].name_len), strcat(out, "=");
        if (f->v[i].value_len) strncat(out, f->v[i].value, f->v[i].value_len);
        strcat(out, " ");
    }
    return out;
}
#define LEFT(f, want) EQ_STR(fgw_str(left(f), strlen(left(f))), want)

TEST(each_edit_on_lines_of_the_same_name)
{
    static const struct { enum fgw_edit_op op; const char *name, *more, *want; } of[] = {
        {FGW_EDIT_REMOVE, "x-a", NULL, "B=2 Cookie=c "}, {FGW_EDIT_SET, "x-a", "9", "B=2 Cookie=c x-a=9 "},
        {FGW_EDIT_APPEND, "x-a", "9", "X-A=1 B=2 x-A=3 Cookie=c x-a=9 "}, {FGW_EDIT_SET, "new", "9", "X-A=1 B=2 x-A=3 Cookie=c new=9 "},
        {FGW_EDIT_RENAME, "x-a", "x-z", "x-z=1 B=2 x-z=3 Cookie=c "}, {FGW_EDIT_RENAME, "x-a", "b", "b=1 b=3 Cookie=c "},
        {FGW_EDIT_RENAME, "none", "b", "X-A=1 B=2 x-A=3 Cookie=c "}, {FGW_EDIT_RENAME, "x-a", "X-a", "X-A=1 B=2 x-A=3 Cookie=c "},
        {FGW_EDIT_REMOVE, "cookie", NULL, "X-A=1 B=2 x-A=3 "}, {FGW_EDIT_RENAME, "cookie", "x-cookie", "X-A=1 B=2 x-A=3 x-cookie=c "},
        {FGW_EDIT_RENAME, "b", "authorization", "X-A=1 authorization=2 x-A=3 Cookie=c "}, {FGW_EDIT_SET, "b", "", "X-A=1 x-A=3 Cookie=c b= "}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        begin(8192);
        add(&r.out, "X-A", "1"), add(&r.out, "B", "2"), add(&r.out, "x-A", "3"), add(&r.out, "Cookie", "c");
        struct fgw_l_edit e = edit_of(of[i].op, of[i].name, of[i].more);
        struct fgw_l_headers h = edits(&e, 1);
        EQ(fgw_step_headers.on_request(&r, &h, NULL), FGW_NEXT);
        LEFT(&r.out, of[i].want);
        end();
    }
}

TEST(a_known_name_that_was_renamed_is_found_by_its_new_one)
{
    begin(8192);
    add(&r.out, "B", "2");
    struct fgw_l_edit e[] = {edit_of(FGW_EDIT_RENAME, "b", "authorization"), edit_of(FGW_EDIT_REMOVE, "Authorization", NULL)};
    struct fgw_l_headers h = edits(e, 2);
    EQ(fgw_step_headers.on_request(&r, &h, NULL), FGW_NEXT);
    LEFT(&r.out, "");
    end();
}

TEST(the_replys_edits_touch_the_reply_alone)
{
    begin(8192);
    add(&r.out, "A", "1"), add(&r.reply, "A", "1");
    struct fgw_l_edit e = edit_of(FGW_EDIT_SET, "a", "2");
    struct fgw_l_headers h = {.reply = {record(&e, sizeof e), 1}};
    EQ(fgw_step_headers.on_request(&r, &h, NULL), FGW_NEXT);
    EQ(fgw_step_headers.on_reply(&r, &h, NULL), FGW_NEXT);
    LEFT(&r.out, "A=1 ");
    LEFT(&r.reply, "a=2 ");
    end();
}

TEST(without_room_the_exchange_fails)
{
    begin(512);
    add(&r.out, "A", "1");
    struct fgw_l_part parts[] = {{.kind = FGW_PART_PATH}, {.kind = FGW_PART_PATH}};
    char path[400];
    memset(path, 'p', sizeof path);
    r.target.path = fgw_str(path, sizeof path);
    struct fgw_l_edit e = edit_of(FGW_EDIT_SET, "b", NULL);
    e.value = (struct fgw_l_arr){record(parts, sizeof parts), 2};
    struct fgw_l_headers h = edits(&e, 1);
    EQ(fgw_step_headers.on_request(&r, &h, NULL), FGW_FAIL);
    EQ(r.fail.code, FGW_E_NO_MEMORY);
    end();
}

TEST_MAIN()
