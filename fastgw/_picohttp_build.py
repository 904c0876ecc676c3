"""What fastgw.picohttp calls of http/head.h and http/body.h, for cffi in API mode: setup.py compiles it and links it with
the engine's own objects.

Structs are given whole, so cffi compares size and offsets of every field with the header's when it compiles them.
"""  # noqa: E501

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef("""
    enum fgw_err { FGW_E_NONE, FGW_E_BODY_TRUNCATED, FGW_E_CLIENT_GONE, FGW_E_UPSTREAM_CLOSED,
                   FGW_E_UPSTREAM_TRUNCATED, ... };
    int fgw_err_status(enum fgw_err code);
    const char *fgw_err_word(enum fgw_err code);
    const char *fgw_err_text(enum fgw_err code);

    struct fgw_field { uint32_t name, value, value_len; uint16_t name_len; uint8_t id, flags; };
    struct fgw_head_limits { uint32_t line_max, field_max, head_max; uint16_t max_fields; };
    struct fgw_head {
        const char *base;
        struct fgw_field *fields;
        uint64_t known;
        uint32_t len;
        uint32_t target, target_len;
        uint32_t method_off;
        uint32_t reason, reason_len;
        uint16_t nfields;
        uint16_t status;
        uint8_t method_len;
        uint8_t method;
        uint8_t minor;
        uint8_t err;
        ...;
    };
    void fgw_head_reset(struct fgw_head *h);
    int fgw_head_parse_request(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim);
    int fgw_head_parse_reply(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim);
    int fgw_head_parse_trailers(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim);

    enum fgw_framing { FGW_BODY_NONE, FGW_BODY_LENGTH, FGW_BODY_CHUNKED, FGW_BODY_CLOSE };
    enum fgw_body_event { FGW_BODY_MORE, FGW_BODY_DATA, FGW_BODY_TRAILERS, FGW_BODY_END, FGW_BODY_BAD };
    struct fgw_body_limits { uint32_t ext_chunk_max, ext_total_max, trailer_max; uint16_t trailer_fields; };
    struct fgw_body { uint8_t err; uint64_t left, total; ...; };
    enum fgw_err fgw_framing_request(const struct fgw_head *h, enum fgw_framing *f, uint64_t *length);
    enum fgw_err fgw_framing_reply(const struct fgw_head *h, bool head_request, enum fgw_framing *f, uint64_t *length);
    void fgw_body_start(struct fgw_body *b, enum fgw_framing f, uint64_t length);
    enum fgw_body_event fgw_body_next(struct fgw_body *b, const struct fgw_body_limits *lim, const char *p, uint32_t n,
                                      uint32_t *pos, uint32_t *off, uint32_t *len);
    bool fgw_body_eof(struct fgw_body *b);
""")
ffibuilder.set_source("fastgw._picohttp", '#include "http/body.h"\n')
