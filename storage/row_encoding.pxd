cimport cython

from schemas cimport buffers, struct_fields
from schemas.receipts cimport Position
from storage cimport cql_values


cdef Py_ssize_t _USER_ID
cdef Py_ssize_t _STATE
cdef Py_ssize_t _VERSION
cdef Py_ssize_t _POSITION
cdef Py_ssize_t _EVENT_USER_ID
cdef Py_ssize_t _EVENT_TIME
cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _TYPE
cdef Py_ssize_t _PAYLOAD
cdef Py_ssize_t _EVENT_VERSION
cdef long long _SHARD
cdef long long _DAY_MS


cdef class RowEncoder:
    cdef bytes _state_head
    cdef bytes _event_head
    cdef tuple _held

    @cython.locals(user_id=str, position=Position, entry=bytearray)
    cpdef state(self, row)

    @cython.locals(user_id=str, time_ms=cython.longlong, day=cython.longlong, entry=bytearray, routing_key=bytearray)
    cpdef event(self, row)
