cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s


cdef Layer _MINUTES
cdef Layer _HOURS
cdef Layer _DAYS
cdef long long _LARGEST_TOTAL
cdef long long _LARGEST_SUMMED


cdef class Layer:
    cdef public Py_ssize_t number
    cdef public long long hop_ms
    cdef public long long longest_window_ms
    cpdef long long oldest_cell(self, long long now_ms) except? -1


cdef class Cells:
    cdef public Int64s numbers
    cdef public Py_ssize_t width


@cython.locals(place=cython.Py_ssize_t)
cpdef Py_ssize_t from_on(Int64s numbers, Py_ssize_t width, long long index) except -2


@cython.locals(place=cython.Py_ssize_t, number=cython.longlong, total=cython.longlong)
cpdef total_of(Int64s numbers, Py_ssize_t width, Py_ssize_t slot, Py_ssize_t begin, Py_ssize_t end)


@cython.locals(place=cython.Py_ssize_t, count=cython.Py_ssize_t)
cpdef Py_ssize_t cells_above_zero(
    Int64s numbers, Py_ssize_t width, Py_ssize_t slot, Py_ssize_t begin, Py_ssize_t end
) except -1


@cython.locals(index=cython.longlong, place=cython.Py_ssize_t)
cpdef Py_ssize_t count_event(
    Int64s numbers, Py_ssize_t width, Layer layer, long long time_ms, long long append_ms, Int64s slots
) except -2


@cython.locals(number=cython.Py_ssize_t, total=cython.Py_ssize_t)
cpdef bint add_to_counts(Int64s numbers, Py_ssize_t place, Int64s slots, long long amount) except -1


@cython.locals(total=cython.Py_ssize_t)
cpdef remove_if_empty(Int64s numbers, Py_ssize_t width, Py_ssize_t place)


cpdef long long added(long long total, long long amount) except? -1


cpdef prune(Int64s minutes, Int64s hours, Int64s days, Py_ssize_t width, long long now_ms)


cdef _drop_before(Int64s numbers, Py_ssize_t width, long long index)


cpdef Layer layer_of(long long window_ms)
