/* upstream/endpoint.h: the members of one upstream, as the supervisor publishes them in shared memory.
 *
 *   Version v lives in copies[v & 1]. The supervisor writes v + 1 into the other copy, then stores the version (release). A worker
 *   that sees a new version copies that copy out and checks the version again: unchanged means the writer cannot have begun to
 *   overwrite it, as that happens only for v + 2. Three failed tries keep the old membership until the next turn. Nobody spins,
 *   and a supervisor killed at any step leaves the last whole version in force.
 *   Every word of a copy is an atomic: stored with release and loaded with acquire, so that whoever sees a word of v + 2 also
 *   sees that the version had become v + 1 before.
 *
 * An endpoint is named by slot + generation: a slot reused for another address has another generation, so a pool never mistakes
 * one for the other. Health and weight live here too; discovery never rebuilds routes.
 * Thread one writer (supervisor), many readers. */
#ifndef FGW_UPSTREAM_ENDPOINT_H
#define FGW_UPSTREAM_ENDPOINT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef FGW_EP_NAME
#define FGW_ADDR_MAX 112                   /* the model check makes do with less, */
#define FGW_EP_NAME  80                    /* and with less */
#endif
struct fgw_endpoint {
    uint32_t slot, generation;
    uint16_t weight;                      /* 0: takes no traffic */
    uint8_t  healthy;                     /* 0: known bad */
    uint8_t  addr_len;                    /* of a sockaddr_in, sockaddr_in6 or sockaddr_un */
    uint32_t reserved;
    char addr[FGW_ADDR_MAX];              /* the sockaddr's bytes */
    char name[FGW_EP_NAME];               /* "users.internal:9002" as configured: Host under `host: rewrite`, and in logs; NUL-ended */
};
struct fgw_eptable_copy { uint32_t count; uint32_t pad; struct fgw_endpoint e[]; };
struct fgw_eptable {
    _Atomic uint32_t version;             /* counts up at every change; 0: never written */
    uint32_t cap;                         /* endpoints a copy holds */
    _Alignas(8) char copies[];            /* two of {fgw_eptable_copy + cap entries} */
};
uint64_t fgw_eptable_size(uint32_t cap);                                    /* bytes to set aside */
void fgw_eptable_init(struct fgw_eptable *t, uint32_t cap);                 /* t is 8-byte aligned */
void fgw_eptable_publish(struct fgw_eptable *t, const struct fgw_endpoint *e, uint32_t n);   /* n <= cap */
/* Copy out if the version differs from *seen: the number of endpoints (up to max), -1: unchanged (or being changed: later; out
 * may then hold garbage, so it is never the place where the membership in use lives). */
int  fgw_eptable_read(struct fgw_eptable *t, uint32_t *seen, struct fgw_endpoint *out, uint32_t max);

#endif
