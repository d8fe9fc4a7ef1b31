cimport cython

from features.adding cimport Adder
from features.cells cimport Cells
from features.duplicates cimport DuplicateWindow, check_of, id_key, measured_bytes
from features.state cimport UserState


cdef class Folder:
    cdef object _catalogue
    cdef dict _plans
    cdef object _other_plan

    @cython.locals(
        key=cython.longlong,
        check=cython.longlong,
        epoch=cython.longlong,
        offset=cython.longlong,
        version=cython.longlong,
        time_ms=cython.longlong,
        latest_ms=cython.longlong,
        size_bound=cython.longlong,
        place=cython.Py_ssize_t,
        parts=list,
        adder=Adder,
        measured=bytes,
    )
    cpdef fold(self, UserState state, event, position, long long append_ms)


@cython.locals(
    layers=tuple,
    cells=Cells,
    number=cython.Py_ssize_t,
    hop_ms=cython.longlong,
    longest_ms=cython.longlong,
    index=cython.longlong,
    place=cython.Py_ssize_t,
    slot=cython.Py_ssize_t,
)
cdef _add_to_cells(UserState state, plan, event, long long time_ms, long long append_ms)


cdef _add_to_sum(UserState state, Cells cells, Py_ssize_t place, amount)
