cimport cython

from features.cells cimport Layer, layer_of
from features.reading cimport Reader, Reading


cdef Layer _DAYS


cdef class CountReader(Reader):
    cdef Py_ssize_t slot
    cdef long long window_ms
    cdef Layer layer


cdef class SumReader(CountReader):
    pass


cdef class RatioReader(Reader):
    cdef Py_ssize_t above
    cdef Py_ssize_t below
    cdef long long unit_above
    cdef long long unit_below
    cdef double prior_weight
    cdef double prior_amount
    cdef long long window_ms
    cdef Layer layer

    @cython.locals(above=cython.double, below=cython.double, denominator=cython.double)
    cpdef value(self, Reading reading)


cdef class DaysReader(Reader):
    cdef Py_ssize_t slot
    cdef long long window_ms
