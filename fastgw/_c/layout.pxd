# Mirrors src_c/policy/layout.h.
from libc.stdint cimport uint32_t, uint64_t


cdef extern from "policy/layout.h" nogil:
    const int FGW_SEG_MAGIC
    const int FGW_LAYOUT_VERSION
    const int FGW_PARAMS_MAX
    const int FGW_COND_VALUE_MAX

    enum fgw_seg_kind:
        FGW_SEG_ROOT, FGW_SEG_ROUTES, FGW_SEG_SETTINGS, FGW_SEG_UPSTREAM, FGW_SEG_TLS
    enum fgw_to:
        FGW_TO_UPSTREAM, FGW_TO_STATIC, FGW_TO_REDIRECT
    enum fgw_protocol:
        FGW_PROTO_H1, FGW_PROTO_H2, FGW_PROTO_AUTO
    enum fgw_log_format:
        FGW_LOG_OFF, FGW_LOG_JSON, FGW_LOG_COMBINED
    enum fgw_step_kind:
        FGW_STEP_HEADERS, FGW_STEP_REDIRECT, FGW_STEP_ANSWER, FGW_STEP_RATE_LIMIT, FGW_STEP_CONCURRENCY
        FGW_STEP_HOOK
    enum fgw_limit_by:
        FGW_LIMIT_CLIENT, FGW_LIMIT_HEADER, FGW_LIMIT_QUERY, FGW_LIMIT_COOKIE, FGW_LIMIT_PATH, FGW_LIMIT_ROUTE
    enum fgw_limit_tell:
        FGW_TELL_ALWAYS, FGW_TELL_REFUSED, FGW_TELL_NEVER
    enum fgw_hook_fail:
        FGW_HOOK_CLOSED, FGW_HOOK_OPEN
    enum fgw_edit_op:
        FGW_EDIT_REMOVE, FGW_EDIT_RENAME, FGW_EDIT_SET, FGW_EDIT_APPEND
    enum fgw_part:
        FGW_PART_TEXT, FGW_PART_PARAM, FGW_PART_CLIENT_ADDRESS, FGW_PART_HOST, FGW_PART_REQUEST_ID, FGW_PART_METHOD
        FGW_PART_PATH, FGW_PART_QUERY, FGW_PART_SCHEME, FGW_PART_LISTENER, FGW_PART_ROUTE
        FGW_PART_CERT_SUBJECT, FGW_PART_CERT_CN, FGW_PART_CERT_FINGERPRINT, FGW_PART_CERT_URI, FGW_PART_CERT_DNS
    enum fgw_node_kind:
        FGW_NODE_HOSTS, FGW_NODE_HOST, FGW_NODE_ROOT, FGW_NODE_LITERAL, FGW_NODE_PARAM
    enum fgw_fanout:
        FGW_FANOUT_NONE, FGW_FANOUT_ONE, FGW_FANOUT_EDGES

    struct fgw_l_str:
        uint32_t off, len
    struct fgw_layout_field:
        const char *record
        const char *field
        const char *type
        uint32_t offset, size, record_size, record_align

    bint fgw_layout_field_at "fgw_layout_field"(uint32_t i, fgw_layout_field *out)
    const char *fgw_seg_check(const void *seg, size_t size)
    const char *fgw_snapshot_check(const void *root, const void *const *segs)


cdef extern from "base/hash.h" nogil:
    uint64_t fgw_hash_xxh3(const void *p, size_t n)


cdef extern from "http/fields.h" nogil:
    int fgw_field_id(const char *name, uint32_t n)


cdef extern from "http/target.h" nogil:
    enum fgw_slashes:
        FGW_SLASHES_REJECT, FGW_SLASHES_KEEP, FGW_SLASHES_DECODE


cdef extern from "http/message.h" nogil:
    enum fgw_underscores:
        FGW_UNDERSCORES_DROP, FGW_UNDERSCORES_ALLOW, FGW_UNDERSCORES_REJECT
