cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s, msgpack


cdef Py_ssize_t _WIDTH


@cython.locals(hours=Int64s)
cpdef put_places(bytearray out, Int64s places, long long hour_now)


@cython.locals(
    hours=Int64s, bits=cython.longlong, place=cython.Py_ssize_t, hour=cython.longlong, last=cython.Py_ssize_t
)
cdef Int64s _hours_of(Int64s places)


@cython.locals(
    lows=Int64s,
    highs=Int64s,
    places=Int64s,
    values=cython.Py_ssize_t,
    hour=cython.longlong,
    place=cython.longlong,
    latest=cython.longlong,
    rise=cython.bint,
    bits=cython.longlong,
    index=cython.Py_ssize_t,
    count=cython.Py_ssize_t,
    _=cython.Py_ssize_t,
)
cpdef Int64s places_of(list hours, list counts, bytes low, bytes high, list times)
