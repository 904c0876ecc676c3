# testing/net.h
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastgw._c.worker cimport fgw_clock_source, fgw_worker

cdef extern from "testing/net.h" nogil:
    ctypedef bint bool_t "bool"

    struct fgw_net:
        pass
    struct fgw_pipe:
        pass
    enum fgw_net_dial:
        FGW_NET_OPENS
        FGW_NET_HANGS
        FGW_NET_REFUSED
    enum:
        FGW_PIPE_CONNECTING
        FGW_PIPE_ENDED
        FGW_PIPE_CLOSED
        FGW_PIPE_WAS_RESET

    const char *fgw_net_dial_name(fgw_net_dial d)
    fgw_net *fgw_net_new(uint64_t wall_ns)
    void fgw_net_free(fgw_net *n)
    const fgw_clock_source *fgw_net_clock(const fgw_net *n)
    void fgw_net_attach(fgw_net *n, fgw_worker *w)
    void fgw_net_adopt(fgw_net *n)
    bool_t fgw_net_listen(fgw_net *n, uint32_t listener_id)
    fgw_pipe *fgw_net_connect(fgw_net *n, uint32_t listener_id, const char *address, uint16_t port)
    bool_t fgw_net_dials(fgw_net *n, const char *upstream, const char *endpoint, fgw_net_dial how)
    fgw_pipe *fgw_net_accept(fgw_net *n, const char *upstream)
    uint32_t fgw_net_waiting(const fgw_net *n, const char *upstream)
    bool_t fgw_net_run(fgw_net *n)
    bool_t fgw_net_pass(fgw_net *n, uint64_t ms)
    uint64_t fgw_net_next(const fgw_net *n)
    uint64_t fgw_net_now(const fgw_net *n)
    uint64_t fgw_net_moved(const fgw_net *n)
    size_t fgw_net_log(fgw_net *n, bool_t errors, char *out, size_t size)

    bool_t fgw_pipe_write(fgw_pipe *p, const void *bytes, size_t n)
    size_t fgw_pipe_read(fgw_pipe *p, char *out, size_t size)
    size_t fgw_pipe_unread(const fgw_pipe *p)
    size_t fgw_pipe_untaken(const fgw_pipe *p)
    void fgw_pipe_end(fgw_pipe *p)
    void fgw_pipe_reset(fgw_pipe *p)
    void fgw_pipe_room(fgw_pipe *p, size_t bytes)
    void fgw_pipe_answer(fgw_pipe *p, bool_t open)
    unsigned fgw_pipe_is(const fgw_pipe *p)
    const char *fgw_pipe_endpoint(const fgw_pipe *p)
    void fgw_pipe_release(fgw_pipe *p)
