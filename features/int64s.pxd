from cpython.array cimport array, resize_smart
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from features cimport blocks


cdef extern from "Python.h":
    void set_size "Py_SET_SIZE" (array numbers, Py_ssize_t size)


cdef extern from *:
    """
    #define ALLOCATED(numbers) ((numbers)->allocated)
    """
    Py_ssize_t room_of "ALLOCATED" (array numbers)


# Blocks of some states grow and shrink with each visit of their users: one with room for so few numbers keeps it.
cdef enum:
    SMALL = 128


cdef inline array of(list numbers):
    cdef array block = blocks.new(b"q", len(numbers))
    cdef Py_ssize_t place
    for place in range(len(numbers)):
        block.data.as_longlongs[place] = numbers[place]
    return block


cdef inline array zeros(Py_ssize_t count):
    cdef array block = blocks.new(b"q", count)
    memset(block.data.as_longlongs, 0, 8 * count)
    return block


cdef inline long long at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_longlongs[place]


cdef inline bint is_at(array numbers, Py_ssize_t place, long long number) noexcept:
    return place < len(numbers) and numbers.data.as_longlongs[place] == number


cdef inline void put(array numbers, Py_ssize_t place, long long number) noexcept:
    numbers.data.as_longlongs[place] = number


cdef inline int insert(array numbers, Py_ssize_t place, long long number) except -1:
    insert_zeros(numbers, place, 1)
    numbers.data.as_longlongs[place] = number
    return 0


cdef inline int insert_zeros(array numbers, Py_ssize_t place, Py_ssize_t count) except -1:
    cdef Py_ssize_t after = len(numbers) - place, size = len(numbers) + count
    if size > room_of(numbers):
        resize_smart(numbers, size + 2 * count)
    set_size(numbers, size)
    cdef long long *there = numbers.data.as_longlongs + place
    memmove(there + count, there, 8 * after)
    memset(there, 0, 8 * count)
    return 0


cdef inline int remove(array numbers, Py_ssize_t place, Py_ssize_t count) except -1:
    cdef Py_ssize_t size = len(numbers) - count
    cdef long long *there = numbers.data.as_longlongs + place
    if not count:
        return 0
    memmove(there, there + count, 8 * (size - place))
    if room_of(numbers) > SMALL:
        resize_smart(numbers, size)
    else:
        set_size(numbers, size)
    return 0


cdef inline Py_ssize_t count_from(array numbers, Py_ssize_t first, Py_ssize_t step) noexcept:
    return (len(numbers) - first + step - 1) // step


cdef inline bint are_all(array numbers, Py_ssize_t first, Py_ssize_t step, long long number) noexcept:
    cdef Py_ssize_t place
    for place in range(count_from(numbers, first, step)):
        if numbers.data.as_longlongs[first + place * step] != number:
            return False
    return True


cdef inline bytes bits(array numbers, Py_ssize_t first, Py_ssize_t step, Py_ssize_t shift, Py_ssize_t size):
    cdef Py_ssize_t place, count = count_from(numbers, first, step)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, count * size)
    cdef char *there = PyBytes_AS_STRING(data)
    for place in range(count):
        put_unsigned(there, place, <uint64_t>numbers.data.as_longlongs[first + place * step] >> shift, size)
    return data


cdef inline void put_unsigned(char *there, Py_ssize_t place, uint64_t number, Py_ssize_t size) noexcept:
    if size == 1:
        (<uint8_t *>there)[place] = <uint8_t>number
    elif size == 2:
        (<uint16_t *>there)[place] = <uint16_t>number
    elif size == 4:
        (<uint32_t *>there)[place] = <uint32_t>number
    else:
        (<uint64_t *>there)[place] = number


cdef inline bytes column(array numbers, Py_ssize_t first, Py_ssize_t step, long long base, Py_ssize_t size):
    cdef Py_ssize_t place, count = count_from(numbers, first, step)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, count * size)
    cdef char *there = PyBytes_AS_STRING(data)
    cdef uint64_t distance, most = (<uint64_t>-1) >> (64 - 8 * size)
    for place in range(count):
        distance = <uint64_t>(numbers.data.as_longlongs[first + place * step] - base)
        if distance > most:
            distance = most
        put_unsigned(there, place, distance, size)
    return data


cdef inline int fill_column(array numbers, Py_ssize_t first, Py_ssize_t step, bytes data, Py_ssize_t size) except -1:
    cdef Py_ssize_t place, count = count_from(numbers, first, step)
    cdef char *there = PyBytes_AS_STRING(data)
    cdef uint64_t number
    if len(data) != count * size:
        raise ValueError(f"{len(data)} bytes instead of {count} numbers of {size}")
    for place in range(count):
        if size == 1:
            number = (<uint8_t *>there)[place]
        elif size == 2:
            number = (<uint16_t *>there)[place]
        elif size == 4:
            number = (<uint32_t *>there)[place]
        else:
            number = (<uint64_t *>there)[place]
        numbers.data.as_longlongs[first + place * step] = <long long>number
    return 0
