# upstream/endpoint.h
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "upstream/endpoint.h" nogil:
    enum:
        FGW_ADDR_MAX
        FGW_EP_NAME

    struct fgw_endpoint:
        uint32_t slot
        uint32_t generation
        uint16_t weight
        uint8_t healthy
        uint8_t addr_len
        char addr[112]
        char name[80]

    struct fgw_eptable:
        uint32_t version
        uint32_t cap

    uint64_t fgw_eptable_size(uint32_t cap)
    void fgw_eptable_init(fgw_eptable *t, uint32_t cap)
    void fgw_eptable_publish(fgw_eptable *t, const fgw_endpoint *e, uint32_t n)
    int fgw_eptable_read(fgw_eptable *t, uint32_t *seen, fgw_endpoint *out, uint32_t max)
