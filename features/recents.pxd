cdef class RecentsPart:
    cdef public list values
    cdef public object times_ms
    cdef public object offsets
    cdef public long long displaced_ms
    cdef public long long doubt_ms
