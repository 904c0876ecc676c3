#include "http/message.c"
#include "test.h"

TEST(a_reply_head_is_written_without_dropped_fields)
{
    struct fgw_out_field f[] = {{"A", "1", 1, 1, 0, 0}, {"B", "2", 1, 1, 0, 1}};
    struct fgw_out o = {.fields = f, .nfields = 2, .status = 404};
    char room[256];
    size_t n = fgw_out_write_reply(&o, FGW_STR("Content-Length: 0\r\n"), room, sizeof room);
    EQ_BYTES(room, n, "HTTP/1.1 404 Not Found\r\nA: 1\r\nContent-Length: 0\r\n\r\n");
    EQ(fgw_out_write_reply(&o, FGW_STR(""), room, 20), 0);
    EQ(fgw_reason(799).n, 0);
}

TEST(a_request_head_is_written_whole_or_not_at_all)
{
    struct fgw_out_field f[] = {{"A", "1", 1, 1, 0, 0}, {"Empty", NULL, 0, 5, 0, 0}};
    struct fgw_out o = {.fields = f, .nfields = 2, .method = FGW_STR("PUT"), .target = FGW_STR("/x?y"), .authority = FGW_STR("h:1")};
    static const char want[] = "PUT /x?y HTTP/1.1\r\nHost: h:1\r\nA: 1\r\nEmpty: \r\nContent-Length: 3\r\n\r\n";
    struct fgw_str hop = FGW_STR("Content-Length: 3\r\n");
    size_t bound = fgw_out_size(&o) + hop.n;
    OK(bound >= sizeof want - 1);
    for (size_t size = 0; size <= bound; size++) {
        char *p = malloc(size ? size : 1);                   /* ASan watches its end */
        size_t n = fgw_out_write_request(&o, hop, p, size);
        if (size < bound) EQ(n, 0);
        else EQ_BYTES(p, n, want);
        free(p);
    }
    o.nfields = 0, o.fields = NULL;
    char room[200];
    EQ_BYTES(room, fgw_out_write_request(&o, FGW_STR(""), room, sizeof room), "PUT /x?y HTTP/1.1\r\nHost: h:1\r\n\r\n");
}

TEST(fields_alone_for_trailers)
{
    struct fgw_out_field f[] = {{"A", "1", 1, 1, 0, 0}, {"B", "2", 1, 1, 0, 1}, {"C", "", 0, 1, 0, 0}};
    char room[64];
    EQ_BYTES(room, fgw_out_write_fields(f, 3, room), "A: 1\r\nC: \r\n");
    OK(fgw_out_fields_size(f, 3) >= 11);
    EQ(fgw_out_write_fields(NULL, 0, room), 0);
}

TEST(reasons_of_replies)
{
    struct fgw_out o = {.status = 200, .reason = FGW_STR("Fine")};
    char room[128];
    EQ_BYTES(room, fgw_out_write_reply(&o, FGW_STR(""), room, sizeof room), "HTTP/1.1 200 Fine\r\n\r\n");
    o.reason = fgw_str("", 0);           /* an upstream's empty one stays empty */
    EQ_BYTES(room, fgw_out_write_reply(&o, FGW_STR(""), room, sizeof room), "HTTP/1.1 200 \r\n\r\n");
    o = (struct fgw_out){.status = 599};
    EQ_BYTES(room, fgw_out_write_reply(&o, FGW_STR(""), room, sizeof room), "HTTP/1.1 599 \r\n\r\n");
    EQ_STR(fgw_reason(404), "Not Found");
    EQ_STR(fgw_reason(511 + 88), "");
}

/* ---- Connection, and what is passed on ---- */
static struct fgw_slab slab;
static struct fgw_msg *parsed(const char *head, bool request)
{
    static const struct fgw_head_limits lim = {16384, 16384, 65536, FGW_FIELDS_MAX};
    fgw_slab_init(&slab, "msg", sizeof(struct fgw_msg));
    struct fgw_msg *m = fgw_msg_get(&slab);
    int n = (int)strlen(head), r = request ? fgw_head_parse_request(&m->head, head, (uint32_t)n, &lim) : fgw_head_parse_reply(&m->head, head, (uint32_t)n, &lim);
    EQ(r, n);
    return m;
}
static void done(struct fgw_msg *m)
{
    fgw_msg_put(m), fgw_msg_put(NULL);
    EQ(slab.live, 0);
    fgw_slab_fini(&slab);
}

TEST(what_version_and_connection_say_of_keeping)
{
    static const struct { const char *head; bool keep; } of[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true}, {"GET / HTTP/1.0\r\n\r\n", false}, {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true}, {"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: x, close\r\n\r\n", false}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct fgw_msg *m = parsed(of[i].head, true);
        EQ(fgw_msg_connection(m, true), FGW_E_NONE);
        EQ(m->keep_alive, of[i].keep);
        done(m);
    }
}

static void passed(const char *head, bool request, const char *want)
{
    struct fgw_out_field f[FGW_FIELDS_MAX];
    char names[400] = "";
    struct fgw_msg *m = parsed(head, request);
    EQ(fgw_msg_connection(m, request), FGW_E_NONE);
    uint32_t n = fgw_msg_fields(m, f);
    for (uint32_t i = 0; i < n; i++) strncat(names, f[i].name, f[i].name_len), strcat(names, " ");
    EQ_STR(fgw_str(names, strlen(names)), want);
    done(m);
}

TEST(hop_by_hop_fields_are_not_passed_on_and_connection_cannot_take_away_what_frames)
{
    passed("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nConnection: b, C,host, content-length\r\nB: 2\r\nc: 3\r\nC: 4\r\nContent-Length: 1\r\nD: 5\r\n\r\n", true, "A D ");
    passed("GET / HTTP/1.1\r\nHost: h\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: x\r\nHTTP2-Settings: x\r\nProxy-Authorization: x\r\n"
           "Transfer-Encoding: chunked\r\nTrailer: t\r\n\r\n", true, "Trailer ");
    passed("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nConnection: set-cookie\r\nSet-Cookie: b\r\nServer: s\r\n\r\n", false, "Server ");
    struct fgw_msg *m = parsed("GET / HTTP/1.1\r\nHost: h\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\n", true);
    EQ(fgw_msg_connection(m, true), FGW_E_NONE);
    OK(!(m->fields[2].flags & FGW_FIELD_DROP));
    done(m);
}

TEST(expect_and_upgrade)
{
    struct fgw_msg *m = parsed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n\r\n", true);
    EQ(fgw_msg_connection(m, true), FGW_E_NONE);
    OK(m->expect && !m->upgrade);
    done(m);
    m = parsed("PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", true);
    EQ(fgw_msg_connection(m, true), FGW_E_NONE);
    OK(!m->expect);                      /* RFC 9110 section 10.1.1 */
    done(m);
    m = parsed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", true);
    EQ(fgw_msg_connection(m, true), FGW_E_BAD_EXPECT);
    done(m);
    static const struct { const char *head; bool upgrade; } of[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true}, {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n", false}, {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x, H2C\r\n\r\n", false}, {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n", false}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        m = parsed(of[i].head, true);
        EQ(fgw_msg_connection(m, true), FGW_E_NONE);
        EQ(m->upgrade, of[i].upgrade);
        done(m);
    }
}

static struct fgw_msg *request(struct fgw_slab *home, const char *text)
{
    static const struct fgw_head_limits lim = {16384, 16384, 65536, 100};
    struct fgw_msg *m = fgw_msg_get(home);
    EQ(fgw_head_parse_request(&m->head, text, (uint32_t)strlen(text), &lim), strlen(text));
    return m;
}

TEST(underscores_are_dropped_allowed_or_refused)
{
    static const char text[] = "GET / HTTP/1.1\r\nX_A: 1\r\nHost: h\r\nContent_Length: 5\r\nX-B: 2\r\n_: 3\r\n\r\n";
    struct fgw_slab home;
    fgw_slab_init(&home, "msg", sizeof(struct fgw_msg));
    struct fgw_msg *m = request(&home, text);
    EQ(fgw_msg_underscores(m, FGW_UNDERSCORES_REJECT), FGW_E_BAD_FIELD);
    EQ(fgw_msg_underscores(m, FGW_UNDERSCORES_ALLOW), FGW_E_NONE);
    EQ(m->head.nfields, 5);
    EQ(fgw_msg_underscores(m, FGW_UNDERSCORES_DROP), FGW_E_NONE);
    EQ(m->head.nfields, 2);
    EQ_STR(fgw_head_name(&m->head, &m->fields[0]), "Host");
    EQ_STR(fgw_head_value(&m->head, &m->fields[1]), "2");
    OK(!fgw_head_find_name(&m->head, FGW_STR("x_a")));
    fgw_msg_put(m);
    m = request(&home, "GET / HTTP/1.1\r\nHost: a_b\r\nX-C: _\r\n\r\n");     /* values are no names */
    EQ(fgw_msg_underscores(m, FGW_UNDERSCORES_REJECT), FGW_E_NONE);
    fgw_msg_put(m);
    fgw_slab_fini(&home);
}

TEST_MAIN()
