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
