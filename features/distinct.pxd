from features.reading cimport Reading


cdef class DistinctPart:
    cdef public dict times
    cdef public bint thinned
    cdef public long long doubt
    cdef public object sketch
    cdef public long long newest
