/* policy/layout.h: the snapshot's records as C structs, and the table that tells Python the same.
 *
 * A segment is immutable, position-independent bytes in a sealed memfd. It is made by the gateway itself, in a child process,
 * but still checked once when it is mapped (fgw_seg_check): every offset and count that the engine will follow lies inside.
 * Thread any. */
#ifndef FGW_POLICY_LAYOUT_H
#define FGW_POLICY_LAYOUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

#define FGW_SEG_MAGIC 0x77676673u       /* "sfgw" */
#define FGW_LAYOUT_VERSION 3

enum fgw_seg_kind  { FGW_SEG_ROOT = 1, FGW_SEG_ROUTES, FGW_SEG_SETTINGS, FGW_SEG_UPSTREAM, FGW_SEG_TLS };
enum fgw_to        { FGW_TO_UPSTREAM, FGW_TO_STATIC, FGW_TO_REDIRECT };
enum fgw_protocol  { FGW_PROTO_H1, FGW_PROTO_H2, FGW_PROTO_AUTO };   /* spoken to an upstream; AUTO: as ALPN says, over TLS */
enum fgw_log_format{ FGW_LOG_OFF, FGW_LOG_JSON, FGW_LOG_COMBINED };
enum fgw_step_kind { FGW_STEP_NONE, FGW_STEP_HEADERS, FGW_STEP_REDIRECT, FGW_STEP_ANSWER, FGW_STEP_TEST_BODY, FGW_STEP_TEST_CALL,
                     FGW_STEP_RATE_LIMIT, FGW_STEP_CONCURRENCY, FGW_STEP_HOOK, FGW_STEP_COUNT };
enum fgw_limit_by  { FGW_LIMIT_CLIENT, FGW_LIMIT_HEADER, FGW_LIMIT_QUERY, FGW_LIMIT_COOKIE, FGW_LIMIT_PATH, FGW_LIMIT_ROUTE };
enum fgw_limit_tell{ FGW_TELL_ALWAYS, FGW_TELL_REFUSED, FGW_TELL_NEVER };
enum fgw_hook_fail { FGW_HOOK_CLOSED, FGW_HOOK_OPEN };
enum fgw_edit_op   { FGW_EDIT_REMOVE, FGW_EDIT_RENAME, FGW_EDIT_SET, FGW_EDIT_APPEND };
enum fgw_part      { FGW_PART_TEXT, FGW_PART_PARAM, FGW_PART_CLIENT_ADDRESS, FGW_PART_HOST, FGW_PART_REQUEST_ID, FGW_PART_METHOD,
                     FGW_PART_PATH, FGW_PART_QUERY, FGW_PART_SCHEME, FGW_PART_LISTENER, FGW_PART_ROUTE,
                     FGW_PART_CERT_SUBJECT, FGW_PART_CERT_CN, FGW_PART_CERT_FINGERPRINT, FGW_PART_CERT_URI, FGW_PART_CERT_DNS, FGW_PARTS };

enum fgw_node_kind { FGW_NODE_HOSTS, FGW_NODE_HOST, FGW_NODE_ROOT, FGW_NODE_LITERAL, FGW_NODE_PARAM };
enum fgw_fanout    { FGW_FANOUT_NONE, FGW_FANOUT_ONE, FGW_FANOUT_EDGES };

enum { FGW_PARAMS_MAX = 16,             /* path parameters of a route */
       FGW_COND_VALUE_MAX = 1024,       /* bytes of a query condition's value */
       FGW_REGEX_MAX = 1024,            /* bytes of a route's regex */
       FGW_REGEXES_MAX = 256 };         /* regexes of one ROUTES segment: they are tried in turn */

struct fgw_l_str { uint32_t off, len; };
struct fgw_l_arr { uint32_t off, count; };
typedef uint8_t FGW_LT_u8; typedef uint16_t FGW_LT_u16; typedef uint32_t FGW_LT_u32; typedef uint64_t FGW_LT_u64;
typedef uint32_t FGW_LT_ref; typedef struct fgw_l_str FGW_LT_str; typedef struct fgw_l_arr FGW_LT_arr;

#define FGW_L_BEGIN(r) struct fgw_l_##r {
#define FGW_L_FIELD(t, f) FGW_LT_##t f;
#define FGW_L_END(r) };
#include "policy/layout.def"
#undef FGW_L_BEGIN
#undef FGW_L_FIELD
#undef FGW_L_END

/* The same for other languages: field i of all records, in the order of layout.def; false when there is no such. */
struct fgw_layout_field { const char *record, *field, *type; uint32_t offset, size, record_size, record_align; };
bool fgw_layout_field(uint32_t i, struct fgw_layout_field *out);

/* Follow a reference; `seg` is the segment's first byte. */
static inline const void *fgw_l_at(const void *seg, uint32_t off) { return off ? (const char *)seg + off : NULL; }
static inline struct fgw_str fgw_l_text(const void *seg, struct fgw_l_str s) { return fgw_str((const char *)seg + s.off, s.len); }
static inline const void *fgw_l_body(const void *seg) { return (const char *)seg + sizeof(struct fgw_l_seg); }

/* Is this a whole, well-formed segment of `size` bytes? NULL: yes; else what is wrong (a constant text). Walks every record, in time
 * linear in size, and compares the hash: records other than texts may not overlap. What passes can be walked by the engine without a further look. */
const char *fgw_seg_check(const void *seg, size_t size);

/* Do a checked root and its checked segments, in the order of root.segs, belong together? As above. Kinds and hashes agree,
 * every listener has a stats slot for each route, and every upstream a route names is known to the root. */
const char *fgw_snapshot_check(const void *root, const void *const *segs);

#endif
