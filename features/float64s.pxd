from cpython.array cimport array, resize


cdef inline array of(list numbers):
    cdef array block = array("d")
    cdef Py_ssize_t place
    resize(block, len(numbers))
    for place in range(len(numbers)):
        block.data.as_doubles[place] = numbers[place]
    return block


cdef inline double at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_doubles[place]


cdef inline void put(array numbers, Py_ssize_t place, double number) noexcept:
    numbers.data.as_doubles[place] = number
