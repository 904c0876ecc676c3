#include "io/shm.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

static uint64_t paged(uint64_t n) { return (n + FGW_SHM_PAGE - 1) & ~(uint64_t)(FGW_SHM_PAGE - 1); }
static uint64_t ring_stride(uint32_t size) { return paged(sizeof(struct fgw_ring) + size); }

/* A memfd that can be sealed; not executable where the kernel knows how to say so (6.3). */
static int memfd(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    return fd < 0 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

static int close_keep_errno(int fd)
{
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

/* The regions' places for so many columns. The one description of the layout: create writes it, map compares with it. */
static struct fgw_shm places(uint64_t size, uint32_t workers)
{
    struct fgw_shm h = {.magic = FGW_SHM_MAGIC, .layout = FGW_SHM_LAYOUT, .workers = workers, .size = size};
    h.stats_off = paged(sizeof h);
    h.gauges_off = h.stats_off + paged((uint64_t)workers * FGW_SHM_STATS * FGW_SHM_CELL);
    h.bells_off = h.gauges_off + paged((uint64_t)workers * FGW_SHM_GAUGES);
    h.inflight_off = h.bells_off + paged((uint64_t)workers * FGW_SHM_BELL);
    h.log_off = h.inflight_off + (uint64_t)workers * FGW_SHM_INFLIGHT;
    h.error_off = h.log_off + workers * ring_stride(FGW_SHM_RING);
    h.heap_off = h.error_off + workers * ring_stride(FGW_SHM_ERROR_RING);
    return h;
}

uint64_t fgw_shm_fixed(uint32_t workers) { return places(0, workers).heap_off; }

void fgw_shm_zero(struct fgw_shm *m, uint64_t offset, uint64_t n)
{
    FGW_CHECK(offset <= m->size && n <= m->size - offset);
    char *p = (char *)m + offset;
    if (offset % FGW_SHM_PAGE == 0 && n % FGW_SHM_PAGE == 0 && madvise(p, n, MADV_REMOVE) == 0) return;
    memset(p, 0, n);
}

struct fgw_ring *fgw_shm_log(struct fgw_shm *m, uint32_t column)
{
    FGW_CHECK(column < m->workers);
    return (struct fgw_ring *)((char *)m + m->log_off + column * ring_stride(FGW_SHM_RING));
}

struct fgw_ring *fgw_shm_error_log(struct fgw_shm *m, uint32_t column)
{
    FGW_CHECK(column < m->workers);
    return (struct fgw_ring *)((char *)m + m->error_off + column * ring_stride(FGW_SHM_ERROR_RING));
}

static int make(uint64_t size, uint32_t workers, struct fgw_shm *h)
{
    if (workers == 0 || workers > FGW_SHM_WORKERS || size > INT64_MAX) { errno = EINVAL; return -1; }
    *h = places(paged(size), workers);
    if (h->size < h->heap_off) { errno = EINVAL; return -1; }
    if (fgw_hash_key_random(&h->key) < 0) return -1;

    int fd = memfd("fastgw-shm");
    if (fd < 0) return -1;
    if (ftruncate(fd, (off_t)h->size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) return close_keep_errno(fd);
    return fd;
}

int fgw_shm_create(uint64_t size, uint32_t workers, struct fgw_shm **map)
{
    struct fgw_shm h;
    int fd = make(size, workers, &h);
    if (fd < 0) return -1;

    void *p = mmap(NULL, h.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (p == MAP_FAILED) return close_keep_errno(fd);
    *map = memcpy(p, &h, sizeof h);
    fgw_shm_use(*map, 0);
    return fd;
}

void fgw_shm_use(struct fgw_shm *m, uint32_t column)
{
    uint32_t used = atomic_load_explicit(&m->used, memory_order_relaxed);
    for (; used <= column && used < m->workers; used++) {
        fgw_ring_init(fgw_shm_log(m, used), FGW_SHM_RING);
        fgw_ring_init(fgw_shm_error_log(m, used), FGW_SHM_ERROR_RING);
        atomic_store_explicit(&m->used, used + 1, memory_order_release);     /* the drain looks from another thread */
    }
}

/* What is wrong with a header found in a file of `size` bytes; NULL: nothing. */
static const char *header_check(const struct fgw_shm *h, uint64_t size)
{
    if (h->magic != FGW_SHM_MAGIC) return "not the shared memory of a gateway";
    if (h->layout != FGW_SHM_LAYOUT) return "the shared memory has another layout version";
    if (h->size != size) return "the shared memory has another size than its header says";
    if (h->workers == 0 || h->workers > FGW_SHM_WORKERS) return "the shared memory's number of columns is out of range";
    struct fgw_shm want = places(size, h->workers);
    uint32_t used = atomic_load_explicit(&h->used, memory_order_relaxed);
    if (memcmp(&want.stats_off, &h->stats_off, offsetof(struct fgw_shm, used) - offsetof(struct fgw_shm, stats_off)) != 0 ||
        want.heap_off > size || used == 0 || used > h->workers) return "the shared memory's regions are misplaced";
    return NULL;
}

struct fgw_shm *fgw_shm_map(int fd, const char **why)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    *why = "the shared memory's descriptor is not a memfd";
    if (seals < 0 || fstat(fd, &st) < 0) return NULL;
    *why = "the shared memory can be resized";       /* then touching it could be a SIGBUS */
    if (~seals & (F_SEAL_SHRINK | F_SEAL_GROW)) return NULL;
    *why = "the shared memory is too small to have a header";
    if ((uint64_t)st.st_size < sizeof(struct fgw_shm)) return NULL;

    *why = "the shared memory could not be mapped";
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (p == MAP_FAILED) return NULL;
    *why = header_check(p, (uint64_t)st.st_size);
    if (!*why) return p;
    munmap(p, (size_t)st.st_size);
    return NULL;
}

void fgw_shm_unmap(struct fgw_shm *m)
{
    if (m) munmap(m, m->size);
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t did = write(fd, p, n);
        if (did < 0 && errno == EINTR) continue;
        if (did <= 0) return -1;
        p += did, n -= (size_t)did;
    }
    return 0;
}

int fgw_seg_memfd(const char *name, const void *p, size_t n)
{
    char named[200];                                  /* the kernel refuses names above 249 bytes */
    size_t len = strnlen(name, sizeof named - 1);
    memcpy(named, name, len);
    named[len] = 0;

    int fd = memfd(named);
    if (fd < 0) return -1;
    if (write_all(fd, p, n) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) return close_keep_errno(fd);
    return fd;
}

void *fgw_seg_map(int fd, size_t *n)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &st) < 0) return NULL;
    if (~seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) { errno = EPERM; return NULL; }

    /* Private: kernels before 6.7 refuse a shared mapping of a write-sealed file. The pages are the file's either way. */
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return NULL;
    *n = (size_t)st.st_size;
    return p;
}

void fgw_seg_unmap(void *p, size_t n)
{
    if (p) munmap(p, n);
}
