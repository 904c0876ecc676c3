#include "test.h"
#include "policy/match.c"
#include "policy/seg.h"

static struct fgw_field fields[8];
static char head_text[256];

/* A request's head of these lines; its bytes stay until the next call. */
static struct fgw_head head_of(const char *lines)
{
    static const struct fgw_head_limits limits = {128, 128, 256, 8};
    struct fgw_head h = {.fields = fields};
    fgw_head_reset(&h);
    int n = snprintf(head_text, sizeof head_text, "GET / HTTP/1.1\r\n%s\r\n", lines);
    EQ(fgw_head_parse_request(&h, head_text, (uint32_t)n, &limits), n);
    return h;
}

static bool holds(struct seg *s, const char *name, const char *value, bool query, struct fgw_route_in in)
{
    struct fgw_l_str n = seg_text(s, name), v = seg_text(s, value);
    uint8_t id = query ? 0 : (uint8_t)fgw_field_id(name, (uint32_t)strlen(name));
    struct fgw_l_arr list = {SEG_PUT(s, cond, {.id = id, .name = n, .value = v}), 1};
    struct fgw_l_cand c = {.headers = query ? (struct fgw_l_arr){0, 0} : list, .query = query ? list : (struct fgw_l_arr){0, 0}};
    return fgw_match_conds(s->p, &c, &in);
}

TEST(headers_by_name_in_any_case_and_value_byte_for_byte)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    struct fgw_head h = head_of("X-Version: 2\r\nhost: a\r\nUSER-AGENT: curl\r\n");
    struct fgw_route_in in = {.head = &h};
    OK(holds(&s, "x-version", "2", false, in));
    OK(!holds(&s, "x-version", "22", false, in));
    OK(!holds(&s, "x-versio", "2", false, in));
    OK(holds(&s, "user-agent", "curl", false, in));
    OK(!holds(&s, "user-agent", "Curl", false, in));
    OK(!holds(&s, "accept", "", false, in));
    OK(!holds(&s, "cookie", "", false, in));
    in.head = NULL;
    OK(!holds(&s, "x-version", "2", false, in));
    seg_free(&s);
}

TEST(any_line_of_a_name_will_do)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    struct fgw_head h = head_of("x-a: 1\r\nX-A: 2\r\nx-a:\r\n");
    struct fgw_route_in in = {.head = &h};
    OK(holds(&s, "x-a", "1", false, in) && holds(&s, "x-a", "2", false, in) && holds(&s, "x-a", "", false, in));
    OK(!holds(&s, "x-a", "3", false, in));
    seg_free(&s);
}

TEST(query_is_decoded_and_its_first_parameter_counts)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    struct fgw_route_in in = {.query = FGW_STR("a=1&debug=%31&debug=2&e&p=a+b")};
    OK(holds(&s, "debug", "1", true, in) && !holds(&s, "debug", "2", true, in));
    OK(holds(&s, "e", "", true, in) && holds(&s, "p", "a b", true, in));
    OK(!holds(&s, "x", "", true, in));
    in.query = (struct fgw_str){NULL, 0};
    OK(!holds(&s, "a", "1", true, in));
    seg_free(&s);
}

TEST(a_query_value_has_a_longest_length)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    char value[FGW_COND_VALUE_MAX + 2], query[FGW_COND_VALUE_MAX + 8];
    memset(value, 'x', sizeof value);
    value[FGW_COND_VALUE_MAX] = 0;
    struct fgw_route_in in = {.query = fgw_str(query, (size_t)snprintf(query, sizeof query, "q=%s", value))};
    OK(holds(&s, "q", value, true, in));
    value[FGW_COND_VALUE_MAX] = 'x', value[FGW_COND_VALUE_MAX + 1] = 0;
    in.query = fgw_str(query, (size_t)snprintf(query, sizeof query, "q=%s", value));
    OK(!holds(&s, "q", value, true, in));
    seg_free(&s);
}

TEST(all_conditions_must_hold)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    struct fgw_head h = head_of("x-a: 1\r\n");
    struct fgw_route_in in = {.head = &h, .query = FGW_STR("q=1")};
    struct fgw_l_str a = seg_text(&s, "x-a"), b = seg_text(&s, "x-b"), q = seg_text(&s, "q"), one = seg_text(&s, "1");
    struct fgw_l_cond conds[3] = {{.name = a, .value = one}, {.name = b, .value = one}, {.name = q, .value = one}};
    uint32_t off = seg_put(&s, conds, sizeof conds), each = sizeof conds[0];
    struct fgw_l_cand c = {.headers = {off, 1}, .query = {off + 2 * each, 1}};
    OK(fgw_match_conds(s.p, &c, &in));
    c.headers.count = 2;
    OK(!fgw_match_conds(s.p, &c, &in));
    c.headers.count = 1, in.query = FGW_STR("q=2");
    OK(!fgw_match_conds(s.p, &c, &in));
    seg_free(&s);
}

TEST(methods_by_number_and_by_name)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    struct fgw_l_str purge = seg_text(&s, "PURGE");
    struct fgw_l_cand any = {.methods = UINT16_MAX}, get = {.methods = 1 << FGW_M_GET},
                      named = {.methods = 1 | 1 << FGW_M_PUT, .others = {seg_put(&s, &purge, sizeof purge), 1}};
    struct fgw_route_in in = {.method = FGW_STR("GET"), .method_id = FGW_M_GET};
    OK(fgw_match_method(s.p, &any, &in) && fgw_match_method(s.p, &get, &in) && !fgw_match_method(s.p, &named, &in));
    in = (struct fgw_route_in){.method = FGW_STR("PURGE"), .method_id = FGW_M_OTHER};
    OK(fgw_match_method(s.p, &any, &in) && !fgw_match_method(s.p, &get, &in) && fgw_match_method(s.p, &named, &in));
    in.method = FGW_STR("purge");
    OK(fgw_match_method(s.p, &any, &in) && !fgw_match_method(s.p, &named, &in));
    seg_free(&s);
}

TEST_MAIN()
