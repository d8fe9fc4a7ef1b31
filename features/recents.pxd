cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s, msgpack
from features.adding cimport Adder
from features.reading cimport Reader, Reading
from features.texts cimport shared
from schemas cimport struct_fields


cdef Py_ssize_t _WIDTH


cdef class RecentsPart:
    cdef public list values
    cdef public Int64s places
    cdef public long long displaced_ms
    cdef public long long doubt_ms

    @cython.locals(hashed=cython.longlong, numbers=Int64s, place=cython.Py_ssize_t)
    cpdef Py_ssize_t find(self, str value) except -2

    @cython.locals(numbers=Int64s, place=cython.Py_ssize_t, oldest=cython.Py_ssize_t, known_ms=cython.longlong)
    cpdef enter(self, str value, long long time_ms, long long offset, Py_ssize_t k)

    cpdef remove(self, Py_ssize_t place)


@cython.locals(places=Int64s, number=cython.Py_ssize_t, age_ms=cython.longlong, back=cython.longlong)
cpdef Int64s places_of(list values, list ages_ms, list offsets_back, long long append_ms, long long offset)


cdef class RecentsAdder(Adder):
    cdef Py_ssize_t field
    cdef Py_ssize_t k
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)

    @cython.locals(numbers=Int64s, place=cython.Py_ssize_t, here=cython.bint)
    cpdef undo(self, part, event, long long time_ms, long long offset)

    cpdef put(self, RecentsPart part, str value, long long time_ms, long long offset)


cdef class LastDistinctAdder(RecentsAdder):
    @cython.locals(place=cython.Py_ssize_t, known_ms=cython.longlong, known_offset=cython.longlong)
    cpdef put(self, RecentsPart part, str value, long long time_ms, long long offset)


cdef class RecentReader(Reader):
    cdef Py_ssize_t index
    cdef object measure
