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

TEST_MAIN()
