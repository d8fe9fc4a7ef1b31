cimport cython

from schemas cimport struct_fields
from schemas.events cimport decode_records


cdef Py_ssize_t _TIMESTAMP
cdef Py_ssize_t _KEY
cdef Py_ssize_t _VALUE
cdef Py_ssize_t _EVENT_TIME
cdef Py_ssize_t _USER_ID
cdef long long _MAX_AHEAD_MS


@cython.locals(total=cython.Py_ssize_t, value=bytes)
cpdef Py_ssize_t value_bytes(object records) except -1

@cython.locals(events_of=dict, key=bytes)
cpdef dict events_by_key(object records)

@cython.locals(values=list)
cdef list _values(object records)

cdef int _refuse_others(object record) except -1

@cython.locals(count=cython.Py_ssize_t, index=cython.Py_ssize_t)
cdef Py_ssize_t _count_in_the_future(object records, list events) except -1

@cython.locals(users=dict)
cdef dict _users_of(list events)

@cython.locals(event_time=cython.longlong, timestamp=cython.longlong)
cdef bint _is_in_the_future(object record, object event) except -1
