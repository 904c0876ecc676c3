#include "base/clock.h"
#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };
struct civil { unsigned year, month, day, hour, minute, second, weekday; };   /* month, day from 1; weekday 0: Sunday */

/* Days since 1970 to a date of the proleptic Gregorian calendar. Years begin in March here, so the leap day is the last. */
static struct civil civil_from_s(uint64_t s)
{
    uint64_t days = s / DAY_S + 719468;                    /* from 0000-03-01 */
    unsigned rest = (unsigned)(s % DAY_S);
    unsigned era = (unsigned)(days / 146097), day_of_era = (unsigned)(days % 146097);
    unsigned y = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * day_of_year + 2) / 153;              /* 0: March */
    return (struct civil){
        .year = y + era * 400 + (m >= 10), .month = m < 10 ? m + 3 : m - 9, .day = day_of_year - (153 * m + 2) / 5 + 1,
        .hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60, .weekday = (unsigned)((s / DAY_S + 4) % 7),
    };
}

static char *put2(char *p, unsigned v) { p[0] = (char)('0' + v / 10); p[1] = (char)('0' + v % 10); return p + 2; }
static char *put4(char *p, unsigned v) { return put2(put2(p, v / 100 % 100), v % 100); }
static char *put_text(char *p, const char *s, unsigned n) { memcpy(p, s, n); return p + n; }
static char *put_time(char *p, const struct civil *c)
{
    p = put2(p, c->hour);
    *p++ = ':';
    p = put2(p, c->minute);
    *p++ = ':';
    return put2(p, c->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static void date_format(uint64_t s, char out[32])
{
    struct civil c = civil_from_s(s);
    char *p = put_text(out, &"SunMonTueWedThuFriSat"[3 * c.weekday], 3);
    p = put_text(p, ", ", 2);
    p = put2(p, c.day);
    *p++ = ' ';
    p = put_text(p, &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * (c.month - 1)], 3);
    *p++ = ' ';
    p = put4(p, c.year);
    *p++ = ' ';
    p = put_time(p, &c);
    memcpy(p, " GMT", 5);
}

int fgw_clock_rfc3339(uint64_t wall_ns, char out[static 32])
{
    unsigned ms = (unsigned)(wall_ns / 1000000 % 1000);
    struct civil c = civil_from_s(wall_ns / 1000000000);
    char *p = put4(out, c.year);
    *p++ = '-';
    p = put2(p, c.month);
    *p++ = '-';
    p = put2(p, c.day);
    *p++ = 'T';
    p = put_time(p, &c);
    *p++ = '.';
    *p++ = (char)('0' + ms / 100);
    p = put2(p, ms % 100);
    *p++ = 'Z';
    *p = '\0';
    return (int)(p - out);
}

static uint64_t system_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);        /* cannot fail with these ids and a valid address */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fgw_clock_init(struct fgw_clock *c, const struct fgw_clock_source *source)
{
    *c = (struct fgw_clock){.source = source, .date_s = UINT64_MAX};
    fgw_clock_update(c);
}

void fgw_clock_mono(struct fgw_clock *c)
{
    const struct fgw_clock_source *s = c->source;
    uint64_t mono = s ? s->mono_ns(s->ctx) : system_ns(CLOCK_MONOTONIC);
    if (mono <= c->mono_ns) return;
    c->mono_ns = mono;
    c->mono_ms = mono / 1000000;
}

void fgw_clock_update(struct fgw_clock *c)
{
    const struct fgw_clock_source *s = c->source;
    c->wall_ns = s ? s->wall_ns(s->ctx) : system_ns(CLOCK_REALTIME);
    fgw_clock_mono(c);
}

const char *fgw_clock_date(struct fgw_clock *c)
{
    uint64_t s = c->wall_ns / 1000000000;
    if (s != c->date_s) {
        date_format(s, c->date);
        c->date_s = s;
    }
    return c->date;
}
