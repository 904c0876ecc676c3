#include "io/loop.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The timerfd was due: the wheel is advanced after the batch, settle arms it anew (which also clears its readability). */
static void timer_ready(struct fgw_watch *w, uint32_t events)
{
    (void)events;
    fgw_container(w, struct fgw_loop, timer_watch)->timer_at = 0;
}

static void event_ready(struct fgw_watch *w, uint32_t events)
{
    (void)w, (void)events;                             /* it only ends the wait; settle runs the ready list and clears it */
}

int fgw_loop_init(struct fgw_loop *l, const struct fgw_clock_source *clock, uint64_t memory_max)
{
    *l = (struct fgw_loop){.ep = -1, .timer_fd = -1, .event_fd = -1, .timer_at = UINT64_MAX};
    fgw_clock_init(&l->clock, clock);
    fgw_wheel_init(&l->wheel, l->clock.mono_ms);
    fgw_blocks_init(&l->blocks, memory_max);
    fgw_bufs_init(&l->bufs, &l->blocks);
    fgw_list_init(&l->ready), fgw_list_init(&l->dirty), fgw_list_init(&l->dead);
    l->ep = epoll_create1(EPOLL_CLOEXEC);
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    l->timer_watch = (struct fgw_watch){.fd = l->timer_fd, .ready = timer_ready};
    l->event_watch = (struct fgw_watch){.fd = l->event_fd, .ready = event_ready};
    if (l->ep < 0 || l->timer_fd < 0 || l->event_fd < 0 || fgw_watch_add(l, &l->timer_watch, EPOLLIN) < 0 ||
        fgw_watch_add(l, &l->event_watch, EPOLLIN) < 0) {
        int e = errno;
        fgw_loop_fini(l);
        errno = e;
        return -1;
    }
    return 0;
}

void fgw_loop_fini(struct fgw_loop *l)
{
    FGW_CHECK(fgw_list_empty(&l->dirty) && fgw_list_empty(&l->dead));
    if (l->in) fgw_block_unref(l->in), l->in = NULL;
    fgw_bufs_fini(&l->bufs);
    fgw_blocks_fini(&l->blocks);
    if (l->ep >= 0) close(l->ep);
    if (l->timer_fd >= 0) close(l->timer_fd);
    if (l->event_fd >= 0) close(l->event_fd);
    l->ep = l->timer_fd = l->event_fd = -1;
}

int fgw_watch_add(struct fgw_loop *l, struct fgw_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    w->events = events;
    return epoll_ctl(l->ep, EPOLL_CTL_ADD, w->fd, &e);
}

void fgw_watch_mod(struct fgw_loop *l, struct fgw_watch *w, uint32_t events)
{
    if (w->events == events || w->fd < 0) return;
    struct epoll_event e = {.events = events, .data.ptr = w};
    w->events = events;
    epoll_ctl(l->ep, EPOLL_CTL_MOD, w->fd, &e);
}

void fgw_watch_del(struct fgw_loop *l, struct fgw_watch *w)
{
    if (w->fd >= 0) epoll_ctl(l->ep, EPOLL_CTL_DEL, w->fd, NULL);
    w->events = 0;
}

/* Once: the timerfd may come in a later batch only. */
static void note_stall(struct fgw_loop *l)
{
    uint64_t now = l->clock.mono_ms, at = l->timer_at;
    if (fgw_unlikely(at < now && now - at > FGW_LOOP_LATE_MS && at)) l->stalled_ms += now - at, l->timer_at = now;
}

void fgw_loop_pass(struct fgw_loop *l)
{
    fgw_clock_update(&l->clock);
    l->timer_at = l->clock.mono_ms;
    fgw_wheel_advance(&l->wheel, l->clock.mono_ms);
}

int fgw_loop_turn(struct fgw_loop *l, int wait_ms)
{
    struct epoll_event ev[FGW_LOOP_EVENTS];
    int n = epoll_wait(l->ep, ev, FGW_LOOP_EVENTS, wait_ms);
    fgw_clock_update(&l->clock);
    note_stall(l);
    l->turns++;
    for (int i = 0; i < n; i++) {
        struct fgw_watch *w = ev[i].data.ptr;
        if (i && i % FGW_LOOP_CLOCK_EVERY == 0) fgw_clock_update(&l->clock);
        w->ready(w, ev[i].events);
    }
    if (n > 0) l->events += (uint64_t)n;
    if (l->timer_at <= l->clock.mono_ms) fgw_wheel_advance(&l->wheel, l->clock.mono_ms);
    return n < 0 ? 0 : n;
}

static void run_all(struct fgw_link *list)             /* what is on it now; what is added meanwhile waits for the next round */
{
    struct fgw_link now, *n;
    fgw_list_init(&now);
    fgw_list_splice(&now, list);
    while ((n = fgw_list_pop(&now))) fgw_container(n, struct fgw_job, link)->run(fgw_container(n, struct fgw_job, link));
}

static void wake(struct fgw_loop *l)
{
    bool want = !fgw_list_empty(&l->ready);
    if (want == l->awake) return;
    uint64_t one = 1;
    ssize_t r = want ? write(l->event_fd, &one, sizeof one) : read(l->event_fd, &one, sizeof one);
    (void)r;                                           /* an eventfd of ours: neither can fail but by EAGAIN, which is the wanted state */
    l->awake = want;
}

static void arm_timer(struct fgw_loop *l)
{
    uint64_t next = fgw_wheel_next(&l->wheel);
    if (next != UINT64_MAX && next > l->clock.mono_ms + FGW_LOOP_TICK_MS) next = l->clock.mono_ms + FGW_LOOP_TICK_MS;
    if (l->timer_at != 0 && next >= l->timer_at) return;   /* armed early enough; a spurious wake costs less than setting it each time */
    if (next == UINT64_MAX && l->timer_at == UINT64_MAX) return;
    if (next <= l->clock.mono_ms) next = l->clock.mono_ms + 1;
    struct itimerspec t = {0};
    if (next != UINT64_MAX) {
        t.it_value.tv_sec = (time_t)(next / 1000);
        t.it_value.tv_nsec = (long)(next % 1000) * 1000000;
    }
    timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
    l->timer_at = next;
}

void fgw_loop_settle(struct fgw_loop *l)
{
    for (int round = 0; round < FGW_LOOP_ROUNDS || !fgw_list_empty(&l->dirty); round++) {
        if (round < FGW_LOOP_ROUNDS && !fgw_list_empty(&l->ready)) run_all(&l->ready);
        if (!fgw_list_empty(&l->dirty)) run_all(&l->dirty);
        else if (fgw_list_empty(&l->ready)) break;
    }
    if (!fgw_list_empty(&l->dead)) run_all(&l->dead);
    wake(l);
    arm_timer(l);
}
