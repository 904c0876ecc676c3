#include "core/worker_drain.c"
#include "core/engine.h"

TEST(who_waits_to_be_accepted_is_served)
{
    struct engine e;
    engine_start(&e);
    int c[40];                                         /* more than one burst of accepts */
    for (int i = 0; i < 40; i++) {
        c[i] = client(&e);
        EQ(send(c[i], "GET /s HTTP/1.1\r\nHost: a\r\n\r\n", 28, MSG_NOSIGNAL), 28);
    }
    fgw_worker_drain(e.w, 60000, true);
    for (int i = 0; i < 40; i++) {
        HEAR(&e, c[i], "hello");
        GOT(&e, "Connection: close\r\n");
        close(c[i]);
    }
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    engine_stop(&e);
}

TEST(who_waits_is_left_to_those_who_have_the_socket_after_it)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    EQ(send(c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n", 28, MSG_NOSIGNAL), 28);
    fgw_worker_drain(e.w, 60000, false);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    EQ(live(&e).conns, 0);
    int fd = accept(e.listener, NULL, NULL);           /* it is still in the queue */
    OK(fd >= 0);
    close(fd), close(c);
    engine_stop(&e);
}

TEST(a_request_that_has_arrived_is_not_taken_for_an_idle_connection)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    EQ(send(c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n", 28, MSG_NOSIGNAL), 28);   /* the worker has not turned since */
    fgw_worker_drain(e.w, 60000, true);
    HEAR(&e, c, "hello");
    GOT(&e, "Connection: close\r\n");
    close(c);
    engine_stop(&e);
}

TEST(a_connection_without_its_first_request_waits_for_it_a_moment)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), silent = client(&e), half = client(&e);
    say(&e, half, "GET /s HTTP/1.1\r\n");
    turn(&e, 20);
    fgw_worker_drain(e.w, 60000, true);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    GOT(&e, "Connection: close\r\n");
    say(&e, half, "Host: a\r\n\r\n");
    HEAR(&e, half, "hello");
    OK(!fgw_worker_drained(e.w));
    passes(&e, 1900);
    OK(!fgw_worker_drained(e.w));
    passes(&e, 100);
    HEAR(&e, silent, NULL);                            /* nothing came: closed */
    OK(e.eof && e.n == 0);
    close(c), close(silent), close(half);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    engine_stop(&e);
}

TEST(an_idle_connection_is_closed)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    fgw_worker_drain(e.w, 60000, true);
    passes(&e, 200);
    HEAR(&e, c, NULL);
    OK(fgw_worker_drained(e.w));
    close(c);
    engine_stop(&e);
}

TEST(at_the_deadline_the_rest_is_cut)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    fgw_worker_drain(e.w, 5, true);
    passes(&e, 5);
    HEAR(&e, c, NULL);
    OK(e.eof);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    close(c), close(o);
    engine_stop(&e);
}

TEST_MAIN()
