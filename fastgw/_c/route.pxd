# Mirrors src_c/policy/route.h, and of the headers below it what a request is made of before it is routed.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "base/str.h" nogil:
    struct fgw_str:
        const char *p
        uint32_t n


cdef extern from "base/err.h" nogil:
    const int FGW_E_BAD_HOST
    const char *fgw_err_word(int code)
    const char *fgw_err_text(int code)
    int fgw_err_status(int code)


cdef extern from "http/fields.h" nogil:
    struct fgw_field:
        uint8_t id
    int FGW_H_HOST


cdef extern from "http/head.h" nogil:
    const int FGW_M_OTHER
    const int FGW_M_COUNT
    const int FGW_M_CONNECT
    struct fgw_head_limits:
        uint32_t line_max, field_max, head_max
        uint16_t max_fields
    struct fgw_head:
        fgw_field *fields
        uint16_t nfields
        uint8_t method, minor, err
    int fgw_method_id(fgw_str m)
    fgw_str fgw_method_name(int m)
    void fgw_head_reset(fgw_head *h)
    int fgw_head_parse_request(fgw_head *h, const char *base, uint32_t n, const fgw_head_limits *lim)
    fgw_str fgw_head_value(const fgw_head *h, const fgw_field *f)
    fgw_str fgw_head_method(const fgw_head *h)
    fgw_str fgw_head_target(const fgw_head *h)


cdef extern from "http/target.h" nogil:
    struct fgw_target_policy:
        uint8_t slashes
        bint merge_slashes
    const int FGW_FORM_ORIGIN
    const int FGW_FORM_ABSOLUTE
    const int FGW_FORM_AUTHORITY
    const int FGW_FORM_ASTERISK
    struct fgw_target:
        fgw_str path, query, authority
        uint8_t form
        bint has_query
    int fgw_target_parse(fgw_str raw, int m, const fgw_target_policy *pol, char *out, uint32_t out_size, fgw_target *t)
    bint fgw_authority_split(fgw_str a, fgw_str *host, uint16_t *port, bint may_be_empty)
    uint32_t fgw_host_fold(fgw_str host, char *out)


cdef extern from "policy/layout.h" nogil:
    const int FGW_PARAMS_MAX
    const int FGW_REGEX_MAX
    const int FGW_REGEXES_MAX
    enum fgw_seg_kind:
        FGW_SEG_ROUTES
    struct fgw_l_seg:
        uint16_t kind
    struct fgw_l_route:
        uint32_t index
        uint8_t nparams
    const char *fgw_seg_check(const void *seg, size_t size)


cdef extern from "policy/regex.h" nogil:
    struct fgw_regexes:
        pass
    struct fgw_regex_info:
        char error[160]
        uint32_t offset, nnames
        int first
        fgw_str names[16]
    fgw_regexes *fgw_regexes_new(const void *seg)
    void fgw_regexes_free(fgw_regexes *s)
    int fgw_regexes_compile(fgw_regexes *s, uint32_t most, char *err, size_t err_n)
    fgw_regexes *fgw_regexes_of(fgw_str pattern, fgw_regex_info *out)
    bint fgw_regexes_match(fgw_regexes *s, uint32_t i, fgw_str path, fgw_str *params)


cdef extern from "policy/route.h" nogil:
    struct fgw_route_in:
        fgw_str host, path, query, method
        const fgw_head *head
        uint8_t method_id
        fgw_regexes *regexes
    struct fgw_route_out:
        const fgw_l_route *route
        fgw_str params[16]
        uint16_t allow
    struct fgw_route_slot:
        uint32_t slot, tag
    bint fgw_route_find(const void *seg, const fgw_route_in *route_in, fgw_route_out *out)
    fgw_str fgw_route_rest(const fgw_l_route *r, fgw_str path)
    uint64_t fgw_route_hash(const char *p, uint32_t n)
    fgw_route_slot fgw_route_slot_of "fgw_route_slot"(uint64_t hash, uint32_t parent, uint32_t mask)
    uint64_t fgw_route_first(uint64_t hash)
