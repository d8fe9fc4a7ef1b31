cimport cython

from features cimport int64s
from features.cells cimport Cells


@cython.locals(place=cython.Py_ssize_t)
cdef _shift(list numbers, Py_ssize_t width, long long by)
