#include "io/inflight.c"
#include "test.h"

static struct fgw_shm *make(uint32_t workers)
{
    struct fgw_shm *m;
    int fd = fgw_shm_create(fgw_shm_fixed(workers), workers, &m);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(m, workers - 1);
    return m;
}

static bool back;

TEST(columns_are_summed_and_one_can_be_cleared)
{
    struct fgw_shm *m = make(3);
    const uint64_t key = 0x123456789abcdef0;
    _Atomic uint64_t *a = fgw_inflight_take(m, 0, key, 3, &back), *b = fgw_inflight_take(m, 2, key, 3, &back);
    OK(a && b && fgw_inflight_take(m, 2, key, 3, &back));
    OK(!fgw_inflight_take(m, 1, key, 3, &back));
    EQ(fgw_inflight_sum(m, key), 3);
    fgw_inflight_sub(a);
    EQ(fgw_inflight_sum(m, key), 2);
    fgw_inflight_clear(m, 2);
    EQ(fgw_inflight_sum(m, key), 0);
    EQ(fgw_inflight_sum(m, key + 1), 0);
    fgw_shm_unmap(m);
}

TEST(keys_without_room_are_counted_against_all_of_their_set)
{
    struct fgw_shm *m = make(1);
    _Atomic uint64_t *at[12];
    uint64_t key[12];
    for (uint64_t i = 0; i < 12; i++) key[i] = (i + 1) << 40;              /* one set */
    for (int i = 0; i < 9; i++) OK((at[i] = fgw_inflight_take(m, 0, key[i], 3, &back)) != NULL);
    OK(at[7] == at[8] && at[7] != at[6]);              /* two share */
    EQ(fgw_inflight_sum(m, key[0]), 3);
    OK(!fgw_inflight_take(m, 0, key[0], 3, &back) && !fgw_inflight_take(m, 0, key[10], 2, &back));
    fgw_inflight_sub(at[3]);
    OK((at[3] = fgw_inflight_take(m, 0, key[11], 3, &back)) != NULL);             /* the free entry is used again */
    EQ(fgw_inflight_sum(m, key[3]), 2);
    for (int i = 0; i < 9; i++) fgw_inflight_sub(at[i]);
    for (int i = 0; i < 12; i++) EQ(fgw_inflight_sum(m, key[i]), 0);
    fgw_shm_unmap(m);
}

TEST_MAIN()
