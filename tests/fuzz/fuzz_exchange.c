/* tests/fuzz/fuzz_exchange.c: a whole engine between peers that the input plays: clients on one side, origins on the other.
 *
 * Input: records that end with a NUL: who, what, and its bytes.
 *   0 1 2    clients:  n anew  s send  S send many times  e end  r reset  p stop reading  q read a little  g read on  d drain  x cut
 *   a .. h   origins:  s S e r p q g the same; o: the dial that hung comes through
 *   t0..t9   time passes     f the next dial is refused, h it hangs     m0 memory ends, m1 comes back     k0..k2 so many endpoints
 *   w0..w9   at most so many bytes a read (0: all)
 * Payload bytes have 7 bits. A client's '@' becomes a tag, a byte above 0x7f that nobody else has; an origin's '@' becomes the last tag
 * in the head of the request that it was sent last. So any other client's tag, or one out of order, is somebody else's answer.
 * Checked all along: origins get well-formed requests only; no more body waits anywhere than its window; the engine comes to rest.
 * At the end of an input of even size everybody reads what there is and falls silent: all credit must have come back (whoever may still
 * send is listened to, with a whole window), and as time passes everything must end by itself. At the end of others everybody leaves.
 * Then time passes: no timer, exchange or connection is left. */
#include <ctype.h>
#include <unistd.h>
#include "upstream/dials.h"
#include "core/mini_snapshot.h"
#include "core/exchange.h"
#include "http/h1_server_impl.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))
enum { CLIENTS = 3, ORIGINS = 8, WINDOW = 65536, TAGS = 128, MANY_MAX = 256 << 10 };

enum { TUNNEL_MS = 3600000 };        /* the silence that ends a tunnel: without one it may live for ever */
static const struct mini_route ROUTES[] = {
    {.prefix = "p", .tunnel_idle_ms = TUNNEL_MS}, {.prefix = "s", .to = FGW_TO_STATIC, .status = 200, .text = "hello"},
    {.prefix = "r", .to = FGW_TO_REDIRECT, .status = 308, .text = "https://example.org"},
    {.prefix = "b", .steps = {FGW_STEP_TEST_BODY}, .tunnel_idle_ms = TUNNEL_MS}, {.prefix = "c", .steps = {FGW_STEP_TEST_CALL}, .tunnel_idle_ms = TUNNEL_MS},
    {.prefix = "small", .body_max = 10, .tunnel_idle_ms = TUNNEL_MS}, {.prefix = "t", .request_ms = 5000, .tunnel_idle_ms = TUNNEL_MS}};

struct client { struct wire *w; struct fgw_h1_server *server; uint8_t tags[TAGS]; uint32_t ntags, at; size_t looked; };
enum where { IN_HEAD_, IN_BODY_, IN_SIZE_, IN_CHUNK_, IN_CRLF_, IN_TRAILERS_, IN_TUNNEL_ };
struct origin { struct wire *w; enum where where; size_t at, began; uint64_t left; uint8_t tag; bool upgrade, hung, switched; char said[16]; uint32_t nsaid; };

static struct {
    struct fgw_worker *w;
    struct fgw_shm *shm;
    struct fgw_eptable *table;
    struct mini_snapshot *snap;
    struct fgw_listener listener;
    struct client clients[CLIENTS];
    struct origin origins[ORIGINS];
    uint32_t next_tag;
    size_t piece;
    bool refuse, hang;
} g;

/* ---- origins: the requests they get, read by somebody who forgives nothing ---- */
static bool token(const char *p, const char *end)
{
    if (p == end) return false;
    for (; p < end; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p)) return false;
    return true;
}

static bool named(const char *p, size_t n, const char *name) { return n == strlen(name) && strncasecmp(p, name, n) == 0; }

static uint64_t number(const char *p, size_t n, int base)
{
    uint64_t v = 0;
    MUST(n > 0 && n < 17);
    for (size_t i = 0; i < n; i++) {
        MUST(base == 10 ? isdigit((unsigned char)p[i]) : isxdigit((unsigned char)p[i]));
        v = v * (uint64_t)base + (uint64_t)(isdigit((unsigned char)p[i]) ? p[i] - '0' : tolower(p[i]) - 'a' + 10);
    }
    return v;
}

static void request_line(const char *p, const char *end)
{
    const char *sp = memchr(p, ' ', (size_t)(end - p));
    MUST(sp && token(p, sp));
    const char *t = sp + 1, *sp2 = memchr(t, ' ', (size_t)(end - t));
    MUST(sp2 && sp2 > t && (*t == '/' || (sp2 - t == 1 && *t == '*')));
    for (const char *q = t; q < sp2; q++) MUST(*q > 0x20 && *q < 0x7f);
    MUST(end - sp2 == 9 && memcmp(sp2, " HTTP/1.1", 9) == 0);
}

struct seen { int hosts, lengths, codings; uint64_t length; };
static void field_line(struct origin *o, const char *p, const char *end, struct seen *s)
{
    const char *colon = memchr(p, ':', (size_t)(end - p));
    MUST(colon && token(p, colon));
    const char *v = colon + 1;
    size_t n = (size_t)(colon - p);
    while (v < end && (*v == ' ' || *v == '\t')) v++;
    for (const char *q = v; q < end; q++) MUST((unsigned char)*q >= 0x20 ? *q != 0x7f : *q == '\t');
    static const char *const never[] = {"keep-alive", "proxy-connection", "trailer", "proxy-authorization", "http2-settings"};
    for (size_t i = 0; i < 2; i++) MUST(!named(p, n, never[i]));
    if (named(p, n, "host")) s->hosts++;
    if (named(p, n, "content-length")) s->lengths++, s->length = number(v, (size_t)(end - v), 10);
    if (named(p, n, "transfer-encoding")) s->codings++, MUST(named(v, (size_t)(end - v), "chunked"));
    if (named(p, n, "connection")) MUST(named(v, (size_t)(end - v), "upgrade") || named(v, (size_t)(end - v), "close"));
    if (named(p, n, "te")) MUST(named(v, (size_t)(end - v), "trailers"));
    if (named(p, n, "upgrade")) o->upgrade = true;
    for (const char *q = v; q < end; q++)
        if ((unsigned char)*q > 0x7f) o->tag = (uint8_t)*q;
}

static const char *line_end(const char *p, const char *end)
{
    const char *e = memmem(p, (size_t)(end - p), "\r\n", 2);
    MUST(!memchr(p, '\n', (size_t)((e ? e : end) - p)) && (e || !memchr(p, '\r', (size_t)(end - p)) || end[-1] == '\r'));
    return e;
}

static bool read_head(struct origin *o, const char *p, const char *end)
{
    const char *last = memmem(p, (size_t)(end - p), "\r\n\r\n", 4), *e = line_end(p, end);
    if (!last) return false;
    struct seen s = {0};
    o->tag = 0, o->upgrade = false, o->nsaid = 0, o->began = o->at;
    request_line(p, e);
    for (p = e + 2; p < last + 2; p = e + 2) e = line_end(p, end), field_line(o, p, e, &s);
    MUST(s.hosts == 1 && s.lengths + s.codings <= 1);
    o->at = (size_t)(last + 4 - o->w->out);
    o->left = s.length;
    o->where = s.codings ? IN_SIZE_ : s.length ? IN_BODY_ : o->upgrade && o->switched ? IN_TUNNEL_ : IN_HEAD_;
    return true;
}

static bool read_size(struct origin *o, const char *p, const char *end)
{
    const char *e = line_end(p, end);
    if (!e) return false;
    o->left = number(p, (size_t)(e - p), 16);
    o->at = (size_t)(e + 2 - o->w->out);
    o->where = o->left ? IN_CHUNK_ : IN_TRAILERS_;
    return true;
}

static bool read_trailers(struct origin *o, const char *p, const char *end)
{
    const char *e = line_end(p, end);
    struct seen s = {0};
    uint8_t tag = o->tag;
    bool upgrade = o->upgrade;
    if (!e) return false;
    o->at = (size_t)(e + 2 - o->w->out);
    if (e == p) return o->where = IN_HEAD_, true;
    field_line(o, p, e, &s);
    o->tag = tag, o->upgrade = upgrade;
    MUST(!s.hosts && !s.lengths && !s.codings);
    return true;
}

static bool read_some(struct origin *o)
{
    const char *p = o->w->out + o->at, *end = o->w->out + o->w->out_n;
    uint64_t n = (uint64_t)(end - p);
    if (!n) return false;
    if (o->where == IN_HEAD_ && o->upgrade && o->switched) o->where = IN_TUNNEL_;
    switch (o->where) {
    case IN_HEAD_:     return read_head(o, p, end);
    case IN_SIZE_:     return read_size(o, p, end);
    case IN_TRAILERS_: return read_trailers(o, p, end);
    case IN_TUNNEL_:   return o->at += n, true;
    case IN_CRLF_:
        if (n < 2) return false;
        MUST(p[0] == '\r' && p[1] == '\n');
        return o->at += 2, o->where = IN_SIZE_, true;
    case IN_BODY_: case IN_CHUNK_:
        if (n > o->left) n = o->left;
        o->at += n, o->left -= n;
        if (!o->left) o->where = o->where == IN_BODY_ ? IN_HEAD_ : IN_CRLF_;
        return true;
    }
    return false;
}

/* The first origin whose connection is over takes the next; without one the dial is refused. */
static struct origin *free_origin(void)
{
    for (struct origin *o = g.origins; o < g.origins + ORIGINS; o++)
        if (!o->w || !o->w->c) return o;
    return NULL;
}

static enum dial_as dial_how(const struct fgw_endpoint *e)
{
    enum dial_as as = g.refuse || !free_origin() ? DIAL_REFUSED : g.hang ? DIAL_HANGS : DIAL_OPENS;
    (void)e;
    g.refuse = g.hang = false;
    return as;
}

static void dial_made(const struct fgw_endpoint *e, struct wire *w, struct fgw_mux *m, bool hangs)
{
    struct origin *o = g.origins;
    (void)e, (void)m;
    while (o->w && (o->w->c || o->w == w)) o++;              /* as free_origin, the new wire itself not counted */
    if (o->w) wire_free(o->w);
    *o = (struct origin){.w = w, .hung = hangs};
    w->piece = g.piece;
}

/* ---- clients ---- */
static void begin(struct fgw_demux *d, struct fgw_side *side) { (void)d, fgw_exchange_begin(g.w, &g.listener, side); }
static void refused(struct fgw_demux *d, const struct fgw_msg *m, enum fgw_err why) { (void)d, (void)m, (void)why; }
static void gone(struct fgw_demux *d) { ((struct client *)d->owner)->server = NULL; }
static const struct fgw_demux_user front_user = {begin, refused, gone, NULL};

static void client_leave(struct client *c)
{
    if (!c->w) return;
    if (c->w->c) c->w->reset = true, MUST(wires_turn(&g.w->loop));
    MUST(!c->server && !c->w->c);
    wire_free(c->w);
    c->w = NULL;
}

static void client_come(struct client *c)
{
    const struct fgw_peer peer = {.address = FGW_STR("192.0.2.1"), .ip_lo = 0xffffc0000201, .port = 1, .trusted = c == &g.clients[2]};
    client_leave(c);
    *c = (struct client){0};
    struct fgw_demux *d = fgw_h1_server_new_memory(&g.w->h1, &wire_transport, &g.listener.limits, &front_user, c, &peer);
    MUST(d);
    c->server = fgw_container(d, struct fgw_h1_server, demux);
    c->w = wire_attach(&c->server->conn);
    MUST(c->w);
    c->w->piece = g.piece;
}

/* ---- the checks ---- */
static void check_client(struct client *c)
{
    for (; c->w && c->looked < c->w->out_n; c->looked++) {
        uint8_t b = (uint8_t)c->w->out[c->looked];
        if (b < 0x80) continue;
        while (c->at < c->ntags && c->tags[c->at] != b) c->at++;
        MUST(c->at < c->ntags);
    }
    if (!c->server) return;
    MUST(c->server->window <= WINDOW && c->server->w.unacked <= WINDOW + 4096);
    MUST(c->server->conn.out.bytes <= 10 * WINDOW);
}

static void check(void)
{
    for (int i = 0; i < CLIENTS; i++) check_client(&g.clients[i]);
    for (int i = 0; i < ORIGINS; i++) {
        struct origin *o = &g.origins[i];
        while (o->w && o->w->out && read_some(o)) {}
        if (o->w && o->w->c) MUST(o->w->c->out.bytes <= 10 * WINDOW);
    }
    for (struct fgw_link *k = g.w->live.next; k != &g.w->live; k = k->next) {
        const struct fgw_exchange *x = fgw_container(k, struct fgw_exchange, live);
        MUST(x->kept.bytes <= 2 * WINDOW && x->reply_kept.bytes <= WINDOW && x->tries <= 3);
    }
}

/* ---- playing the input ---- */
static uint8_t client_byte(struct client *c, uint8_t b)
{
    if (b != '@' || g.next_tag == TAGS) return b & 0x7f;
    return c->tags[c->ntags++] = (uint8_t)(0x80 + g.next_tag++);
}

static void origin_said(struct origin *o, uint8_t b)
{
    if (o->nsaid < 12) o->said[o->nsaid++] = (char)b;
    if (o->nsaid == 12 && memcmp(o->said, "HTTP/1.1 101", 12) == 0) o->switched = true;
}

static void say(struct wire *w, struct client *c, struct origin *o, const uint8_t *p, size_t n)
{
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)(c ? client_byte(c, p[i]) : p[i] == '@' && o->tag ? o->tag : p[i] & 0x7f);
        if (o) origin_said(o, (uint8_t)text[i]);
    }
    if (!w->eof && !w->reset) wire_put(w, text, n);
    free(text);
}

static void act(struct wire *w, struct client *c, struct origin *o, char what, const uint8_t *p, size_t n)
{
    switch (what) {
    case 's': say(w, c, o, p, n); break;
    case 'S':
        for (size_t k = n > 1 ? (p[0] & 31u) * 64u + 1 : 0, sum = 0; k && sum < MANY_MAX; k--, sum += n) say(w, c, o, p + 1, n - 1);
        break;
    case 'e': w->eof = true; break;
    case 'r': w->reset = true; break;
    case 'p': w->room = 0; break;
    case 'q': w->room = w->room == SIZE_MAX ? w->room : w->room + (n ? p[0] : 1) * 16u; break;
    case 'g': w->room = SIZE_MAX; break;
    default: break;
    }
}

static void client_record(struct client *c, char what, const uint8_t *p, size_t n)
{
    if (!c->w || what == 'n' || !c->w->c) client_come(c);
    if (what == 'd') c->server->demux.ops->drain(&c->server->demux);
    else if (what == 'x') c->server->demux.ops->cut(&c->server->demux);
    else act(c->w, c, NULL, what, p, n);
}

static void origin_record(struct origin *o, char what, const uint8_t *p, size_t n)
{
    if (!o->w || !o->w->c) return;
    bool hung = o->hung;
    if (hung && what != 'o' && what != 'r') return;
    o->hung = false;
    if (hung && what == 'o') dials_through(o->w);
    else if (hung) dials_fail(o->w);
    else act(o->w, NULL, o, what, p, n);
}

static void endpoints(uint32_t n)
{
    struct fgw_endpoint e[2];
    for (uint32_t i = 0; i < 2; i++) {
        e[i] = (struct fgw_endpoint){.slot = i, .generation = 1, .weight = 1, .healthy = 1, .addr_len = 16};
        snprintf(e[i].name, sizeof e[i].name, "origin%u:1", i);
    }
    fgw_eptable_publish(g.table, e, n);
}

static void record(const uint8_t *p, size_t n)
{
    static const uint32_t ms[] = {1, 10, 100, 1000, 2001, 5001, 10001, 30001, 76000, 3600001};
    char who = (char)p[0], what = n > 1 ? (char)p[1] : 0;
    uint32_t digit = what >= '0' && what <= '9' ? (uint32_t)(what - '0') : 0;
    if (n < 2) return;
    if (who >= '0' && who < '0' + CLIENTS) client_record(&g.clients[who - '0'], what, p + 2, n - 2);
    else if (who >= 'a' && who < 'a' + ORIGINS && who != 'f' && who != 'h') origin_record(&g.origins[who - 'a'], what, p + 2, n - 2);
    else if (who == 't') wires_wait(&g.w->loop, ms[digit]), fgw_exchanges_unpin(g.w);
    else if (who == 'f') g.refuse = true;
    else if (who == 'h') g.hang = true;
    else if (who == 'm') g.w->loop.blocks.max_bytes = digit ? 256 << 20 : 1;
    else if (who == 'k') endpoints(digit % 3);
    else if (who == 'w') {
        g.piece = digit;
        for (int i = 0; i < WIRES; i++) wires_[i].piece = digit;
    }
    MUST(wires_turn(&g.w->loop));
    check();
}

/* ---- life ---- */
static void once(void)
{
    if (g.shm) return;
    int fd = fgw_shm_create(fgw_shm_fixed(1) + (1 << 20), 1, &g.shm);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(g.shm, 0);
    g.table = (struct fgw_eptable *)((char *)g.shm + g.shm->heap_off);
    g.snap = mini_new(ROUTES, FGW_COUNT(ROUTES), g.shm->heap_off, 1, FGW_LOG_JSON);
}

static void start(void)
{
    char err[200];
    once();
    dials.how = dial_how, dials.made = dial_made;
    wires_now = 1000;
    g.next_tag = 0, g.piece = 0, g.refuse = g.hang = false;
    fgw_eptable_init(g.table, 4);
    endpoints(2);
    fgw_ring_init(fgw_stats_log(g.shm, 0), FGW_SHM_RING);
    g.w = fgw_worker_new(&(struct fgw_worker_options){.shm = g.shm, .clock = &wires_clock}, err, sizeof err);
    if (!g.w) abort();
    g.w->id_high = 1, g.w->id_count = 0;
    const struct mini_seg *const segs[] = {&g.snap->routes, &g.snap->settings, &g.snap->upstream, &g.snap->root};
    for (int i = 0; i < 4; i++)
        if (fgw_worker_segment_add_bytes(g.w, segs[i]->bytes, segs[i]->used, err, sizeof err) < 0) fprintf(stderr, "%s\n", err), abort();
    struct fgw_snapshot *s = fgw_worker_prepare(g.w, g.snap->root_hash, err, sizeof err);
    if (!s) fprintf(stderr, "%s\n", err), abort();
    fgw_worker_commit(g.w, s);
    for (struct fgw_link *k = g.w->pools.next; k != &g.w->pools; k = k->next) fgw_container(k, struct fgw_pool, link)->dialer = &dials_dialer;
    g.listener = (struct fgw_listener){.w = g.w, .id = 1, .limits = {
        .head = {16384, 16384, 65536, 100}, .body = {256, 16384, 8192, 32}, .window = WINDOW, .head_ms = 10000, .body_idle_ms = 30000,
        .body_rate = 10, .send_idle_ms = 30000, .send_rate = 10, .keepalive_ms = 75000, .connection_ms = 3600000,
        .half_close_probe_ms = 1000, .linger_ms = 2000, .requests_max = 100}};
}

/* ---- progress: nobody waits for ever ---- */
static void all_read(void)
{
    g.w->loop.blocks.max_bytes = 256 << 20;
    for (int i = 0; i < WIRES; i++) wires_[i].room = SIZE_MAX;
    MUST(wires_turn(&g.w->loop));
}

/* The wire of an exchange's connection upstream: its side and its conn lie in the same codec. */
static struct wire *wire_with(const struct fgw_exchange *x)
{
    if (!x->t || x->t->state < FGW_TRY_SENT) return NULL;
    uintptr_t side = (uintptr_t)x->t->lease.side;
    for (struct origin *o = g.origins; o < g.origins + ORIGINS; o++)
        if (o->w && o->w->c && side - (uintptr_t)o->w->c < fgw_h1_client_size()) return o->w;
    return NULL;
}

/* Both peers have read all there is, so nothing of either direction is under way: what was held back for it must not be held back now. */
static void credit_is_back(struct client *c)
{
    struct fgw_h1_server *s = c->server;
    if (!s || !s->side.up || s->failing) return;
    const struct fgw_exchange *x = s->side.user;
    struct wire *up = wire_with(x);
    MUST(s->w.unacked == 0 || s->conn.out.bytes > 0);
    if (!up || c->w->reset || up->reset) return;
    MUST(c->w->shut || s->conn.out.bytes == 0);
    MUST(up->shut || up->c->out.bytes == 0);
    if ((s->in == IN_BODY || s->in == IN_TUNNEL) && !s->discard && x->rq != FGW_RQ_DONE) MUST(s->window == WINDOW && s->conn.want_read);
    if (x->rp == FGW_RP_BODY && !x->reply_ended) MUST(up->c->want_read && (up->in_at == up->in_n || up->c->eof));
}

static void silence(void)
{
    struct fgw_live live;
    fgw_worker_live(g.w, &live);
    for (int i = 0; i < 40 && (live.exchanges || live.h1_servers); i++) {
        MUST(wires_wait(&g.w->loop, i < 30 ? 31000 : TUNNEL_MS + 1));      /* chains of timers end one by one; tunnels idle for an hour */
        check();
        fgw_worker_live(g.w, &live);
    }
    MUST(live.exchanges == 0 && live.tries == 0 && live.h1_servers == 0);
}

static void progress(void)
{
    all_read();
    check();
    for (int i = 0; i < CLIENTS; i++) credit_is_back(&g.clients[i]);
    silence();
}

static void stop(void)
{
    struct fgw_live live;
    g.w->loop.blocks.max_bytes = 0;
    for (int i = 0; i < CLIENTS; i++) client_leave(&g.clients[i]);
    check();
    fgw_worker_live(g.w, &live);
    MUST(live.exchanges == 0 && live.tries == 0 && live.h1_servers == 0);
    for (int i = 0; i < 3; i++) MUST(wires_wait(&g.w->loop, 61000));    /* connects, then idle connections */
    fgw_worker_live(g.w, &live);
    MUST(live.h1_clients == 0 && live.timers == 0 && live.buf_nodes == 0);
    fgw_worker_free(g.w);
    for (int i = 0; i < ORIGINS; i++) {
        if (g.origins[i].w) MUST(!g.origins[i].w->c), wire_free(g.origins[i].w);
        g.origins[i].w = NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    if (size > 4096) return 0;
    start();
    for (size_t at = 0; at < size;) {
        const uint8_t *nul = memchr(in + at, 0, size - at);
        size_t n = nul ? (size_t)(nul - in) - at : size - at;
        record(in + at, n);
        at += n + 1;
    }
    if (size % 2 == 0) progress();
    stop();
    return 0;
}
