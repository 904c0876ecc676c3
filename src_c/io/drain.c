#include "io/drain.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "base/check.h"
#include "io/ring.h"
#include "io/sink.h"

enum { SLEEP_MIN_MS = 1, SLEEP_MAX_MS = 20, OWN_RING = 1 << 16 };
#define OWN UINT32_MAX                /* in a column's place: the supervisor's own ring */

struct fgw_drain {
    struct fgw_shm *m;
    struct fgw_sink sink[FGW_DRAIN_LOGS];
    struct fgw_ring *own;             /* the supervisor's lines */
    int kick;                         /* eventfd: there is an order */
    int sleep_ms;
    uint32_t first;                   /* column to begin with */
    pthread_t thread;

    pthread_mutex_t lock;             /* orders: all below */
    bool stop, reopen, direct[FGW_DRAIN_LOGS];
    uint32_t patience_ms;
    struct fgw_drain_to to[FGW_DRAIN_LOGS];   /* path and descriptor owned */
};

static const uint32_t RING_SIZE[FGW_DRAIN_LOGS] = {FGW_SHM_RING, FGW_SHM_ERROR_RING};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* -- emptying ------------------------------------------------------------------------------------------------------- */

static struct fgw_ring *ring_of(struct fgw_drain *d, int log, uint32_t column)
{
    if (column == OWN) return log == FGW_DRAIN_ERROR ? d->own : NULL;
    return log == FGW_DRAIN_ACCESS ? fgw_shm_log(d->m, column) : fgw_shm_error_log(d->m, column);
}

/* What the ring holds into its sink, the buffer over and over. Returns the bytes found; *stuck: the sink would block. */
static uint64_t empty_ring(struct fgw_sink *s, struct fgw_ring *r, uint64_t now, bool *stuck)
{
    uint64_t found = 0;
    for (;;) {
        size_t room, n;
        char *p = fgw_sink_room(s, &room);
        if (room < r->size / 2) {                     /* the largest record must fit, or the ring would call it broken */
            if (!fgw_sink_flush(s, now)) { *stuck = true; return found; }
            continue;
        }
        if ((n = fgw_ring_read(r, p, room)) == 0) return found;
        fgw_sink_added(s, n);
        if ((found += n) >= r->size) return found;    /* a fast writer must not keep us from its neighbours */
    }
}

/* One log once around. Returns how full its fullest ring was, in 1/256; 0 only if all were empty. */
static unsigned empty_log(struct fgw_drain *d, int log, uint64_t now)
{
    struct fgw_sink *s = &d->sink[log];
    bool stuck = !fgw_sink_flush(s, now);
    uint64_t most = 0;
    uint32_t used = atomic_load_explicit(&d->m->used, memory_order_acquire), columns = (used < d->m->workers ? used : d->m->workers) + 1;
    d->first++;                                       /* with a slow place the buffer is full after one: not always the same one */
    for (uint32_t i = 0; i < columns && !stuck; i++) {
        uint32_t column = (d->first + i) % columns;
        if (column == columns - 1) column = OWN;      /* the supervisor's lines come in beside the workers' */
        struct fgw_ring *r = ring_of(d, log, column);
        uint32_t size = column == OWN ? OWN_RING : RING_SIZE[log];
        if (!r || r->size != size) continue;          /* a worker ran wild over its ring: hands off */
        uint64_t part = (empty_ring(s, r, now, &stuck) * 256 + size - 1) / size;
        if (part > most) most = part;
    }
    fgw_sink_flush(s, now);
    return (unsigned)most;
}

/* -- pace ----------------------------------------------------------------------------------------------------------- */

static void pace(struct fgw_drain *d, unsigned fullness)
{
    if (fullness > 64) d->sleep_ms = d->sleep_ms > 2 * SLEEP_MIN_MS ? d->sleep_ms / 2 : SLEEP_MIN_MS;
    else if (fullness < 16) d->sleep_ms = d->sleep_ms < SLEEP_MAX_MS ? d->sleep_ms + 1 : SLEEP_MAX_MS;
}

/* Sleep, but not past an order, nor past the moment a full pipe has room again. */
static void rest(struct fgw_drain *d, int ms)
{
    struct pollfd f[1 + FGW_DRAIN_LOGS] = {{.fd = d->kick, .events = POLLIN}};
    for (int i = 0; i < FGW_DRAIN_LOGS; i++)
        f[i + 1] = (struct pollfd){.fd = fgw_sink_empty(&d->sink[i]) ? -1 : d->sink[i].fd, .events = POLLOUT};
    uint64_t orders;
    if (poll(f, FGW_COUNT(f), ms) > 0 && f[0].revents) (void)!read(d->kick, &orders, sizeof orders);
}

/* -- orders --------------------------------------------------------------------------------------------------------- */

static void forget(struct fgw_drain_to *to)
{
    free((char *)to->path);
    if (to->fd >= 0) close(to->fd);
    *to = (struct fgw_drain_to){NULL, -1};
}

/* The paths are opened outside the lock: a slow file system must not hold up who gives orders. */
static bool obey(struct fgw_drain *d, uint64_t now)
{
    struct fgw_drain_to to[FGW_DRAIN_LOGS];
    bool direct[FGW_DRAIN_LOGS], reopen, stop;
    pthread_mutex_lock(&d->lock);
    memcpy(to, d->to, sizeof to), memcpy(direct, d->direct, sizeof direct);
    reopen = d->reopen, stop = d->stop;
    for (int i = 0; i < FGW_DRAIN_LOGS; i++) d->to[i] = (struct fgw_drain_to){NULL, -1}, d->direct[i] = false;
    d->reopen = false;
    pthread_mutex_unlock(&d->lock);

    for (int i = 0; i < FGW_DRAIN_LOGS; i++) {
        if (direct[i]) fgw_sink_direct(&d->sink[i], to[i].path, to[i].fd, now);
        else if (reopen) fgw_sink_reopen(&d->sink[i], now);
        fgw_sink_tick(&d->sink[i], now);
        forget(&to[i]);
    }
    return !stop;
}

/* All there is, for a while; then what is left is dropped. */
static void last_words(struct fgw_drain *d, uint32_t patience_ms)
{
    for (uint64_t now = now_ms(), end = now + patience_ms; now <= end; now = now_ms()) {
        bool found = false, waiting = false;
        for (int i = 0; i < FGW_DRAIN_LOGS; i++) {
            found |= empty_log(d, i, now) > 0;
            waiting |= !fgw_sink_empty(&d->sink[i]);
        }
        if (!found && !waiting) return;
        if (waiting) rest(d, SLEEP_MAX_MS);
    }
    for (int i = 0; i < FGW_DRAIN_LOGS; i++) {
        fgw_sink_close(&d->sink[i]);
        empty_log(d, i, now_ms());
    }
}

static void *run(void *arg)
{
    struct fgw_drain *d = arg;
    while (obey(d, now_ms())) {
        uint64_t now = now_ms();
        unsigned a = empty_log(d, FGW_DRAIN_ACCESS, now), e = empty_log(d, FGW_DRAIN_ERROR, now);
        pace(d, a > e ? a : e);
        rest(d, d->sleep_ms);
    }
    last_words(d, d->patience_ms);
    return NULL;
}

/* -- the supervisor's side ------------------------------------------------------------------------------------------ */

static void kick(struct fgw_drain *d)
{
    uint64_t one = 1;
    (void)!write(d->kick, &one, sizeof one);
}

static void *freed(struct fgw_drain *d)
{
    int e = errno;
    for (int i = 0; i < FGW_DRAIN_LOGS; i++) {
        fgw_sink_fini(&d->sink[i]);
        forget(&d->to[i]);
    }
    if (d->kick >= 0) close(d->kick);
    free(d->own);
    free(d);
    errno = e;
    return NULL;
}

static int start_thread(struct fgw_drain *d)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);      /* inherited by the thread: also its SIGPIPE and SIGXFSZ */
    int e = pthread_create(&d->thread, NULL, run, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) { errno = e; return -1; }
    pthread_setname_np(d->thread, "fgw-log");
    return 0;
}

struct fgw_drain *fgw_drain_start(struct fgw_shm *m, const struct fgw_drain_to to[FGW_DRAIN_LOGS])
{
    struct fgw_drain *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->m = m;
    d->sleep_ms = SLEEP_MAX_MS;
    pthread_mutex_init(&d->lock, NULL);
    for (int i = 0; i < FGW_DRAIN_LOGS; i++) d->to[i].fd = d->sink[i].fd = -1;
    d->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->own = aligned_alloc(64, sizeof *d->own + OWN_RING);
    if (d->kick < 0 || !d->own) return freed(d);

    fgw_ring_init(d->own, OWN_RING);
    for (int i = 0; i < FGW_DRAIN_LOGS; i++) {
        if (fgw_sink_init(&d->sink[i], RING_SIZE[i]) < 0) return freed(d);
        fgw_sink_direct(&d->sink[i], to[i].path, to[i].fd, now_ms());
    }
    return start_thread(d) < 0 ? freed(d) : d;
}

int fgw_drain_direct(struct fgw_drain *d, enum fgw_drain_log log, struct fgw_drain_to to)
{
    struct fgw_drain_to own = {to.path ? strdup(to.path) : NULL, !to.path && to.fd >= 0 ? fcntl(to.fd, F_DUPFD_CLOEXEC, 0) : -1};
    if ((to.path && !own.path) || (!to.path && to.fd >= 0 && own.fd < 0)) return -1;
    pthread_mutex_lock(&d->lock);
    forget(&d->to[log]);
    d->to[log] = own;
    d->direct[log] = true;
    pthread_mutex_unlock(&d->lock);
    kick(d);
    return 0;
}

void fgw_drain_reopen(struct fgw_drain *d)
{
    pthread_mutex_lock(&d->lock);
    d->reopen = true;
    pthread_mutex_unlock(&d->lock);
    kick(d);
}

void fgw_drain_say(struct fgw_drain *d, const char *line, size_t n)
{
    char *p = fgw_ring_room(d->own, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
    if (!p) return;
    memcpy(p, line, n);
    fgw_ring_commit(d->own, (uint32_t)n);
}

static uint64_t load(const _Atomic uint64_t *c) { return atomic_load_explicit(c, memory_order_relaxed); }

void fgw_drain_count(const struct fgw_drain *d, enum fgw_drain_log log, struct fgw_drain_counters *out)
{
    const struct fgw_sink_counters *n = &d->sink[log].n;
    *out = (struct fgw_drain_counters){.bytes = load(&n->bytes), .dropped = load(&n->dropped), .errors = load(&n->errors), .opens = load(&n->opens),
                                       .last_errno = atomic_load_explicit(&n->last_errno, memory_order_relaxed)};
    if (log == FGW_DRAIN_ERROR) out->dropped += load(&d->own->dropped);
}

void fgw_drain_stop(struct fgw_drain *d, uint32_t patience_ms, uint64_t dropped[FGW_DRAIN_LOGS])
{
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    d->patience_ms = patience_ms;
    pthread_mutex_unlock(&d->lock);
    kick(d);
    pthread_join(d->thread, NULL);
    for (int i = 0; dropped && i < FGW_DRAIN_LOGS; i++) {
        struct fgw_drain_counters n;
        fgw_drain_count(d, (enum fgw_drain_log)i, &n);
        dropped[i] = n.dropped;
    }
    freed(d);
}
