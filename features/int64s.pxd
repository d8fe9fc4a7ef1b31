from cpython.array cimport array, resize_smart
from libc.string cimport memmove, memset


cdef inline array of(list numbers):
    cdef array block = array("q")
    cdef Py_ssize_t place
    resize_smart(block, len(numbers))
    for place in range(len(numbers)):
        block.data.as_longlongs[place] = numbers[place]
    return block


cdef inline array below(long long base, list distances):
    cdef array block = of(distances)
    cdef Py_ssize_t place
    for place in range(len(block)):
        block.data.as_longlongs[place] = base - block.data.as_longlongs[place]
    return block


cdef inline long long at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_longlongs[place]


cdef inline void put(array numbers, Py_ssize_t place, long long number) noexcept:
    numbers.data.as_longlongs[place] = number


cdef inline int insert(array numbers, Py_ssize_t place, long long number) except -1:
    insert_zeros(numbers, place, 1)
    numbers.data.as_longlongs[place] = number
    return 0


cdef inline int insert_zeros(array numbers, Py_ssize_t place, Py_ssize_t count) except -1:
    cdef Py_ssize_t after = len(numbers) - place
    resize_smart(numbers, place + count + after)
    cdef long long *there = numbers.data.as_longlongs + place
    memmove(there + count, there, 8 * after)
    memset(there, 0, 8 * count)
    return 0


cdef inline int remove(array numbers, Py_ssize_t place, Py_ssize_t count) except -1:
    cdef Py_ssize_t after = len(numbers) - place - count
    cdef long long *there = numbers.data.as_longlongs + place
    memmove(there, there + count, 8 * after)
    resize_smart(numbers, place + after)
    return 0


cdef inline list distances(array numbers, long long base):
    cdef Py_ssize_t place
    return [base - numbers.data.as_longlongs[place] for place in range(len(numbers))]
