/* io/listen.h: accepting, and the PROXY protocol stage.
 *
 * accept   Owner: embedded; single thread. Takes at most ACCEPT_BURST connections an event, so that one busy port cannot starve the rest.
 *          Out of descriptors: on_full is called, the caller may free its spare one; accepting goes on at the next event.
 * stage    PROXY v1 (text, at most 107 bytes, CRLF) or v2 (binary, proxy_v2.h), told apart by its first byte, comes before anything else;
 *          bytes behind it stay in the socket because it reads with MSG_PEEK and takes only its own. Any deviation, or nothing whole
 *          within the timeout: the connection is closed. Who may speak it at all is asked before, by who owns the stage. */
#ifndef FGW_IO_LISTEN_H
#define FGW_IO_LISTEN_H
#include <sys/socket.h>
#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

enum { FGW_ACCEPT_BURST = 16, FGW_ACCEPT_ALL = 1 << 16 };
struct fgw_accept {
    struct fgw_watch watch;
    struct fgw_loop *loop;
    void (*on_conn)(struct fgw_accept *a, int fd, const struct sockaddr *addr);   /* fd is the callee's */
    void (*on_full)(struct fgw_accept *a);                                        /* EMFILE, ENFILE */
    bool paused, shared;
};
int  fgw_accept_init(struct fgw_accept *a, struct fgw_loop *l, int fd, bool shared);   /* dups fd; -1: errno */
void fgw_accept_pause(struct fgw_accept *a, bool on);
void fgw_accept_all(struct fgw_accept *a);             /* everybody in the queue now, before the socket is closed; stops when paused, or full */
void fgw_accept_fini(struct fgw_accept *a);
void fgw_accept_refuse(struct fgw_accept *a);          /* accept one and close it at once (the spare descriptor's use) */
int  fgw_spare_fd(void);                               /* a descriptor that only keeps a place; -1: none */
bool fgw_listen_open(int fd);                          /* is fd a listening socket? */

/* An address as 128 bits and text. unix: hi = lo = 0, text "unix". Returns the text's length. */
struct fgw_addr { uint64_t hi, lo; uint16_t port; char text[48]; uint8_t len; };
void fgw_addr_of(const struct sockaddr *sa, struct fgw_addr *out);
bool fgw_addr_parse(struct fgw_str text, struct fgw_addr *out);   /* an IPv4 or IPv6 literal, brackets allowed; port 0 */

struct fgw_proxy_stage {
    struct fgw_watch watch;
    struct fgw_loop *loop;
    struct fgw_timer timer;
    struct fgw_job dead;
    void *owner;
    /* Once: FGW_E_NONE with the address it told (src->len 0: it told none, keep the socket's), or why it was closed (fd -1).
     * fd is the callee's again; the stage's memory is its own from then on. */
    void (*done)(struct fgw_proxy_stage *s, int fd, enum fgw_err why, const struct fgw_addr *src);
};
int fgw_proxy_stage_init(struct fgw_proxy_stage *s, struct fgw_loop *l, int fd, uint32_t timeout_ms);
void fgw_proxy_stage_fini(struct fgw_proxy_stage *s);             /* give up; fd is closed */
/* "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n": bytes used; 0 partial; -1 bad. */
int fgw_proxy_v1_parse(const char *p, uint32_t n, struct fgw_addr *src);

#endif
