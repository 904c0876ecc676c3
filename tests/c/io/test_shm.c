#include "io/shm.c"
#include <sys/wait.h>
#include "test.h"

static int create(uint32_t workers, struct fgw_shm **m)
{
    int fd = fgw_shm_create(fgw_shm_fixed(workers) + (1u << 20), workers, m);
    if (fd < 0) abort();
    fgw_shm_use(*m, workers - 1);
    return fd;
}

TEST(two_mappings_are_one_memory)
{
    struct fgw_shm *a, *b;
    const char *why;
    int fd = create(3, &a);
    b = fgw_shm_map(fd, &why);
    OK(b != NULL && why == NULL);
    EQ(b->workers, 3);
    OK(a->key.k0 == b->key.k0 && (a->key.k0 | a->key.k1));
    ((char *)a)[a->heap_off] = 'x';
    EQ(((char *)b)[b->heap_off], 'x');
    char *p = fgw_ring_room(fgw_shm_log(a, 2), 5);
    memcpy(p, "line\n", 5);
    fgw_ring_commit(fgw_shm_log(a, 2), 5);
    char out[16];
    EQ_BYTES(out, fgw_ring_read(fgw_shm_log(b, 2), out, sizeof out), "line\n");
    EQ(fgw_ring_read(fgw_shm_log(b, 1), out, sizeof out), 0);
    EQ(fgw_ring_read(fgw_shm_error_log(b, 2), out, sizeof out), 0);
    fgw_shm_unmap(a);
    fgw_shm_unmap(b);
    close(fd);
}

TEST(keys_differ)
{
    struct fgw_shm *a, *b;
    int fa = create(1, &a), fb = create(1, &b);
    OK(a->key.k0 != b->key.k0);
    fgw_shm_unmap(a), fgw_shm_unmap(b);
    close(fa), close(fb);
}

TEST(it_can_be_neither_grown_nor_shrunk)
{
    struct fgw_shm *m;
    int fd = create(1, &m);
    OK(ftruncate(fd, 4096) < 0 && errno == EPERM);
    OK(ftruncate(fd, 1 << 30) < 0 && errno == EPERM);
    fgw_shm_unmap(m);
    close(fd);
}

TEST(untouched_pages_cost_nothing)
{
    struct fgw_shm *m;
    struct stat st;
    int fd = fgw_shm_create(16ull << 30, FGW_SHM_WORKERS, &m);
    OK(fd >= 0);
    fstat(fd, &st);
    EQ(st.st_size, 16ll << 30);
    OK(st.st_blocks * 512 <= 5 * FGW_SHM_PAGE);                    /* the header, and the first column's rings: head, tail, size */
    fgw_shm_unmap(m);
    close(fd);
}

TEST(a_column_is_made_before_its_worker)
{
    struct fgw_shm *m;
    int fd = fgw_shm_create(fgw_shm_fixed(4), 4, &m);
    EQ(m->used, 1);
    OK(fgw_ring_room(fgw_shm_log(m, 0), 1) != NULL);
    OK(fgw_ring_room(fgw_shm_log(m, 2), 1) == NULL);
    fgw_shm_use(m, 2);
    EQ(m->used, 3);
    OK(fgw_ring_room(fgw_shm_log(m, 2), 1) != NULL && fgw_ring_room(fgw_shm_error_log(m, 1), 1) != NULL);
    fgw_ring_commit(fgw_shm_log(m, 2), 1);
    fgw_shm_use(m, 2), fgw_shm_use(m, 0);                          /* what is in it stays */
    EQ(fgw_shm_log(m, 2)->head, 8);
    fgw_shm_use(m, 99);
    EQ(m->used, 4);
    fgw_shm_unmap(m);
    close(fd);
}

TEST(bad_sizes_are_refused)
{
    struct fgw_shm *m;
    OK(fgw_shm_create(1 << 30, 0, &m) < 0 && errno == EINVAL);
    OK(fgw_shm_create(1ull << 40, FGW_SHM_WORKERS + 1, &m) < 0 && errno == EINVAL);
    OK(fgw_shm_create(fgw_shm_fixed(2) - FGW_SHM_PAGE, 2, &m) < 0 && errno == EINVAL);
    OK(fgw_shm_create(UINT64_MAX, 2, &m) < 0 && errno == EINVAL);
}

static const char *refused(int fd)
{
    const char *why = NULL;
    struct fgw_shm *m = fgw_shm_map(fd, &why);
    OK(m == NULL);
    fgw_shm_unmap(m);
    return why ? why : "";
}

TEST(a_foreign_file_is_refused)
{
    int p[2], fd = memfd("t");
    OK(pipe(p) == 0);
    OK(strstr(refused(-1), "not a memfd") != NULL);
    OK(strstr(refused(p[0]), "not a memfd") != NULL);
    OK(strstr(refused(fd), "resized") != NULL);
    close(p[0]), close(p[1]), close(fd);

    char page[FGW_SHM_PAGE] = {0};
    fd = fgw_seg_memfd("t", page, 16);
    OK(strstr(refused(fd), "too small") != NULL);
    close(fd);
}

TEST(a_changed_header_is_refused)
{
    struct fgw_shm *m;
    int fd = create(2, &m);
    struct fgw_shm keep = *m;
    uint64_t *places[] = {&m->stats_off, &m->gauges_off, &m->inflight_off, &m->log_off, &m->error_off, &m->heap_off};
    for (unsigned i = 0; i < FGW_COUNT(places); i++) {
        *places[i] += FGW_SHM_PAGE;
        OK(strstr(refused(fd), "misplaced") != NULL);
        *m = keep;
    }
    m->magic++, OK(strstr(refused(fd), "not the shared memory") != NULL), *m = keep;
    m->layout++, OK(strstr(refused(fd), "layout") != NULL), *m = keep;
    m->size++, OK(strstr(refused(fd), "size") != NULL), *m = keep;
    m->workers = 0, OK(strstr(refused(fd), "columns") != NULL), *m = keep;
    m->workers = FGW_SHM_WORKERS + 1, OK(strstr(refused(fd), "columns") != NULL), *m = keep;
    atomic_store(&m->used, 3);
    OK(strstr(refused(fd), "misplaced") != NULL);
    *m = keep;
    m->workers = 3, OK(strstr(refused(fd), "misplaced") != NULL), *m = keep;
    const char *why;
    struct fgw_shm *again = fgw_shm_map(fd, &why);
    OK(again != NULL);
    fgw_shm_unmap(again);
    fgw_shm_unmap(m);
    close(fd);
}

TEST(another_process_sees_it)
{
    struct fgw_shm *m;
    int fd = create(1, &m), status;
    pid_t child = fork();
    if (child == 0) {
        const char *why;
        struct fgw_shm *own = fgw_shm_map(fd, &why);
        if (own) ((char *)own)[own->heap_off + 9] = 42;
        _exit(own ? 0 : 1);
    }
    waitpid(child, &status, 0);
    EQ(status, 0);
    EQ(((char *)m)[m->heap_off + 9], 42);
    fgw_shm_unmap(m);
    close(fd);
}

TEST(a_segment_is_what_was_given_and_stays_so)
{
    char bytes[10000];
    size_t n = 0;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 13);
    int fd = fgw_seg_memfd("a name longer than the kernel takes, a name longer than the kernel takes, a name longer than the kernel takes, "
                           "a name longer than the kernel takes, a name longer than the kernel takes, a name longer than the kernel takes, "
                           "a name longer than the kernel takes", bytes, sizeof bytes);
    OK(fd >= 0);
    OK(write(fd, "x", 1) < 0 && errno == EPERM);
    OK(ftruncate(fd, 1) < 0 && errno == EPERM);
    OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    char *p = fgw_seg_map(fd, &n);
    close(fd);
    OK(p != NULL);
    EQ(n, sizeof bytes);
    OK(p && memcmp(p, bytes, n) == 0);
    fgw_seg_unmap(p, n);
}

TEST(an_unsealed_segment_is_refused)
{
    size_t n;
    int fd = memfd("t"), p[2];
    OK(ftruncate(fd, 4096) == 0);
    OK(fgw_seg_map(fd, &n) == NULL && errno == EPERM);
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
    OK(fgw_seg_map(fd, &n) == NULL && errno == EPERM);
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    char *m = fgw_seg_map(fd, &n);
    OK(m != NULL);
    fgw_seg_unmap(m, n);
    close(fd);
    OK(pipe(p) == 0);
    OK(fgw_seg_map(p[0], &n) == NULL);
    OK(fgw_seg_map(-1, &n) == NULL && errno == EBADF);
    close(p[0]), close(p[1]);
    fd = fgw_seg_memfd("t", "", 0);
    OK(fd >= 0 && fgw_seg_map(fd, &n) == NULL && errno == EINVAL);
    close(fd);
}
TEST_MAIN()
