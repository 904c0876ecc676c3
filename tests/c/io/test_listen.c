#include "io/listen.c"
#include "test.h"

TEST(proxy_lines)
{
    struct fgw_addr a;
    static const char good[] = "PROXY TCP4 192.0.2.1 192.0.2.2 10 20\r\nGET";
    EQ(fgw_proxy_v1_parse(good, sizeof good - 1, &a), (int)sizeof good - 4);
    EQ(strcmp(a.text, "192.0.2.1"), 0);
    EQ(a.port, 10);
    for (uint32_t n = 1; n < sizeof good - 4; n++) EQ(fgw_proxy_v1_parse(good, n, &a), 0);
    EQ(fgw_proxy_v1_parse("GET / HTTP/1.1\r\n", 16, &a), -1);
    EQ(fgw_proxy_v1_parse("PROXY TCP4 ::1 ::1 1 2\r\n", 24, &a), -1);
    EQ(fgw_proxy_v1_parse("PROXY UNKNOWN\r\n", 15, &a), 15);
}

TEST(addresses)
{
    struct fgw_addr a;
    OK(fgw_addr_parse(FGW_STR("[2001:db8::1]"), &a));
    EQ(strcmp(a.text, "2001:db8::1"), 0);
    OK(fgw_addr_parse(FGW_STR("127.0.0.1"), &a));
    EQ(a.lo, 0xffff7f000001);
    OK(!fgw_addr_parse(FGW_STR("127.0.0.1x"), &a));
}

TEST_MAIN()
