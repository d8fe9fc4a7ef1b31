cdef class Adder:
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)
