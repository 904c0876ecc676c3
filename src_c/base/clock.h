/* base/clock.h: time as the engine sees it.
 *
 * Owner    the worker. Monotonic time drives timers and durations; wall time only Date, logs and cache ages.
 * Holds    mono_ns never goes back. Wall time is read anew at each update, not derived from mono, so a step of the
 *          system clock shows in Date at once and moves no timer.
 * Cost     update: two vDSO reads; the rest are loads. http_date is formatted once a second. */
#ifndef FGW_BASE_CLOCK_H
#define FGW_BASE_CLOCK_H
#include <stdint.h>

struct fgw_clock {
    uint64_t mono_ns, mono_ms;    /* CLOCK_MONOTONIC at the last update */
    uint64_t wall_ns;             /* CLOCK_REALTIME at the last update */
    uint64_t date_s;              /* the second `date` was made for */
    char date[32];                /* IMF-fixdate (RFC 9110 section 5.6.7), 29 bytes and a NUL */
    const struct fgw_clock_source *source;   /* NULL: the system's; tests bring their own */
};
struct fgw_clock_source { uint64_t (*mono_ns)(void *ctx); uint64_t (*wall_ns)(void *ctx); void *ctx; };

void fgw_clock_init(struct fgw_clock *c, const struct fgw_clock_source *source);
void fgw_clock_update(struct fgw_clock *c);
void fgw_clock_mono(struct fgw_clock *c);                            /* monotonic time only */
const char *fgw_clock_date(struct fgw_clock *c);                     /* 29 bytes */
int  fgw_clock_rfc3339(uint64_t wall_ns, char out[static 32]);       /* 2026-01-02T03:04:05.678Z; returns length */

#endif
