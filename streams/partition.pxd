cimport cython

from features.fold cimport Folder
from runtime cimport partitioning
from schemas cimport struct_fields


cdef Py_ssize_t _USER_ID
cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _TYPE
cdef Py_ssize_t _EVENT_TIME
cdef Py_ssize_t _PARTITION
cdef Py_ssize_t _OFFSET
cdef Py_ssize_t _TIMESTAMP
cdef Py_ssize_t _VALUE
cdef Py_ssize_t _PARTITIONS


cpdef Py_ssize_t partition_of_user(str user_id) except -1

@cython.locals(
    changed=dict,
    events=list,
    in_timeline=list,
    events_in_timeline=list,
    folded=cython.Py_ssize_t,
    errors=dict,
    index=cython.Py_ssize_t,
)
cdef _fold_into(object batch, object readable, dict states, Folder folder, object epoch)

@cython.locals(event_id=str)
cpdef object _timeline_row(object record, object event)
