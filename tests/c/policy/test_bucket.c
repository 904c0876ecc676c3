#include "policy/bucket.c"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include "test.h"

enum { SETS = 64, THREADS = 4 };
static _Alignas(128) struct fgw_bucket_set table[SETS];
static const uint64_t T = 1000, NOW = 1000000000;

static struct fgw_bucket take(uint64_t tag, uint64_t now, uint64_t burst) { return fgw_bucket_take(fgw_bucket_set_of(table, SETS, tag), tag, now, T, burst * T); }
static uint64_t random_next(uint64_t *s)               /* a state for each thread */
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}
static void clean(void) { memset(table, 0, sizeof table); }

TEST(a_burst_passes_then_the_rate)
{
    clean();
    for (int i = 0; i < 5; i++) OK(take(7, NOW, 5).pass);
    struct fgw_bucket b = take(7, NOW, 5);
    OK(!b.pass);
    EQ(b.full_at, NOW + 5 * T);
    OK(!take(7, NOW + T - 1, 5).pass);
    OK(take(7, NOW + T, 5).pass);
    OK(!take(7, NOW + T, 5).pass);
    OK(take(7, NOW + 900 * T, 5).pass);                /* a long rest gives one burst, not more */
    for (int i = 0; i < 4; i++) OK(take(7, NOW + 900 * T, 5).pass);
    OK(!take(7, NOW + 900 * T, 5).pass);
}

TEST(a_clock_that_is_behind_gets_no_more)
{
    clean();
    OK(take(7, NOW + 10 * T, 1).pass);
    OK(!take(7, NOW, 1).pass);
    OK(!take(7, NOW + 10 * T, 1).pass);
}

TEST(what_was_taken_can_be_put_back_while_nobody_came_after)
{
    clean();
    struct fgw_bucket a = take(7, NOW, 1);
    OK(a.pass && fgw_bucket_put_back(&a));
    a = take(7, NOW, 2);
    struct fgw_bucket b = take(7, NOW, 2);
    OK(a.pass && b.pass && !fgw_bucket_put_back(&a) && fgw_bucket_put_back(&b));
    OK(take(7, NOW, 2).pass && !take(7, NOW, 2).pass);
    b = take(7, NOW, 2);
    OK(!fgw_bucket_put_back(&b));                      /* it took nothing */
}

TEST(keys_beyond_a_sets_room_share_one_bucket)
{
    clean();
    uint64_t passed = 0;
    for (uint64_t k = 1; k <= FGW_BUCKET_WAYS; k++) OK(take(k, NOW, 2).pass && take(k, NOW, 2).pass);      /* all of set 0 */
    for (uint64_t k = 100; k < 200; k++) passed += take(k, NOW, 2).pass;
    EQ(passed, 2);
    struct fgw_bucket b = take(300, NOW + T, 2);       /* one has come back, to all of them */
    OK(b.pass && b.was_shared && fgw_bucket_put_back(&b));
    OK(take(301, NOW + T, 2).pass && !take(302, NOW + T, 2).pass);
    for (uint64_t k = 1; k <= FGW_BUCKET_WAYS; k++) OK(take(k, NOW + T, 2).pass && !take(k, NOW + T, 2).pass);
}

TEST(a_key_that_shared_takes_its_debt_into_its_own_entry)
{
    clean();
    for (uint64_t k = 1; k <= FGW_BUCKET_WAYS; k++) OK(take(k, NOW, 1).pass);
    OK(take(9, NOW + T / 2, 1).pass && !take(9, NOW + T / 2, 1).pass);     /* shared: full again at 3/2 T */
    OK(!take(9, NOW + T + 1, 1).pass);                 /* the others are full now, so it has an entry: with that debt */
    OK(find(&table[0], 9) < FGW_BUCKET_WAYS);
    OK(take(9, NOW + T + T / 2, 1).pass && !take(9, NOW + T + T / 2, 1).pass);
}

TEST(an_entry_is_given_away_only_when_it_is_full)
{
    clean();
    for (uint64_t k = 1; k <= FGW_BUCKET_WAYS; k++) OK(take(k, NOW, 1).pass);
    for (uint64_t k = 50; k < 50 + FGW_BUCKET_WAYS; k++) OK(take(k, NOW + T + 1, 1).pass);
    for (uint64_t k = 1; k <= FGW_BUCKET_WAYS; k++) EQ(find(&table[0], k), FGW_BUCKET_WAYS);
}

/* Every key's passes against a bucket of its own that never forgets. */
TEST(no_key_of_many_gets_more_than_its_due)
{
    enum { KEYS = 4096, ROUNDS = 200000, BURST = 3 };
    static uint64_t own[KEYS];
    uint64_t now = NOW, seed = 5, passed = 0, more = 0;
    clean();
    memset(own, 0, sizeof own);
    for (int i = 0; i < ROUNDS; i++) {
        now += random_next(&seed) % 40;
        uint64_t r = random_next(&seed), k = r % 3 ? r / 3 % 64 : r / 3 % KEYS;
        uint64_t tag = (k + 1) * 0x9e3779b97f4a7c15ull, from = own[k] > now ? own[k] : now;
        bool due = from + T <= now + BURST * T;
        if (!take(tag, now, BURST).pass) continue;
        passed++, more += !due;
        own[k] = from + T;
    }
    EQ(more, 0);
    OK(passed > ROUNDS / 100);
}

static _Atomic uint64_t passed_;
static void *many(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg, passed = 0;
    for (int i = 0; i < 100000; i++) {
        uint64_t r = random_next(&seed);
        if (r % 8) passed += take(77, NOW, 1000).pass;
        else take(r % 500 + 1000, NOW + r % 3 * T, 2);
    }
    atomic_fetch_add(&passed_, passed);
    return NULL;
}
TEST(threads_pass_exactly_what_is_allowed)
{
    pthread_t t[THREADS];
    clean();
    for (uintptr_t i = 0; i < THREADS; i++) OK(pthread_create(&t[i], NULL, many, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    EQ(atomic_load(&passed_), 1000);
}

/* Four processes on one key, one of them killed in the middle: what was counted is what was allowed, at most. */
TEST(processes_pass_exactly_what_is_allowed_and_one_may_die)
{
    enum { EACH = 200000, ALLOWED = 100000 };
    struct shared { struct fgw_bucket_set set; _Atomic uint64_t passed[4]; } *m;
    m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[4];
    for (int i = 0; i < 4; i++)
        if ((pid[i] = fork()) == 0) {
            for (int k = 0; k < EACH; k++)
                if (fgw_bucket_take(&m->set, 5, NOW, T, ALLOWED * T).pass) atomic_fetch_add(&m->passed[i], 1);
            _exit(0);
        }
    while (atomic_load(&m->passed[0]) + atomic_load(&m->passed[1]) < 100) usleep(100);
    kill(pid[0], SIGKILL);
    for (int i = 0; i < 4; i++) waitpid(pid[i], NULL, 0);
    uint64_t passed = 0;
    for (int i = 0; i < 4; i++) passed += atomic_load(&m->passed[i]);
    OK(passed == ALLOWED || passed == ALLOWED - 1);    /* the dead one may have passed one that it did not live to count */
    OK(!fgw_bucket_take(&m->set, 5, NOW, T, ALLOWED * T).pass);
    OK(fgw_bucket_take(&m->set, 5, NOW + T, T, ALLOWED * T).pass);
    munmap(m, sizeof *m);
}
TEST_MAIN()
