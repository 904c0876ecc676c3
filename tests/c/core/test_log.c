#include "core/log.c"
#include "core/engine.h"

TEST(a_finished_request_is_counted_at_its_route)
{
    struct engine e;
    struct fgw_stats_total t;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    fgw_stats_total(e.shm, 2, &t);
    EQ(t.by_class[2], 1);
    EQ(t.bytes_out, 5);
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
