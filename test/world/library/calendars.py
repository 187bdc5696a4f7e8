import calendar, time
from datetime import date, datetime, time as clock, timedelta, timezone
print(calendar.TextCalendar(6).formatmonth(2026, 2), calendar.monthrange(2024, 2)[1], calendar.isleap(1900), list(calendar.day_abbr))
start = datetime(2026, 11, 30, 5, 52, 7, 123456, tzinfo=timezone.utc)
for text in ("%Y-%m-%d %H:%M:%S.%f %z", "%a %d %b %Y %I:%M %p", "%j %U %W %u %G-W%V", "%c", "%x %X", "%%"):
    print(start.strftime(text))
print(datetime.strptime("30/Nov/2026:05:52:07 +0130", "%d/%b/%Y:%H:%M:%S %z").astimezone(timezone.utc), date.fromisoformat("2026-02-28") + timedelta(days=1))
print(start.isocalendar(), start.timestamp(), (start - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(hours=1), timedelta(seconds=-1), timedelta(days=1.5) / 2)
print(sorted({date(2026, m, 13).strftime("%A") for m in range(1, 13) if date(2026, m, 13).weekday() == 4}), clock(9, 30).replace(minute=5).isoformat("minutes"))
print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1e9)), calendar.timegm((2026, 1, 1, 0, 0, 0)), datetime.fromisoformat("2011-11-04T00:05:23Z"), datetime.max, date.min)
for bad in ("2026-02-30", "x"):
    try:
        date.fromisoformat(bad)
    except ValueError as error:
        print(error)
