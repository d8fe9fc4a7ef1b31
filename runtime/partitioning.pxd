# MurmurHash2 with Kafka's seed: `Utils.murmur2` of its Java client.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy


cdef enum:
    SEED = 0x9747B28C
    MIX = 0x5BD1E995


cdef extern from *:
    """
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "murmur2 is read as little-endian"
    #endif
    """


cdef inline uint32_t murmur2(const unsigned char *data, Py_ssize_t length) noexcept:
    cdef uint32_t number = <uint32_t>SEED ^ <uint32_t>length, four
    cdef const unsigned char *end = data + length
    while end - data >= 4:
        memcpy(&four, data, 4)
        four *= <uint32_t>MIX
        four = (four ^ four >> 24) * <uint32_t>MIX
        number = number * <uint32_t>MIX ^ four
        data += 4
    if end > data:
        four = 0
        memcpy(&four, data, end - data)
        number = (number ^ four) * <uint32_t>MIX
    number = (number ^ number >> 13) * <uint32_t>MIX
    return number ^ number >> 15


cdef inline Py_ssize_t partition_of(bytes key, Py_ssize_t partitions) except -1:
    cdef uint32_t number = murmur2(<const unsigned char *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    return <Py_ssize_t>(number & 0x7FFFFFFF) % partitions
