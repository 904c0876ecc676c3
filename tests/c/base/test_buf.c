#include "base/buf.c"
#include "../test.h"
#include "death.h"
#include "random.h"

static struct fgw_blocks blocks;
static struct fgw_bufs home;
static void setup(uint64_t max_bytes) { fgw_blocks_init(&blocks, max_bytes); fgw_bufs_init(&home, &blocks); }
static void teardown(void)
{
    fgw_bufs_fini(&home);
    EQ(blocks.live, 0);
    fgw_blocks_fini(&blocks);
}

/* What a writer would send; n: how many bytes. Checks the sum and the ends on the way. */
static size_t flat(const struct fgw_buf *b, char *out, size_t room)
{
    struct iovec iov[4096];
    size_t n = 0;
    int count = fgw_buf_iov(b, iov, 4096);
    for (int i = 0; i < count; i++) {
        OK(iov[i].iov_len > 0 && n + iov[i].iov_len <= room);
        memcpy(out + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    EQ(n, b->bytes);
    OK(!b->first == !b->last && (!b->last || !b->last->next));
    return n;
}
static int nodes(const struct fgw_buf *b) { int n = 0; for (struct fgw_buf_node *k = b->first; k; k = k->next) n++; return n; }
static struct fgw_span span_of(const char *text)
{
    struct fgw_block *b = fgw_block_get(&blocks, strlen(text));
    memcpy(b->data, text, strlen(text));
    return (struct fgw_span){b, 0, (uint32_t)strlen(text)};
}

TEST(copies_join_into_one_piece)
{
    struct fgw_buf b = {0};
    char out[64];
    setup(0);
    OK(fgw_buf_copy(&home, &b, "HTTP/1.1 ", 9) && fgw_buf_copy(&home, &b, "200 OK", 6) && fgw_buf_copy(&home, &b, NULL, 0));
    EQ(nodes(&b), 1);
    EQ(blocks.live, 1);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "HTTP/1.1 200 OK");
    fgw_buf_clear(&home, &b);
    EQ(b.bytes, 0);
    teardown();
}

TEST(two_bufs_share_a_block_and_do_not_join)
{
    struct fgw_buf a = {0}, b = {0};
    char out[64];
    setup(0);
    OK(fgw_buf_copy(&home, &a, "aa", 2) && fgw_buf_copy(&home, &b, "bb", 2) && fgw_buf_copy(&home, &a, "AA", 2));
    EQ(blocks.live, 1);
    EQ(nodes(&a), 2);
    EQ_BYTES(out, flat(&a, out, sizeof(out)), "aaAA");
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "bb");
    fgw_buf_clear(&home, &a);
    fgw_buf_consume(&home, &b, 1);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "b");
    fgw_buf_consume(&home, &b, 1);
    OK(!b.first && !b.last);
    teardown();
}

TEST(an_emptied_tail_is_filled_from_its_start)
{
    struct fgw_buf b = {0};
    char big[1000] = {0};
    setup(0);
    OK(fgw_buf_copy(&home, &b, "x", 1));
    fgw_buf_clear(&home, &b);
    uint64_t mallocs = blocks.mallocs, chunks = home.nodes.chunks;
    for (int i = 0; i < 1000; i++) {
        OK(fgw_buf_copy(&home, &b, big, sizeof(big)));
        OK(b.first->s.off == 0);
        fgw_buf_consume(&home, &b, sizeof(big));
    }
    EQ(blocks.mallocs, mallocs);
    EQ(home.nodes.chunks, chunks);
    teardown();
}

TEST(push_keeps_the_span_and_joins_neighbours)
{
    struct fgw_buf b = {0};
    char out[64];
    setup(0);
    struct fgw_span whole = span_of("hello world"), left = fgw_span_ref(whole), right = fgw_span_ref(whole), again = fgw_span_ref(whole);
    left.len = 5;
    right.off = 5, right.len = 6;
    again.len = 1;
    OK(fgw_buf_push(&home, &b, left) && fgw_buf_push(&home, &b, right));
    EQ(nodes(&b), 1);
    EQ(whole.b->refs, 3);
    OK(fgw_buf_push(&home, &b, again));
    EQ(nodes(&b), 2);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "hello worldh");
    fgw_span_drop(&whole);
    fgw_buf_consume(&home, &b, 7);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "orldh");
    fgw_buf_consume(&home, &b, 5);
    EQ(blocks.live, 0);
    teardown();
}

TEST(an_empty_span_is_dropped_at_once)
{
    struct fgw_buf b = {0};
    setup(0);
    struct fgw_span s = span_of("x");
    s.len = 0;
    OK(fgw_buf_push(&home, &b, s) && fgw_buf_push(&home, &b, (struct fgw_span){0}));
    OK(!b.first && b.bytes == 0 && blocks.live == 0);
    teardown();
}

TEST(a_copy_after_a_push_follows_it)
{
    struct fgw_buf b = {0};
    char out[64];
    setup(0);
    OK(fgw_buf_copy(&home, &b, "head ", 5) && fgw_buf_push(&home, &b, span_of("body ")) && fgw_buf_copy(&home, &b, "tail", 4));
    EQ(nodes(&b), 3);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "head body tail");
    fgw_buf_clear(&home, &b);
    teardown();
}

TEST(room_and_commit)
{
    struct fgw_buf b = {0};
    char out[64];
    setup(0);
    for (int i = 0; i < 3; i++) {
        char *p = fgw_buf_room(&home, 1000);
        memset(p, 'z', 1000);
        memcpy(p, "abc", 3);
        OK(fgw_buf_commit(&home, &b, 3));
        OK(fgw_buf_room(&home, 5) && fgw_buf_commit(&home, &b, 0));
    }
    EQ(nodes(&b), 1);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "abcabcabc");
    char *p = fgw_buf_room(&home, 64 << 10);
    memset(p, 'q', 64 << 10);
    OK(fgw_buf_commit(&home, &b, 64 << 10));
    EQ(b.bytes, 9 + (64 << 10));
    EQ(nodes(&b), 2);
    fgw_buf_clear(&home, &b);
    teardown();
}

TEST(large_copies_are_cut_and_leave_the_tail_alone)
{
    static char in[200000], out[200000];
    struct fgw_buf b = {0};
    random_seed(5);
    for (unsigned i = 0; i < sizeof(in); i++) in[i] = (char)random_u64();
    setup(0);
    OK(fgw_buf_copy(&home, &b, in, 10));
    struct fgw_block *tail = home.tail;
    OK(fgw_buf_copy(&home, &b, in + 10, sizeof(in) - 10));
    OK(home.tail == tail && home.fill == 10);
    EQ(nodes(&b), 5);
    OK(flat(&b, out, sizeof(out)) == sizeof(in) && memcmp(in, out, sizeof(in)) == 0);
    fgw_buf_clear(&home, &b);
    teardown();
}

TEST(no_memory_changes_nothing)
{
    static char in[300000];
    struct fgw_buf b = {0};
    char out[64];
    setup(140 << 10);
    OK(fgw_buf_copy(&home, &b, "kept", 4));
    OK(!fgw_buf_copy(&home, &b, in, sizeof(in)));
    EQ(blocks.live, 1);
    EQ(home.nodes.live, 1);
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "kept");
    struct fgw_block *fill[32];
    int n = 0;
    blocks.max_bytes = blocks.bytes + 1;
    fgw_blocks_trim(&blocks);
    blocks.max_bytes = blocks.bytes + 1;
    while ((fill[n] = fgw_block_get(&blocks, 1))) n++;
    OK(!fgw_buf_copy(&home, &b, in, 4064) && fgw_buf_room(&home, 4064) == NULL);
    OK(fgw_buf_copy(&home, &b, "!", 1));          /* the tail still has room */
    EQ_BYTES(out, flat(&b, out, sizeof(out)), "kept!");
    while (n--) fgw_block_unref(fill[n]);
    fgw_buf_clear(&home, &b);
    teardown();
}

TEST(iov_stops_at_its_room)
{
    struct fgw_buf b = {0};
    struct iovec iov[3];
    setup(0);
    EQ(fgw_buf_iov(&b, iov, 3), 0);
    for (int i = 0; i < 5; i++) OK(fgw_buf_push(&home, &b, span_of("xy")));
    EQ(fgw_buf_iov(&b, iov, 3), 3);
    EQ(fgw_buf_iov(&b, iov, 0), 0);
    fgw_buf_consume(&home, &b, 3);
    EQ(fgw_buf_iov(&b, iov, 1), 1);
    EQ_BYTES(iov[0].iov_base, iov[0].iov_len, "y");
    fgw_buf_clear(&home, &b);
    teardown();
}

TEST(move_takes_all)
{
    struct fgw_buf a = {0}, b = {0};
    char out[64];
    setup(0);
    fgw_buf_move(&a, &b);
    OK(!a.first);
    OK(fgw_buf_push(&home, &b, span_of("1")) && fgw_buf_push(&home, &b, span_of("2")));
    fgw_buf_move(&a, &b);
    OK(!b.first && !b.last && !b.bytes);
    OK(fgw_buf_push(&home, &b, span_of("3")));
    fgw_buf_move(&a, &b);
    fgw_buf_move(&a, &b);
    OK(fgw_buf_push(&home, &a, span_of("4")));
    EQ_BYTES(out, flat(&a, out, sizeof(out)), "1234");
    fgw_buf_clear(&home, &a);
    teardown();
}

/* Three bufs against three flat strings. */
enum { BUFS = 3, ROOM = 60000 };
static struct { char text[2 * ROOM]; size_t n; } model[BUFS];
static struct fgw_buf bufs[BUFS];

static void grow(int i)
{
    char in[9000];
    size_t n = random_below(20) ? random_below(300) : random_below(sizeof(in));
    if (model[i].n + n > ROOM) return;
    for (size_t k = 0; k < n; k++) in[k] = (char)random_u64();
    if (random_below(3) == 0) {
        struct fgw_span s = {fgw_block_get(&blocks, n + 7), 7, (uint32_t)n}, half = s;
        memcpy(s.b->data + 7, in, n);
        s.len = (uint32_t)random_below(n + 1);
        half.off += s.len, half.len -= s.len;
        fgw_block_ref(s.b);
        OK(fgw_buf_push(&home, &bufs[i], s) && fgw_buf_push(&home, &bufs[i], half));
    } else {
        OK(fgw_buf_copy(&home, &bufs[i], in, n));
    }
    memcpy(model[i].text + model[i].n, in, n);
    model[i].n += n;
}
static void shrink(int i)
{
    size_t n = random_below(model[i].n + 1);
    fgw_buf_consume(&home, &bufs[i], n);
    memmove(model[i].text, model[i].text + n, model[i].n -= n);
}
static void join(int to, int from)
{
    if (to == from || model[to].n + model[from].n > ROOM) return;
    fgw_buf_move(&bufs[to], &bufs[from]);
    memcpy(model[to].text + model[to].n, model[from].text, model[from].n);
    model[to].n += model[from].n;
    model[from].n = 0;
}

TEST(random_use_agrees_with_flat_strings)
{
    static char out[2 * ROOM];
    random_seed(6);
    setup(0);
    for (int round = 0; round < 6000; round++) {
        int i = (int)random_below(BUFS);
        switch (random_below(8)) {
        case 0: case 1: case 2: case 3: grow(i); break;
        case 4: case 5: case 6: shrink(i); break;
        case 7: join(i, (int)random_below(BUFS)); break;
        }
        if (flat(&bufs[i], out, sizeof(out)) != model[i].n || memcmp(out, model[i].text, model[i].n) != 0) { EQ(round, -1); break; }
    }
    for (int i = 0; i < BUFS; i++) fgw_buf_clear(&home, &bufs[i]);
    EQ(home.nodes.live, 0);
    teardown();
}

#ifdef FGW_DEBUG
TEST(consuming_more_than_there_is_is_an_error)
{
    struct fgw_buf b = {0};
    setup(0);
    OK(fgw_buf_copy(&home, &b, "abc", 3));
    DIES(fgw_buf_consume(&home, &b, 4));
    DIES(fgw_bufs_fini(&home));
    fgw_buf_clear(&home, &b);
    teardown();
}
#endif

TEST_MAIN()
