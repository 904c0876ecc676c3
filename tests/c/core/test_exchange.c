#include "core/exchange.c"
#include "core/engine.h"

TEST(states_have_names)
{
    EQ(strcmp(fgw_rq_name(FGW_RQ_CHAIN), "chain"), 0);
    EQ(strcmp(fgw_rq_name(FGW_RQ_STAY), "stay"), 0);
    EQ(strcmp(fgw_rp_name(FGW_RP_WAIT), "wait"), 0);
    EQ(fgw_rq_next(FGW_RQ_BODY), TO(TRY) | TO(DONE));
    EQ(fgw_rq_next(FGW_RQ_STAY), 0);
    EQ(fgw_rp_next(FGW_RP_BODY), 1u << FGW_RP_DONE);
    EQ(fgw_rp_next((enum fgw_rp)9), 0);
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

/* ---- parking ---- */
static struct fgw_exchange *parked(struct engine *e, int *c, int *o)
{
    *c = client(e);
    say(e, *c, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    *o = origin(e);
    HEAR(e, *o, "GET /probe ");
    for (struct fgw_link *k = e->w->live.next; k != &e->w->live; k = k->next)
        if (fgw_container(k, struct fgw_exchange, live)->parked) return fgw_container(k, struct fgw_exchange, live);
    OK(!"a parked exchange");
    return NULL;
}

TEST(a_ticket_is_good_once)
{
    struct engine e;
    int c, o;
    engine_start(&e);
    struct fgw_exchange *x = parked(&e, &c, &o);
    struct fgw_ticket t = x->ticket, other = {t.slot, t.generation + 1}, wild = {UINT32_MAX, 1};
    OK(fgw_exchange_of(e.w, t) == x && !fgw_exchange_of(e.w, other) && !fgw_exchange_of(e.w, wild));
    fgw_exchange_resume(e.w, other, FGW_FAIL);
    OK(x->parked);
    fgw_exchange_resume(e.w, t, FGW_NEXT);
    fgw_worker_settle(e.w);
    OK(!fgw_exchange_of(e.w, t));
    fgw_exchange_resume(e.w, t, FGW_FAIL);                   /* stale: nothing happens, neither now nor when the call comes back */
    int p = origin(&e);
    HEAR(&e, p, "GET /c ");
    say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
    turn(&e, 10);
    say(&e, p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    close(c), close(o), close(p);
    engine_stop(&e);
}

TEST(a_parked_one_may_be_failed_cancelled_or_left)
{
    for (int how = 0; how < 3; how++) {
        struct engine e;
        int c, o;
        engine_start(&e);
        struct fgw_exchange *x = parked(&e, &c, &o);
        struct fgw_ticket t = x->ticket;
        if (how == 0) x->r.fail = fgw_fail(FGW_E_DENIED, FGW_BY_GATEWAY), fgw_exchange_resume(e.w, t, FGW_FAIL), fgw_worker_settle(e.w);
        if (how == 1) fgw_exchange_cancel(x, FGW_E_OVERLOAD), fgw_worker_settle(e.w);
        if (how == 2) reset(c), turn(&e, 10);
        OK(!fgw_exchange_of(e.w, t));
        if (how == 0) HEAR(&e, c, "\"reason\":\"denied\"");
        if (how == 1) HEAR(&e, c, "\"reason\":\"overload\"");
        HEAR(&e, o, NULL);               /* the call ended with it */
        EQ(live(&e).exchanges, 0);
        if (how < 2) close(c);
        close(o);
        engine_stop(&e);
    }
}

TEST(a_reply_may_be_given_with_the_ticket)
{
    struct engine e;
    int c, o;
    engine_start(&e);
    struct fgw_exchange *x = parked(&e, &c, &o);
    x->r.answer = (struct fgw_answer){.status = 418, .body = FGW_STR("short")};
    fgw_exchange_resume(e.w, x->ticket, FGW_REPLY);
    fgw_worker_settle(e.w);
    HEAR(&e, c, "\r\n\r\nshort");
    GOT(&e, "HTTP/1.1 418 ");
    EQ(live(&e).exchanges, 0);
    close(c), close(o);
    engine_stop(&e);
}

TEST(without_a_ticket_nobody_parks)
{
    struct engine e;
    engine_start(&e);
    uint32_t free_ticket = e.w->free_ticket;
    e.w->free_ticket = UINT32_MAX;
    int c = client(&e);
    say(&e, c, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"reason\":\"internal\"");
    e.w->free_ticket = free_ticket;
    close(c);
    engine_stop(&e);
}

/* ---- limits and refusals ---- */
TEST(a_chunked_body_beyond_the_routes_limit_is_refused_and_the_connection_ends)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n");
    int o = origin(&e);
    HEAR(&e, o, "12345678");
    say(&e, c, "3\r\n9ab\r\n");
    HEAR(&e, c, "\"status\":413");
    GOT(&e, "Connection: close\r\n");
    HEAR(&e, o, NULL);
    GOT_NO(&e, "9ab");
    GOT_NO(&e, "0\r\n\r\n");             /* never made whole */
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_request_has_its_time)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    passes(&e, 4999);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1);
    HEAR(&e, c, "\"reason\":\"request_timeout\"");
    GOT(&e, "HTTP/1.1 504 ");
    HEAR(&e, o, NULL);
    close(o);
    say(&e, c, "GET /t HTTP/1.1\r\nHost: a\r\n\r\n");        /* also when the answer has begun: then it is cut */
    o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    HEAR(&e, c, "abc");
    passes(&e, 5000);
    HEAR(&e, c, NULL);
    EQ(e.n, 0);
    close(c), close(o);
    engine_stop(&e);
}

TEST(connect_is_refused_and_nothing_behind_it_is_a_request)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":405");
    GOT(&e, "connection: close\r\n");
    turn(&e, 10);
    GOT_NO(&e, "hello");
    close(c);
    engine_stop(&e);
}

TEST(above_nine_tenths_of_the_memory_requests_are_shed)
{
    struct engine e;
    struct fgw_block *hold[64];
    engine_start(&e);
    uint64_t max = e.w->snap->root->memory_max;
    for (int i = 0; i < 64; i++) hold[i] = NULL;
    int n = 0;
    while (n < 64 && !fgw_worker_overloaded(e.w) && (hold[n] = fgw_block_get(&e.w->loop.blocks, 8 << 20))) n++;
    OK(e.w->loop.blocks.bytes > max / 10 * 9 || n > 20);
    if (!fgw_worker_overloaded(e.w)) e.w->loop.blocks.live += max;       /* many small ones count, a few big ones do not */
    OK(fgw_worker_overloaded(e.w));
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"reason\":\"overload\"");
    GOT(&e, "retry-after: 1\r\n");
    if (e.w->loop.blocks.live > max) e.w->loop.blocks.live -= max;
    for (int i = 0; i < n; i++) fgw_block_unref(hold[i]);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
