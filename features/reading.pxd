cimport cython

from features.cells cimport Cells, Layer, layer_of
from features.state cimport UserState


cdef long long _NEVER_MS


cdef class Reading:
    cdef public UserState state
    cdef public long long now_ms
    cdef public bint past
    cdef public bint looks_back
    cdef dict _vectors

    cpdef long long oldest(self, long long window_ms, Layer layer)
    cpdef long long newest(self, Layer layer)

    @cython.locals(cells=Cells, begin=cython.Py_ssize_t, end=cython.Py_ssize_t)
    cpdef list totals(self, window_ms)

    @cython.locals(cells=Cells, end=cython.Py_ssize_t)
    cdef tuple _span(self, long long window_ms, Layer layer)
