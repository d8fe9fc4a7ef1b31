cdef class Position:
    cdef readonly long long epoch
    cdef readonly long long partition
    cdef readonly long long offset
