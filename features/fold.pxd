cimport cython

from features.adding cimport Adder
from features.cells cimport Cells
from features.duplicates cimport DuplicateWindow, check_of, id_key, measured_bytes
from features.state cimport UserState


cdef long long _KEPT_MS
cdef long long _ROOM_BYTES


cdef class Folder:
    cdef object _catalogue
    cdef dict _plans
    cdef object _other_plan
    cdef Py_ssize_t _cell_bytes

    @cython.locals(
        fields=tuple,
        adders=tuple,
        event_id=str,
        key=cython.longlong,
        check=cython.longlong,
        epoch=cython.longlong,
        offset=cython.longlong,
        version=cython.longlong,
        time_ms=cython.longlong,
        latest_ms=cython.longlong,
        size_bound=cython.longlong,
        event_bytes=cython.longlong,
        text_copies=cython.longlong,
        new_cells=cython.Py_ssize_t,
        place=cython.Py_ssize_t,
        parts=list,
        adder=Adder,
        measured=bytes,
    )
    cpdef fold(self, UserState state, event, position, long long append_ms)


@cython.locals(
    counts=tuple,
    sums=tuple,
    layers=tuple,
    kept=tuple,
    made=cython.Py_ssize_t,
    cells=Cells,
    number=cython.Py_ssize_t,
    hop_ms=cython.longlong,
    longest_ms=cython.longlong,
    index=cython.longlong,
    place=cython.Py_ssize_t,
    slot=cython.Py_ssize_t,
)
cdef Py_ssize_t _add_to_cells(UserState state, plan, event, long long time_ms, long long append_ms) except -1


cdef _add_to_sum(UserState state, Cells cells, Py_ssize_t place, amount)
