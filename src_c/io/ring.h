/* io/ring.h: records from one writer process to one reader, in shared memory (the access and the error log).
 *
 *   | head (writer) | tail (reader) | dropped | data of 2^k bytes |     record = u32 length, bytes, padded to 4
 *
 * Head and tail count bytes for ever; their place is the count modulo the size. A record never wraps: where the end is too near,
 * a length of FGW_RING_SKIP sends the reader back to the first byte. The largest record is size / 2 - 4 bytes.
 *
 * Writer never waits: no room means the record is dropped and counted. A record is visible only when whole (release store of
 * head), so a writer killed at any step leaves the ring readable and its last whole lines in it. A reader checks each length
 * against what is published; a nonsense length resets tail to head and counts. Nobody spins.
 * Thread one writer, one reader. Cost: one copy; no system call. */
#ifndef FGW_IO_RING_H
#define FGW_IO_RING_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FGW_RING_SKIP UINT32_MAX

struct fgw_ring {
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t dropped;             /* records that found no room */
    uint64_t at;                          /* writer's own: where the record between room and commit begins */
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic uint64_t broken;              /* times the reader met nonsense and threw away what was published */
    _Alignas(64) uint32_t size;           /* of data, power of two */
    _Alignas(8) char data[];
};
void  fgw_ring_init(struct fgw_ring *r, uint32_t size);             /* supervisor, before any use; keeps nothing */
/* Write in place: room for up to n bytes (contiguous), then commit what was used. NULL: full; counted as dropped. */
char *fgw_ring_room(struct fgw_ring *r, uint32_t n);
void  fgw_ring_commit(struct fgw_ring *r, uint32_t n);
/* Copy whole records (bodies only, back to back) into out; returns bytes, 0 when empty. A record larger than `size` is passed
 * over and counted as broken. */
size_t fgw_ring_read(struct fgw_ring *r, char *out, size_t size);

#endif
