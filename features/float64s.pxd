from cpython.array cimport array
from libc.stdlib cimport qsort
from libc.string cimport memset

from features cimport blocks, int64s


cdef extern from *:
    """
    static int rising(const void *left, const void *right)
    {
        double a = *(const double *)left, b = *(const double *)right;
        return (a > b) - (a < b);
    }
    """
    int rising(const void *left, const void *right) noexcept nogil


cdef inline array zeros(Py_ssize_t count):
    cdef array block = blocks.new(b"d", count)
    memset(block.data.as_doubles, 0, 8 * count)
    return block


cdef inline double at(array numbers, Py_ssize_t place) noexcept:
    return numbers.data.as_doubles[place]


cdef inline void put(array numbers, Py_ssize_t place, double number) noexcept:
    numbers.data.as_doubles[place] = number


cdef inline array column(array numbers, Py_ssize_t first, Py_ssize_t step):
    cdef Py_ssize_t place, count = int64s.count_from(numbers, first, step)
    cdef array block = zeros(count)
    for place in range(count):
        block.data.as_doubles[place] = numbers.data.as_doubles[first + place * step]
    return block


cdef inline void sort(array numbers) noexcept:
    qsort(numbers.data.as_doubles, len(numbers), sizeof(double), rising)
