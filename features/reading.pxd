cimport cython
from cpython.array cimport array as Int64s

from features.cells cimport Layer, cells_above_zero, from_on, layer_of, total_of
from features.state cimport UserState


cdef long long _NEVER_MS


cdef class Reading:
    cdef public UserState state
    cdef public long long now_ms
    cdef public bint past
    cdef public bint looks_back

    cpdef long long oldest(self, long long window_ms, Layer layer) except? -1
    cpdef long long newest(self, Layer layer) except? -1

    @cython.locals(numbers=Int64s, begin=cython.Py_ssize_t, end=cython.Py_ssize_t)
    cpdef total(self, Py_ssize_t slot, long long window_ms, Layer layer)

    @cython.locals(numbers=Int64s, begin=cython.Py_ssize_t, end=cython.Py_ssize_t)
    cpdef Py_ssize_t cells_above_zero(self, Py_ssize_t slot, long long window_ms, Layer layer) except -1

    cdef Py_ssize_t _begin(self, Int64s numbers, long long window_ms, Layer layer) except -1
    cdef Py_ssize_t _end(self, Int64s numbers, Layer layer) except -1


cdef class Reader:
    cpdef answer(self, Reading reading)
    cpdef value(self, Reading reading)
