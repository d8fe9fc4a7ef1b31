cimport cython


cdef class Cells:
    cdef public list numbers
    cdef public Py_ssize_t width

    @cython.locals(place=cython.Py_ssize_t, width=cython.Py_ssize_t)
    cpdef Py_ssize_t find(self, long long index) except -2

    cpdef insert(self, index, totals)

    @cython.locals(place=cython.Py_ssize_t, width=cython.Py_ssize_t)
    cpdef Py_ssize_t from_on(self, long long index) except -2
