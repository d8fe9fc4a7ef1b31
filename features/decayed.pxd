cimport cython
from libc cimport math

from features.adding cimport Adder
from features.reading cimport Reading
from features.texts cimport shared


cdef double _STEP
cdef double _FARTHEST_AHEAD
cdef double _GONE
cdef double _LONG_AGO
cdef double _CERTAIN
cdef double _EXACT_BELOW


cdef class DecayedPart:
    cdef public dict scores
    cdef public long long reference_ms
    cdef public double dropped


cdef class DecayedAdder(Adder):
    cdef object measure
    cdef Py_ssize_t by
    cdef Py_ssize_t number
    cdef double weight
    cdef long long half_life_ms
    cdef Py_ssize_t most_keys

    @cython.locals(weight=cython.double, age=cython.double, scores=dict)
    cpdef add(self, part, tuple fields, long long time_ms, long long offset, long long append_ms)

    @cython.locals(halvings=cython.longlong, factor=cython.double, least=cython.double)
    cdef advance(self, DecayedPart part, long long half_lives)


@cython.locals(millionths=cython.double, whole=cython.double)
cpdef double rounded(double score) except? -1
