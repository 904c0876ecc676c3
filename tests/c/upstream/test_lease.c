/* Who waits, and who gets what. */
#include "upstream/lease.c"
#include "upstream/muxes.h"

/* ---- limits and the queue ---- */
TEST(those_who_wait_are_served_in_their_order)
{
    begin("1");
    pool->set.max_connections = 1;
    fetch(&a, 'a'), get(&b, 'b'), get(&c, 'c'), get(&d, 'd');
    SAW("a... a:1 b... c... d... ");
    EQ(pool->waiters, 3);
    EQ(ndialed, 1);
    give_back(&a);
    SAW("b:1w ");
    put(&c);                             /* withdrawn while it waits */
    EQ(pool->waiters, 1);
    give_back(&b);
    SAW("d:1w ");
    give_back(&d);
    EQ(env.idle, 1);
    end();
}

TEST(a_connection_that_dies_makes_room_for_a_dial)
{
    begin("1");
    pool->set.max_connections = 1;
    fetch(&a, 'a'), get(&b, 'b');
    a.w->reset = true, turn();
    SAW("a... a:1 b... a-upstream_reset b:1 ");
    put(&a), give_back(&b);
    EQ(ndialed, 2);
    end();
}

TEST(those_who_wait_for_a_dial_that_then_fails_are_all_told)
{
    begin("1");
    pool->set.max_connections = 1;
    fetch(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    as[1] = DIAL_REFUSED;
    a.w->reset = true, turn();
    SAW("a... a:1 b... c... a-upstream_reset (ep1 connect_refused)b!connect_refused (ep1 connect_refused)c!connect_refused ");
    EQ(pool->waiters, 0);
    end();
}

TEST(the_queue_has_a_length_and_a_time)
{
    begin("1");
    pool->set.max_connections = 1, pool->set.queue_max = 2, pool->set.queue_ms = 1000;
    fetch(&a, 'a'), get(&b, 'b');
    passes(500);
    get(&c, 'c'), get(&d, 'd');
    SAW("a... a:1 b... c... d!pool_full ");
    OK(d.lease.fail.retry_safe);
    passes(499);
    SAW("");
    passes(1);
    SAW("b!pool_timeout ");
    passes(500);
    SAW("c!pool_timeout ");
    EQ(pool->waiters, 0);
    give_back(&a);
    EQ(env.idle, 1);
    end();
}

TEST(at_the_limit_an_idle_one_of_another_endpoint_is_better_than_waiting)
{
    begin("12");
    pool->set.max_connections = 1;
    fetch(&a, 'a'), give_back(&a);
    fetch(&b, 'b');
    SAW("a... a:1 b:1w ");
    give_back(&b);
    end();
}

/* ---- connections for several at once ---- */
TEST(requests_wait_together_for_a_dial_that_has_room_for_them)
{
    muxes("1", 3);
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    EQ(nfakes, 1);
    get(&d, 'd');                        /* one too many for it */
    EQ(nfakes, 2);
    SAW("a... b... c... d... ");
    mux_open_up(0, 3);
    SAW("a:1 b:1w c:1w ");
    mux_open_up(1, 3);
    SAW("d:1 ");
    EQ(pool->dialing, 0);
    EQ(env.idle, 0);
    lets_go(&a);
    EQ(env.idle, 0);                     /* two are still at work on it */
    get(&a, 'a');
    SAW("a:1w ");
    EQ(nfakes, 2);
    lets_go(&a), lets_go(&b), lets_go(&c), lets_go(&d);
    EQ(env.idle, 2);
    end();
}

TEST(a_dial_with_less_room_than_expected_leaves_the_rest_to_dial_anew)
{
    muxes("1", 4);
    pool->set.retry_connect = 0;         /* it counts for nothing */
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    EQ(nfakes, 1);
    mux_open_up(0, 1);
    SAW("a... b... c... a:1 ");
    EQ(nfakes, 3);                       /* one place each, as has been seen */
    EQ(pool->eps[0]->places, 1);
    mux_open_up(1, 4);
    SAW("b:1 c:1w ");
    mux_open_up(2, 4);
    EQ(pool->eps[0]->places, 4);
    lets_go(&a), lets_go(&b), lets_go(&c);
    end();
}

TEST(full_ones_are_joined_by_another_and_a_place_that_comes_free_is_the_oldest_waiters)
{
    muxes("1", 2);
    pool->set.max_connections = 1;
    get(&a, 'a'), get(&b, 'b');
    mux_open_up(0, 2);
    get(&c, 'c'), get(&d, 'd');
    SAW("a... b... a:1 b:1w c... d... ");
    EQ(nfakes, 1);
    lets_go(&b);
    SAW("c:1w ");
    lets_go(&a);
    SAW("d:1w ");
    pool->set.max_connections = 2;
    get(&a, 'a');                        /* full: another is opened */
    EQ(nfakes, 2);
    mux_open_up(1, 2);
    SAW("a... a:1 ");
    lets_go(&a), lets_go(&c), lets_go(&d);
    end();
}

TEST(places_that_go_without_a_word_are_not_given)
{
    muxes("1", 4);
    get(&a, 'a'), mux_open_up(0, 4);
    fakes[0].m.max = 1;                  /* the peer allows less */
    get(&b, 'b');
    EQ(nfakes, 2);
    mux_open_up(1, 4);
    fakes[1].m.no_more = true;           /* GOAWAY */
    get(&c, 'c');
    EQ(nfakes, 3);
    mux_open_up(2, 4);
    SAW("a... a:1 b... b:1 c... c:1 ");
    lets_go(&b);
    OK(!fakes[1].there);
    lets_go(&a);
    get(&a, 'a');
    SAW("a:1w ");
    OK(a.lease.conn->mux == &fakes[0].m);
    lets_go(&a), lets_go(&c);
    end();
}

TEST(a_dial_that_fails_for_many_fails_once_and_each_goes_on)
{
    muxes("12", 4);
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');          /* 1 2 1 */
    EQ(nfakes, 2);
    mux_end(0, FGW_E_CONNECT_FAILED);
    SAW("a... b... c... (ep1 connect_failed)");
    EQ(nfakes, 2);                       /* they wait with b */
    mux_open_up(1, 4);
    SAW("a:2 b:2w c:2w ");
    lets_go(&a), lets_go(&b), lets_go(&c);
    end();
}

TEST(one_told_of_a_failed_dial_may_take_others_away)
{
    muxes("1", 4);
    pool->set.retry_connect = 0;
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c');
    put(&b);
    mux_end(0, FGW_E_CONNECT_REFUSED);
    SAW("a... b... c... (ep1 connect_refused)a!connect_refused c!connect_refused ");
    end();
}

TEST(who_wants_a_new_one_may_share_a_dial_and_nothing_older)
{
    muxes("1", 4);
    get(&a, 'a'), mux_open_up(0, 4);
    b.lease.fresh = c.lease.fresh = true;
    get(&b, 'b'), get(&c, 'c');
    EQ(nfakes, 2);
    mux_open_up(1, 4);
    SAW("a... a:1 b... c... b:1 c:1w ");
    OK(b.lease.conn->mux == &fakes[1].m && c.lease.conn->mux == &fakes[1].m);
    lets_go(&a), lets_go(&b), lets_go(&c);
    end();
}

/* ---- the time of a dial is each one's own ---- */
TEST(who_joined_a_dial_late_dials_anew_with_the_time_it_has_left)
{
    muxes("1", 4);
    pool->set.connect_ms = 2000, pool->set.queue_ms = 60000, pool->set.retry_connect = 0;
    get(&a, 'a');
    passes(1500);
    get(&b, 'b');
    EQ(nfakes, 1);
    passes(500);
    SAW("a... b... (ep1 connect_timeout)a!connect_timeout ");
    EQ(nfakes, 2);
    passes(1499);
    SAW("");
    passes(1);
    SAW("(ep1 connect_timeout)b!connect_timeout ");
    end();
}

TEST(a_young_request_that_inherits_an_old_dial_does_not_inherit_its_age)
{
    begin("1");
    pool->set.connect_ms = 2000, pool->set.queue_ms = 60000, pool->set.retry_connect = 0;
    as[1] = DIAL_HANGS;
    get(&a, 'a');
    passes(1900);
    get(&b, 'b');
    dials_through(dialed[1].w), turn();  /* b's goes to a, who is older; b has a's */
    SAW("a... b... a:1 ");
    passes(100);
    SAW("(ep1 connect_timeout)");        /* it was dialled 2 s ago, but b waits for 100 ms */
    EQ(ndialed, 3);
    passes(1899);
    SAW("");
    passes(1);
    SAW("(ep1 connect_timeout)b!connect_timeout ");
    give_back(&a);
    end();
}

TEST(another_endpoint_has_its_own_time)
{
    muxes("12", 1);
    pool->set.connect_ms = 2000, pool->set.queue_ms = 60000;
    get(&a, 'a');
    passes(2000);
    SAW("a... (ep1 connect_timeout)");
    passes(1999);
    SAW("");
    passes(1);
    SAW("(ep2 connect_timeout)a!connect_timeout ");
    end();
}

TEST_MAIN()
