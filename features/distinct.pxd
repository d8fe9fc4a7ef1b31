cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s, msgpack, xxh3
from features.adding cimport Adder
from features.cells cimport Layer
from features.reading cimport Reader, Reading
from schemas cimport struct_fields


cdef Py_ssize_t _WIDTH
cdef Py_ssize_t _MOST_NUMBERS
cdef long long _LATEST_HOUR
cdef long long _HASH_BITS
cdef unsigned long long _HASH_MASK
cdef Layer _HOURS


cdef class DistinctPart:
    cdef public Int64s places
    cdef public bint thinned
    cdef public long long doubt
    cdef public object sketch
    cdef public long long newest

    @cython.locals(first=cython.Py_ssize_t, end=cython.Py_ssize_t, middle=cython.Py_ssize_t)
    cpdef Py_ssize_t find(self, long long place) except -1

    cpdef Py_ssize_t find_hour(self, long long hour) except -1
    cpdef drop_until(self, long long last)


cdef class DistinctAdder(Adder):
    cdef object measure
    cdef Py_ssize_t field
    cdef long long hop_ms
    cdef long long kept_hours

    @cython.locals(
        hour=cython.longlong,
        oldest=cython.longlong,
        hashed=cython.ulonglong,
        place=cython.longlong,
        found=cython.Py_ssize_t,
    )
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)

    @cython.locals(
        hour=cython.longlong,
        hashed=cython.ulonglong,
        place=cython.longlong,
        found=cython.Py_ssize_t,
        times=cython.longlong,
    )
    cpdef undo(self, part, event, long long time_ms, long long offset)


cdef class DistinctReader(Reader):
    cdef Py_ssize_t index
    cdef long long window_ms

    @cython.locals(oldest=cython.longlong, end=cython.Py_ssize_t)
    cpdef value(self, Reading reading)

    @cython.locals(oldest=cython.longlong)
    cpdef answer(self, Reading reading)


@cython.locals(
    slots=Int64s, size=cython.Py_ssize_t, slot=cython.Py_ssize_t, count=cython.Py_ssize_t, value=cython.longlong
)
cdef Py_ssize_t _values_between(Int64s places, Py_ssize_t first, Py_ssize_t end) except -1
