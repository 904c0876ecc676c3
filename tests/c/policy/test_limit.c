#include "policy/limit.c"
#include "policy/limit_req.h"

static uint64_t tag_by(struct test_req *t, enum fgw_limit_by kind, const char *name)
{
    uint32_t used = req_used;
    struct fgw_l_limit_key k = {.kind = (uint8_t)kind, .id = (uint8_t)fgw_field_id(name, (uint32_t)strlen(name)), .name = seg_str(name)};
    struct fgw_l_arr keys = {seg_bytes(&k, sizeof k), 1};
    uint64_t tag = fgw_limit_tag(&t->r, keys, FGW_STR(""));
    req_used = used;
    return tag;
}

TEST(clients_are_told_apart_and_ipv6_by_64)
{
    struct test_req t;
    req_begin();
    req_init(&t);
    const char *same[][2] = {{"192.0.2.1", "192.0.2.1"}, {"2001:db8::1", "2001:db8::ffff:1"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"unix", ""}};
    const char *other[][2] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8:0:1::1"}, {"192.0.2.1", "unix"}};
    for (unsigned i = 0; i < FGW_COUNT(same); i++) {
        t.r.client = fgw_str(same[i][0], strlen(same[i][0]));
        uint64_t a = tag_by(&t, FGW_LIMIT_CLIENT, "");
        t.r.client = fgw_str(same[i][1], strlen(same[i][1]));
        OK(tag_by(&t, FGW_LIMIT_CLIENT, "") == a);
    }
    for (unsigned i = 0; i < FGW_COUNT(other); i++) {
        t.r.client = fgw_str(other[i][0], strlen(other[i][0]));
        uint64_t a = tag_by(&t, FGW_LIMIT_CLIENT, "");
        t.r.client = fgw_str(other[i][1], strlen(other[i][1]));
        OK(tag_by(&t, FGW_LIMIT_CLIENT, "") != a);
    }
    struct fgw_peer peer = {.address = FGW_STR("192.0.2.1"), .ip_lo = 0xffffc0000201};
    t.r.client = peer.address;
    uint64_t parsed = tag_by(&t, FGW_LIMIT_CLIENT, "");
    t.r.peer = &peer;
    OK(tag_by(&t, FGW_LIMIT_CLIENT, "") == parsed);    /* the connection's own bits are the same key as the text */
    req_fini(&t, NULL, NULL);
    req_end();
}

/* The value counts; absent, empty and repeated are one. */
TEST(headers_count_by_their_one_value)
{
    static const char *const absent[][2] = {{NULL, NULL}, {"", NULL}, {"a", "a"}, {"a", ""}};
    struct test_req t;
    req_begin();
    req_init(&t);
    uint64_t none = tag_by(&t, FGW_LIMIT_HEADER, "x-key");
    for (unsigned i = 0; i < FGW_COUNT(absent); i++) {
        t.r.out.n = 0;
        for (int k = 0; k < 2; k++)
            if (absent[i][k]) req_field(&t, k ? "X-Key" : "x-key", absent[i][k]);
        OK(tag_by(&t, FGW_LIMIT_HEADER, "X-KEY") == none);
    }
    t.r.out.n = 0;
    req_field(&t, "x-key", "a");
    uint64_t a = tag_by(&t, FGW_LIMIT_HEADER, "x-key");
    OK(a != none);
    t.r.out.v[0].value = "b";
    OK(tag_by(&t, FGW_LIMIT_HEADER, "x-key") != a);
    char *huge = malloc(100000);
    memset(huge, 'x', 100000);
    t.r.out.v[0].value = huge, t.r.out.v[0].value_len = 100000;
    uint64_t long1 = tag_by(&t, FGW_LIMIT_HEADER, "x-key");
    huge[99999] = 'y';
    OK(long1 != none && tag_by(&t, FGW_LIMIT_HEADER, "x-key") != long1);
    free(huge);
    req_fini(&t, NULL, NULL);
    req_end();
}

static uint64_t query(struct test_req *t, const char *q)
{
    t->r.target.query = fgw_str(q, strlen(q));
    return tag_by(t, FGW_LIMIT_QUERY, "k");
}
static uint64_t cookies(struct test_req *t, const char *one, const char *two)
{
    t->r.out.n = 0;
    req_field(t, "cookie", one);
    if (two) req_field(t, "Cookie", two);
    return tag_by(t, FGW_LIMIT_COOKIE, "k");
}

TEST(parameters_and_cookies_likewise)
{
    struct test_req t;
    char longer[1200] = "k=";
    req_begin();
    req_init(&t);
    memset(longer + 2, 'x', sizeof longer - 3);
    uint64_t none = query(&t, "");
    OK(query(&t, "k=a") != none && query(&t, "x=1&k=%61&y") == query(&t, "k=a"));
    OK(query(&t, "k=a") != query(&t, "k=b"));
    OK(query(&t, "k=a&k=a") == none && query(&t, "k=") == none && query(&t, "k") == none && query(&t, "kk=a") == none);
    OK(query(&t, longer) == none);
    uint64_t a = cookies(&t, "k=a", NULL);
    OK(a != none && cookies(&t, "x=1; k=a ;y=2", NULL) == a && cookies(&t, "x=1", "k=a") == a);
    OK(cookies(&t, "k=a; k=b", NULL) == none && cookies(&t, "k=a", "k=a") == none && cookies(&t, "k=", NULL) == none);
    OK(cookies(&t, ";;=;k", NULL) == none && cookies(&t, "", NULL) == none && cookies(&t, "K=a", NULL) == none);
    req_fini(&t, NULL, NULL);
    req_end();
}

TEST(several_parts_count_together_and_limits_apart)
{
    struct test_req t;
    req_begin();
    req_init(&t);
    struct fgw_l_limit_key k[2] = {{.kind = FGW_LIMIT_CLIENT}, {.kind = FGW_LIMIT_ROUTE}};
    uint32_t at = seg_bytes(k, sizeof k);
    struct fgw_l_arr one = {at, 1}, both = {at, 2}, no = {0, 0};
    uint64_t a = fgw_limit_tag(&t.r, one, FGW_STR("")), b = fgw_limit_tag(&t.r, both, FGW_STR("")), c = fgw_limit_tag(&t.r, no, FGW_STR(""));
    OK(a != b && b != c && a != c);
    OK(fgw_limit_tag(&t.r, no, FGW_STR("x")) != fgw_limit_tag(&t.r, no, FGW_STR("y")));
    OK(fgw_limit_tag(&t.r, both, FGW_STR("")) == b);
    req_fini(&t, NULL, NULL);
    req_end();
}
TEST_MAIN()
