cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s
from features.adding cimport Adder
from features.reading cimport Reading
from features.texts cimport shared


cdef class RecentsPart:
    cdef public list values
    cdef public Int64s times_ms
    cdef public Int64s offsets
    cdef public long long displaced_ms
    cdef public long long doubt_ms
    cpdef remove(self, Py_ssize_t place)


cdef class RecentsAdder(Adder):
    cdef Py_ssize_t field
    cdef Py_ssize_t k
    cpdef add(self, part, tuple fields, long long time_ms, long long offset, long long append_ms)

    @cython.locals(times_ms=Int64s, offsets=Int64s, place=cython.Py_ssize_t, known_ms=cython.longlong)
    cpdef put(self, RecentsPart part, str value, long long time_ms, long long offset)


cdef class LastDistinctAdder(RecentsAdder):
    @cython.locals(place=cython.Py_ssize_t, known_ms=cython.longlong, known_offset=cython.longlong)
    cpdef put(self, RecentsPart part, str value, long long time_ms, long long offset)
