from features.reading cimport Reading


cdef class DecayedPart:
    cdef public dict scores
    cdef public long long reference_ms
    cdef public double dropped
