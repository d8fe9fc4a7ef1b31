from features.reading cimport Reading


cdef class SessionsPart:
    cdef public long long start_ms
    cdef public long long end_ms
    cdef public long long events
    cdef public long long doubt
    cdef public list earlier
