# Debian: python3-dateutil python3-six
import sys
from datetime import datetime, timezone

from dateutil import parser, rrule, tz

oslo = tz.gettz("Europe/Oslo")
noon = datetime(2024, 7, 1, 12, tzinfo=timezone.utc)
print(oslo, noon.astimezone(oslo).isoformat(), noon.astimezone(tz.gettz("Asia/Kolkata")).tzname())
print(parser.parse("2024-03-31 01:30 UTC").astimezone(tz.gettz("/".join(["America", "New_York"]))), tz.gettz("Nowhere/Land"))
print([day.isoformat() for day in rrule.rrule(rrule.DAILY, count=3, dtstart=datetime(2024, 3, 30, 2, 30, tzinfo=oslo))])
print([tz.datetime_exists(datetime(2024, 3, day, 2, 30, tzinfo=oslo)) for day in (30, 31)], sys.version_info[0])
