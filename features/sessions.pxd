cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s, msgpack
from features.adding cimport Adder
from features.cells cimport Layer
from features.reading cimport Reader, Reading


cdef Py_ssize_t _WIDTH
cdef Py_ssize_t _PACKED_WIDTH
cdef Layer _HOURS


cdef class SessionsPart:
    cdef public Int64s earlier
    cdef public long long start_ms
    cdef public long long end_ms
    cdef public long long events
    cdef public long long doubt
    cpdef keep_latest(self)

    @cython.locals(numbers=Int64s, last=cython.Py_ssize_t)
    cpdef take_latest(self)


cdef class SessionsAdder(Adder):
    cdef long long gap_ms
    cdef long long kept_ms
    cpdef add(self, part, event, long long time_ms, long long offset, long long append_ms)
    cpdef undo(self, part, event, long long time_ms, long long offset)


@cython.locals(
    numbers=Int64s,
    after=cython.Py_ssize_t,
    before=cython.Py_ssize_t,
    dropped=cython.Py_ssize_t,
    start_ms=cython.longlong,
    end_ms=cython.longlong,
    events=cython.longlong,
    doubt=cython.longlong,
    reached_ms=cython.longlong,
)
cdef _join(SessionsPart part, long long time_ms, long long gap_ms, long long oldest_ms)


@cython.locals(
    place=cython.Py_ssize_t,
    start_ms=cython.longlong,
    end_ms=cython.longlong,
    events=cython.longlong,
    doubt=cython.longlong,
    doubtful=cython.bint,
)
cdef _leave(Int64s numbers, long long time_ms, long long gap_ms)


cdef _put_into(Int64s numbers, Py_ssize_t place, long long start_ms, long long end_ms, long long packed_events)


cdef _put_run(
    bytearray out, long long append_ms, long long start_ms, long long end_ms, long long events, long long doubt
)


cdef _insert(Int64s numbers, Py_ssize_t place, long long start_ms, long long end_ms, long long events, long long doubt)


cdef class SessionReader(Reader):
    cdef Py_ssize_t index
    cdef long long gap_ms

    cpdef long long fact(self, long long start_ms, long long end_ms, long long events) except? -1


cdef class SessionLengthReader(SessionReader):
    pass


cdef class SessionEventsReader(SessionReader):
    pass


cdef class SessionCountReader(Reader):
    cdef Py_ssize_t index
    cdef long long window_ms

    @cython.locals(oldest_ms=cython.longlong, earlier=cython.Py_ssize_t)
    cpdef value(self, Reading reading)

    @cython.locals(oldest_ms=cython.longlong)
    cpdef answer(self, Reading reading)


@cython.locals(first=cython.Py_ssize_t)
cdef Py_ssize_t _ended_before(Int64s numbers, long long oldest_ms) except -1


cdef _count_at(Reading reading, SessionsPart part, long long window_ms, long long oldest_ms)
