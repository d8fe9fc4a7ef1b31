cimport cython


cdef Py_ssize_t _RECORD_OVERHEAD_BYTES


@cython.locals(size=cython.Py_ssize_t)
cpdef Py_ssize_t record_bytes(bytes key, bytes value) except -1

@cython.locals(total=cython.Py_ssize_t, largest=cython.Py_ssize_t, size=cython.Py_ssize_t, key=bytes, value=bytes)
cpdef tuple total_and_largest(object records)
