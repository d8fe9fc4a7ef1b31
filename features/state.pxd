# What a compiled UserState holds as it is, instead of in objects that lie elsewhere in memory.

from cpython.array cimport array as Int64s

from features cimport int64s
from features.cells cimport Cells
from features.duplicates cimport DuplicateWindow


cdef long long _NEVER


cdef class UserState:
    cdef public Int64s minutes
    cdef public Int64s hours
    cdef public Int64s days
    cdef public list parts
    cdef public DuplicateWindow duplicates
    cdef public long long epoch
    cdef public long long partition
    cdef public long long offset
    cdef public long long version
    cdef public long long append_ms
    cdef public long long first_event_ms
    cdef public long long last_event_ms
    cdef public long long late_events
    cdef public long long duplicate_events
    cdef public long long undone_events
    cdef public bint sums_stopped
    cdef public long long size_bound
    cdef public Py_ssize_t cell_width
    cdef public tuple counts_from_ms
    cdef public tuple counts_from_offsets
    cpdef Cells layer(self, Py_ssize_t number)
    cpdef Int64s block(self, Py_ssize_t number)
    cpdef bint cover(self, long long time_ms) except -1
