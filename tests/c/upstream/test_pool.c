/* Members that come and go, settings, the end. */
#include "upstream/pool.c"
#include "upstream/muxes.h"

/* ---- membership ---- */
TEST(an_endpoint_that_left_gives_up_its_idle_connections_at_once_and_the_others_when_they_come_back)
{
    begin("12");
    pool->set.max_idle = 8;
    fetch(&a, 'a'), fetch(&b, 'b'), fetch(&c, 'c');          /* 1 2 1 */
    give_back(&c);
    members("2");
    fgw_pool_refresh(pool), turn();
    OK(!c.w->c && a.w->c);
    for (int i = 0; i < 3; i++) fetch(&d, 'd'), give_back(&d);
    SAW("a... a:1 b... b:2 c... c:1 d... d:2 d:2w d:2w ");
    give_back(&a);
    OK(!a.w->c);
    give_back(&b);
    end();
}

TEST(nobody_who_waits_is_given_a_connection_to_an_endpoint_that_left)
{
    begin("1");
    pool->set.max_connections = 1;
    fetch(&a, 'a'), get(&b, 'b');
    members("2");
    fgw_pool_refresh(pool);
    give_back(&a);
    SAW("a... a:1 b... b:2 ");
    give_back(&b);
    end();
}

TEST(a_dial_to_an_endpoint_that_left_is_not_used)
{
    for (int fresh = 0; fresh < 2; fresh++) {
        begin("1");
        as[1] = DIAL_HANGS;
        a.lease.fresh = fresh;
        get(&a, 'a');
        members("2");
        fgw_pool_refresh(pool);
        dials_through(dialed[0].w), turn();
        SAW("a... a:2 ");
        OK(!dialed[0].w->c);
        give_back(&a);
        end();
    }
}

TEST(a_dial_whose_endpoint_leaves_counts_for_nothing)
{
    begin("1");
    pool->set.retry_connect = 0;
    as[1] = DIAL_HANGS;
    get(&a, 'a');
    members("2");
    fgw_pool_refresh(pool);
    dials_through(dialed[0].w), turn();
    SAW("a... a:2 ");
    give_back(&a);
    members("1");
    get(&a, 'a');
    members("");
    fgw_pool_refresh(pool);
    dials_through(dialed[ndialed - 1].w), turn();
    SAW("a... a!no_upstream ");
    members("1");
    get(&a, 'a');
    members("2");
    fgw_pool_refresh(pool);
    dials_fail(dialed[ndialed - 1].w), turn();       /* it had failed: that is told */
    SAW("a... (ep1 connect_failed)a!connect_failed ");
    end();
}

TEST(the_same_slot_in_another_generation_is_another_endpoint)
{
    begin("1");
    fetch(&a, 'a'), give_back(&a);
    struct fgw_endpoint e = {.slot = 1, .generation = 2, .weight = 1, .healthy = 1, .addr_len = 16, .addr = {3}};
    fgw_eptable_publish(table, &e, 1);
    fetch(&b, 'b');
    SAW("a... a:1 b... b:3 ");
    OK(!a.w->c);
    give_back(&b);
    end();
}

TEST(health_and_weight_change_without_a_new_connection)
{
    begin("12");
    fetch(&a, 'a'), give_back(&a), fetch(&a, 'a'), give_back(&a);
    members("1!2");
    for (int i = 0; i < 3; i++) fetch(&a, 'a'), give_back(&a);
    members("12");
    for (int i = 0; i < 2; i++) fetch(&a, 'a'), give_back(&a);
    EQ(ndialed, 2);
    EQ(env.idle, 2);
    end();
}

/* ---- the end ---- */
TEST(a_pool_lives_until_its_last_lease_has_gone)
{
    begin("1");
    as[1] = DIAL_OPENS;
    fetch(&a, 'a'), fetch(&b, 'b'), give_back(&b);
    as[1] = DIAL_HANGS;
    b.lease.fresh = true, get(&b, 'b');
    fgw_pool_ref(pool);                  /* the lease's, as a try takes it */
    fgw_pool_unref(pool);                /* no snapshot names it any more */
    OK(a.w->c != NULL);
    give_back(&a), put(&b);
    end();
    pool = NULL;
}

TEST(cut_it_closes_what_is_idle_and_the_rest_when_it_comes_back)
{
    begin("1");
    fetch(&a, 'a'), fetch(&b, 'b'), give_back(&b);
    fgw_pool_cut(pool), turn();
    OK(!b.w->c && a.w->c);
    give_back(&a);
    OK(!a.w->c);
    end();
}

TEST(settings_that_change_are_followed)
{
    begin("1");
    struct fgw_l_upstream *u = (struct fgw_l_upstream *)fgw_l_body(seg.bytes);
    u->requests_max = 1, u->fields_max = 100000, u->host = mini_text(&seg, "users.internal");
    fgw_pool_configure(pool, seg.bytes, table);
    EQ(strcmp(pool->host, "users.internal"), 0);
    EQ(pool->limits.head.max_fields, FGW_FIELDS_MAX);
    fetch(&a, 'a'), give_back(&a);
    EQ(env.open, 0);                     /* one request a connection */
    end();
}

/* ---- how connections are made ---- */
TEST(another_protocol_is_for_new_connections_and_the_old_ones_are_used_no_more)
{
    muxes("1", 4);
    pool->protocol = FGW_PROTO_H1;
    get(&a, 'a'), get(&b, 'b'), get(&c, 'c'), mux_open_up(0, 2);         /* a and b; c has no place */
    mux_open_up(1, 2);
    lets_go(&c);
    SAW("a... b... c... a:1 b:1w c:1 ");
    EQ(env.idle, 1);
    fgw_pool_transport(pool, NULL, FGW_PROTO_H1);            /* nothing has changed */
    OK(fakes[0].there && fakes[1].there && pool->dialer == &fake_dialer);
    fgw_pool_transport(pool, NULL, FGW_PROTO_H2);
    OK(pool->dialer == &fgw_dial_h2 && pool->eps[0]->places == 4);
    pool->dialer = &fake_dialer;
    OK(!fakes[1].there && fakes[0].there && fakes[0].m.no_more);
    EQ(env.idle, 0);
    get(&c, 'c');
    mux_open_up(2, 2);
    SAW("c... c:1 ");
    OK(c.lease.conn->mux == &fakes[2].m);
    lets_go(&a);
    OK(fakes[0].there);
    lets_go(&b);
    OK(!fakes[0].there);
    fgw_pool_transport(pool, NULL, FGW_PROTO_AUTO);
    OK(pool->dialer == &fgw_dial_auto);
    fgw_pool_transport(pool, NULL, FGW_PROTO_H1);
    OK(pool->dialer == &fgw_dial_h1 && pool->eps[0]->places == 1);
    lets_go(&c);
    OK(!fakes[2].there);
    end();
}

TEST(who_waits_for_a_dial_of_the_old_kind_dials_anew_and_that_counts_for_nothing)
{
    muxes("1", 4);
    pool->protocol = FGW_PROTO_H1, pool->set.retry_connect = 0;
    get(&a, 'a'), get(&b, 'b');
    EQ(nfakes, 1);
    pool->set.max_connections = 0;       /* so that the transport's own dialer is not asked */
    fgw_pool_transport(pool, NULL, FGW_PROTO_H2);
    OK(!fakes[0].there);
    EQ(pool->dialing, 0);
    pool->dialer = &fake_dialer, pool->set.max_connections = 8;
    get(&c, 'c');
    EQ(nfakes, 2);
    mux_open_up(1, 4);
    SAW("a... b... c... a:1 b:1w c:1w ");
    lets_go(&a), lets_go(&b), lets_go(&c);
    end();
}

TEST(an_endpoint_that_left_keeps_what_is_asked_of_it_and_nothing_else)
{
    muxes("1", 4);
    get(&a, 'a'), get(&b, 'b'), mux_open_up(0, 4);
    members("2");
    fgw_pool_refresh(pool);
    OK(fakes[0].there && fakes[0].m.no_more);
    get(&c, 'c');
    mux_open_up(1, 4);
    SAW("a... b... a:1 b:1w c... c:2 ");
    lets_go(&a);
    OK(fakes[0].there);
    lets_go(&b);
    OK(!fakes[0].there);
    lets_go(&c);
    end();
}

TEST(cut_with_several_at_work)
{
    muxes("1", 4);
    get(&a, 'a'), get(&b, 'b'), mux_open_up(0, 4);
    fgw_pool_cut(pool);
    OK(fakes[0].there);
    get(&c, 'c');                        /* not on that one */
    EQ(nfakes, 2);
    mux_open_up(1, 4);
    lets_go(&a), lets_go(&b);
    OK(!fakes[0].there);
    lets_go(&c);
    end();
}

TEST_MAIN()
