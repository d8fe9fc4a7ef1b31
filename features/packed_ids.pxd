cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s
from features.duplicates cimport DuplicateWindow


cdef Py_ssize_t _WIDTH
cdef long long _MOST


@cython.locals(ids=Int64s, begin=cython.Py_ssize_t)
cpdef pack_ids(DuplicateWindow window, base)


@cython.locals(
    ids=Int64s,
    place=cython.Py_ssize_t,
    first_offset=cython.longlong,
    first_ms=cython.longlong,
    offset=cython.longlong,
    time_ms=cython.longlong,
)
cdef _firsts(DuplicateWindow window, base)


@cython.locals(
    ids=Int64s,
    origin_offset=cython.longlong,
    origin_ms=cython.longlong,
    sign=cython.longlong,
    unknown=cython.longlong,
    number=cython.Py_ssize_t,
    place=cython.Py_ssize_t,
    far=cython.longlong,
    ms=cython.longlong,
)
cpdef unpack_ids(packed, base)
