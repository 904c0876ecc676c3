#include "core/worker.c"
#include "core/engine.h"

TEST(a_drain_lets_the_request_in_flight_end)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    fgw_worker_drain(e.w, 60000);
    OK(!fgw_worker_drained(e.w));
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    GOT(&e, "Connection: close\r\n");
    close(c), close(o);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    engine_stop(&e);
}

TEST(at_90_percent_of_its_memory_it_is_overloaded)
{
    struct engine e;
    struct fgw_block *b[15];
    engine_start(&e);                                  /* 256 MiB */
    for (int i = 0; i < 14; i++) b[i] = fgw_block_get(&e.w->loop.blocks, FGW_BLOCK_MAX);
    OK(!fgw_worker_overloaded(e.w));
    b[14] = fgw_block_get(&e.w->loop.blocks, FGW_BLOCK_MAX);
    OK(fgw_worker_overloaded(e.w));
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":503");
    for (int i = 0; i < 15; i++) fgw_block_unref(b[i]);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
