cimport cython
from cpython.array cimport array as Int64s
from cpython.array cimport array as Uint16s

from features cimport int64s, uint16s, utf8, xxh3
from schemas cimport struct_fields


# What hot methods compute with: as a Python object each would be looked up, and the numbers beside it made objects.
cdef long long _HORIZON_HOURS
cdef long long _HOUR_MS
cdef Py_ssize_t _WIDTH
cdef Py_ssize_t _MOST_NUMBERS
cdef Py_ssize_t _ITEM_ID
cdef Py_ssize_t _CATEGORY
cdef Py_ssize_t _VALUE
cdef Py_ssize_t _CURRENCY
cdef Py_ssize_t _SEARCH_TERM
cdef Py_ssize_t _LIST_ID
cdef Py_ssize_t _POSITION


@cython.locals(hashed=cython.ulonglong, sign=cython.ulonglong)
cpdef long long id_key(str event_id) except? -1


@cython.locals(item=str, in_list=str, measured=bytes)
cpdef bytes measured_bytes(event)


cdef str _shown(str text)


@cython.locals(hashed=cython.ulonglong)
cpdef long long check_of(bytes measured) except -1


cdef class DuplicateWindow:
    cdef public Int64s ids
    cdef public Py_ssize_t begin
    cdef public Int64s hours
    cdef public bint forgot
    cdef public bint left_packed
    cdef public long long evicted_early
    cdef public long long next_hour_ms
    cdef Uint16s slots

    @cython.locals(ids=Int64s, known=cython.Py_ssize_t, place=cython.Py_ssize_t)
    cpdef bint admit(
        self, long long key, long long offset, long long append_ms, long long time_ms, long long code, long long check
    ) except -1

    @cython.locals(hours=Int64s, hour=cython.longlong, latest=cython.longlong)
    cpdef advance(self, long long offset, long long append_ms)

    cpdef tidy(self)
    cdef _drop(self, Py_ssize_t place)
    cdef _make_room(self)
    cdef bint _has_left(self, Py_ssize_t place) except -1

    @cython.locals(gone=cython.Py_ssize_t)
    cdef _expire(self, long long oldest)

    @cython.locals(slots=Uint16s, ids=Int64s, last=cython.Py_ssize_t, slot=cython.Py_ssize_t, place=cython.Py_ssize_t)
    cdef Py_ssize_t _place_of(self, long long key) except -2

    @cython.locals(slots=Uint16s, last=cython.Py_ssize_t, slot=cython.Py_ssize_t)
    cdef _enter(self, Py_ssize_t place)

    @cython.locals(count=cython.Py_ssize_t, size=cython.Py_ssize_t, number=cython.Py_ssize_t)
    cdef _make_table(self)
