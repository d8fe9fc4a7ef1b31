cdef class Cells:
    cdef public list numbers
    cdef public Py_ssize_t width
    cpdef Py_ssize_t find(self, index) except -2
    cpdef insert(self, index, totals)
