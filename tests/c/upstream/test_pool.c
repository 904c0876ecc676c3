/* A pool between scripted endpoints (an address's first byte is its number) and leases that write down what becomes of them:
 * "a:1" has endpoint 1's connection, "a:1w" a warm one, "a!word" failed. */
#include "upstream/pool.c"
#include "upstream/dials.h"
#include <stdarg.h>
#include "core/mini_snapshot.h"
#include "test.h"

enum { EPS = 4, DIALS = 32 };
static struct { int ep; struct wire *w; struct fgw_mux *m; } dialed[DIALS];
static enum dial_as as[EPS + 1];         /* by endpoint */
static int ndialed;
static char said[4096];
static size_t nsaid;
static struct fgw_loop l;
static struct fgw_h1_env h1;
static struct fgw_pool_env env;
static struct fgw_pool *pool;
static struct fgw_eptable *table;
static struct mini_seg seg;

struct ask { struct fgw_lease lease; char name; struct wire *w; };
static struct ask a, b, c, d;

static void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nsaid += (size_t)vsnprintf(said + nsaid, sizeof said - nsaid, fmt, ap);
    va_end(ap);
}
static void saw(const char *want, const char *file, int line)
{
    test_eq_bytes_(file, line, "what became of the leases", said, nsaid, want, strlen(want));
    nsaid = 0, said[0] = 0;
}
#define SAW(want) saw((want), __FILE__, __LINE__)

/* ---- endpoints ---- */
static enum dial_as dial_how(const struct fgw_endpoint *e) { return as[(int)e->addr[0]]; }
static void dial_made(const struct fgw_endpoint *e, struct wire *w, struct fgw_mux *m, bool hangs)
{
    (void)hangs;
    for (int i = 0; ndialed == DIALS && i < ndialed; i++)    /* make room: forget one that is closed */
        if (!dialed[i].w->c) wire_free(dialed[i].w), dialed[i] = dialed[--ndialed];
    if (ndialed == DIALS) abort();
    dialed[ndialed].ep = e->addr[0], dialed[ndialed].w = w, dialed[ndialed].m = m, ndialed++;
}

static void members(const char *numbers)                 /* "12": endpoints 1 and 2; upper bits of a letter: '!' unhealthy, '0' behind it: weight 0 */
{
    struct fgw_endpoint e[EPS];
    uint32_t n = 0;
    for (; *numbers; numbers++) {
        if (*numbers == '!') e[n - 1].healthy = 0;
        else if (*numbers == '0') e[n - 1].weight = 0;
        else {
            e[n] = (struct fgw_endpoint){.slot = (uint32_t)(*numbers - '0'), .generation = 1, .weight = 1, .healthy = 1, .addr_len = 16};
            e[n].addr[0] = (char)(*numbers - '0');
            snprintf(e[n].name, sizeof e[n].name, "ep%c", *numbers), n++;
        }
    }
    fgw_eptable_publish(table, e, n);
}

static void report(void *ctx, const struct fgw_pool *p, const struct fgw_ep *e, struct fgw_fail why, int err)
{
    (void)ctx, (void)p, (void)err;
    note("(%s %s)", e->e.name, fgw_err_word((enum fgw_err)why.code));
}

/* ---- life ---- */
static void begin(const char *numbers)
{
    wires_now = 1000, ndialed = 0, nsaid = 0, said[0] = 0;
    memset(as, 0, sizeof as), memset(dialed, 0, sizeof dialed);
    dials.how = dial_how, dials.made = dial_made;
    if (fgw_loop_init(&l, &wires_clock, 0) < 0 || posix_memalign((void **)&table, 64, fgw_eptable_size(EPS))) abort();
    fgw_h1_env_init(&h1, &l);
    fgw_pool_env_init(&env, &h1);
    env.report = report;
    fgw_eptable_init(table, EPS);
    members(numbers);
    mini_upstream(&seg);
    pool = fgw_pool_new(&env, 1, FGW_STR("up"));
    pool->dialer = &dials_dialer;
    fgw_pool_ref(pool);
    fgw_pool_configure(pool, seg.bytes, table);
    pool->set.avoid_ms = 1000;
}
static void turn(void) { OK(wires_turn(&l)); }
static void passes(uint64_t ms) { OK(wires_wait(&l, ms)); }

static void end(void)
{
    if (pool) fgw_pool_unref(pool);
    turn();
    for (int i = 0; i < ndialed; i++) {
        OK(dialed[i].w->c == NULL);
        wire_free(dialed[i].w);
    }
    EQ(env.open, 0);
    EQ(env.idle, 0);
    EQ(h1.clients.live, 0);
    EQ(l.wheel.armed, 0);
    fgw_pool_env_fini(&env), fgw_h1_env_fini(&h1), fgw_loop_fini(&l);
    free(table);
}

/* ---- leases ---- */
static void up_info(struct fgw_side *s, struct fgw_msg *m) { (void)s, (void)m; }
static void up_head(struct fgw_side *s, struct fgw_msg *m) { (void)s, fgw_msg_put(m); }
static void up_body(struct fgw_side *s, struct fgw_span b_) { (void)s, (void)b_; }
static void up_nothing(struct fgw_side *s) { (void)s; }
static void up_room(struct fgw_side *s, uint64_t n) { (void)s, (void)n; }
static void up_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    (void)processed;
    struct ask *q = s->user;
    note("%c-%s ", q->name, fgw_err_word((enum fgw_err)why.code));
    fgw_lease_put(&q->lease);            /* at the latest here: the side goes at settle */
}
static const struct fgw_side_up up = {up_info, up_head, up_body, up_head, up_nothing, up_nothing, up_room, up_abort};

static void told(struct ask *q)
{
    if (!q->lease.side) {
        note("%c!%s ", q->name, fgw_err_word((enum fgw_err)q->lease.fail.code));
        return;
    }
    q->lease.side->up = &up, q->lease.side->user = q;
    for (int i = 0; i < ndialed; i++)
        if (dialed[i].w->c && dialed[i].m == q->lease.conn->mux) q->w = dialed[i].w;
    note("%c:%d%s ", q->name, q->lease.ep->e.addr[0], q->lease.warm ? "w" : "");
}
static void done(struct fgw_lease *x) { told(fgw_container(x, struct ask, lease)); }

static void get(struct ask *q, char name)
{
    bool fresh = q->lease.fresh;
    *q = (struct ask){.name = name, .lease = {.pool = pool, .done = done, .fresh = fresh}};
    if (fgw_lease_get(&q->lease) || q->lease.fail.code) told(q);
    else note("%c... ", name);
}
static void fetch(struct ask *q, char name) { get(q, name), turn(); }
static void put(struct ask *q) { fgw_lease_put(&q->lease), q->lease.fresh = false, turn(); }

/* A whole exchange, after which the connection is as good as new. */
static void serve(struct ask *q)
{
    struct fgw_side *s = q->lease.side;
    s->down->send_head(s, &(struct fgw_out){.method = FGW_STR("GET"), .target = FGW_STR("/"), .authority = FGW_STR("h")});
    s->down->finish(s);
    turn();
    wire_say(q->w, "HTTP/1.1 204 No Content\r\n\r\n");
    turn();
}
static void give_back(struct ask *q) { serve(q), put(q); }

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

TEST_MAIN()
