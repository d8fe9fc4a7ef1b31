cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s


cdef Py_ssize_t _WIDTH


@cython.locals(
    low=Int64s,
    high=Int64s,
    values=cython.Py_ssize_t,
    index=cython.Py_ssize_t,
    place=cython.longlong,
    hour=cython.longlong,
    latest=cython.longlong,
    bits=cython.longlong,
    count=cython.Py_ssize_t,
)
cpdef columns_of(Int64s places)


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
