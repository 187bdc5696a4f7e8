"""A plan of shifts across time zones, over a change of clocks."""
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

berlin, york, delhi = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Kolkata"))
at = datetime(2025, 1, 1, 6, 0, tzinfo=berlin)
hours = {}
for _ in range(6_000):
    there = at.astimezone(york)
    key = (there.strftime("%Z"), at.astimezone(delhi).isoformat()[11:16])
    hours[key] = hours.get(key, 0) + 1
    at += timedelta(hours=8)
gap = datetime(2025, 3, 30, 1, 59, tzinfo=timezone.utc).astimezone(berlin)
weeks = {(date(2025, 1, 1) + timedelta(days=i)).isocalendar().week for i in range(365)}
print(sorted(hours.items())[:3], gap.isoformat(), len(weeks), datetime.fromisoformat("2025-11-02T01:30:00-05:00").astimezone(berlin))
