cdef class Adder:
    cdef public Py_ssize_t place
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)
    cpdef undo(self, part, event, long long time_ms, long long offset)
