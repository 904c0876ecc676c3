#include <poll.h>
#include <sys/eventfd.h>
#include "test.h"
#include "io/bell.c"

static struct fgw_shm *shm;
static struct fgw_loop loop;
static struct fgw_bells end[3];
static int fd[3];
static uint64_t topics[3], alls[3], last[3];

static void heard(struct fgw_bells *b, uint32_t topic, uint64_t what)
{
    int i = (int)(b - end);
    if (topic == FGW_BELL_ALL) alls[i]++;
    else topics[i] |= 1ull << topic, last[i] = what;
}

static void begin(void)
{
    int m = fgw_shm_create(fgw_shm_fixed(70), 70, &shm);
    OK(m >= 0 && fgw_loop_init(&loop, NULL, 1 << 20) == 0);
    close(m);
    fgw_shm_use(shm, 69);
    uint32_t column[3] = {0, 1, 69};
    for (int i = 0; i < 3; i++) {
        fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        fgw_bells_init(&end[i], shm, column[i], &loop, heard);
        topics[i] = alls[i] = last[i] = 0;
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) EQ(fgw_bells_fd(&end[i], column[k], fd[k]), 0);
    fgw_loop_turn(&loop, 0), fgw_loop_settle(&loop);   /* the first writes, by which nothing is missed */
}
static void finish(void)
{
    for (int i = 0; i < 3; i++) fgw_bells_fini(&end[i]), close(fd[i]);
    fgw_loop_settle(&loop);
    fgw_loop_fini(&loop);
    fgw_shm_unmap(shm);
}
static bool rung(int i) { struct pollfd p = {.fd = fd[i], .events = POLLIN}; return poll(&p, 1, 0) == 1; }

TEST(who_wants_a_topic_is_told_and_woken_only_when_asleep)
{
    begin();
    fgw_bell_call(&end[0], 3, 7);
    OK(!rung(1) && !rung(2));                          /* nobody listens */
    fgw_bell_want(&end[1], 3), fgw_bell_want(&end[2], 4), fgw_bell_want(&end[0], 3);
    fgw_bell_call(&end[0], 3, 7);
    OK(!rung(1));                                      /* awake: it looks before it sleeps */
    OK(fgw_bell_rest(&end[1]));
    EQ(topics[1], 1u << 3);
    EQ(last[1], 7);
    fgw_loop_settle(&loop);                            /* looks again, finds nothing, sleeps */
    EQ(end[1].state, FGW_BELL_ASLEEP);
    fgw_bell_call(&end[0], 3, 8);
    OK(rung(1) && !rung(2) && !rung(0));
    EQ(end[0].written, 1);
    fgw_loop_turn(&loop, 0);
    EQ(last[1], 8);
    OK(!rung(1));
    EQ(end[1].state, FGW_BELL_AWAKE);
    OK(!fgw_bell_rest(&end[1]) && !fgw_bell_rest(&end[2]));
    fgw_bell_awake(&end[1]);
    fgw_bell_call(&end[0], 3, 9);
    OK(!rung(1));
    OK(fgw_bell_rest(&end[1]));
    EQ(topics[2], 0);
    fgw_bell_call(&end[1], 4, 1);                      /* a column beyond the first 64 */
    OK(rung(2));
    fgw_loop_turn(&loop, 0);
    EQ(topics[2], 1u << 4);
    EQ(topics[0], 0);
    fgw_bell_unwant(&end[0], 3), fgw_bell_unwant(&end[1], 3), fgw_bell_unwant(&end[2], 4);
    for (int i = 0; i < 8; i++) EQ(shm->listening[i], 0);
    finish();
}

TEST(one_is_told_by_number_and_too_much_is_look_at_everything)
{
    begin();
    fgw_bell_want(&end[1], 5);
    OK(!fgw_bell_rest(&end[1]));
    fgw_bell_ring(&end[0], 1, 5, 0x7fffffffffffffull & (SAID - 1));
    fgw_bell_ring(&end[0], 1, 5, 0x7fffffffffffffull & (SAID - 1));
    fgw_loop_turn(&loop, 0);
    EQ(last[1], SAID - 1);
    OK(!fgw_bell_rest(&end[1]));
    fgw_loop_turn(&loop, 0);
    for (uint64_t k = 0; k < 200; k++) fgw_bell_ring(&end[0], 1, 5, k);
    EQ(alls[1], 0);
    fgw_loop_turn(&loop, 0);
    EQ(alls[1], 1);
    struct fgw_bell *t = bell_of(shm, 1);
    EQ(t->pending, 0);
    for (int i = 0; i < FGW_BELL_ROOM; i++) EQ(t->m[i], 0);
    fgw_bell_unwant(&end[1], 5);
    finish();
}

TEST(a_message_that_comes_while_it_hears_is_heard_before_it_sleeps)
{
    begin();
    fgw_bell_want(&end[1], 5);
    fgw_bell_ring(&end[0], 1, 5, 1);
    OK(fgw_bell_rest(&end[1]));
    EQ(end[1].state, FGW_BELL_AWAKE);
    fgw_bell_ring(&end[0], 1, 5, 2);
    OK(!rung(1));
    fgw_loop_settle(&loop);                            /* the job that rest left */
    EQ(last[1], 2);
    EQ(end[1].state, FGW_BELL_ASLEEP);
    fgw_bell_unwant(&end[1], 5);
    finish();
}

TEST(a_dead_workers_bell_is_reset_and_the_others_look_at_everything)
{
    begin();
    fgw_bell_want(&end[1], 5), fgw_bell_want(&end[2], 5);
    OK(!fgw_bell_rest(&end[2]));
    fgw_bell_ring(&end[0], 1, 5, 1);
    fgw_bell_reset(shm, 1);
    end[1].want = 0;                                   /* as its process is gone */
    EQ(shm->listening[0], 0);
    EQ(bell_of(shm, 1)->pending, 0);
    fgw_bell_call(&end[0], 6, 0);
    EQ(bell_of(shm, 1)->pending, 0);
    fgw_bell_look_at_all(shm, 69);
    eventfd_write(fd[2], 1);
    fgw_loop_turn(&loop, 0);
    EQ(alls[2], 1);
    fgw_bell_unwant(&end[2], 5);
    finish();
}

TEST(a_descriptor_that_comes_late_is_written_to_at_once)
{
    begin();
    fgw_bells_fini(&end[0]);
    fgw_bells_init(&end[0], shm, 0, &loop, heard);
    fgw_bell_want(&end[1], 5);
    OK(!fgw_bell_rest(&end[1]));
    fgw_bell_call(&end[0], 5, 3);                      /* it has no way to wake it yet */
    OK(!rung(1));
    EQ(fgw_bells_fd(&end[0], 1, fd[1]), 0);
    OK(rung(1));
    fgw_loop_turn(&loop, 0);
    EQ(last[1], 3);
    EQ(fgw_bells_fd(&end[0], 70, fd[1]), -1);
    EQ(errno, EINVAL);
    EQ(fgw_bells_fd(&end[0], 1, -1), -1);
    fgw_bell_unwant(&end[1], 5);
    finish();
}
TEST_MAIN()
