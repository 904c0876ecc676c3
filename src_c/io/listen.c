#include "io/listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>
#include "io/proxy_v2.h"

/* ---- accept ---- */
static void accept_some(struct fgw_accept *a, int most)
{
    for (int i = 0; i < most && !a->paused && a->watch.fd >= 0; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int fd = accept4(a->watch.fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) a->on_full(a);
            if (errno != ECONNABORTED && errno != EINTR) return;
            continue;
        }
        if (n < sizeof(sa_family_t)) sa.ss_family = AF_UNIX;
        if (sa.ss_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        a->on_conn(a, fd, (struct sockaddr *)&sa);
    }
}

static void accept_ready(struct fgw_watch *w, uint32_t events)
{
    (void)events;
    accept_some(fgw_container(w, struct fgw_accept, watch), FGW_ACCEPT_BURST);
}

void fgw_accept_all(struct fgw_accept *a) { accept_some(a, FGW_ACCEPT_ALL); }

static uint32_t wanted(const struct fgw_accept *a) { return EPOLLIN | (a->shared ? (uint32_t)EPOLLEXCLUSIVE : 0); }

int fgw_accept_init(struct fgw_accept *a, struct fgw_loop *l, int fd, bool shared)
{
    a->loop = l, a->paused = false, a->shared = shared;
    a->watch = (struct fgw_watch){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .ready = accept_ready};
    if (a->watch.fd < 0) return -1;
    if (fgw_watch_add(l, &a->watch, wanted(a)) == 0) return 0;
    int e = errno;
    close(a->watch.fd);
    a->watch.fd = -1, errno = e;
    return -1;
}

/* EPOLLEXCLUSIVE entries cannot be modified (epoll_ctl(2)): taken out and put back. */
void fgw_accept_pause(struct fgw_accept *a, bool on)
{
    if (a->watch.fd < 0 || a->paused == on) return;
    a->paused = on;
    if (on) fgw_watch_del(a->loop, &a->watch);
    else fgw_watch_add(a->loop, &a->watch, wanted(a));
}

void fgw_accept_fini(struct fgw_accept *a)
{
    if (a->watch.fd < 0) return;
    fgw_watch_del(a->loop, &a->watch);
    close(a->watch.fd);
    a->watch.fd = -1;
}

void fgw_accept_refuse(struct fgw_accept *a)
{
    int fd = accept4(a->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
}

int fgw_spare_fd(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool fgw_listen_open(int fd)
{
    int on = 0;
    socklen_t n = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

/* ---- addresses ---- */
static uint64_t word(const unsigned char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

static void addr_set(struct fgw_addr *out, const unsigned char a[16])
{
    out->hi = word(a), out->lo = word(a + 8);
    bool v4 = out->hi == 0 && out->lo >> 32 == 0xffff;
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a + 12 : a, out->text, sizeof out->text)) out->text[0] = 0;
    out->len = (uint8_t)strlen(out->text);
}

static void addr_v4(struct fgw_addr *out, const void *four)
{
    unsigned char a[16] = {[10] = 0xff, [11] = 0xff};
    memcpy(a + 12, four, 4);
    addr_set(out, a);
}

void fgw_addr_of(const struct sockaddr *sa, struct fgw_addr *out)
{
    *out = (struct fgw_addr){0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        out->port = ntohs(in.sin_port);
        addr_v4(out, &in.sin_addr);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, sa, sizeof in);
        out->port = ntohs(in.sin6_port);
        addr_set(out, in.sin6_addr.s6_addr);
    } else memcpy(out->text, "unix", 5), out->len = 4;
}

bool fgw_addr_parse(struct fgw_str text, struct fgw_addr *out)
{
    char z[64];
    unsigned char a[16];
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') text = fgw_str(text.p + 1, text.n - 2);
    if (text.n == 0 || text.n >= sizeof z) return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    *out = (struct fgw_addr){0};
    if (memchr(z, 0, text.n)) return false;
    if (inet_pton(AF_INET, z, a) == 1) addr_v4(out, a);
    else if (inet_pton(AF_INET6, z, a) == 1) addr_set(out, a);
    else return false;
    return true;
}

/* ---- PROXY protocol v1 ---- */
enum { PROXY_V1_MAX = 107 };

static bool next_word(const char **p, const char *end, struct fgw_str *w)
{
    const char *q = *p;
    while (q < end && *q != ' ') q++;
    *w = fgw_str(*p, (size_t)(q - *p));
    *p = q < end ? q + 1 : q;
    return w->n > 0;
}

static bool port(struct fgw_str w, uint16_t *out)
{
    uint32_t v = 0;
    if (w.n == 0 || w.n > 5 || (w.n > 1 && w.p[0] == '0')) return false;
    for (uint32_t i = 0; i < w.n; i++) {
        if (w.p[i] < '0' || w.p[i] > '9') return false;
        v = v * 10 + (uint32_t)(w.p[i] - '0');
    }
    *out = (uint16_t)v;
    return v <= 65535;
}

int fgw_proxy_v1_parse(const char *p, uint32_t n, struct fgw_addr *src)
{
    static const char head[] = "PROXY ";
    uint32_t common = n < 6 ? n : 6, max = n < PROXY_V1_MAX ? n : PROXY_V1_MAX;
    *src = (struct fgw_addr){0};
    if (memcmp(p, head, common) != 0) return -1;
    const char *lf = memchr(p, '\n', max);
    if (!lf) return n >= PROXY_V1_MAX ? -1 : 0;
    if (lf == p || lf[-1] != '\r' || memchr(p, '\r', (size_t)(lf - p)) != lf - 1) return -1;
    int used = (int)(lf + 1 - p);
    const char *at = p + 6, *end = lf - 1;
    struct fgw_str family, from, to, sport, dport;
    struct fgw_addr dst;
    uint16_t dst_port;
    if (at > end || !next_word(&at, end, &family)) return -1;
    if (fgw_str_eq(family, FGW_STR("UNKNOWN"))) return used;
    bool v4 = fgw_str_eq(family, FGW_STR("TCP4"));
    if (!v4 && !fgw_str_eq(family, FGW_STR("TCP6"))) return -1;
    if (!next_word(&at, end, &from) || !next_word(&at, end, &to) || !next_word(&at, end, &sport)) return -1;
    dport = fgw_str(at, (size_t)(end - at));
    if (!fgw_addr_parse(from, src) || !fgw_addr_parse(to, &dst) || !port(sport, &src->port) || !port(dport, &dst_port)) return -1;
    if ((memchr(from.p, ':', from.n) == NULL) != v4 || (memchr(to.p, ':', to.n) == NULL) != v4 || from.p[0] == '[' || to.p[0] == '[') return -1;
    return used;
}

static void stage_done(struct fgw_proxy_stage *s, enum fgw_err why, const struct fgw_addr *src)
{
    int fd = s->watch.fd;
    fgw_watch_del(s->loop, &s->watch);
    fgw_timer_cancel(&s->loop->wheel, &s->timer);
    s->watch.fd = -1;
    if (why) close(fd), fd = -1;
    s->done(s, fd, why, src);
}

static void stage_ready(struct fgw_watch *w, uint32_t events)
{
    struct fgw_proxy_stage *s = fgw_container(w, struct fgw_proxy_stage, watch);
    char line[FGW_PROXY_V2_MAX];
    struct fgw_addr src = {0};
    (void)events;
    if (w->fd < 0) return;
    ssize_t n = recv(w->fd, line, sizeof line, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    int used = n <= 0 ? -1 : line[0] == '\r' ? fgw_proxy_v2_parse(line, (uint32_t)n, &src) : fgw_proxy_v1_parse(line, (uint32_t)n, &src);
    if (used > 0 && recv(w->fd, line, (size_t)used, 0) != used) used = -1;
    if (used) {
        stage_done(s, used > 0 ? FGW_E_NONE : FGW_E_BAD_PROXY_LINE, &src);
        return;
    }
    /* Part of a header: peeked bytes keep the descriptor readable, so be told only of new ones. */
    fgw_watch_mod(s->loop, w, EPOLLIN | EPOLLET | EPOLLRDHUP);
}

static void stage_timeout(struct fgw_timer *t)
{
    stage_done(fgw_container(t, struct fgw_proxy_stage, timer), FGW_E_HEAD_TIMEOUT, NULL);
}

int fgw_proxy_stage_init(struct fgw_proxy_stage *s, struct fgw_loop *l, int fd, uint32_t timeout_ms)
{
    s->loop = l;
    s->watch = (struct fgw_watch){.fd = fd, .ready = stage_ready};
    s->timer = (struct fgw_timer){.fire = stage_timeout};
    if (fgw_watch_add(l, &s->watch, EPOLLIN | EPOLLRDHUP) < 0) return -1;
    fgw_loop_timer(l, &s->timer, timeout_ms);
    return 0;
}

void fgw_proxy_stage_fini(struct fgw_proxy_stage *s)
{
    if (s->watch.fd < 0) return;
    fgw_timer_cancel(&s->loop->wheel, &s->timer);
    fgw_watch_del(s->loop, &s->watch);
    close(s->watch.fd);
    s->watch.fd = -1;
}
