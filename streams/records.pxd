cimport cython

from schemas cimport struct_fields
from schemas.events cimport decode_records


cdef Py_ssize_t _TIMESTAMP
cdef Py_ssize_t _KEY
cdef Py_ssize_t _VALUE
cdef Py_ssize_t _EVENT_TIME
cdef long long _MAX_AHEAD_MS


@cython.locals(total=cython.Py_ssize_t, value=bytes)
cpdef Py_ssize_t value_bytes(object records) except -1

@cython.locals(events_of=dict, key=bytes)
cpdef dict events_by_key(object records)

@cython.locals(values=list)
cdef list _values(object records)

cdef int _refuse_others(object record) except -1

@cython.locals(readable=list, index=cython.Py_ssize_t)
cdef list _readable(object records, list events)

@cython.locals(event_time=cython.longlong, timestamp=cython.longlong)
cdef bint _is_in_the_future(object record, object event) except -1
