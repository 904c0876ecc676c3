#include "base/clock.c"
#include "../test.h"
#include "random.h"

struct fake { uint64_t mono, wall; };
static uint64_t fake_mono(void *ctx) { return ((struct fake *)ctx)->mono; }
static uint64_t fake_wall(void *ctx) { return ((struct fake *)ctx)->wall; }

#define NS 1000000000ull

TEST(mono_never_goes_back)
{
    struct fake f = {5000000, 0};
    struct fgw_clock_source src = {fake_mono, fake_wall, &f};
    struct fgw_clock c;
    fgw_clock_init(&c, &src);
    EQ(c.mono_ns, 5000000);
    EQ(c.mono_ms, 5);
    f.mono = 4000000;
    fgw_clock_update(&c);
    EQ(c.mono_ns, 5000000);
    f.mono = 6999999;
    fgw_clock_update(&c);
    EQ(c.mono_ns, 6999999);
    EQ(c.mono_ms, 6);
}

TEST(a_step_of_the_wall_clock_shows_at_once_and_moves_no_timer)
{
    struct fake f = {NS, 784111777 * NS};
    struct fgw_clock_source src = {fake_mono, fake_wall, &f};
    struct fgw_clock c;
    fgw_clock_init(&c, &src);
    EQ_BYTES(fgw_clock_date(&c), 29, "Sun, 06 Nov 1994 08:49:37 GMT");
    f.wall -= 3600 * NS;
    fgw_clock_update(&c);
    EQ(c.mono_ns, NS);
    EQ_BYTES(fgw_clock_date(&c), 29, "Sun, 06 Nov 1994 07:49:37 GMT");
    f.wall += 3600 * NS + NS / 2;
    fgw_clock_update(&c);
    EQ_BYTES(fgw_clock_date(&c), 29, "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(the_date_is_made_once_a_second)
{
    struct fake f = {NS, 784111777 * NS};
    struct fgw_clock_source src = {fake_mono, fake_wall, &f};
    struct fgw_clock c;
    fgw_clock_init(&c, &src);
    fgw_clock_date(&c);
    c.date[0] = 'X';
    f.wall += NS - 1;
    fgw_clock_update(&c);
    EQ(fgw_clock_date(&c)[0], 'X');
    f.wall++;
    fgw_clock_update(&c);
    EQ_BYTES(fgw_clock_date(&c), 29, "Sun, 06 Nov 1994 08:49:38 GMT");
}

TEST(known_dates)
{
    static const struct { uint64_t s; const char *date; } CASES[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {68255999, "Tue, 29 Feb 1972 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},  {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"}, {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {1767225599, "Wed, 31 Dec 2025 23:59:59 GMT"}, {18446744073, "Sun, 21 Jul 2554 23:34:33 GMT"},
    };
    char out[32];
    for (unsigned i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        date_format(CASES[i].s, out);
        OK(strcmp(out, CASES[i].date) == 0 || (fprintf(stderr, "%s\n", out), 0));
    }
}

/* Every day from 1970 to 2554, and random seconds, against the C library. */
TEST(all_days_agree_with_gmtime)
{
    random_seed(7);
    for (uint64_t day = 0; day < UINT64_MAX / NS / DAY_S; day++) {
        time_t s = (time_t)(day * DAY_S + random_below(DAY_S));
        struct tm tm;
        char mine[32], theirs[40];
        gmtime_r(&s, &tm);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        date_format((uint64_t)s, mine);
        if (strcmp(mine, theirs) != 0) { EQ_BYTES(mine, strlen(mine), ""); fprintf(stderr, "%s\n", theirs); return; }
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.007Z", &tm);
        int n = fgw_clock_rfc3339((uint64_t)s * NS + 7999999, mine);
        if (n != 24 || strcmp(mine, theirs) != 0) { EQ_BYTES(mine, strlen(mine), ""); fprintf(stderr, "%s\n", theirs); return; }
    }
}

TEST(the_system_clock_is_read)
{
    struct fgw_clock c;
    fgw_clock_init(&c, NULL);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t before = c.mono_ns;
    OK(before > 0 && before <= (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec);
    EQ(c.mono_ms, c.mono_ns / 1000000);
    OK(c.wall_ns > 1600000000 * NS);
    fgw_clock_update(&c);
    OK(c.mono_ns >= before);
    EQ(strlen(fgw_clock_date(&c)), 29);
}

TEST(mono_alone_leaves_the_wall_and_never_goes_back)
{
    struct fake f = {5000000, 7};
    struct fgw_clock_source src = {fake_mono, fake_wall, &f};
    struct fgw_clock c;
    fgw_clock_init(&c, &src);
    f.mono = 9000000, f.wall = 8;
    fgw_clock_mono(&c);
    EQ(c.mono_ms, 9);
    EQ(c.wall_ns, 7);
    f.mono = 1;
    fgw_clock_mono(&c);
    EQ(c.mono_ns, 9000000);
}

TEST_MAIN()
