#include "policy/hook_edit.c"
#include "policy/made.h"
#include "test.h"

#define S(lit) FGW_STR(lit)
static struct fgw_fields f;
static enum fgw_put set(struct fgw_str name, struct fgw_str value) { return fgw_fields_put(&r.arena, &f, name, value, true); }
static struct fgw_str value_of(const char *name)
{
    uint32_t i = fgw_fields_next(&f, 0, fgw_str(name, strlen(name)));
    return i < f.n ? fgw_str(f.v[i].value, f.v[i].value_len) : S("none");
}

TEST(what_is_put_is_copied_and_takes_the_place_of_its_namesakes)
{
    char name[] = "X-A", value[] = " 1\t";
    begin(0);
    f = (struct fgw_fields){0};
    EQ(set(fgw_str(name, 3), fgw_str(value, 3)), FGW_PUT_OK);
    memset(name, '!', 3), memset(value, '!', 3);
    EQ_STR(value_of("x-a"), "1");
    EQ(fgw_fields_put(&r.arena, &f, S("x-a"), S("2"), false), FGW_PUT_OK);
    uint32_t i = fgw_fields_next(&f, 0, S("X-a"));
    EQ(fgw_fields_next(&f, i + 1, S("X-a")), i + 1);
    EQ(fgw_fields_next(&f, i + 2, S("X-a")), f.n);
    EQ(set(S("x-a"), S("3")), FGW_PUT_OK);
    EQ_STR(value_of("x-a"), "3");
    EQ(fgw_fields_next(&f, fgw_fields_next(&f, 0, S("x-a")) + 1, S("x-a")), f.n);
    EQ(set(S("Authorization"), S("")), FGW_PUT_OK);    /* one of those with a number */
    EQ_STR(value_of("authorization"), "");
    EQ(fgw_fields_next(&f, 0, S("")), 2);              /* any: the dropped ones are passed over */
    fgw_fields_remove(&f, S("AUTHORIZATION"));
    fgw_fields_remove(&f, S(""));
    EQ_STR(value_of("authorization"), "none");
    EQ_STR(value_of("x-a"), "3");
    end();
}

TEST(what_cannot_be_sent_is_refused)
{
    static const char *const names[] = {"", "a b", "a:", "a\r\n", "\xc3\xbc", "(x)"}, *const values[] = {"a\r\nb: c", "a\nb", "\x7f", "\x01"};
    static const char *const codecs[] = {"Host", "content-length", "Transfer-Encoding", "connection", "TE", "upgrade", "keep-alive"};
    begin(0);
    f = (struct fgw_fields){0};
    for (size_t i = 0; i < FGW_COUNT(names); i++) EQ(set(fgw_str(names[i], strlen(names[i])), S("v")), FGW_PUT_BAD_NAME);
    for (size_t i = 0; i < FGW_COUNT(values); i++) EQ(set(S("x"), fgw_str(values[i], strlen(values[i]))), FGW_PUT_BAD_VALUE);
    EQ(set(S("x"), fgw_str("a\0b", 3)), FGW_PUT_BAD_VALUE);
    for (size_t i = 0; i < FGW_COUNT(codecs); i++) EQ(set(fgw_str(codecs[i], strlen(codecs[i])), S("1")), FGW_PUT_OWNED);
    EQ(f.n, 0);
    EQ(set(S("x"), S("\xe4 ok\tok")), FGW_PUT_OK);
    end();
}

TEST(nothing_grows_for_ever)
{
    begin(4096);
    f = (struct fgw_fields){0};
    enum fgw_put last = FGW_PUT_OK;
    for (int i = 0; i < 1000 && last == FGW_PUT_OK; i++) last = set(S("x"), S("some value"));
    EQ(last, FGW_PUT_NO_ROOM);
    end();
    begin(0);
    f = (struct fgw_fields){0}, last = FGW_PUT_OK;
    for (int i = 0; i < 1000 && last == FGW_PUT_OK; i++) last = set(S("x"), S("some value"));
    EQ(last, FGW_PUT_TOO_MANY);
    end();
}

TEST(a_copy_is_edited_alone)
{
    struct fgw_fields copy;
    begin(0);
    f = (struct fgw_fields){0};
    set(S("a"), S("1")), set(S("a"), S("2")), set(S("b"), S("3"));
    OK(fgw_fields_copy(&r.arena, &copy, &f));
    EQ(copy.n, 2);
    fgw_fields_remove(&copy, S("b"));
    fgw_fields_put(&r.arena, &copy, S("a"), S("9"), true);
    EQ_STR(value_of("a"), "2");
    EQ_STR(value_of("b"), "3");
    end();
    begin(700);
    f = (struct fgw_fields){0};
    for (int i = 0; i < 12; i++) fgw_fields_put(&r.arena, &f, S("a"), S("1"), false);
    OK(!fgw_fields_copy(&r.arena, &copy, &f));
    end();
}

TEST(tags_have_bounds_and_the_last_word_stands)
{
    static char big[FGW_TAG_VALUE_MAX + 1];
    struct fgw_fields t = {0};
    begin(0);
    memset(big, 'x', sizeof big);
    EQ(fgw_tag_put(&r.arena, &t, S("user"), S("joe")), FGW_PUT_OK);
    EQ(fgw_tag_put(&r.arena, &t, S("user"), S("jim\n")), FGW_PUT_OK);
    EQ(t.n, 1);
    EQ_BYTES(t.v[0].value, t.v[0].value_len, "jim\n");
    EQ(fgw_tag_put(&r.arena, &t, S(""), S("x")), FGW_PUT_BAD_NAME);
    EQ(fgw_tag_put(&r.arena, &t, fgw_str(big, FGW_TAG_NAME_MAX + 1), S("x")), FGW_PUT_BAD_NAME);
    EQ(fgw_tag_put(&r.arena, &t, S("a"), fgw_str(big, FGW_TAG_VALUE_MAX + 1)), FGW_PUT_BAD_VALUE);
    for (int i = 1; i < FGW_TAGS_MAX; i++) EQ(fgw_tag_put(&r.arena, &t, fgw_str(big, (size_t)i), S("x")), FGW_PUT_OK);
    EQ(fgw_tag_put(&r.arena, &t, S("more"), S("x")), FGW_PUT_TOO_MANY);
    EQ(fgw_tag_put(&r.arena, &t, S("user"), S("x")), FGW_PUT_OK);
    end();
}
TEST_MAIN()
