cimport cython

from features cimport msgpack
from features.packed cimport put_cells
from features.packed_ids cimport put_ids
from features.state cimport UserState
from schemas cimport buffers


cdef long long _NOWHERE
cdef long long _NEVER


@cython.locals(blob=bytearray)
cpdef bytes pack(UserState state, catalogue)


@cython.locals(out=bytearray)
cdef bytearray _encode(UserState state, catalogue)


@cython.locals(number=cython.longlong)
cdef _put_ints(bytearray out, tuple numbers)


cdef _put_moment(bytearray out, long long time_ms)
