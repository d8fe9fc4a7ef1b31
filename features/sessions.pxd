from features.adding cimport Adder
from features.reading cimport Reading


cdef class SessionsPart:
    cdef public long long start_ms
    cdef public long long end_ms
    cdef public long long events
    cdef public long long doubt
    cdef public list earlier


cdef class SessionsAdder(Adder):
    cdef long long gap_ms
    cdef long long kept_ms
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)
