from features.reading cimport Reading


cdef class MomentsPart:
    cdef public long long events
    cdef public long long first_ms
    cdef public long long last_ms
    cdef public bint first_doubt
    cdef public bint last_doubt
