from cpython.array cimport array, resize
from libc.string cimport memset


cdef inline array empty():
    return array("d")


cdef inline array zeros(Py_ssize_t count):
    cdef array block = array("d")
    resize(block, count)
    memset(block.data.as_doubles, 0, 8 * count)
    return block


cdef inline double at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_doubles[place]


cdef inline void put(array numbers, Py_ssize_t place, double number) noexcept:
    numbers.data.as_doubles[place] = number
