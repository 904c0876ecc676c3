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

TEST(room_is_kept_and_contents_move_along)
{
    struct fgw_req r;
    begin(&r);
    OK(fgw_fields_reserve(&r.arena, &r.out, 3));
    EQ(r.out.cap, 3);
    struct fgw_out_field *v = r.out.v;
    for (int i = 0; i < 3; i++) OK(fgw_fields_add(&r.arena, &r.out, FGW_H_OTHER, FGW_STR("A"), FGW_STR("1")));
    OK(r.out.v == v);                    /* what was reserved is there */
    OK(fgw_fields_add(&r.arena, &r.out, FGW_H_DATE, FGW_STR("Date"), FGW_STR("now")));
    OK(r.out.v != v && r.out.n == 4 && r.out.v[0].name[0] == 'A' && r.out.v[3].id == FGW_H_DATE);
    OK(fgw_fields_reserve(&r.arena, &r.out, 1));             /* less than there is: nothing to do */
    end(&r);
}

TEST(known_fields_are_found_by_number_others_by_name)
{
    struct fgw_req r;
    begin(&r);
    OK(fgw_fields_add(&r.arena, &r.out, FGW_H_DATE, FGW_STR("Date"), FGW_STR("1")));
    OK(fgw_fields_add(&r.arena, &r.out, FGW_H_OTHER, FGW_STR("X-Date"), FGW_STR("2")));
    OK(fgw_fields_find(&r.out, FGW_H_DATE, FGW_STR("whatever")) == &r.out.v[0]);
    OK(fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("x-dATE")) == &r.out.v[1]);
    OK(!fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("date")));
    OK(!fgw_fields_find(&r.out, FGW_H_OTHER, FGW_STR("X-Dat")));
    fgw_fields_drop(&r.out, FGW_H_DATE, FGW_STR(""));
    OK(!fgw_fields_find(&r.out, FGW_H_DATE, FGW_STR("Date")));
    EQ(r.out.n, 2);                      /* dropped ones stay, marked */
    end(&r);
}

TEST(every_part_of_a_template)
{
    static const char seg[] = "lit";
    const struct fgw_l_part parts[] = {{.kind = FGW_PART_TEXT, .text = {0, 3}}, {.kind = FGW_PART_PARAM, .param = 2}, {.kind = FGW_PART_CLIENT_ADDRESS},
        {.kind = FGW_PART_HOST}, {.kind = FGW_PART_REQUEST_ID}, {.kind = FGW_PART_METHOD}, {.kind = FGW_PART_PATH}, {.kind = FGW_PART_QUERY},
        {.kind = FGW_PART_SCHEME}, {.kind = FGW_PART_LISTENER}, {.kind = FGW_PART_ROUTE}, {.kind = FGW_PART_PARAM, .param = 255}, {.kind = 99}};
    struct fgw_req r;
    begin(&r);
    r.seg = seg, r.params[2] = FGW_STR("p"), r.client = FGW_STR("c"), r.host = FGW_STR("h"), r.request_id = FGW_STR("i"), r.method = FGW_STR("M");
    r.target.path = FGW_STR("/"), r.target.query = FGW_STR("q"), r.scheme = FGW_STR("s"), r.listener = FGW_STR("l");
    EQ_STR(fgw_template(&r, parts, FGW_COUNT(parts)), "litpchiM/qsl");
    struct fgw_l_route route = {.name = {0, 2}};
    r.route = &route;
    EQ_STR(fgw_template(&r, parts, FGW_COUNT(parts)), "litpchiM/qslli");
    EQ(fgw_template(&r, parts, 0).n, 0);
    OK(fgw_template(&r, parts, 0).p != NULL);
    end(&r);
}

TEST(parts_of_a_client_certificate)
{
    const struct fgw_str uris[] = {FGW_STR("spiffe://d/a"), FGW_STR("x:")}, dns[] = {FGW_STR("a.d"), FGW_STR("b.d")};
    const struct fgw_identity who = {.subject = FGW_STR("CN=a,O=d"), .cn = FGW_STR("a"), .fingerprint = FGW_STR("0f"), .uris = uris, .dns = dns, .nuris = 2, .ndns = 2};
    const struct fgw_identity bare = {.subject = FGW_STR("O=d")};
    const struct fgw_l_part parts[] = {{.kind = FGW_PART_TEXT, .text = {0, 1}}, {.kind = FGW_PART_CERT_SUBJECT}, {.kind = FGW_PART_TEXT, .text = {0, 1}},
        {.kind = FGW_PART_CERT_CN}, {.kind = FGW_PART_TEXT, .text = {0, 1}}, {.kind = FGW_PART_CERT_FINGERPRINT}, {.kind = FGW_PART_TEXT, .text = {0, 1}},
        {.kind = FGW_PART_CERT_URI}, {.kind = FGW_PART_TEXT, .text = {0, 1}}, {.kind = FGW_PART_CERT_DNS}};
    struct fgw_peer peer = {0};
    struct fgw_req r;
    begin(&r);
    r.seg = "|";
    EQ_STR(fgw_template(&r, parts, FGW_COUNT(parts)), "|||||");
    r.peer = &peer;
    EQ_STR(fgw_template(&r, parts, FGW_COUNT(parts)), "|||||");
    peer.identity = &bare;
    EQ_STR(fgw_template(&r, parts, FGW_COUNT(parts)), "|O=d||||");
    peer.identity = &who;
    EQ_STR(fgw_template(&r, parts, FGW_COUNT(parts)), "|CN=a,O=d|a|0f|spiffe://d/a|a.d");
    end(&r);
}

TEST(out_of_room_is_told)
{
    struct fgw_req r;
    begin(&r);
    r.arena.max = 256;
    char big[300];
    memset(big, 'x', sizeof big);
    r.host = fgw_str(big, sizeof big);
    const struct fgw_l_part parts[] = {{.kind = FGW_PART_HOST}};
    OK(!fgw_template(&r, parts, 1).p);
    OK(!fgw_fields_reserve(&r.arena, &r.out, 1000));
    int n = 0;
    while (n < 1000 && fgw_fields_add(&r.arena, &r.out, FGW_H_OTHER, FGW_STR("A"), FGW_STR("1"))) n++;
    OK(n < 20);
    EQ(r.out.n, n);
    end(&r);
}

TEST(a_client_is_its_address_or_what_is_said_of_it_and_of_ipv6_its_64)
{
    const struct fgw_peer here = {.address = FGW_STR("192.0.2.1"), .ip_hi = 0, .ip_lo = 0xffffc0000201}, nowhere = {.address = FGW_STR("unix")};
    struct fgw_req r;
    uint64_t a[2] = {0}, b[2] = {0};
    begin(&r);
    r.peer = &here, r.client = here.address;
    OK(fgw_req_client(&r, a));
    OK(a[0] == 0 && a[1] == 0xffffc0000201);
    r.client = FGW_STR("2001:db8::1");
    OK(fgw_req_client(&r, a));
    r.client = FGW_STR("2001:db8::ffff:2");
    OK(fgw_req_client(&r, b));
    OK(a[0] == 0x20010db800000000 && a[1] == 0 && !memcmp(a, b, sizeof a));
    r.client = FGW_STR("2001:db8:0:1::1");
    OK(fgw_req_client(&r, b) && a[0] != b[0]);
    r.client = FGW_STR("who");
    OK(!fgw_req_client(&r, a));
    r.peer = &nowhere, r.client = nowhere.address;
    OK(!fgw_req_client(&r, a));
    end(&r);
}

TEST_MAIN()
