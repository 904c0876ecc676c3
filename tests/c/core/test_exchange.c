#include "core/exchange.c"
#include "core/engine.h"

TEST(states_have_names)
{
    EQ(strcmp(fgw_rq_name(FGW_RQ_CHAIN), "chain"), 0);
    EQ(strcmp(fgw_rq_name(FGW_RQ_STAY), "stay"), 0);
    EQ(strcmp(fgw_rp_name(FGW_RP_WAIT), "wait"), 0);
}

TEST(a_get_is_passed_on_and_answered_and_connections_are_kept)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p/x?q=1 HTTP/1.1\r\nHost: example.org\r\nX-A: b\r\nConnection: x-a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "GET /p/x?q=1 HTTP/1.1\r\nHost: example.org\r\n");
    GOT(&e, "X-Forwarded-For: 127.0.0.1\r\n");
    GOT(&e, "Via: 1.1 fastgw\r\n");
    GOT_NO(&e, "X-A");
    say(&e, o, "HTTP/1.1 200 Fine\r\nContent-Length: 3\r\nX-O: 1\r\n\r\nabc");
    HEAR(&e, c, "\r\n\r\nabc");
    GOT(&e, "HTTP/1.1 200 Fine\r\n");
    GOT(&e, "X-O: 1\r\n");
    GOT(&e, "Content-Length: 3\r\n");
    GOT(&e, "Date: ");
    plain(&e, c, o);                     /* the same two connections again */
    OK(origin_idle(&e));
    struct fgw_live live;
    fgw_worker_live(e.w, &live);
    EQ(live.exchanges, 0);
    EQ(live.tries, 0);
    EQ(live.conns, 1);
    EQ(live.h1_clients, 1);
    close(c), close(o);
    engine_stop(&e);
}

TEST(chunked_both_ways)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    int o = origin(&e);
    HEAR(&e, o, "3\r\nabc\r\n");
    GOT(&e, "Transfer-Encoding: chunked\r\n");
    say(&e, c, "2\r\nde\r\n0\r\n\r\n");
    HEAR(&e, o, "2\r\nde\r\n0\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n");
    HEAR(&e, c, "4\r\nwxyz\r\n0\r\n\r\n");
    plain(&e, c, o);
    close(c), close(o);
    engine_stop(&e);
}

TEST(answers_without_a_body)
{
    static const struct { const char *request, *reply, *head; } of[] = {
        {"HEAD /p HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n", "Content-Length: 70\r\n"},
        {"GET /p HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n"},
        {"GET /p HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n", "Content-Length: 70\r\n"}};
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = -1;
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        say(&e, c, of[i].request);
        if (o < 0) o = origin(&e);
        HEAR(&e, o, "\r\n\r\n");
        say(&e, o, of[i].reply);
        HEAR(&e, c, "\r\n\r\n");
        GOT(&e, of[i].head);
    }
    plain(&e, c, o);                     /* nothing of them was left behind */
    close(c), close(o);
    engine_stop(&e);
}

TEST(expect_is_passed_and_answered_by_the_upstream)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 100 Continue\r\n\r\n");
    HEAR(&e, c, "HTTP/1.1 100 ");
    say(&e, c, "abc");
    HEAR(&e, o, "abc");
    say(&e, o, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    HEAR(&e, c, "HTTP/1.1 201 Created\r\n");
    close(c), close(o);
    engine_stop(&e);
}

TEST(an_early_answer_ends_the_connection)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome");
    int o = origin(&e);
    HEAR(&e, o, "some");
    say(&e, o, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    HEAR(&e, c, "\r\n\r\nno");
    GOT(&e, "HTTP/1.1 413 ");
    close(c), close(o);
    turn(&e, 10);
    engine_stop(&e);
}

TEST(answers_of_the_gateway_itself)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\r\n\r\nhello");
    GOT(&e, "HTTP/1.1 200 OK\r\n");
    GOT(&e, "content-type: text/plain\r\n");
    say(&e, c, "GET /r/x HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    GOT(&e, "HTTP/1.1 308 ");
    GOT(&e, "Location: https://example.org/r/x\r\n");
    say(&e, c, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":404");
    GOT(&e, "application/problem+json");
    close(c), c = client(&e);            /* a refusal may have ended the connection */
    say(&e, c, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    HEAR(&e, c, "\"status\":413");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(a_body_step_changes_the_answer_and_its_length)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    int o = origin(&e);
    HEAR(&e, o, "0\r\n\r\n");
    GOT(&e, "3\r\nABC\r\n");
    GOT_NO(&e, "Content-Length");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwxyz");
    HEAR(&e, c, "0\r\n\r\n");
    GOT(&e, "4\r\nWXYZ\r\n");
    GOT(&e, "1\r\n!\r\n");
    GOT_NO(&e, "Content-Length");
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_call_step_asks_first_and_goes_on)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "GET /probe HTTP/1.1\r\n");
    say(&e, o, "HTTP/1.1 207 Multi\r\nContent-Length: 2\r\n\r\nxx");
    HEAR(&e, o, "GET /c HTTP/1.1\r\n");
    if (!strstr(e.got, "x-probe: 207\r\n")) HEAR(&e, o, "x-probe: 207\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_client_that_leaves_ends_the_try)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    setsockopt(c, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(c);
    hear(&e, o, NULL);
    OK(e.eof);
    struct fgw_live live;
    fgw_worker_live(e.w, &live);
    EQ(live.exchanges, 0);
    EQ(live.tries, 0);
    EQ(live.conns, 0);
    close(o);
    engine_stop(&e);
}

TEST(a_client_that_does_not_read_holds_the_upstream_back)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    const size_t total = 20 << 20;
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 20971520\r\n\r\n");
    char *piece = calloc(1, 64 << 10);
    struct fgw_live live;
    size_t sent = 0, got = 0;
    uint64_t most = 0;
    for (int i = 0, full = 0; full < 20 && i < ROUNDS && sent < total; i++) {
        ssize_t r = send(o, piece, 64 << 10, MSG_NOSIGNAL);
        full = r > 0 ? 0 : full + 1;
        if (r > 0) sent += (size_t)r;
        fgw_worker_wait(e.w, 1);
        fgw_worker_live(e.w, &live);
        if (live.block_bytes > most) most = live.block_bytes;
    }
    OK(sent < total);                    /* it came to a stop */
    OK(most < 1 << 20);
    bool wrong = false;
    for (int i = 0; i < 100 * ROUNDS && got < total; i++) {          /* and goes on when it reads */
        if (sent < total) {
            ssize_t r = send(o, piece, total - sent < 64 << 10 ? total - sent : 64 << 10, MSG_NOSIGNAL);
            if (r > 0) sent += (size_t)r;
        }
        ssize_t r = recv(c, e.got, sizeof e.got, 0);
        if (r > 0) got += (size_t)r;
        else if (r == 0) wrong = true;
        if (wrong) break;
        fgw_worker_wait(e.w, r > 0 ? 0 : 1);
    }
    OK(got > total || (got == total && !wrong));
    free(piece);
    close(c), close(o);
    engine_stop(&e);
}

TEST(an_end_with_all_in_flight_leaves_nothing)
{
    struct engine e;
    engine_start(&e);
    int c[4] = {client(&e), client(&e), client(&e), client(&e)};
    say(&e, c[0], "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    say(&e, c[1], "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    say(&e, c[2], "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    say(&e, c[3], "GET /p HTT");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    turn(&e, 10);
    engine_stop(&e);
    for (int i = 0; i < 4; i++) close(c[i]);
    close(o);
}

TEST_MAIN()
