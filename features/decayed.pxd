cimport cython
from cpython.array cimport array as Float64s
from libc cimport math

from features cimport float64s, int64s, msgpack
from features.adding cimport Adder
from features.reading cimport Reader, Reading
from features.texts cimport shared
from schemas cimport struct_fields


cdef Py_ssize_t _WIDTH
cdef long long _HASH_MASK
cdef double _STEP
cdef double _FARTHEST_AHEAD
cdef double _GONE
cdef double _LONG_AGO
cdef double _CERTAIN
cdef double _EXACT_BELOW
cdef double _SHOWN
cdef double _LEAST_LISTED
cdef double _ROUNDED


cdef class DecayedPart:
    cdef public list keys
    cdef public Float64s numbers
    cdef public long long reference_ms
    cdef public double dropped

    @cython.locals(hashed=cython.double, numbers=Float64s, place=cython.Py_ssize_t)
    cpdef Py_ssize_t find(self, str key) except -2

    @cython.locals(numbers=Float64s, place=cython.Py_ssize_t)
    cpdef enter(self, str key, double score)

    @cython.locals(
        keys=list, numbers=Float64s, kept=cython.Py_ssize_t, place=cython.Py_ssize_t, score=cython.double
    )
    cpdef scale(self, double factor, double least)


@cython.locals(numbers=Float64s, place=cython.Py_ssize_t)
cpdef DecayedPart part_of(scores, long long reference_ms=*, double dropped=*)


cdef class DecayedAdder(Adder):
    cdef object measure
    cdef Py_ssize_t by
    cdef Py_ssize_t number
    cdef double weight
    cdef long long half_life_ms
    cdef Py_ssize_t most_keys

    @cython.locals(weight=cython.double, age=cython.double, place=cython.Py_ssize_t)
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)

    @cython.locals(
        weight=cython.double, age=cython.double, place=cython.Py_ssize_t, change=cython.double, left=cython.double
    )
    cpdef undo(self, part, event, long long time_ms, long long offset)

    @cython.locals(halvings=cython.longlong)
    cdef advance(self, DecayedPart part, long long half_lives)


@cython.locals(millionths=cython.double, whole=cython.double)
cpdef double rounded(double score) except? -1


cdef double _factor(DecayedPart part, long long now_ms, long long half_life_ms) except? -1


cdef class TopReader(Reader):
    cdef Py_ssize_t index
    cdef long long half_life_ms
    cdef Py_ssize_t k

    @cython.locals(
        part=DecayedPart,
        numbers=Float64s,
        rising=Float64s,
        keys=list,
        scored=list,
        factor=cython.double,
        least=cython.double,
        now=cython.double,
        number=cython.Py_ssize_t,
    )
    cpdef value(self, Reading reading)


cdef class DecayedSumReader(Reader):
    cdef Py_ssize_t index
    cdef long long half_life_ms

    @cython.locals(total=cython.double)
    cpdef value(self, Reading reading)
