cimport cython

from features.cells cimport Cells
from features.state cimport UserState


cdef class Reading:
    cdef public UserState state
    cdef public long long now_ms
    cdef public bint past
    cdef public bint looks_back
    cdef dict _vectors

    cpdef long long oldest(self, long long window_ms, layer)
    cpdef long long newest(self, layer)

    @cython.locals(cells=Cells, begin=cython.Py_ssize_t, end=cython.Py_ssize_t)
    cpdef list totals(self, window_ms)
