cimport cython

from features.reading cimport Reader, Reading


@cython.locals(reading=Reading, reader=Reader, values=dict)
cpdef dict derive_values(catalogue, state, now_ms)
