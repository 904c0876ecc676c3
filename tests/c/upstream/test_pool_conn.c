/* Connections: warm ones, dials, whom a dead endpoint is told to. */
#include "upstream/pool_conn.c"
#include "upstream/muxes.h"

/* ---- warm ones ---- */
TEST(the_connection_used_last_is_used_next)
{
    begin("1");
    fetch(&a, 'a'), fetch(&b, 'b');
    SAW("a... a:1 b... b:1 ");
    struct wire *first = a.w, *second = b.w;
    OK(first != second);
    give_back(&b), give_back(&a);
    EQ(env.idle, 2);
    get(&c, 'c'), get(&d, 'd');
    SAW("c:1w d:1w ");
    OK(c.w == first && d.w == second);
    EQ(env.idle, 0);
    EQ(env.open, 2);
    EQ(ndialed, 2);
    give_back(&c), give_back(&d);
    end();
}

TEST(endpoints_take_turns)
{
    begin("123");
    for (int i = 0; i < 6; i++) fetch(&a, 'a'), give_back(&a);
    SAW("a... a:1 a... a:2 a... a:3 a:1w a:2w a:3w ");
    end();
}

TEST(the_unhealthy_and_the_weightless)
{
    begin("1!230");
    for (int i = 0; i < 3; i++) fetch(&a, 'a'), give_back(&a);
    SAW("a... a:2 a:2w a:2w ");
    members("1!20");                     /* only an ill one takes traffic: better than none */
    fetch(&a, 'a'), give_back(&a);
    SAW("a... a:1 ");
    members("10");
    fetch(&a, 'a');
    SAW("a!no_upstream ");
    OK(a.lease.fail.retry_safe);
    members("");
    fetch(&a, 'a');
    SAW("a!no_upstream ");
    end();
}

TEST(a_connection_whose_peer_closed_or_spoke_is_never_leased)
{
    for (int how = 0; how < 3; how++) {
        begin("1");
        fetch(&a, 'a'), give_back(&a);
        a.w->eof = how == 0, a.w->reset = how == 1;
        if (how == 2) wire_say(a.w, "x");
        turn();
        EQ(env.open, 0);
        EQ(env.idle, 0);
        fetch(&b, 'b'), give_back(&b);
        SAW("a... a:1 b... b:1 ");
        end();
    }
}

TEST(a_lease_that_was_cut_short_leaves_no_warm_connection)
{
    begin("1");
    fetch(&a, 'a');
    put(&a);                             /* nothing was asked, but nothing was answered either */
    EQ(env.open, 0);
    end();
}

TEST(no_more_idle_ones_than_max_idle_the_oldest_go)
{
    begin("1");
    pool->set.max_idle = 2;
    struct ask *const all[] = {&a, &b, &c, &d};
    for (int i = 0; i < 4; i++) fetch(all[i], (char)('a' + i));
    for (int i = 0; i < 4; i++) give_back(all[i]);
    EQ(env.idle, 2);
    OK(!a.w->c && !b.w->c && c.w->c && d.w->c);
    end();
}

TEST(idle_ones_end_after_their_time)
{
    begin("1");
    pool->set.idle_ms = 10000;
    fetch(&a, 'a'), give_back(&a);
    passes(9000);
    get(&a, 'a');
    passes(9000);                        /* in use: no timer's affair */
    OK(a.w->c != NULL);
    give_back(&a);
    passes(9999);
    OK(a.w->c != NULL);
    passes(1);
    OK(a.w->c == NULL);
    EQ(env.open, 0);
    EQ(l.wheel.armed, 0);
    end();
}

/* ---- dials ---- */
TEST(a_refused_dial_goes_to_the_next_endpoint_and_the_dead_one_is_avoided)
{
    begin("12");
    as[1] = DIAL_REFUSED;
    fetch(&a, 'a'), give_back(&a);
    SAW("(ep1 connect_refused)a... a:2 ");
    end();
}

/* Leaves endpoint 2 with an idle connection and makes 1 the next in turn. */
static void warm_2_next_1(void)
{
    begin("12");
    fetch(&a, 'a'), fetch(&b, 'b');
    give_back(&b);
    a.w->reset = true, turn();
    put(&a);
    SAW("a... a:1 b... b:2 a-upstream_reset ");
    EQ(env.idle, 1);
}

TEST(after_a_failed_dial_the_next_endpoints_idle_connection_is_used)
{
    for (int later = 0; later < 2; later++) {
        warm_2_next_1();
        as[1] = later ? DIAL_HANGS : DIAL_REFUSED, as[2] = DIAL_REFUSED;
        get(&c, 'c');
        if (later) dials_fail(dialed[ndialed - 1].w), turn();
        SAW(later ? "c... (ep1 connect_failed)c:2w " : "(ep1 connect_refused)c:2w ");
        EQ(pool->waiters, 0);
        EQ(c.lease.fail.code, FGW_E_NONE);
        give_back(&c);
        EQ(env.idle, 1);
        end();
    }
}

TEST(a_retry_that_wants_a_new_connection_dials_the_next_endpoint_too)
{
    warm_2_next_1();
    as[1] = DIAL_REFUSED;
    c.lease.fresh = true;
    fetch(&c, 'c');
    SAW("(ep1 connect_refused)c... c:2 ");
    give_back(&c);
    EQ(env.idle, 2);
    end();
}

TEST(without_retries_of_connects_no_other_endpoint_is_tried)
{
    warm_2_next_1();
    pool->set.retry_connect = 0;
    as[1] = DIAL_REFUSED;
    get(&c, 'c');
    SAW("(ep1 connect_refused)c!connect_refused ");
    end();
}

TEST(whose_dial_went_to_somebody_older_has_the_older_ones)
{
    begin("1");
    pool->set.retry_connect = 0;
    as[1] = DIAL_HANGS;
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    dials_through(dialed[1].w), turn();              /* b's */
    SAW("a... b... c... a:1 ");
    dials_fail(dialed[0].w), turn();                 /* a's, now b's */
    SAW("(ep1 connect_failed)b!connect_failed ");
    dials_through(dialed[2].w), turn();
    SAW("c:1 ");
    give_back(&a), give_back(&c);
    end();
}

TEST(avoidance_doubles_up_to_30_s_and_success_forgets_it)
{
    begin("12");
    as[1] = DIAL_REFUSED;
    pool->set.max_idle = 0;              /* each asks for a dial */
    for (uint64_t ms = 1000, i = 0; i < 9; i++, ms = ms * 2 < 30000 ? ms * 2 : 30000) {
        pool->eps ? (void)0 : fgw_pool_refresh(pool);
        for (int k = 0; k < 2; k++) fetch(&a, 'a'), give_back(&a);
        EQ(strstr(said, "(ep1") != NULL, 1);
        EQ(pool->eps[0]->avoid_until, wires_now + ms);
        nsaid = 0, said[0] = 0;
        for (int k = 0; k < 4; k++) fetch(&a, 'a'), give_back(&a);
        OK(!strstr(said, "(ep1"));       /* not even tried */
        passes(ms - 1);
        for (int k = 0; k < 2; k++) fetch(&a, 'a'), give_back(&a);
        OK(!strstr(said, "(ep1"));
        passes(1);
    }
    as[1] = DIAL_OPENS;
    nsaid = 0, said[0] = 0;
    for (int k = 0; k < 2; k++) fetch(&a, 'a'), give_back(&a);
    OK(strstr(said, "a:1 ") != NULL);
    EQ(pool->eps[0]->avoid_until, 0);
    EQ(pool->eps[0]->fails, 0);
    end();
}

TEST(failures_at_the_same_time_are_one_failure)
{
    begin("12");
    as[1] = as[2] = DIAL_HANGS;
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    for (int i = 0; i < ndialed; i++)
        if (dialed[i].ep == 1) dials_fail(dialed[i].w);
    EQ(ndialed, 3);
    turn();
    EQ(pool->eps[0]->avoid_until, wires_now + 1000);
    put(&a), put(&b), put(&c);
    end();
}

TEST(when_all_refuse_the_last_refusal_is_told)
{
    begin("123");
    as[1] = as[2] = as[3] = DIAL_REFUSED;
    pool->set.retry_connect = 1;
    fetch(&a, 'a');
    SAW("(ep1 connect_refused)(ep2 connect_refused)a!connect_refused ");
    OK(a.lease.fail.retry_safe);
    EQ(a.lease.connects, 2);
    put(&a);
    pool->set.retry_connect = 9;
    fetch(&a, 'a');
    EQ(nsaid, strlen("(ep1 connect_refused)") * 3 + strlen("a!connect_refused "));                /* none is asked twice */
    OK(strstr(said, "(ep1 ") && strstr(said, "(ep2 ") && strstr(said, "(ep3 ") && strstr(said, "a!connect_refused "));
    end();
}

TEST(a_dial_that_fails_later_goes_on_too)
{
    begin("12");
    as[1] = DIAL_HANGS;
    fetch(&a, 'a');
    SAW("a... ");
    dials_fail(dialed[0].w), turn();
    SAW("(ep1 connect_failed)a:2 ");
    give_back(&a);
    as[1] = as[2] = DIAL_HANGS;
    pool->set.max_idle = 0;
    passes(60000), passes(60000);
    fetch(&a, 'a');
    dials_fail(dialed[ndialed - 1].w), turn();
    dials_fail(dialed[ndialed - 1].w), turn();
    OK(strstr(said, "a!connect_failed ") != NULL);
    OK(a.lease.fail.retry_safe);
    end();
}

TEST(a_dial_may_take_its_time_and_no_longer)
{
    begin("12");
    pool->set.connect_ms = 2000, pool->set.queue_ms = 60000;
    as[1] = as[2] = DIAL_HANGS;
    get(&a, 'a');
    passes(1999);
    EQ(ndialed, 1);
    passes(1);
    SAW("a... (ep1 connect_timeout)");
    EQ(ndialed, 2);
    OK(!dialed[0].w->c);
    passes(2000);
    SAW("(ep2 connect_timeout)a!connect_timeout ");
    OK(a.lease.fail.retry_safe);
    end();
}

TEST(who_waits_for_a_dial_does_not_wait_in_the_queue)
{
    begin("12");
    pool->set.connect_ms = 2000, pool->set.queue_ms = 1000;
    as[1] = DIAL_HANGS;
    get(&a, 'a');
    passes(1999);
    SAW("a... ");
    passes(1);
    SAW("(ep1 connect_timeout)a:2 ");
    give_back(&a);
    end();
}

TEST(one_whose_dial_hangs_takes_what_comes_back_meanwhile)
{
    begin("1");
    fetch(&a, 'a');
    as[1] = DIAL_HANGS;
    get(&b, 'b');
    SAW("a... a:1 b... ");
    give_back(&a);
    SAW("b:1w ");
    EQ(pool->dialing, 1);
    dials_through(dialed[1].w), turn();  /* nobody waits for it any more: it is kept */
    EQ(env.idle, 1);
    give_back(&b);
    EQ(env.idle, 2);
    end();
}

TEST(withdrawn_while_dialing_the_connection_is_the_next_ones)
{
    begin("1");
    as[1] = DIAL_HANGS;
    get(&a, 'a'), get(&b, 'b');
    put(&a);
    EQ(pool->waiters, 1);
    dials_through(dialed[0].w), turn();
    SAW("a... b... b:1 ");
    OK(b.w == dialed[0].w);
    give_back(&b);
    dials_fail(dialed[1].w), turn();     /* and what it had asked for itself fails for nobody */
    SAW("(ep1 connect_failed)");
    end();
}

TEST(a_retry_gets_a_new_connection_and_only_a_new_one)
{
    begin("1");
    fetch(&a, 'a'), give_back(&a);
    nsaid = 0;
    a.lease.fresh = true;
    get(&a, 'a');
    EQ(ndialed, 2);
    as[1] = DIAL_HANGS;
    get(&b, 'b');                        /* takes the warm one */
    turn();
    SAW("a... b:1w a:1 ");
    OK(a.w == dialed[1].w && !a.lease.warm);
    give_back(&a), give_back(&b);
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    d.lease.fresh = true;
    get(&d, 'd');
    nsaid = 0;
    dials_through(dialed[3].w), turn();  /* d's own: although c waits longer */
    SAW("d:1 ");
    dials_through(dialed[2].w), turn();
    SAW("c:1 ");
    give_back(&a), give_back(&b), give_back(&c), give_back(&d);
    end();
}

TEST(a_retry_of_a_full_pool_waits_for_the_dead_ones_place)
{
    begin("1");
    pool->set.max_connections = 1;
    fetch(&a, 'a');
    b.lease.fresh = true;
    get(&b, 'b');                        /* as within the abort of a: its connection still counts */
    a.w->reset = true, turn();
    SAW("a... a:1 b... a-upstream_reset b:1 ");
    put(&a), give_back(&b);
    end();
}

/* ---- connections for several at once ---- */
TEST(idle_is_what_nothing_is_asked_of)
{
    muxes("1", 4);
    pool->set.idle_ms = 10000, pool->set.max_idle = 1;
    get(&a, 'a'), get(&b, 'b'), mux_open_up(0, 4);
    passes(20000);
    OK(fakes[0].there);
    lets_go(&a);
    passes(20000);                       /* b is still there */
    OK(fakes[0].there);
    EQ(env.idle, 0);
    lets_go(&b);
    EQ(env.idle, 1);
    passes(9999);
    OK(fakes[0].there);
    passes(1);
    OK(!fakes[0].there);
    EQ(env.open, 0);
    end();
}

TEST(only_unused_ones_are_too_many)
{
    muxes("1", 1);
    pool->set.max_idle = 1;
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    for (int i = 0; i < 3; i++) mux_open_up(i, 1);
    fakes[0].m.max = 2, fakes[0].m.user->on_room(&fakes[0].m);           /* in use, and the oldest with room */
    fgw_lease_put(&b.lease), fgw_lease_put(&c.lease);
    mux_tell();                          /* the newer of the two stays */
    EQ(env.idle, 1);
    OK(fakes[0].there && !fakes[1].there && fakes[2].there);
    lets_go(&a);
    EQ(env.idle, 1);
    OK(!fakes[0].there && fakes[2].there);  /* it was opened before */
    end();
}

static struct fgw_mux *other_made(struct fgw_pool *p, struct fgw_conn *conn, const struct fgw_mux_user *user)
{
    (void)conn;
    struct fgw_mux *m = fake_dial(p, NULL, user);
    m->max = 1;
    return m;
}
static const struct fgw_dialer either = {"either", fake_dial, other_made}, neither = {"neither", fake_dial, NULL};

TEST(a_connection_that_turns_out_to_speak_another_protocol_goes_on_with_that)
{
    muxes("1", 4);
    pool->dialer = &either;
    get(&a, 'a'), get(&b, 'b');
    EQ(nfakes, 1);
    OK(fakes[0].m.user->other(&fakes[0].m, NULL));
    fakes[0].there = false;              /* fakes[1] is in its place; b dials its own */
    SAW("a... b... a:1 ");
    EQ(nfakes, 3);
    EQ(env.open, 2);
    EQ(pool->eps[0]->places, 1);
    mux_open_up(2, 4);
    SAW("b:1 ");
    lets_go(&a), lets_go(&b);
    pool->dialer = &neither;
    a.lease.fresh = true;
    get(&a, 'a');
    OK(!fakes[3].m.user->other(&fakes[3].m, NULL));
    mux_end(3, FGW_E_UPSTREAM_NOT_H2);
    OK(strstr(said, "(ep1 upstream_not_http2)") != NULL);
    put(&a);
    nsaid = 0;
    end();
}

TEST_MAIN()
