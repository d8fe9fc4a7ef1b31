cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s, msgpack
from features.duplicates cimport DuplicateWindow


cdef Py_ssize_t _WIDTH
cdef long long _MOST
cdef long long _HOUR_MS
cdef long long _REACH_MS
cdef long long _DAY_MS
cdef long long _FORGOTTEN_OFFSET


@cython.locals(
    ids=Int64s,
    begin=cython.Py_ssize_t,
    append_ms=cython.longlong,
    offset=cython.longlong,
    first_offset=cython.longlong,
    first_ms=cython.longlong,
)
cpdef put_ids(bytearray out, DuplicateWindow window, base)


@cython.locals(number=cython.Py_ssize_t, offset=cython.longlong)
cdef _put_hours(bytearray out, Int64s hours, long long hour_now, long long offset_now)


@cython.locals(ids=Int64s, place=cython.Py_ssize_t, first=cython.longlong, offset=cython.longlong)
cdef long long _first_offset(DuplicateWindow window, long long latest) except? -1


@cython.locals(ids=Int64s, place=cython.Py_ssize_t, first_ms=cython.longlong)
cdef long long _first_ms(DuplicateWindow window, long long append_ms) except? -1


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
