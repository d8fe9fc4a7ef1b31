from cpython.array cimport array
from cpython.object cimport PyObject
from libc.string cimport memset

from features cimport blocks


cdef extern from *:
    """
    static PyObject *float64s_sample = NULL;
    """
    PyObject *sample "float64s_sample"


cdef inline array zeros(Py_ssize_t count):
    cdef array block = blocks.new(&sample, "d", count)
    memset(block.data.as_doubles, 0, 8 * count)
    return block


cdef inline double at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_doubles[place]


cdef inline void put(array numbers, Py_ssize_t place, double number) noexcept:
    numbers.data.as_doubles[place] = number
