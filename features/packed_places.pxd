cimport cython


@cython.locals(
    place=cython.longlong,
    hour=cython.longlong,
    latest=cython.longlong,
    bits=cython.longlong,
    count=cython.Py_ssize_t,
)
cpdef columns_of(list places)


@cython.locals(
    hour=cython.longlong,
    bits=cython.longlong,
    index=cython.Py_ssize_t,
    upper=cython.longlong,
    lower=cython.longlong,
)
cpdef times_of(list hours, list counts, list low, bytes high, list seen)
