#include "http/h1.c"
#include "test.h"

TEST(framing_of_replies)
{
    struct fgw_h1_writer w;
    char hop[FGW_H1_HOP_MAX];
    struct fgw_out o = {.status = 200, .len = FGW_LEN_KNOWN, .length = 5};
    EQ_BYTES(hop, fgw_h1_reply_framing(&w, &o, false, true, hop), "Content-Length: 5\r\n");
    EQ(w.left, 5);
    o.status = 204;
    EQ(fgw_h1_reply_framing(&w, &o, false, true, hop), 0);
    o.status = 200, o.len = FGW_LEN_UNKNOWN;
    EQ_BYTES(hop, fgw_h1_reply_framing(&w, &o, false, true, hop), "Transfer-Encoding: chunked\r\n");
    EQ(fgw_h1_reply_framing(&w, &o, false, false, hop), 0);
    EQ(w.framing, FGW_BODY_CLOSE);
}

TEST(what_has_left_is_told_once)
{
    struct fgw_h1_writer w = {.unacked = 10};
    EQ(fgw_h1_writer_acked(&w, 4), 6);
    EQ(fgw_h1_writer_acked(&w, 4), 0);
    EQ(fgw_h1_writer_acked(&w, 0), 4);
}

TEST_MAIN()
