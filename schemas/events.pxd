cimport cython

from schemas cimport struct_fields, utc, uuids


cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _TYPE


@cython.locals(events=list)
cpdef list decode_records(object values)
