import zoneinfo
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError
for name in ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "UTC"):
    zone = ZoneInfo(name)
    for when in (datetime(2026, 1, 15, 12, tzinfo=zone), datetime(2026, 7, 15, 12, tzinfo=zone), datetime(1960, 1, 1, tzinfo=zone)):
        print(name, when.isoformat(), when.tzname(), when.dst())
berlin = ZoneInfo("Europe/Berlin")
early = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
print(early.utcoffset(), early.replace(fold=1).utcoffset(), (early + timedelta(hours=1)).isoformat(), early.astimezone(timezone.utc), datetime(2026, 3, 29, 2, 30, tzinfo=berlin).astimezone(timezone.utc).astimezone(berlin))
try:
    ZoneInfo("Mars/Olympus")
except ZoneInfoNotFoundError as error:
    print(type(error).__name__)
meeting = datetime(2026, 12, 24, 9, tzinfo=ZoneInfo("America/Los_Angeles"))
print({z: meeting.astimezone(ZoneInfo(z)).strftime("%a %H:%M %Z") for z in ("Europe/London", "Asia/Tokyo", "Pacific/Auckland")}, zoneinfo.ZoneInfo.no_cache("UTC").key)
