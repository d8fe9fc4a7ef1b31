cdef class Adder:
    cdef public Py_ssize_t place
    cpdef add(self, part, tuple fields, long long time_ms, long long offset, long long append_ms)
    cpdef undo(self, part, tuple fields, long long time_ms, long long offset)
