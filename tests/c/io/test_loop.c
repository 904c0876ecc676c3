#include "io/loop.c"
#include "test.h"

static int ran;
static struct fgw_loop l;
static void again(struct fgw_job *j) { ran++; fgw_job_add(&l.ready, j); }

TEST(ready_work_wakes_the_loop_and_cannot_hog_it)
{
    struct fgw_job j = {.run = again};
    OK(fgw_loop_init(&l, NULL, 0) == 0);
    EQ(fgw_loop_turn(&l, 0), 0);
    fgw_job_add(&l.ready, &j);
    fgw_loop_settle(&l);
    EQ(ran, FGW_LOOP_ROUNDS);
    EQ(fgw_loop_turn(&l, 0), 1);
    fgw_link_remove(&j.link);
    fgw_loop_settle(&l);
    EQ(fgw_loop_turn(&l, 0), 0);
    fgw_loop_fini(&l);
}

TEST_MAIN()
