from runtime cimport kafka_records


cdef class RecordBatch:
    cdef readonly Py_ssize_t count
    cdef object _timestamp_ms
    cdef bytearray _records
    cdef tuple _producer
    cdef bytes _built

    cpdef append(self, bytes key, bytes value, object headers=*)
