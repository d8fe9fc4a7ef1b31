cimport cython
from cpython.datetime cimport datetime

from schemas cimport json_lines, plain_json, struct_fields, utc, uuids


cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _USER_ID
cdef Py_ssize_t _TYPE
cdef Py_ssize_t _ITEM_ID
cdef Py_ssize_t _CATEGORY
cdef Py_ssize_t _VALUE
cdef Py_ssize_t _CURRENCY
cdef Py_ssize_t _SEARCH_TERM
cdef Py_ssize_t _LIST_ID
cdef Py_ssize_t _POSITION
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
    values=list,
    others=list,
    lines=list,
    verdicts=list,
    index=cython.Py_ssize_t,
    place=cython.Py_ssize_t,
    event_id=str,
    value=bytes,
)
cdef list _judged(object events, object received_at_ms, object sent_at_ms)

cdef bytes _plain_json(object event, long long event_time_ms, long long received_at_ms)

@cython.locals(moment=datetime)
cdef str _usual_id(object event)
