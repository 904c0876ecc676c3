# policy/bucket.h
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "policy/bucket.h" nogil:
    enum:
        FGW_BUCKET_NS

    struct fgw_bucket_set:
        pass
    struct fgw_bucket:
        bint pass_ "pass"
        bint was_shared
        uint64_t full_at

    fgw_bucket_set *fgw_bucket_set_of(void *table, uint32_t sets, uint64_t tag)
    fgw_bucket fgw_bucket_take(fgw_bucket_set *set, uint64_t tag, uint64_t now, uint64_t cost, uint64_t tau)
