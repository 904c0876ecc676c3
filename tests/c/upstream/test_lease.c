/* Who waits, and who gets what. */
#include "upstream/lease.c"
#include "upstream/pool_play.h"

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

TEST_MAIN()
