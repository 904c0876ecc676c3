#include "upstream/endpoint.c"
#include "test.h"

static struct fgw_eptable *table_new(uint32_t cap)
{
    struct fgw_eptable *t = malloc(fgw_eptable_size(cap));      /* exactly so much: ASan guards its end */
    fgw_eptable_init(t, cap);
    return t;
}

static struct fgw_endpoint endpoint(uint32_t slot, uint32_t generation)
{
    struct fgw_endpoint e = {.slot = slot, .generation = generation, .weight = (uint16_t)(slot + 1), .healthy = 1, .addr_len = 16};
    memset(e.addr, (int)(slot + generation), sizeof e.addr);
    snprintf(e.name, sizeof e.name, "e%u.%u", slot, generation);
    return e;
}

TEST(what_is_published_is_read_once)
{
    struct fgw_eptable *t = table_new(3);
    struct fgw_endpoint in[3] = {endpoint(0, 1), endpoint(1, 1), endpoint(2, 7)}, out[3];
    uint32_t seen = 0;
    EQ(fgw_eptable_read(t, &seen, out, 3), -1);                 /* never written */
    fgw_eptable_publish(t, in, 3);
    EQ(fgw_eptable_read(t, &seen, out, 3), 3);
    OK(memcmp(in, out, sizeof in) == 0);
    EQ(fgw_eptable_read(t, &seen, out, 3), -1);
    fgw_eptable_publish(t, in + 2, 1);
    EQ(fgw_eptable_read(t, &seen, out, 3), 1);
    OK(memcmp(&in[2], out, sizeof in[2]) == 0);
    fgw_eptable_publish(t, NULL, 0);
    EQ(fgw_eptable_read(t, &seen, out, 3), 0);
    free(t);
}

TEST(both_copies_are_kept_apart)
{
    struct fgw_eptable *t = table_new(2);
    struct fgw_endpoint out[2];
    uint32_t seen = 0;
    for (uint32_t g = 1; g < 50; g++) {
        struct fgw_endpoint in[2] = {endpoint(0, g), endpoint(1, g)};
        fgw_eptable_publish(t, in, 1 + g % 2);
        EQ(fgw_eptable_read(t, &seen, out, 2), 1 + g % 2);
        EQ(seen, g);
        OK(memcmp(in, out, (1 + g % 2) * sizeof in[0]) == 0);
    }
    free(t);
}

TEST(a_small_reader_gets_the_first)
{
    struct fgw_eptable *t = table_new(3);
    struct fgw_endpoint in[3] = {endpoint(0, 1), endpoint(1, 1), endpoint(2, 1)}, out[2];
    uint32_t seen = 0;
    fgw_eptable_publish(t, in, 3);
    EQ(fgw_eptable_read(t, &seen, out, 2), 2);
    OK(memcmp(in, out, sizeof out) == 0);
    free(t);
}

TEST(the_version_passes_over_zero)
{
    struct fgw_eptable *t = table_new(1);
    struct fgw_endpoint in = endpoint(0, 1), out;
    uint32_t seen = UINT32_MAX - 1;
    atomic_store(&t->version, UINT32_MAX - 1);
    fgw_eptable_publish(t, &in, 1);
    EQ(fgw_eptable_read(t, &seen, &out, 1), 1);
    EQ(seen, UINT32_MAX);
    in = endpoint(5, 2);
    fgw_eptable_publish(t, &in, 1);
    EQ(fgw_eptable_read(t, &seen, &out, 1), 1);
    EQ(seen, 2);
    OK(memcmp(&in, &out, sizeof in) == 0);
    free(t);
}

/* A supervisor killed before it stored the version: whatever it left in the other copy, the last version is in force. */
TEST(a_torn_publication_is_not_seen)
{
    struct fgw_eptable *t = table_new(2);
    struct fgw_endpoint in[2] = {endpoint(0, 1), endpoint(1, 1)}, out[2];
    uint32_t seen = 0;
    fgw_eptable_publish(t, in, 2);
    memset(copy_of(t, 2), 0xee, copy_size(2));
    EQ(fgw_eptable_read(t, &seen, out, 2), 2);
    OK(memcmp(in, out, sizeof in) == 0);
    fgw_eptable_publish(t, in, 1);
    EQ(fgw_eptable_read(t, &seen, out, 2), 1);
    free(t);
}

TEST(a_nonsense_count_stays_inside)
{
    struct fgw_eptable *t = table_new(2);
    struct fgw_endpoint in = endpoint(0, 1), out[64];
    uint32_t seen = 0;
    fgw_eptable_publish(t, &in, 1);
    copy_of(t, 1)->count = UINT32_MAX;
    EQ(fgw_eptable_read(t, &seen, out, 64), 2);
    free(t);
}
TEST_MAIN()
