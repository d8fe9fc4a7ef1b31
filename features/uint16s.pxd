from cpython.array cimport array
from libc.string cimport memset

from features cimport blocks


cdef inline array zeros(Py_ssize_t count):
    cdef array block = blocks.new(b"H", count)
    memset(block.data.as_ushorts, 0, 2 * count)
    return block


cdef inline Py_ssize_t at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_ushorts[place]


cdef inline void put(array numbers, Py_ssize_t place, Py_ssize_t number) noexcept:
    numbers.data.as_ushorts[place] = number
