from cpython.datetime cimport (
    datetime,
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_second,
    datetime_year,
)


cdef enum:
    DAYS_BEFORE_1970 = 719468  # since the first of March of the year 0


# https://howardhinnant.github.io/date_algorithms.html, "days_from_civil": years begin in March.
cdef inline long long ms(datetime moment) noexcept:
    cdef long long year = datetime_year(moment), month = datetime_month(moment)
    if month <= 2:
        year -= 1
        month += 12
    cdef long long day = datetime_day(moment) - 1 + (153 * (month - 3) + 2) // 5
    day += 365 * year + year // 4 - year // 100 + year // 400 - DAYS_BEFORE_1970
    cdef long long minutes = (24 * day + datetime_hour(moment)) * 60 + datetime_minute(moment)
    return (60 * minutes + datetime_second(moment)) * 1000 + datetime_microsecond(moment) // 1000
