/* Every order in which two workers have their turns, give places back, die and let time pass, up to a length: never more than `max` at
 * once, nobody waits beside a free place when all has come to rest, and places go round. The steps within a turn are the models' of
 * io/inflight.h and io/bell.h. */
#include "policy/concurrency.c"
#define req_limits req_unused
#include "policy/limit_req.h"
#undef req_limits

enum { WORKERS = 2, WAIT = 3, REQS = 24, LENGTH = 5 };

static struct side {
    struct fgw_loop loop;
    struct fgw_bells bells;
    struct fgw_limits limits;
    bool dead;
} side[WORKERS];
static struct { struct test_req t; int worker; bool used, holds; } reqs[REQS];
static struct fgw_l_concurrency limit_;
static int served[64], nserved, killed;

static void heard(struct fgw_bells *b, uint32_t topic, uint64_t what) { (void)what, fgw_limits_heard(&fgw_container(b, struct side, bells)->limits, topic); }

static void had(int i, enum fgw_verdict v)
{
    int now = 0;
    if (v == FGW_PARK) return;
    EQ(v, FGW_NEXT);
    reqs[i].holds = true;
    served[nserved++ % 64] = reqs[i].worker;
    for (int k = 0; k < REQS; k++) now += reqs[k].holds && !side[reqs[k].worker].dead;
    OK(now <= (int)limit_.max);
}
static void resume(struct fgw_limits *l, struct fgw_ticket t, enum fgw_verdict v)
{
    (void)l, (void)v;
    had((int)t.slot, on_request(&reqs[t.slot].t.r, &limit_, reqs[t.slot].t.state));
}

static void arrive(int worker)
{
    int i = 0;
    while (reqs[i].used) i++;
    reqs[i].used = true, reqs[i].holds = false, reqs[i].worker = worker;
    req_init(&reqs[i].t);
    reqs[i].t.r.limits = &side[worker].limits, reqs[i].t.r.ticket.slot = (uint32_t)i;
    had(i, on_request(&reqs[i].t.r, &limit_, reqs[i].t.state));
}
static void leave_all(int i)
{
    reqs[i].used = reqs[i].holds = false;
    req_fini(&reqs[i].t, &fgw_step_concurrency, &limit_);
}

static void begin(uint32_t max, int others)            /* others: that want a place in the second worker */
{
    limit_ = (struct fgw_l_concurrency){.max = max, .slot = 4, .queue_max = WAIT + 2, .queue_ms = 1000000};
    nserved = 0, killed = -1, req_used = 64;
    memset(reqs, 0, sizeof reqs);
    for (uint32_t w = 0; w < WORKERS; w++) {
        fgw_inflight_clear(req_shm, w), fgw_bell_reset(req_shm, w);
        memset(&side[w], 0, sizeof side[w]);
        if (fgw_loop_init(&side[w].loop, &req_source, 1 << 20) < 0) abort();
        fgw_bells_init(&side[w].bells, req_shm, w, &side[w].loop, heard);
        fgw_limits_init(&side[w].limits, req_shm, w, &side[w].loop, &side[w].bells, resume);
    }
    for (int k = 0; k < WAIT; k++) {
        arrive(0);
        if (k < others) arrive(1);
    }
}

static void turn(int w)
{
    struct side *s = &side[w];
    if (s->dead) return;
    fgw_clock_update(&s->loop.clock);
    fgw_wheel_advance(&s->loop.wheel, s->loop.clock.mono_ms);
    fgw_loop_settle(&s->loop);
    if (fgw_bell_rest(&s->bells)) fgw_loop_settle(&s->loop);
}
static bool end_one(void)
{
    for (int i = 0; i < REQS; i++)
        if (reqs[i].holds && !side[reqs[i].worker].dead) return leave_all(i), true;
    return false;
}
static void kill_(int w)
{
    if (killed >= 0) return;
    killed = w, side[w].dead = true;
    fgw_inflight_clear(req_shm, (uint32_t)w), fgw_bell_reset(req_shm, (uint32_t)w);
    fgw_bell_look_at_all(req_shm, (uint32_t)(1 - w));
}
static int waiting(int w) { return side[w].dead ? 0 : (int)side[w].limits.waiting; }

static void rest(void)
{
    for (int k = 0; k < 6; k++) {
        req_ns += GRACE_MS * 1000000;
        for (int w = 0; w < WORKERS; w++) turn(w);
    }
}

static void over(void)
{
    for (int i = 0; i < REQS; i++)
        if (reqs[i].used && !side[reqs[i].worker].dead) leave_all(i);
    for (int w = 0; w < WORKERS; w++) {
        if (side[w].dead) {                            /* what the dead one had in its memory */
            for (int i = 0; i < REQS; i++) if (reqs[i].used && reqs[i].worker == w) leave_all(i);
        }
        fgw_limits_fini(&side[w].limits), fgw_bells_fini(&side[w].bells);
        fgw_loop_settle(&side[w].loop), fgw_loop_fini(&side[w].loop);
    }
}

static void step(int choice)
{
    switch (choice) {
    case 0: end_one(); break;
    case 1: turn(0); break;
    case 2: turn(1); break;
    case 3: req_ns += GRACE_MS * 1000000; break;
    case 4: case 5: kill_(choice - 4); break;
    case 6:                                            /* one of the second worker's goes away */
        for (int i = 0; i < REQS; i++)
            if (reqs[i].used && !reqs[i].holds && reqs[i].worker == 1 && !side[1].dead) {
                leave_all(i);
                break;
            }
        break;
    default: break;
    }
}

static void make(void)
{
    int fd = fgw_shm_create(fgw_shm_fixed(WORKERS) + (1 << 20), WORKERS, &req_shm);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(req_shm, WORKERS - 1);
}

TEST(nobody_waits_beside_a_free_place)
{
    enum { CHOICES = 7 };
    make();
    for (uint32_t max = 1; max <= 2; max++) {
        int paths = 1;
        for (int k = 0; k < LENGTH; k++) paths *= CHOICES;
        for (int path = 0; path < paths; path++) {
            begin(max, (int)max);
            for (int k = 0, p = path; k < LENGTH; k++, p /= CHOICES) step(p % CHOICES);
            rest();
            uint32_t held = 0;
            for (int i = 0; i < REQS; i++) held += reqs[i].holds && !side[reqs[i].worker].dead;
            OK(held == max || waiting(0) + waiting(1) == 0);
            over();
        }
    }
    fgw_shm_unmap(req_shm);
}

/* After each place that is given back both have a turn, in either order; whoever was served asks again. */
TEST(places_go_round)
{
    enum { GIVEN = 10 };
    make();
    for (int orders = 0; orders < 1 << GIVEN; orders++) {
        begin(1, WAIT);
        for (int k = 0; k < GIVEN; k++) {
            int was = served[(nserved - 1) % 64], before = nserved;
            end_one();
            arrive(was);
            turn(orders >> k & 1), turn(!(orders >> k & 1)), turn(orders >> k & 1);
            EQ(nserved, before + 1);                   /* at once: nobody had to wait for the grace to be over */
        }
        for (int k = 2, in_turn = 1; k < nserved; k++) {
            in_turn = served[k] == served[k - 1] ? in_turn + 1 : 1;
            OK(in_turn <= 2);
        }
        over();
    }
    fgw_shm_unmap(req_shm);
}
TEST_MAIN()
