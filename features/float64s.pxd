from cpython.array cimport array


cdef inline array empty():
    return array("d")


cdef inline double at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_doubles[place]


cdef inline void put(array numbers, Py_ssize_t place, double number) noexcept:
    numbers.data.as_doubles[place] = number
