cdef class DistinctPart:
    cdef public dict hours
    cdef public long long places
    cdef public bint thinned
    cdef public long long doubt
    cdef public object sketch
    cdef public long long newest
