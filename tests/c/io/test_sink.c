#include "io/sink.c"
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "test.h"

enum { SIZE = 1 << 17 };
static struct fgw_sink s_;
static char dir_[64], path_[128];

static void setup(void)
{
    strcpy(dir_, "/tmp/fgw-sink-XXXXXX");
    if (!mkdtemp(dir_)) abort();
    snprintf(path_, sizeof path_, "%s/log", dir_);
    signal(SIGPIPE, SIG_IGN);
    if (fgw_sink_init(&s_, SIZE) < 0) abort();
}
static void teardown(void)
{
    fgw_sink_fini(&s_);
    unlink(path_);
    rmdir(dir_);
}
static void add(const char *text)
{
    size_t room, n = strlen(text);
    char *p = fgw_sink_room(&s_, &room);
    if (room < n) abort();
    memcpy(p, text, n);
    fgw_sink_added(&s_, n);
}
static bool write_lines(const char *text, uint64_t now) { add(text); return fgw_sink_flush(&s_, now); }
static void file_is(const char *path, const char *want)
{
    char got[4096] = "";
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(got, 1, sizeof got - 1, f) : 0;
    OK(f != NULL);
    OK(n == strlen(want) && !memcmp(got, want, n));
    if (n != strlen(want) || memcmp(got, want, n)) fprintf(stderr, "  file has \"%s\"\n", got);
    if (f) fclose(f);
}

TEST(a_file_is_made_and_appended_to)
{
    setup();
    fgw_sink_direct(&s_, path_, -1, 0);
    OK(write_lines("one\n", 0) && write_lines("two\nthree\n", 0));
    file_is(path_, "one\ntwo\nthree\n");
    struct stat st;
    OK(stat(path_, &st) == 0);
    EQ(st.st_mode & 07777 & ~0640, 0);
    EQ(s_.n.bytes, 14);
    EQ(s_.n.dropped + s_.n.errors, 0);
    teardown();
}

TEST(a_rotated_file_is_left)
{
    setup();
    char old[160];
    snprintf(old, sizeof old, "%s.1", path_);
    fgw_sink_direct(&s_, path_, -1, 0);
    write_lines("one\n", 0);
    rename(path_, old);
    write_lines("still the old\n", 0);
    fgw_sink_reopen(&s_, 0);
    write_lines("two\n", 0);
    file_is(old, "one\nstill the old\n");
    file_is(path_, "two\n");
    EQ(s_.n.opens, 2);
    unlink(old);
    teardown();
}

TEST(a_lost_folder_drops_counts_and_is_tried_each_second)
{
    setup();
    fgw_sink_direct(&s_, path_, -1, 0);
    unlink(path_), rmdir(dir_);
    fgw_sink_reopen(&s_, 0);
    EQ(s_.n.last_errno, ENOENT);
    OK(write_lines("a\nb\n", 10));
    EQ(s_.n.dropped, 2);
    fgw_sink_tick(&s_, 999);
    EQ(s_.n.errors, 1);
    fgw_sink_tick(&s_, 1000);
    EQ(s_.n.errors, 2);
    mkdir(dir_, 0700);
    fgw_sink_tick(&s_, 1999);
    OK(write_lines("c\n", 1999));
    EQ(s_.n.dropped, 3);
    fgw_sink_tick(&s_, 2000);
    OK(write_lines("d\n", 2000));
    file_is(path_, "d\n");
    EQ(s_.n.dropped, 3);
    EQ(s_.n.last_errno, 0);
    teardown();
}

TEST(a_file_that_cannot_be_reopened_is_kept_while_it_has_a_name)
{
    setup();
    char old[160];
    snprintf(old, sizeof old, "%s.1", path_);
    fgw_sink_direct(&s_, path_, -1, 0);
    rename(path_, old);
    mkdir(path_, 0700);                                  /* in the way */
    fgw_sink_reopen(&s_, 0);
    EQ(s_.n.last_errno, EISDIR);
    OK(write_lines("kept\n", 0));
    file_is(old, "kept\n");
    rmdir(path_);
    fgw_sink_tick(&s_, 1000);
    OK(write_lines("new\n", 1000));
    file_is(path_, "new\n");
    unlink(old);
    teardown();
}

TEST(a_deleted_file_is_made_again)
{
    setup();
    fgw_sink_direct(&s_, path_, -1, 0);
    write_lines("gone\n", 0);
    unlink(path_);
    fgw_sink_tick(&s_, 1000);
    write_lines("here\n", 1000);
    file_is(path_, "here\n");
    teardown();
}

TEST(a_full_disk_drops_and_counts)
{
    setup();
    fgw_sink_direct(&s_, "/dev/full", -1, 0);
    OK(write_lines("a\nb\n", 0));
    EQ(s_.n.dropped, 2);
    EQ(s_.n.last_errno, ENOSPC);
    EQ(s_.n.bytes, 0);
    teardown();
}

/* The limit stands for a disk that fills in the middle of a line. */
TEST(a_cut_line_is_ended_before_the_next)
{
    setup();
    struct rlimit had, cut = {6, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &had);
    fgw_sink_direct(&s_, path_, -1, 0);
    cut.rlim_max = had.rlim_max;
    setrlimit(RLIMIT_FSIZE, &cut);
    OK(write_lines("one\ntwo\nthree\n", 0));
    setrlimit(RLIMIT_FSIZE, &had);
    EQ(s_.n.dropped, 2);
    OK(write_lines("four\n", 0));
    file_is(path_, "one\ntw\nfour\n");
    teardown();
}

TEST(a_pipe_nobody_reads_never_blocks)
{
    setup();
    int p[2];
    OK(pipe(p) == 0);
    fgw_sink_direct(&s_, NULL, p[1], 0);
    OK(!(fcntl(p[1], F_GETFL) & O_NONBLOCK));            /* its other users notice nothing */
    char line[1001];
    memset(line, 'x', 999), line[999] = '\n', line[1000] = 0;
    while (true) {
        for (int i = 0; i < 100; i++) add(line);
        if (!fgw_sink_flush(&s_, 0)) break;
    }
    OK(!fgw_sink_empty(&s_));
    EQ(s_.n.dropped, 0);
    static char buf[1 << 20];
    uint64_t had = 0;
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    for (bool done = false; !done;) {
        done = fgw_sink_flush(&s_, 0);
        for (ssize_t n; (n = read(p[0], buf, sizeof buf)) > 0; had += (uint64_t)n)
            for (ssize_t i = 0; i < n; i++)
                if ((buf[i] == '\n') != ((had + (uint64_t)i) % 1000 == 999)) { OK(!"line"); i = n; }
    }
    EQ(had % 100000, 0);
    EQ(had, (long long)s_.n.bytes);
    close(p[0]), close(p[1]);
    teardown();
}

/* The same where /proc does not help: asked by poll, given PIPE_BUF at most. */
TEST(a_shared_pipe_is_given_what_it_surely_takes)
{
    setup();
    int p[2];
    OK(pipe(p) == 0);
    fgw_sink_direct(&s_, NULL, p[1], 0);
    close(s_.fd);
    s_.fd = dup(p[1]), s_.kind = FGW_SINK_SHARED;
    char line[1001];
    memset(line, 'x', 999), line[999] = '\n', line[1000] = 0;
    for (int i = 0; i < 100; i++) add(line);
    OK(!fgw_sink_flush(&s_, 0));                         /* 64 KiB hold no 100,000 bytes; blocking for ever is the failure */
    OK(s_.n.bytes > 0 && s_.n.bytes < 100000);
    static char buf[1 << 17];
    OK(read(p[0], buf, sizeof buf) > 0);
    OK(fgw_sink_flush(&s_, 0));
    close(p[0]), close(p[1]);
    teardown();
}

TEST(a_pipe_whose_reader_left_drops_and_counts)
{
    setup();
    int p[2];
    OK(pipe(p) == 0);
    fgw_sink_direct(&s_, NULL, p[1], 0);
    close(p[0]);
    OK(write_lines("a\nb\nc\n", 0));
    EQ(s_.n.dropped, 3);
    EQ(s_.n.last_errno, EPIPE);
    close(p[1]);
    teardown();
}

TEST(a_fifo_waits_for_a_reader_without_waiting)
{
    setup();
    OK(mkfifo(path_, 0600) == 0);
    fgw_sink_direct(&s_, path_, -1, 0);
    EQ(s_.n.last_errno, ENXIO);
    OK(write_lines("lost\n", 0));
    int r = open(path_, O_RDONLY | O_NONBLOCK);
    fgw_sink_tick(&s_, 1000);
    OK(write_lines("read\n", 1000));
    char buf[64];
    EQ_BYTES(buf, (size_t)read(r, buf, sizeof buf), "read\n");
    close(r);
    OK(write_lines("lost\n", 1500));
    EQ(s_.n.last_errno, EPIPE);
    r = open(path_, O_RDONLY | O_NONBLOCK);
    fgw_sink_tick(&s_, 2500);
    OK(write_lines("again\n", 2500));
    EQ_BYTES(buf, (size_t)read(r, buf, sizeof buf), "again\n");
    EQ(s_.n.dropped, 2);
    close(r);
    teardown();
}

TEST(a_socket_never_blocks)
{
    setup();
    int p[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    fgw_sink_direct(&s_, NULL, p[1], 0);
    EQ(s_.kind, FGW_SINK_SOCKET);
    OK(!(fcntl(p[1], F_GETFL) & O_NONBLOCK));
    char line[1001];
    memset(line, 'x', 999), line[999] = '\n', line[1000] = 0;
    for (int i = 0; i < 100; i++) add(line);
    while (fgw_sink_flush(&s_, 0))
        for (int i = 0; i < 100; i++) add(line);
    close(p[0]);
    OK(fgw_sink_flush(&s_, 0));
    OK(s_.n.dropped > 0 && s_.n.last_errno == EPIPE);
    close(p[1]);
    teardown();
}

TEST(a_bad_descriptor_drops_and_counts)
{
    setup();
    fgw_sink_direct(&s_, NULL, 12345, 0);
    EQ(s_.n.last_errno, EBADF);
    OK(write_lines("a\n", 0));
    EQ(s_.n.dropped, 1);
    teardown();
}

TEST(what_nobody_wants_is_not_counted)
{
    setup();
    OK(write_lines("a\n", 0));
    fgw_sink_direct(&s_, NULL, -1, 0);
    OK(write_lines("a\n", 0));
    EQ(s_.n.dropped + s_.n.errors + s_.n.opens, 0);
    teardown();
}

TEST(another_place)
{
    setup();
    char other[160];
    snprintf(other, sizeof other, "%s.2", path_);
    fgw_sink_direct(&s_, path_, -1, 0);
    add("one\n");
    fgw_sink_direct(&s_, other, -1, 0);
    write_lines("two\n", 0);
    file_is(path_, "one\n");
    file_is(other, "two\n");
    unlink(other);
    teardown();
}
TEST_MAIN()
