/* http/body.h: where an HTTP/1 message ends, and the chunked coding (RFC 9112 sections 6 and 7).
 *
 * The framing decision is made once, here, from a complete head; nobody else looks at Content-Length or Transfer-Encoding.
 * Thread: any. Nothing allocates; data is handed out as (offset, length) into the caller's bytes. */
#ifndef FGW_HTTP_BODY_H
#define FGW_HTTP_BODY_H
#include "http/head.h"

enum fgw_framing { FGW_BODY_NONE, FGW_BODY_LENGTH, FGW_BODY_CHUNKED, FGW_BODY_CLOSE };
const char *fgw_framing_name(enum fgw_framing f);

struct fgw_body_limits {
    uint32_t ext_chunk_max, ext_total_max;      /* chunk extension bytes: 256 a chunk, 16 KiB a message */
    uint32_t trailer_max; uint16_t trailer_fields; /* 8 KiB, 32 */
};

/* Requests: TE with CL, TE in HTTP/1.0, TE whose only member is not exactly "chunked" (case-insensitive, no parameters, one line,
 * one member), duplicate, list, signed, non-digit, over-long or wrapping CL: BAD_FRAMING. TE "identity" and unknown codings:
 * BAD_CODING when "chunked" is last, else BAD_FRAMING. Neither: NONE. Returns FGW_E_NONE or the failure. */
enum fgw_err fgw_framing_request(const struct fgw_head *h, enum fgw_framing *f, uint64_t *length);
/* Replies: `head_request`: answers to HEAD, and 1xx, 204, 304 have no body (their CL is checked for form, else ignored).
 * The same strictness; any violation is UPSTREAM_BAD. Neither TE nor CL: CLOSE. A 2xx to CONNECT is a tunnel, not asked here. */
enum fgw_err fgw_framing_reply(const struct fgw_head *h, bool head_request, enum fgw_framing *f, uint64_t *length);

enum fgw_body_event { FGW_BODY_MORE, FGW_BODY_DATA, FGW_BODY_TRAILERS, FGW_BODY_END, FGW_BODY_BAD };

/* State of one incoming body. */
struct fgw_body {
    uint8_t  framing, state_, err;
    uint8_t  saw_digit_;
    uint64_t left;             /* bytes of this length or chunk still to come */
    uint64_t total;            /* body bytes so far, framing not counted */
    uint32_t ext_chunk_, ext_total_;
};
void fgw_body_start(struct fgw_body *b, enum fgw_framing f, uint64_t length);

/* Consume from p[0..n): returns one event and moves *pos past what it used.
 *   MORE      all of p[*pos..n) was used; come back with more
 *   DATA      p[*off .. *off + *len) are body bytes (len > 0; *pos is past them); call again
 *   TRAILERS  the last chunk was seen and *pos stands at the first byte of the trailer section (possibly directly its empty
 *             line): parse it with fgw_head_parse_trailers from there, then the message is complete
 *   END       the message is complete at *pos; later calls return END again
 *   BAD       err is set (BAD_CHUNK); the connection cannot be used further
 * Strict: chunk-size is 1..16 hex digits without wrap, CRLF only, extensions are counted and dropped, must follow the
 * grammar's byte classes (no NUL, CR, LF, controls), no whitespace before the size or between size and CRLF unless followed by ';'. */
enum fgw_body_event fgw_body_next(struct fgw_body *b, const struct fgw_body_limits *lim, const char *p, uint32_t n,
                                  uint32_t *pos, uint32_t *off, uint32_t *len);
/* The peer closed: true if that ends the message properly (CLOSE framing). */
bool fgw_body_eof(struct fgw_body *b);

/* "1a2b\r\n" into out (at least 18 bytes); returns its length. n > 0. */
int fgw_chunk_head(char *out, uint64_t n);

#endif
