# policy/bucket.h

cdef extern from "policy/bucket.h" nogil:
    struct fgw_bucket_set:
        pass
