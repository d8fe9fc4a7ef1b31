cimport cython

from features.adding cimport Adder
from features.reading cimport Reading


cdef Py_ssize_t _MAX_PLACES


cdef class DistinctPart:
    cdef public dict times
    cdef public bint thinned
    cdef public long long doubt
    cdef public object sketch
    cdef public long long newest


cdef class DistinctAdder(Adder):
    cdef object measure
    cdef Py_ssize_t field
    cdef long long hop_ms
    cdef long long kept_hours

    # From the year 2927 on a place has more than 63 bits, and wraps.
    @cython.locals(
        hour=cython.longlong,
        oldest=cython.longlong,
        hashed=cython.ulonglong,
        mask=cython.ulonglong,
        bits=cython.longlong,
        number=cython.longlong,
        place=object,
        times=dict,
    )
    cpdef add(self, part, tuple fields, long long time_ms, long long offset, long long append_ms)
