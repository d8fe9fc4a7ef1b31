from features.reading cimport Reading


cdef class RecentsPart:
    cdef public list values
    cdef public list times_ms
    cdef public list offsets
    cdef public long long displaced_ms
    cdef public long long doubt_ms
