# Mirrors src_c/core/exchange.h: the names of its states, and what may follow each.
cdef extern from "core/exchange.h" nogil:
    const int FGW_RQ_DONE
    const int FGW_RP_DONE
    const int FGW_TRY_WON
    const char *fgw_rq_name(int s)
    const char *fgw_rp_name(int s)
    const char *fgw_try_state_name(int s)
    unsigned fgw_rq_next(int s)
    unsigned fgw_rp_next(int s)
    unsigned fgw_try_next(int s)
