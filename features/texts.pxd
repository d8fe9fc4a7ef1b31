cimport cython


cdef list _texts
cdef Py_ssize_t _SLOTS


@cython.locals(slot=cython.Py_ssize_t, known=str)
cpdef str shared(str text)
