cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s
from features.adding cimport Adder
from features.cells cimport Layer, add_to_counts, added, count_event, from_on, remove_if_empty
from features.duplicates cimport DuplicateWindow, check_of, id_key, measured_bytes
from features.state cimport UserState
from schemas cimport struct_fields
from schemas.receipts cimport Position


cdef Py_ssize_t _EVENT_ID
cdef Py_ssize_t _TYPE
cdef Py_ssize_t _EVENT_TIME
cdef Layer _MINUTES
cdef Layer _HOURS
cdef Layer _DAYS
cdef long long _LARGEST_TOTAL
cdef long long _UNDO_CODE
cdef long long _KEPT_MS
cdef long long _ROOM_BYTES


cdef class _Plan:
    cdef long long code
    cdef Int64s counts
    cdef tuple sums
    cdef tuple adders
    cdef long long event_bytes
    cdef long long text_copies


cdef class Folder:
    cdef object _catalogue
    cdef dict _plans
    cdef _Plan _other_plan
    cdef Py_ssize_t _cell_bytes

    @cython.locals(
        event_id=str,
        key=cython.longlong,
        check=cython.longlong,
        epoch=cython.longlong,
        offset=cython.longlong,
        version=cython.longlong,
        time_ms=cython.longlong,
        latest_ms=cython.longlong,
        new_cells=cython.Py_ssize_t,
        plan=_Plan,
        parts=list,
        adder=Adder,
        measured=bytes,
    )
    cpdef fold(self, UserState state, event, Position position, long long append_ms)

    cdef _grow(self, UserState state, long long size_bytes)

    cdef _undo(self, UserState state, undo, long long key, long long check, long long offset, long long append_ms)

    @cython.locals(
        plan=_Plan,
        offset=cython.longlong,
        time_ms=cython.longlong,
        counted=list,
        parts=list,
        first_part=cython.Py_ssize_t,
        adder=Adder,
    )
    cdef _take_back(self, UserState state, undo, original)


@cython.locals(
    minutes=Int64s,
    hours=Int64s,
    days=Int64s,
    width=cython.Py_ssize_t,
    before=cython.Py_ssize_t,
    minute=cython.Py_ssize_t,
    hour=cython.Py_ssize_t,
    day=cython.Py_ssize_t,
    amounts=list,
)
cdef Py_ssize_t _add_to_cells(UserState state, _Plan plan, event, long long time_ms, long long append_ms) except -1


@cython.locals(layer=Layer, numbers=Int64s, counts=Int64s, index=cython.longlong, place=cython.Py_ssize_t)
cdef _take_from_cells(UserState state, _Plan plan, list counted, event, long long time_ms)


@cython.locals(
    totals=cython.Py_ssize_t, slot=cython.Py_ssize_t, amount=cython.longlong, total=cython.longlong
)
cdef _add_to_sums(UserState state, Int64s numbers, Py_ssize_t place, list amounts)
