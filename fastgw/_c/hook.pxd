# Mirrors src_c/policy/hook.h, hook_edit.h, and what a hook sees of policy/req.h.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastgw._c.shm cimport fgw_shm


cdef extern from "base/str.h" nogil:
    struct fgw_str:
        const char *p
        uint32_t n


cdef extern from "base/err.h" nogil:
    enum fgw_err:
        FGW_E_NONE, FGW_E_DENIED


cdef extern from "base/arena.h" nogil:
    struct fgw_arena:
        pass
    fgw_str fgw_arena_dup(fgw_arena *a, fgw_str s)


cdef extern from "http/fields.h" nogil:
    enum fgw_field_id:
        FGW_H_OTHER, FGW_H_SET_COOKIE
    fgw_field_id fgw_field_id_of "fgw_field_id"(const char *name, uint32_t n)


cdef extern from "http/message.h" nogil:
    struct fgw_out_field:
        const char *name
        const char *value
        uint32_t value_len
        uint16_t name_len
        uint8_t id


cdef extern from "policy/layout.h" nogil:
    const int FGW_PARAMS_MAX
    struct fgw_l_str:
        uint32_t off
        uint32_t len
    struct fgw_l_arr:
        uint32_t off
        uint32_t count
    struct fgw_l_route:
        fgw_l_str name
        uint8_t nparams
        fgw_l_arr params
    struct fgw_l_hook:
        fgw_l_str name
        uint32_t budget_ms
    struct fgw_l_root:
        fgw_l_arr plugins
    struct fgw_l_plugin:
        uint64_t key
        fgw_l_str name
        fgw_l_str use
        fgw_l_str settings
        fgw_l_arr path
    const void *fgw_l_at(const void *seg, uint32_t off)
    const void *fgw_l_body(const void *seg)
    fgw_str fgw_l_text(const void *seg, fgw_l_str s)


cdef extern from "io/tls_cert.h" nogil:
    struct fgw_identity:
        fgw_str subject
        fgw_str cn
        fgw_str fingerprint
        const fgw_str *uris
        const fgw_str *dns
        uint32_t nuris
        uint32_t ndns
        int64_t not_after


cdef extern from "policy/req.h" nogil:
    ctypedef bint bool_t "bool"
    struct fgw_fields:
        fgw_out_field *v
        uint32_t n
    struct fgw_answer:
        uint16_t status
        fgw_str body
        fgw_err why
        fgw_str detail
    struct fgw_target:
        fgw_str path
        fgw_str query
    struct fgw_peer:
        const fgw_identity *identity
    struct fgw_req:
        fgw_arena arena
        const fgw_peer *peer
        const void *seg
        const fgw_l_route *route
        fgw_target target
        fgw_str method
        fgw_str authority
        fgw_str host
        fgw_str *params
        fgw_str client
        fgw_str request_id
        fgw_str listener
        fgw_str scheme
        fgw_fields out
        fgw_fields reply
        fgw_fields tags
        uint16_t status
        fgw_answer answer
        bool_t grpc


cdef extern from "io/loop.h" nogil:
    struct fgw_clock:
        uint64_t mono_ns
    struct fgw_loop:
        fgw_clock clock


cdef extern from "policy/hook.h" nogil:
    const int FGW_TAGS_MAX
    const int FGW_TAG_NAME_MAX
    const int FGW_TAG_VALUE_MAX
    enum fgw_hook_phase:
        FGW_HOOK_ACCESS, FGW_HOOK_REPLY
    enum fgw_hook_out:
        FGW_HOOK_NEXT, FGW_HOOK_REPLY_MADE, FGW_HOOK_PARKED, FGW_HOOK_FAILED
    enum fgw_hook_over:
        FGW_HOOK_ENDED, FGW_HOOK_BUDGET
    struct fgw_hook_cell:
        uint64_t calls
        uint64_t replies
        uint64_t failed
        uint64_t timed_out
        uint64_t cancelled
        uint64_t blocked
        uint64_t ns
        uint64_t parked
    struct fgw_hooks:
        fgw_loop *loop
        void (*settle)(fgw_hooks *h) noexcept
    struct fgw_hook_state:
        void *host
        fgw_hooks *hooks
        const fgw_l_hook *l
        uint64_t start_ns
        uint8_t phase


ctypedef fgw_hook_out (*fgw_hook_run)(void *self, int32_t number, fgw_hook_phase phase, fgw_req *r,
                                      fgw_hook_state *s) noexcept


cdef extern from "policy/hook.h" nogil:
    struct fgw_hook_host:
        void *self
        int32_t (*bind)(void *self, uint64_t key) noexcept
        void (*unbind)(void *self, int32_t number) noexcept
        fgw_hook_run run
        void (*over)(void *self, fgw_req *r, fgw_hook_state *s, fgw_hook_over why) noexcept
    void fgw_hook_done(fgw_hook_state *s, fgw_hook_out out)
    void fgw_hook_slice(fgw_hooks *h, const fgw_l_hook *l, fgw_str name, uint64_t start_ns)


cdef extern from "policy/hook_edit.h" nogil:
    enum fgw_put:
        FGW_PUT_OK, FGW_PUT_BAD_NAME, FGW_PUT_BAD_VALUE, FGW_PUT_OWNED, FGW_PUT_TOO_MANY, FGW_PUT_NO_ROOM
    fgw_put fgw_fields_put(fgw_arena *a, fgw_fields *f, fgw_str name, fgw_str value, bool_t instead)
    fgw_put fgw_tag_put(fgw_arena *a, fgw_fields *tags, fgw_str name, fgw_str value)
    bool_t fgw_fields_copy(fgw_arena *a, fgw_fields *to, const fgw_fields *from_)
    uint32_t fgw_fields_next(const fgw_fields *f, uint32_t from_, fgw_str name)
    void fgw_fields_remove(fgw_fields *f, fgw_str name)
