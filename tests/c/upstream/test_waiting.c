/* In which order those who wait are served, and what they wait for. */
#include "upstream/waiting.c"
#include "upstream/muxes.h"

/* Capital and small letters are one client's: 'a' and 'A' ask for the same one. */
static uint64_t by_name(void *ctx, const struct fgw_lease *x) { return (void)ctx, (uint64_t)(fgw_container(x, struct ask, lease)->name | 0x20) * 0x9e3779b97f4a7c15ull; }

static uint32_t looks, looked_at, wanted;
static uint32_t crowded(void *ctx, struct fgw_pool *p, uint32_t n) { return (void)ctx, OK(p == pool), looks++, wanted = n, looked_at; }

enum { MANY = 64 };
static struct ask many[MANY];
static const char TWO[] = "aA", THREE[] = "bBc";

static void one_place(void)
{
    muxes("1", 1);
    env.client = by_name;
    pool->set.max_connections = 1, pool->set.queue_max = MANY, pool->set.queue_ms = 1000;
    get(&a, 'x'), mux_open_up(0, 1);
    SAW("x... x:1 ");
}
static void finish(void)
{
    EQ(pool->waiters, 0);
    EQ(pool->nclaims, 0);
    OK(fgw_list_empty(&pool->waiting) && fgw_list_empty(&pool->turns));
    EQ(env.waits.live, 0);
    end();
}
static void names(const char *list)
{
    for (int i = 0; list[i]; i++) get(&many[i], list[i]);
    nsaid = 0;
}

TEST(clients_are_served_in_turn_and_each_in_its_order)
{
    one_place();
    names("aAaAbBc");
    EQ(pool->nclaims, 3);
    EQ(pool->waiters, 7);
    lets_go(&a);
    SAW("a:1w ");
    static const int order[] = {0, 4, 6, 1, 5, 2, 3};  /* a b c A B a A */
    for (int i = 0; i < 7; i++) {
        OK(many[order[i]].lease.side);
        lets_go(&many[order[i]]);
    }
    SAW("b:1w c:1w A:1w B:1w a:1w A:1w ");
    finish();
}

TEST(who_withdraws_costs_nobody_a_turn)
{
    one_place();
    names("aAbB");
    lets_go(&many[0]), lets_go(&many[2]);
    EQ(pool->nclaims, 2);
    EQ(pool->waiters, 2);
    lets_go(&many[1]);                   /* the last of its client */
    EQ(pool->nclaims, 1);
    lets_go(&a);
    SAW("B:1w ");
    lets_go(&many[3]);
    finish();
}

TEST(in_a_full_queue_the_newest_of_whoever_has_the_most_makes_room)
{
    one_place();
    pool->set.queue_max = 4;
    names("aAaA");
    get(&b, 'b');
    SAW("b... ");                        /* whoever has to go is told later */
    EQ(pool->waiters, 4);
    OK(many[3].lease.displaced && !many[2].lease.displaced);
    get(&c, 'a');                        /* no room for more of the one who has the most */
    SAW("a!pool_full ");
    passes(1);
    SAW("A!pool_full ");
    OK(many[3].lease.fail.retry_safe);
    get(&c, 'c'), get(&many[4], 'b');    /* two of a, and one each of b and c: b may not have two as well */
    SAW("c... b!pool_full ");
    get(&d, 'd'), get(&many[5], 'e');    /* now all have one */
    SAW("d... e!pool_full ");
    passes(1);
    SAW("a!pool_full A!pool_full ");
    lets_go(&a), lets_go(&many[0]), lets_go(&b), lets_go(&c), lets_go(&d);
    SAW("a:1w b:1w c:1w d:1w ");
    finish();
}

TEST(one_that_was_displaced_may_withdraw_before_it_is_told)
{
    one_place();
    pool->set.queue_max = 2;
    names("aA");
    get(&b, 'b');
    lets_go(&many[1]);
    passes(2000);
    SAW("b... a!pool_timeout b!pool_timeout ");
    lets_go(&a);
    finish();
}

TEST(a_queue_of_none_takes_nobody)
{
    one_place();
    pool->set.queue_max = 0;
    get(&b, 'b');
    SAW("b!pool_full ");
    lets_go(&a);
    finish();
}

TEST(pools_do_not_share_claims)
{
    one_place();
    struct fgw_pool *other = fgw_pool_new(&env, 1 + FGW_CLAIM_ROWS, FGW_STR("other"));   /* in the same row */
    fgw_pool_ref(other);
    other->dialer = &fake_dialer, other->protocol = FGW_PROTO_H2, other->h2.streams = 1;
    fgw_pool_configure(other, seg.bytes, table);
    other->set.max_connections = 0;
    names("b");
    struct ask q = {.name = 'b', .lease = {.pool = other, .done = done}};
    OK(!fgw_lease_get(&q.lease) && !q.lease.fail.code);
    EQ(pool->nclaims, 1);
    EQ(other->nclaims, 1);
    fgw_lease_put(&q.lease);
    EQ(env.waits.live, 1);
    lets_go(&many[0]), lets_go(&a);
    fgw_pool_unref(other);
    finish();
}

/* ---- when somebody may have to give up a place ---- */
TEST(the_owner_is_asked_while_somebody_waits_for_a_place_and_the_less_often_the_more_it_looks_at)
{
    one_place();
    env.crowded = crowded, looks = 0, looked_at = 6400, wanted = 0;
    passes(500);
    EQ(looks, 0);
    names(TWO);
    passes(99);
    EQ(looks, 0);
    passes(1);
    EQ(looks, 1);
    EQ(wanted, 2);
    passes(199);
    EQ(looks, 1);
    looked_at = 0;
    passes(1);
    EQ(looks, 2);
    passes(100);
    EQ(looks, 3);
    lets_go(&many[0]), lets_go(&many[1]);
    passes(1000);
    EQ(looks, 3);
    lets_go(&a);
    finish();
}

TEST(those_who_wait_for_a_dial_need_no_place_of_others)
{
    one_place();
    env.crowded = crowded, looks = 0;
    pool->set.max_connections = 2;
    names(THREE);                        /* b has a dial under way, B and c have none */
    EQ(nfakes, 2);
    passes(100);
    EQ(looks, 1);
    EQ(wanted, 2);
    lets_go(&many[1]), lets_go(&many[2]);
    passes(300);
    EQ(looks, 1);
    mux_open_up(1, 1);
    lets_go(&many[0]), lets_go(&a);
    finish();
}

TEST(a_pool_that_ends_is_not_looked_at)
{
    one_place();
    env.crowded = crowded, looks = 0;
    names(TWO);
    lets_go(&many[0]), lets_go(&many[1]), lets_go(&a);
    finish();                            /* no timer is left: end() counts */
    EQ(looks, 0);
}

TEST_MAIN()
