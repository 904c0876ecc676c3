/* tests/c/http/h2_play.h: one HTTP/2 connection as a written conversation. The client is the test: it writes frames by hand, fields as
 * literals, so that no library's idea of what may be sent stands between; what the engine sends is written down in words:
 * "SETTINGS|HEADERS 1 :status=200|DATA 1 abc END|". Updates of the windows are left out of it unless `windows` is set. */
#ifndef FGW_TESTS_H2_PLAY_H
#define FGW_TESTS_H2_PLAY_H
#include "http/h1_play.h"
#include "http/h2_server_impl.h"

static struct play p;
static struct h2_play {
    struct fgw_h2_env env;
    struct fgw_h2_limits lim;
    struct fgw_h2_server *server;        /* NULL once it is gone */
    nghttp2_hd_inflater *inf;
    bool windows;
} q;
enum { F_DATA, F_HEADERS, F_PRIORITY, F_RST, F_SETTINGS, F_PUSH, F_PING, F_GOAWAY, F_WINDOW, F_CONT };
enum { ES = 1, EH = 4, PADDED = 8 };

/* ---- the client's pen ---- */
static inline void frame(int type, int flags, uint32_t id, const void *body, size_t n)
{
    unsigned char h[9] = {(unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n, (unsigned char)type, (unsigned char)flags,
                          (unsigned char)(id >> 24), (unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id};
    wire_put(p.w, (const char *)h, 9);
    if (n) wire_put(p.w, body, n);
}
static inline void number(int type, uint32_t id, uint32_t v)
{
    frame(type, 0, id, (unsigned char[4]){(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v}, 4);
}
static inline size_t literal(char *out, const char *name, const char *value, size_t vn)      /* without indexing; values up to 16,509 bytes */
{
    size_t nn = strlen(name), n = 0;
    out[n++] = 0, out[n++] = (char)nn;
    memcpy(out + n, name, nn), n += nn;
    if (vn < 127) out[n++] = (char)vn;
    else out[n++] = 127, out[n++] = (char)((vn - 127) % 128 | 128), out[n++] = (char)((vn - 127) / 128);
    memcpy(out + n, value, vn);
    return n + vn;
}
/* "name=value|name=value" */
static inline size_t block(char *out, const char *fields)
{
    size_t n = 0;
    char text[8192];
    snprintf(text, sizeof text, "%s", fields);
    for (char *f = strtok(text, "|"); f; f = strtok(NULL, "|")) {
        char *eq = strchr(f + 1, '=');
        *eq = 0;
        n += literal(out + n, f, eq + 1, strlen(eq + 1));
    }
    return n;
}
static inline void headers(uint32_t id, int flags, const char *fields)
{
    char b[16384];
    frame(F_HEADERS, flags, id, b, block(b, fields));
}
#define GET ":method=GET|:scheme=http|:path=/a|:authority=h"
#define POST ":method=POST|:scheme=http|:path=/a|:authority=h"

/* ---- what the engine sends ---- */
static uint32_t get4(const unsigned char *b) { return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]; }
static inline void said_fields(char *log, const unsigned char *b, size_t n)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t r = nghttp2_hd_inflate_hd2(q.inf, &nv, &flags, b, n, 1);
        OK(r >= 0);
        b += r, n -= (size_t)r;
        if (flags & NGHTTP2_HD_INFLATE_EMIT && strcmp((const char *)nv.name, "date") != 0)
            sprintf(log + strlen(log), " %s=%s", (const char *)nv.name, (const char *)nv.value);
        if (flags & NGHTTP2_HD_INFLATE_FINAL || r < 0) break;
    }
    nghttp2_hd_inflate_end_headers(q.inf);
}
static inline const char *said(void)
{
    static const char *const names[] = {"DATA", "HEADERS", "PRIORITY", "RST", "SETTINGS", "PUSH", "PING", "GOAWAY", "WINDOW", "CONT"};
    static char log[1 << 16];
    const unsigned char *o = (const unsigned char *)p.w->out;
    size_t at = 0;
    log[0] = 0;
    for (; at + 9 <= p.w->out_n; ) {
        const unsigned char *f = o + at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        if (at + 9 + n > p.w->out_n) break;
        at += 9 + n;
        if (f[3] == F_WINDOW && !q.windows) continue;
        sprintf(log + strlen(log), "%s", names[f[3]]);
        if (f[3] == F_SETTINGS && f[4] & 1) strcat(log, " ACK");
        if (get4(f + 5)) sprintf(log + strlen(log), " %u", get4(f + 5));
        if (f[3] == F_HEADERS) said_fields(log, f + 9, n);
        if (f[3] == F_DATA) sprintf(log + strlen(log), " %.*s", n < 100 ? (int)n : 0, f + 9);
        if (f[3] == F_RST || f[3] == F_WINDOW) sprintf(log + strlen(log), " %u", get4(f + 9));
        if (f[3] == F_GOAWAY) sprintf(log + strlen(log), " %u %u", get4(f + 9), get4(f + 13));
        if (f[3] <= F_HEADERS && f[4] & ES) strcat(log, " END");
        strcat(log, "|");
    }
    EQ(at, p.w->out_n);
    wire_forget(p.w);
    return log;
}
#define SAID(want) do { const char *s_ = said(); test_eq_bytes_(__FILE__, __LINE__, "what was sent", s_, strlen(s_), (want), strlen(want)); } while (0)

/* ---- life ---- */
static inline void h2_begin(struct fgw_demux *d, struct fgw_side *side) { (void)d; if (!p.refuse) play_bind(&p, side); }
static inline void h2_refused(struct fgw_demux *d, const struct fgw_msg *m, enum fgw_err why) { (void)d, (void)m; play_note(&p, "refused %s|", fgw_err_word(why)); }
static inline void h2_gone(struct fgw_demux *d) { (void)d; play_note(&p, "gone|"); q.server = NULL; }
static const struct fgw_demux_user h2_user = {.begin = h2_begin, .refused = h2_refused, .gone = h2_gone};

static inline void h2_set(void)                 /* limits may be changed before h2_come */
{
    play_begin(&p);
    memset(&q, 0, sizeof q);
    OK(fgw_h2_env_init(&q.env, &p.loop, &p.env));
    OK(nghttp2_hd_inflate_new(&q.inf) == 0);
    q.lim = (struct fgw_h2_limits){.streams = 8, .window = 1000, .connection_window = 1 << 20, .resets = 10, .control = 20, .empty = 5, .on = true};
}
static inline void h2_come(void)
{
    static const struct fgw_peer peer = {.address = {"192.0.2.7", 9}, .port = 7};
    struct fgw_demux *d = fgw_h2_server_new_memory(&q.env, &wire_transport, &p.lim, &q.lim, &h2_user, &p, &peer);
    q.server = fgw_container(d, struct fgw_h2_server, demux);
    p.w = wire_attach(&q.server->h.conn);
}
static inline void h2_hello(void)
{
    wire_put(p.w, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    frame(F_SETTINGS, 0, 0, NULL, 0), frame(F_SETTINGS, 1, 0, NULL, 0);
    play_turn(&p);
    SAID("SETTINGS|SETTINGS ACK|");
}
static inline void h2_start(void) { h2_set(), h2_come(), h2_hello(); }
static inline void h2_stop(void)
{
    if (p.w->c) p.w->reset = true, play_turn(&p);
    OK(q.server == NULL);
    play_release(&p);
    fgw_loop_settle(&p.loop);
    EQ(q.env.streams.live, 0);
    EQ(q.env.servers.live, 0);
    EQ(q.env.memory.bytes, 0);
    fgw_h2_env_fini(&q.env);
    nghttp2_hd_inflate_del(q.inf);
    play_over(&p);
}
static inline void ask(uint32_t id, int flags, const char *fields) { headers(id, flags | EH, fields), play_turn(&p); }
static inline void forget(void) { p.n = 0, p.log[0] = 0, p.in_body = false; }
static inline void reply(uint16_t status, const char *text)
{
    const struct fgw_out o = {.status = status, .len = FGW_LEN_KNOWN, .length = strlen(text)};
    play_head(&p, &o);
    if (text[0]) play_body(&p, text);
    play_finish(&p), play_release(&p), play_turn(&p);
}
#endif
