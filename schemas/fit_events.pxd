cimport cython
from cpython.datetime cimport datetime

from schemas cimport json_lines, struct_fields, utc, uuids


cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _USER_ID
cdef Py_ssize_t _OCCURRED_AT
cdef Py_ssize_t _PROPERTIES
cdef Py_ssize_t _EVENT_TIME
cdef Py_ssize_t _RECEIVED_AT

@cython.locals(
    shift=cython.longlong,
    earliest=cython.longlong,
    latest=cython.longlong,
    occurred_at=cython.longlong,
    ids=list,
    usual=list,
    values=list,
    verdicts=list,
    index=cython.Py_ssize_t,
    place=cython.Py_ssize_t,
    event_id=str,
    value=bytes,
)
cdef list _judged(object events, object received_at_ms, object sent_at_ms)

@cython.locals(moment=datetime)
cdef str _usual_id(object event)
