cimport cython

from features.fold cimport Folder
from schemas cimport struct_fields


cdef Py_ssize_t _USER_ID
cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _TYPE
cdef Py_ssize_t _EVENT_TIME
cdef Py_ssize_t _PARTITION
cdef Py_ssize_t _OFFSET
cdef Py_ssize_t _TIMESTAMP
cdef Py_ssize_t _VALUE


@cython.locals(users=dict)
cdef dict _users_of(list readable)

@cython.locals(changed=dict, events=list, folded=cython.Py_ssize_t, errors=dict)
cdef _fold_into(object batch, list readable, dict states, Folder folder, object epoch)

@cython.locals(event_id=str)
cdef object _timeline_row(object record, object event)
