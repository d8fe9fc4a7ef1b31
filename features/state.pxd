# What a compiled UserState holds as it is, instead of in objects that lie elsewhere in memory.

cdef class UserState:
    cdef public object position
    cdef public long long version
    cdef public long long append_ms
    cdef public object first_event_ms
    cdef public object last_event_ms
    cdef public long long late_events
    cdef public long long duplicate_events
    cdef public long long undone_events
    cdef public bint sums_stopped
    cdef public long long size_bound
    cdef public tuple cells
    cdef public list parts
    cdef public list counts_from_ms
    cdef public list counts_from_offsets
    cdef public object duplicates
