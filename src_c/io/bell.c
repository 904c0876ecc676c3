#include "io/bell.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/check.h"

#define ALL   (1ull << 63)
#define SAID  (1ull << 55)                             /* in every message: no message is 0 */
enum { TOPIC_SHIFT = 56 };

static inline uint64_t look(_Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_seq_cst); }
static inline void set(_Atomic uint64_t *p, uint64_t v) { atomic_store_explicit(p, v, memory_order_seq_cst); }

static struct fgw_bell *bell_of(struct fgw_shm *m, uint32_t column)
{
    return (struct fgw_bell *)((char *)m + m->bells_off + (uint64_t)column * FGW_SHM_BELL);
}

/* ---- to tell ---- */

/* A word of the bell has the message then, or `pending` has ALL. The same message found there is as good: it is taken out after now. */
static void put(struct fgw_bell *t, uint64_t message)
{
    uint32_t first = (uint32_t)((message * 0x9e3779b97f4a7c15ull) >> 32);
    for (uint32_t k = 0; k < FGW_BELL_TRIES; k++) {
        uint32_t i = (first + k) % FGW_BELL_ROOM;
        uint64_t was = look(&t->m[i]);
        if (was == 0 && atomic_compare_exchange_strong_explicit(&t->m[i], &was, message, memory_order_seq_cst, memory_order_seq_cst)) was = message;
        if (was != message) continue;
        atomic_fetch_or_explicit(&t->pending, 1ull << i, memory_order_seq_cst);
        return;
    }
    atomic_fetch_or_explicit(&t->pending, ALL, memory_order_seq_cst);
}

static void write_to(int fd)
{
    eventfd_write(fd, 1);                              /* ours; can fail only with a count near 2^64, and is readable then */
}

void fgw_bell_ring(struct fgw_bells *b, uint32_t column, uint32_t topic, uint64_t what)
{
    struct fgw_bell *t = bell_of(b->shm, column);
    put(t, (uint64_t)topic << TOPIC_SHIFT | SAID | what);
    if (look(&t->state) != FGW_BELL_ASLEEP || b->fd[column] < 0) return;
    write_to(b->fd[column]);
    b->written++;
}

FGW_RARE void fgw_bell_call_listening(struct fgw_bells *b, uint32_t topic, uint64_t what)
{
    uint32_t used = atomic_load_explicit(&b->shm->used, memory_order_acquire);
    for (uint32_t c = 0; c < used; c += 64)
        for (uint64_t bits = look(&b->shm->listening[c / 64]); bits; bits &= bits - 1) {
            uint32_t column = c + (uint32_t)__builtin_ctzll(bits);
            if (column != b->column && column < used && look(&bell_of(b->shm, column)->wants) >> topic & 1) fgw_bell_ring(b, column, topic, what);
        }
}

FGW_RARE int fgw_bell_next(struct fgw_bells *b, uint32_t topic, uint32_t after)
{
    uint32_t used = atomic_load_explicit(&b->shm->used, memory_order_acquire);
    for (uint32_t k = 1; k <= used; k++) {
        uint32_t c = (after + k) % used;
        if (c != b->column && look(&b->shm->listening[c / 64]) >> c % 64 & 1 && look(&bell_of(b->shm, c)->wants) >> topic & 1) return (int)c;
    }
    return -1;
}

/* ---- to listen ---- */
static void become(struct fgw_bells *b, enum fgw_bell_state s)
{
    b->state = s;
    set(&bell_of(b->shm, b->column)->state, s);
}

void fgw_bell_want(struct fgw_bells *b, uint32_t topic)
{
    struct fgw_bell *t = bell_of(b->shm, b->column);
    uint64_t before = b->want;
    b->want |= 1ull << topic;
    if (!before) become(b, FGW_BELL_AWAKE);
    set(&t->wants, b->want);
    if (!before) atomic_fetch_or_explicit(&b->shm->listening[b->column / 64], 1ull << b->column % 64, memory_order_seq_cst);
}

void fgw_bell_unwant(struct fgw_bells *b, uint32_t topic)
{
    b->want &= ~(1ull << topic);
    set(&bell_of(b->shm, b->column)->wants, b->want);
    if (b->want) return;
    atomic_fetch_and_explicit(&b->shm->listening[b->column / 64], ~(1ull << b->column % 64), memory_order_seq_cst);
    become(b, FGW_BELL_IDLE);
}

static void hear(struct fgw_bells *b)
{
    struct fgw_bell *t = bell_of(b->shm, b->column);
    uint64_t which = atomic_exchange_explicit(&t->pending, 0, memory_order_seq_cst);
    bool all = which & ALL;
    for (uint32_t i = 0; i < FGW_BELL_ROOM && which; i++) {
        if (!all && !(which >> i & 1)) continue;
        uint64_t message = atomic_exchange_explicit(&t->m[i], 0, memory_order_seq_cst);
        if (message && !all) b->heard(b, (uint32_t)(message >> TOPIC_SHIFT), message & (SAID - 1));
    }
    if (all) b->heard(b, FGW_BELL_ALL, 0);
}

void fgw_bell_awake(struct fgw_bells *b)
{
    if (b->want && b->state == FGW_BELL_ASLEEP) become(b, FGW_BELL_AWAKE);
}

bool fgw_bell_rest(struct fgw_bells *b)
{
    if (!b->want) return false;
    if (b->state != FGW_BELL_ASLEEP) become(b, FGW_BELL_ASLEEP);
    if (!look(&bell_of(b->shm, b->column)->pending)) return false;
    become(b, FGW_BELL_AWAKE);
    hear(b);
    fgw_job_add(&b->loop->ready, &b->job);             /* to look again: AWAKE it must not go to sleep */
    return true;
}

static void look_again(struct fgw_job *j) { fgw_bell_rest(fgw_container(j, struct fgw_bells, job)); }

static void ready(struct fgw_watch *w, uint32_t events)
{
    struct fgw_bells *b = fgw_container(w, struct fgw_bells, watch);
    eventfd_t n;
    (void)events;
    eventfd_read(w->fd, &n);
    fgw_bell_awake(b);
    hear(b);
}

/* ---- a worker's end ---- */
void fgw_bells_init(struct fgw_bells *b, struct fgw_shm *m, uint32_t column, struct fgw_loop *loop, void (*heard)(struct fgw_bells *, uint32_t, uint64_t))
{
    *b = (struct fgw_bells){.shm = m, .column = column, .loop = loop, .heard = heard, .job.run = look_again, .watch = {.fd = -1, .ready = ready}};
    for (uint32_t i = 0; i < FGW_SHM_WORKERS; i++) b->fd[i] = -1;
}

int fgw_bells_fd(struct fgw_bells *b, uint32_t column, int fd)
{
    if (column >= b->shm->workers) { errno = EINVAL; return -1; }
    int ours = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (ours < 0) return -1;
    if (column == b->column) {
        struct fgw_watch w = {.fd = ours, .ready = ready};
        fgw_watch_del(b->loop, &b->watch);
        b->watch = w;
        if (fgw_watch_add(b->loop, &b->watch, EPOLLIN) < 0) {
            int e = errno;
            close(ours);
            b->watch.fd = -1;
            errno = e;
            return -1;
        }
    }
    if (b->fd[column] >= 0) close(b->fd[column]);
    b->fd[column] = ours;
    write_to(ours);                                    /* it may have been rung before we could */
    return 0;
}

void fgw_bells_fini(struct fgw_bells *b)
{
    FGW_CHECK(b->want == 0);
    fgw_watch_del(b->loop, &b->watch);
    fgw_link_remove(&b->job.link);
    for (uint32_t i = 0; i < FGW_SHM_WORKERS; i++)
        if (b->fd[i] >= 0) close(b->fd[i]);
}

/* ---- the supervisor ---- */
void fgw_bell_reset(struct fgw_shm *m, uint32_t column)
{
    struct fgw_bell *t = bell_of(m, column);
    atomic_fetch_and_explicit(&m->listening[column / 64], ~(1ull << column % 64), memory_order_seq_cst);
    set(&t->wants, 0);
    set(&t->state, FGW_BELL_IDLE);
    set(&t->pending, 0);
    for (uint32_t i = 0; i < FGW_BELL_ROOM; i++) set(&t->m[i], 0);
}

void fgw_bell_look_at_all(struct fgw_shm *m, uint32_t column)
{
    atomic_fetch_or_explicit(&bell_of(m, column)->pending, ALL, memory_order_seq_cst);
}
