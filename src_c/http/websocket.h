/* http/websocket.h: the part of WebSocket's handshake that HTTP/1.1 alone has (RFC 6455 section 4): a key, and its digest in the 101.
 *
 * HTTP/2 asks by extended CONNECT and knows neither (RFC 8441 section 5). So a codec of HTTP/1.1 supplies what the far side did not send:
 * towards an upstream a key of its own, whose digest it checks; towards a client the digest of the key that came. Where both ends
 * are HTTP/1.1 both fields pass untouched. Everything else of the handshake (version, subprotocols, extensions) passes always.
 * Thread   any; nothing allocates. Cost: a SHA-1 of 60 bytes, only on upgrades. */
#ifndef FGW_HTTP_WEBSOCKET_H
#define FGW_HTTP_WEBSOCKET_H
#include "http/message.h"

enum { FGW_WS_KEY = 24, FGW_WS_ACCEPT = 28, FGW_WS_LINE = 64 };

static inline bool fgw_ws_is(struct fgw_str protocol) { return fgw_str_ieq(protocol, FGW_STR("websocket")); }
bool fgw_ws_key(char key[FGW_WS_KEY]);                                   /* 16 random bytes in base64; false: none were to be had */
void fgw_ws_accept(const char key[FGW_WS_KEY], char accept[FGW_WS_ACCEPT]);

/* The request's key as it came; false: none, several, or of another length, which no server has to accept. */
bool fgw_ws_key_of(const struct fgw_msg *m, char key[FGW_WS_KEY]);
/* A request to be sent asks for a WebSocket by a handshake that knows no key, and a key it gets: write the line of one to hop (FGW_WS_LINE bytes) and tell what must be
 * answered. 0: nothing is missing; -1: there is no key to be had. */
int  fgw_ws_ask(const struct fgw_out *o, char *hop, char accept[FGW_WS_ACCEPT]);
/* The 101 answers that: Sec-WebSocket-Accept is there once and right. It is not for anybody else and will not be passed on. */
bool fgw_ws_agreed(struct fgw_msg *m, const char accept[FGW_WS_ACCEPT]);
/* A 101 to be sent agrees to a WebSocket without saying the digest of the client's key: write its line to hop. 0: nothing is missing. */
uint32_t fgw_ws_agree(const struct fgw_out *o, const char key[FGW_WS_KEY], char *hop);

#endif
