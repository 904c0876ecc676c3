#include "io/ring.c"
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "test.h"

enum { SIZE = 256 };

static struct fgw_ring *ring_new(uint32_t size)
{
    struct fgw_ring *r = mmap(NULL, sizeof *r + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED) abort();
    fgw_ring_init(r, size);
    return r;
}
static void ring_free(struct fgw_ring *r) { munmap(r, sizeof *r + r->size); }
static bool put(struct fgw_ring *r, const char *s, uint32_t n)
{
    char *p = fgw_ring_room(r, n);
    if (!p) return false;
    memcpy(p, s, n);
    fgw_ring_commit(r, n);
    return true;
}
/* Start both counts there, so that a place of the data, or the end of counting, is near. */
static void start_at(struct fgw_ring *r, uint64_t at) { atomic_store(&r->head, at), atomic_store(&r->tail, at); }

TEST(what_is_written_is_read_once)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE];
    EQ(fgw_ring_read(r, out, sizeof out), 0);
    OK(put(r, "one\n", 4) && put(r, "three\n", 6) && put(r, "", 0) && put(r, "x", 1));
    size_t n = fgw_ring_read(r, out, sizeof out);
    EQ_BYTES(out, n, "one\nthree\nx");
    EQ(fgw_ring_read(r, out, sizeof out), 0);
    ring_free(r);
}

TEST(less_may_be_committed_than_asked)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE], *p = fgw_ring_room(r, 100);
    memcpy(p, "abc", 3);
    fgw_ring_commit(r, 3);
    OK(fgw_ring_room(r, 100) == p + 8);
    EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "abc");
    ring_free(r);
}

TEST(a_room_without_commit_is_nothing)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE];
    OK(fgw_ring_room(r, 50) != NULL);
    EQ(fgw_ring_read(r, out, sizeof out), 0);
    OK(put(r, "next", 4));
    EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "next");
    ring_free(r);
}

TEST(full_drops_and_counts)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE], big[SIZE] = {0};
    OK(!put(r, big, SIZE / 2 - 3));                       /* larger than a record may be, though the ring is empty */
    OK(fgw_ring_room(r, UINT32_MAX) == NULL && fgw_ring_room(r, INT32_MAX) == NULL);
    EQ(atomic_load(&r->dropped), 3);
    EQ(fgw_ring_read(r, out, sizeof out), 0);
    OK(put(r, big, SIZE / 2 - 4) && put(r, big, SIZE / 2 - 4));
    OK(!put(r, "", 0));
    EQ(atomic_load(&r->dropped), 4);
    EQ(fgw_ring_read(r, out, sizeof out), SIZE - 8);
    OK(put(r, big, SIZE / 2 - 4));
    EQ(atomic_load(&r->broken), 0);
    ring_free(r);
}

/* Every start in the ring, every length: an empty ring takes any record that is allowed, and gives it back. */
TEST(an_empty_ring_takes_every_allowed_record_anywhere)
{
    struct fgw_ring *r = ring_new(SIZE);
    char in[SIZE], out[SIZE];
    for (int i = 0; i < SIZE; i++) in[i] = (char)(i * 7 + 1);
    for (uint64_t at = 0; at < SIZE; at += 4)
        for (uint32_t n = 0; n <= SIZE / 2 - 4; n++) {
            start_at(r, at);
            if (!put(r, in, n) || fgw_ring_read(r, out, sizeof out) != n || memcmp(in, out, n)) {
                OK(!"record");
                fprintf(stderr, "length %u at %llu\n", n, (unsigned long long)at);
                return;
            }
        }
    EQ(atomic_load(&r->dropped) + atomic_load(&r->broken), 0);
    ring_free(r);
}

TEST(counts_may_wrap)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE];
    start_at(r, UINT64_MAX - 11);
    for (int i = 0; i < 20; i++) {
        OK(put(r, "0123456789", 10));
        EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "0123456789");
    }
    EQ(atomic_load(&r->broken), 0);
    ring_free(r);
}

TEST(a_small_reader_takes_whole_records)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[8];
    put(r, "aaaa", 4), put(r, "bbbb", 4), put(r, "ccccc", 5), put(r, "too long for it", 15), put(r, "d", 1);
    EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "aaaabbbb");
    EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "ccccc");
    EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "d");
    EQ(atomic_load(&r->broken), 1);
    ring_free(r);
}

/* Whatever a broken writer leaves: the reader stays inside, throws it away, and the next record is whole. */
TEST(nonsense_is_thrown_away)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE];
    static const struct { uint64_t head; uint32_t length; } bad[] = {
        {8, 5}, {8, SIZE}, {8, UINT32_MAX - 1}, {8, UINT32_MAX}, {4, 1}, {2, 0}, {6, 0}, {SIZE + 4, 0}, {UINT64_MAX, 0}, {SIZE, SIZE - 3},
    };
    for (unsigned i = 0; i < FGW_COUNT(bad); i++) {
        fgw_ring_init(r, SIZE);
        memcpy(r->data, &bad[i].length, 4);
        atomic_store(&r->head, bad[i].head);
        EQ(fgw_ring_read(r, out, sizeof out), 0);
        EQ(atomic_load(&r->broken), 1);
        EQ(atomic_load(&r->tail), (long long)bad[i].head);
        if (bad[i].head & 3) continue;                    /* the successor of such a writer is met by the same check */
        OK(put(r, "whole", 5));
        EQ_BYTES(out, fgw_ring_read(r, out, sizeof out), "whole");
    }
    ring_free(r);
}

TEST(a_length_past_the_end_is_nonsense)
{
    struct fgw_ring *r = ring_new(SIZE);
    char out[SIZE];
    uint32_t n = 20;
    memcpy(r->data + SIZE - 8, &n, 4);
    atomic_store(&r->tail, SIZE - 8), atomic_store(&r->head, SIZE + 32);
    EQ(fgw_ring_read(r, out, sizeof out), 0);
    EQ(atomic_load(&r->broken), 1);
    ring_free(r);
}

TEST(random_bytes_never_lead_outside)
{
    uint32_t seed = 12345;
    char out[SIZE];
    for (int round = 0; round < 20000; round++) {
        struct fgw_ring *r = (struct fgw_ring *)aligned_alloc(64, sizeof *r + SIZE);     /* ASan guards its end */
        fgw_ring_init(r, SIZE);
        for (int i = 0; i < SIZE; i++) seed = seed * 1103515245 + 12345, r->data[i] = (char)(seed >> 28 ? 0 : seed >> 16);
        atomic_store(&r->tail, seed & 0xfc);
        atomic_store(&r->head, (seed & 0xfc) + (seed >> 20 & 0x1fc));
        OK(fgw_ring_read(r, out, sizeof out) <= SIZE);
        EQ(atomic_load(&r->tail), (long long)atomic_load(&r->head));
        free(r);
    }
}

/* -- a writer killed at every step ---------------------------------------------------------------------------------
 * The child writes one record and is single-stepped through it; at each instruction boundary the parent looks at the ring as
 * its successor would find it: the records before, all of them, and then the new one either whole or not at all. */

static void check_image(const struct fgw_ring *r, size_t bytes, const char *before, const char *after, int *seen_before, int *seen_after)
{
    struct fgw_ring *image = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    char out[SIZE];
    memcpy(image, r, bytes);
    size_t n = fgw_ring_read(image, out, sizeof out);
    bool is_after = n == strlen(after) && !memcmp(out, after, n), is_before = n == strlen(before) && !memcmp(out, before, n);
    OK(is_before || is_after);
    *seen_before += is_before, *seen_after += is_after;
    OK(put(image, "heir\n", 5));                          /* the next worker of this column goes on */
    EQ_BYTES(out, fgw_ring_read(image, out, sizeof out), "heir\n");
    EQ(atomic_load(&image->broken), 0);
    free(image);
}

static void step_through(uint64_t start)
{
    struct fgw_ring *r = ring_new(SIZE);
    start_at(r, start);
    put(r, "before\n", 7);
    int status, seen_before = 0, seen_after = 0;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        put(r, "the new one\n", 12);
        _exit(0);
    }
    waitpid(child, &status, 0);
    for (int i = 0; WIFSTOPPED(status) && i < 100000; i++) {
        check_image(r, sizeof *r + SIZE, "before\n", "before\nthe new one\n", &seen_before, &seen_after);
        /* From here on only the exit is left, and under a sanitizer that is long. */
        if (seen_after > 50) break;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0) { OK(!"ptrace"); break; }
        waitpid(child, &status, 0);
    }
    kill(child, SIGKILL);
    if (!WIFEXITED(status) && !WIFSIGNALED(status)) waitpid(child, &status, 0);
    OK(seen_before > 20 && seen_after > 20);
    ring_free(r);
}
TEST(a_writer_killed_at_any_instruction) { step_through(0); }
TEST(a_writer_killed_at_any_instruction_of_a_wrap) { step_through(SIZE - 20); }

/* -- two processes, killed at random ------------------------------------------------------------------------------ */

/* Record i of a writer's life: its number, then a body that only it can have. */
static uint32_t make_record(char *p, uint32_t life, uint32_t i)
{
    uint32_t n = 12 + i * 37 % 90, check = life * 31 + i;
    memcpy(p, &life, 4), memcpy(p + 4, &i, 4), memcpy(p + 8, &n, 4);
    memset(p + 12, (int)(check & 0xff), n - 12);
    return n;
}

static _Noreturn void write_for_ever(struct fgw_ring *r, uint32_t life)
{
    for (uint32_t i = 0;;) {
        char *p = fgw_ring_room(r, 128);
        if (p) fgw_ring_commit(r, make_record(p, life, i++));
    }
}

/* All records are whole, of the expected lives, and in order; returns how many. */
static int check_records(const char *p, size_t n, uint32_t *life, uint32_t *next)
{
    int count = 0;
    for (char want[128]; n; count++) {
        uint32_t l, i, size;
        if (n < 12) { OK(!"torn"); return count; }
        memcpy(&l, p, 4), memcpy(&i, p + 4, 4), memcpy(&size, p + 8, 4);
        if (l != *life) OK(l > *life && i == 0), *life = l, *next = 0;
        if (i != (*next)++ || make_record(want, l, i) != size || size > n || memcmp(want, p, size)) { OK(!"torn"); return count; }
        p += size, n -= size;
    }
    return count;
}

TEST(a_writer_killed_at_random_leaves_whole_records)
{
    struct fgw_ring *r = ring_new(4096);
    char out[1000];
    uint32_t life = 0, next = 0, lived = 0;
    for (uint32_t l = 1; l <= 60; l++) {
        pid_t child = fork();
        if (child == 0) write_for_ever(r, l);
        uint32_t had = 0, want = 20 + l * 13 % 200;
        while (had < want) had += (uint32_t)check_records(out, fgw_ring_read(r, out, sizeof out), &life, &next);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        for (size_t n; (n = fgw_ring_read(r, out, sizeof out)) != 0;) check_records(out, n, &life, &next);
        lived += life == l;
    }
    EQ(lived, 60);
    EQ(atomic_load(&r->broken), 0);
    ring_free(r);
}
TEST_MAIN()
