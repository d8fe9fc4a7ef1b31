cimport cython

from runtime cimport partitioning, record_sizes
from runtime.record_batch cimport RecordBatch


cdef class Flush:
    cdef readonly RecordBatch batch
    cdef readonly object flushed
    cdef public Py_ssize_t size_bytes
    cdef public object task


cdef class _Partition:
    cdef public str topic
    cdef public object number
    cdef public Py_ssize_t batch_bytes
    cdef public Flush sending
    cdef public object full
    cdef public Flush open


cdef class GroupCommit:
    cdef object _room
    cdef object _linger_seconds
    cdef object _on_error
    cdef object _producer
    cdef dict _partitions
    cdef list _lingering
    cdef object _sending
    cdef object _waiting_since

    @cython.locals(by_partition=list, indices=list, own=list, number=cython.Py_ssize_t, index=cython.Py_ssize_t, key=bytes)
    cpdef list add_many(self, str topic, Py_ssize_t partitions, object records)

    @cython.locals(
        key=bytes,
        value=bytes,
        flush=Flush,
        batch=RecordBatch,
        first=cython.Py_ssize_t,
        index=cython.Py_ssize_t,
        size=cython.Py_ssize_t,
    )
    cdef _fill(self, _Partition partition, object records, list indices)
    cdef Flush _with_room(self, _Partition partition, Py_ssize_t size)
    cdef Flush _turn_over(self, _Partition partition, Flush full)
    cdef Flush _open(self, _Partition partition)
    cdef list _of(self, str topic, Py_ssize_t partitions)


cdef Py_ssize_t _number(bytes key, Py_ssize_t partitions) except -1
