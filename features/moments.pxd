from features cimport msgpack
from features.adding cimport Adder
from features.reading cimport Reader, Reading
from schemas cimport struct_fields


cdef class MomentsPart:
    cdef public long long events
    cdef public long long first_ms
    cdef public long long last_ms
    cdef public bint first_doubt
    cdef public bint last_doubt


cdef class MomentsAdder(Adder):
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)
    cpdef undo(self, part, event, long long time_ms, long long offset)


cdef class MomentReader(Reader):
    cdef Py_ssize_t index
    cdef bint is_last


cdef class SinceReader(MomentReader):
    pass
