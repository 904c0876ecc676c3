/* tests/c/http/h1_server_play.h: a play in which the engine is the server. */
#ifndef FGW_TESTS_H1_SERVER_PLAY_H
#define FGW_TESTS_H1_SERVER_PLAY_H
#include "http/h1_play.h"
#include "http/h1_server_impl.h"

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(n) "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: " #n "\r\n\r\n"
#define CHUNKED "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

static void server_begin(struct fgw_demux *d, struct fgw_side *side)
{
    struct play *p = d->owner;
    if (!p->refuse) play_bind(p, side);
}
static void server_refused(struct fgw_demux *d, const struct fgw_msg *m, enum fgw_err why)
{
    (void)m;
    play_note(d->owner, "refused %s|", fgw_err_word(why));
}
static void server_gone(struct fgw_demux *d)
{
    struct play *p = d->owner;
    play_note(p, "gone|");
    p->server = NULL;
}
static const struct fgw_demux_user server_user = {server_begin, server_refused, server_gone, NULL};

/* Change p->lim before: play_begin, limits, server_come. */
static void server_come(struct play *p)
{
    static const struct fgw_peer peer = {.address = {"192.0.2.7", 9}, .ip_lo = 0xffffc0000207, .port = 7};
    struct fgw_demux *d = fgw_h1_server_new_memory(&p->env, &wire_transport, &p->lim, &server_user, p, &peer);
    p->server = fgw_container(d, struct fgw_h1_server, demux);
    p->w = wire_attach(&p->server->conn);
}
static void server_start(struct play *p) { play_begin(p), server_come(p); }

/* The client goes away, if it has not, and nothing may be left. */
static void server_stop(struct play *p)
{
    if (p->w->c) p->w->reset = true, play_turn(p);
    OK(p->server == NULL);
    play_release(p);
    play_over(p);
}

/* An answer with a body of known length, whole; the side is let go. */
static void answer(struct play *p, uint16_t status, const char *text)
{
    const struct fgw_out o = {.status = status, .len = FGW_LEN_KNOWN, .length = strlen(text)};
    play_head(p, &o);
    if (text[0]) play_body(p, text);
    play_finish(p), play_release(p), play_turn(p);
}
static void ask(struct play *p, const char *text)        /* a request in hand, its record forgotten */
{
    play_say(p, text);
    OK(p->side != NULL);
    p->n = 0, p->log[0] = 0, p->in_body = false;
}

#endif
