#include "io/drain.c"
#include <pthread.h>                  /* so `make tsan` takes it in */
#include <sys/stat.h>
#include "test.h"

static char dir_[64], access_[96], error_[96];
static struct fgw_shm *m_;

static void setup(uint32_t workers)
{
    strcpy(dir_, "/tmp/fgw-drain-XXXXXX");
    if (!mkdtemp(dir_)) abort();
    snprintf(access_, sizeof access_, "%s/access", dir_);
    snprintf(error_, sizeof error_, "%s/error", dir_);
    int fd = fgw_shm_create(fgw_shm_fixed(workers), workers, &m_);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(m_, workers - 1);
}
static void teardown(void)
{
    fgw_shm_unmap(m_);
    unlink(access_), unlink(error_), rmdir(dir_);
}
static struct fgw_drain *start(void)
{
    struct fgw_drain *d = fgw_drain_start(m_, (struct fgw_drain_to[]){{access_, -1}, {error_, -1}});
    if (!d) abort();
    return d;
}
static bool put(struct fgw_ring *r, const char *line)
{
    uint32_t n = (uint32_t)strlen(line);
    char *p = fgw_ring_room(r, n);
    if (!p) return false;
    memcpy(p, line, n);
    fgw_ring_commit(r, n);
    return true;
}
static size_t slurp(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(out, 1, size - 1, f) : 0;
    out[n] = 0;
    if (f) fclose(f);
    return n;
}
static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

TEST(lines_of_all_columns_arrive)
{
    setup(3);
    struct fgw_drain *d = start();
    char text[4096], line[64];
    for (uint32_t c = 0; c < 3; c++)
        for (int i = 0; i < 10; i++) {
            snprintf(line, sizeof line, "worker %u line %d\n", c, i);
            OK(put(fgw_shm_log(m_, c), line));
            OK(put(fgw_shm_error_log(m_, c), "oops\n"));
        }
    fgw_drain_say(d, "started\n", 8);
    uint64_t dropped[2];
    fgw_drain_stop(d, 5000, dropped);
    EQ(dropped[0] + dropped[1], 0);
    size_t n = slurp(access_, text, sizeof text), from = 0;
    EQ(n, 30 * strlen("worker 0 line 0\n"));
    for (uint32_t c = 0; c < 3; c++, from = 0)           /* each worker's in its order */
        for (int i = 0; i < 10; i++) {
            snprintf(line, sizeof line, "worker %u line %d\n", c, i);
            char *at = memmem(text + from, n - from, line, strlen(line));
            OK(at != NULL);
            if (at) from = (size_t)(at - text);
        }
    EQ(slurp(error_, text, sizeof text), 30 * 5 + 8);
    OK(strstr(text, "started\n") != NULL);
    teardown();
}

/* A hundred rings full through one thread, with the writer waiting only for room. */
TEST(more_than_a_ring_holds)
{
    setup(1);
    struct fgw_drain *d = start();
    static char line[1024];
    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    for (int i = 0; i < 20000;) {
        if (put(fgw_shm_log(m_, 0), line)) i++;
        else nap();
    }
    fgw_drain_stop(d, 20000, NULL);
    struct stat st;
    OK(stat(access_, &st) == 0);
    EQ(st.st_size, 20000ll * 1023);
    EQ(fgw_shm_log(m_, 0)->broken, 0);
    teardown();
}

TEST(the_largest_record_passes)
{
    setup(2);
    struct fgw_drain *d = start();
    uint32_t n = FGW_SHM_RING / 2 - 4;
    for (int k = 0; k < 3; k++)
        for (uint32_t c = 0; c < 2; c++) {
            char *p;
            while (!(p = fgw_ring_room(fgw_shm_log(m_, c), n))) nap();
            memset(p, 'a', n - 1), p[n - 1] = '\n';
            fgw_ring_commit(fgw_shm_log(m_, c), n);
        }
    fgw_drain_stop(d, 20000, NULL);
    struct stat st;
    OK(stat(access_, &st) == 0);
    EQ(st.st_size, 6ll * n);
    EQ(fgw_shm_log(m_, 0)->broken + fgw_shm_log(m_, 1)->broken, 0);
    teardown();
}

static uint64_t opens(struct fgw_drain *d)
{
    struct fgw_drain_counters n;
    fgw_drain_count(d, FGW_DRAIN_ACCESS, &n);
    return n.opens;
}

TEST(a_rotation)
{
    setup(1);
    struct fgw_drain *d = start();
    char old[128], text[256];
    snprintf(old, sizeof old, "%s.1", access_);
    put(fgw_shm_log(m_, 0), "before\n");
    for (struct fgw_drain_counters n = {0}; n.bytes < 7; nap()) fgw_drain_count(d, FGW_DRAIN_ACCESS, &n);
    rename(access_, old);
    fgw_drain_reopen(d);
    while (opens(d) < 2) nap();
    put(fgw_shm_log(m_, 0), "after\n");
    fgw_drain_stop(d, 5000, NULL);
    EQ_BYTES(text, slurp(old, text, sizeof text), "before\n");
    EQ_BYTES(text, slurp(access_, text, sizeof text), "after\n");
    unlink(old);
    teardown();
}

TEST(another_place_while_running)
{
    setup(1);
    int p[2];
    char text[256];
    OK(pipe(p) == 0);
    struct fgw_drain *d = fgw_drain_start(m_, (struct fgw_drain_to[]){{NULL, -1}, {NULL, -1}});
    OK(fgw_drain_direct(d, FGW_DRAIN_ACCESS, (struct fgw_drain_to){NULL, p[1]}) == 0);
    close(p[1]);
    while (opens(d) < 1) nap();
    put(fgw_shm_log(m_, 0), "to the pipe\n");
    EQ_BYTES(text, (size_t)read(p[0], text, sizeof text), "to the pipe\n");
    OK(fgw_drain_direct(d, FGW_DRAIN_ACCESS, (struct fgw_drain_to){access_, -1}) == 0);
    while (opens(d) < 2) nap();
    put(fgw_shm_log(m_, 0), "to the file\n");
    OK(fgw_drain_direct(d, FGW_DRAIN_ERROR, (struct fgw_drain_to){NULL, 12345}) < 0);
    fgw_drain_stop(d, 5000, NULL);
    EQ_BYTES(text, slurp(access_, text, sizeof text), "to the file\n");
    EQ(read(p[0], text, sizeof text), 0);                /* nobody of ours has it open any more */
    close(p[0]);
    teardown();
}

/* The access log's reader has stopped: the error log goes on, the writer drops at its ring, and stopping takes no longer than said. */
TEST(a_stuck_place_stops_only_its_log)
{
    setup(1);
    int p[2];
    char text[4096];
    static char line[1024];
    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    OK(pipe(p) == 0);
    struct fgw_drain *d = fgw_drain_start(m_, (struct fgw_drain_to[]){{NULL, p[1]}, {error_, -1}});
    while (fgw_shm_log(m_, 0)->dropped < 100)
        for (int i = 0; i < 1000; i++) put(fgw_shm_log(m_, 0), line);
    put(fgw_shm_error_log(m_, 0), "still heard\n");
    while (slurp(error_, text, sizeof text) == 0) nap();
    EQ_BYTES(text, strlen(text), "still heard\n");
    uint64_t dropped[2];
    fgw_drain_stop(d, 30, dropped);
    OK(dropped[0] > 900);                                /* at least a ringful, less what the pipe took */
    EQ(dropped[1], 0);
    close(p[0]), close(p[1]);
    teardown();
}

TEST(a_lost_folder_drops_and_counts)
{
    setup(1);
    struct fgw_drain *d = start();
    unlink(access_), unlink(error_), rmdir(dir_);
    fgw_drain_reopen(d);
    struct fgw_drain_counters n = {0};
    for (; n.errors == 0; nap()) fgw_drain_count(d, FGW_DRAIN_ACCESS, &n);
    EQ(n.last_errno, ENOENT);
    put(fgw_shm_log(m_, 0), "lost\n");
    for (; n.dropped == 0; nap()) fgw_drain_count(d, FGW_DRAIN_ACCESS, &n);
    mkdir(dir_, 0700);
    while (opens(d) < 2) nap();                          /* within a second, unasked */
    put(fgw_shm_log(m_, 0), "found\n");
    uint64_t dropped[2];
    fgw_drain_stop(d, 5000, dropped);
    char text[64];
    EQ_BYTES(text, slurp(access_, text, sizeof text), "found\n");
    EQ(dropped[0], 1);
    teardown();
}

TEST(a_wild_ring_is_left_alone)
{
    setup(2);
    fgw_shm_log(m_, 0)->size = 1u << 31;
    fgw_shm_log(m_, 0)->head = 1u << 30;
    struct fgw_drain *d = start();
    put(fgw_shm_log(m_, 1), "neighbour\n");
    fgw_drain_stop(d, 5000, NULL);
    char text[64];
    EQ_BYTES(text, slurp(access_, text, sizeof text), "neighbour\n");
    teardown();
}

TEST(the_pace_follows_the_rings)
{
    struct fgw_drain d = {.sleep_ms = SLEEP_MAX_MS};
    for (int i = 0; i < 10; i++) pace(&d, 200);
    EQ(d.sleep_ms, SLEEP_MIN_MS);
    pace(&d, 40);
    EQ(d.sleep_ms, SLEEP_MIN_MS);
    for (int i = 0; i < 50; i++) pace(&d, 0);
    EQ(d.sleep_ms, SLEEP_MAX_MS);
}
TEST_MAIN()
