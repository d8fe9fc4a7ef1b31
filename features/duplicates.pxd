cpdef id_key(str event_id)


cpdef bytes measured_bytes(event)


cpdef check_of(bytes measured)


cdef class DuplicateWindow:
    cdef public dict ids
    cdef public list hours
    cdef public bint forgot
    cdef public long long evicted_early
    cdef public long long dropped
    cdef public long long next_hour_ms
    cdef public list first_ids
    cdef public bint left_packed
    cdef public object columns
    cpdef bint admit(self, key, offset, long long append_ms, time_ms, code, check) except -1
    cpdef bint _has_left(self, tuple admitted) except -1
    cpdef advance(self, offset, long long append_ms)
