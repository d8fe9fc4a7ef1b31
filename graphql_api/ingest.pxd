cimport cython

from schemas cimport struct_fields


cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _USER_ID
cdef Py_ssize_t _VALUE


@cython.locals(event_ids=list, records=list, user_id=str)
cdef object _all_accepted(list verdicts)
